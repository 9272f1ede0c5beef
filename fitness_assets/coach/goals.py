"""Reads goals from uploads: what a goal may state, and when a file or a goal is refused.

A goal file is JSON (one goal, or a list) or CSV (a header, and a goal in each row). It is never edited in place: a
later goal of the same person supersedes the earlier one.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

LARGEST_FILE = 1_000_000  # bytes
MOST_GOALS = 10_000
"""Goals that one file may hold."""

ASKS = ("target_weight_kg", "intake_kcal", "target_steps", "target_exercise_minutes", "target_sleep_hours")
"""A goal has to state one of these, unless it states a pregnancy or stops the plan."""
_LONGEST_REASON = 500  # characters
_MARK = "\ufeff"  # that a file is UTF-8; some programs write it first
_BLANKS = re.compile(r"[ \t\n\r]*")  # of JSON

Kcal = Annotated[float, Field(gt=0, le=8_000)]
Steps = Annotated[int, Field(ge=0, le=50_000)]
Minutes = Annotated[float, Field(ge=0, le=600)]


class Goal(BaseModel):
    """What a person wants, and from which day. Units are in the names; only the first two fields are required."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)

    user_id: Annotated[str, Field(min_length=1, max_length=200)]
    start: Annotated[date, Field(ge=date(1990, 1, 1), le=date(2199, 12, 31))]
    target_weight_kg: Annotated[float, Field(ge=30, le=200)] | None = None
    pace_kg_per_week: Annotated[float, Field(gt=0, le=5)] | None = None
    intake_kcal: Kcal | None = None
    target_steps: Steps | None = None
    target_exercise_minutes: Minutes | None = None
    target_sleep_hours: Annotated[float, Field(ge=4, le=12)] | None = None
    max_steps: Steps | None = None
    max_exercise_minutes: Minutes | None = None
    min_intake_kcal: Kcal | None = None
    age: Annotated[int, Field(ge=0, le=120)] | None = None
    sex: Literal["F", "M"] | None = None
    height_cm: Annotated[float, Field(ge=100, le=250)] | None = None
    pregnant: bool = False
    stop: bool = False
    notes: Annotated[str, Field(max_length=2_000)] | None = None

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not (self.stop or self.pregnant or any(getattr(self, name) is not None for name in ASKS)):
            raise ValueError(f"it has to state one of {', '.join(ASKS)}, or stop")
        return self


@dataclass(frozen=True)
class Entry:
    """One goal of a file, or why there is none.

    Attributes:
        position: of the goal in its file, from 1; 0 if the file as a whole is refused.
        goal: the goal.
        refusal: the sentence that says why it is refused.
        user_id: whose goal it is, as far as it can be told.
    """

    position: int
    goal: Goal | None
    refusal: str | None = None
    user_id: str | None = None


def read_goals(path: Path, name: str, hides_names: bool = False) -> list[Entry]:
    """The goals of a file in their order; a file that cannot be read is one refused entry.

    Args:
        path: the file.
        name: what it is called, which tells its format.
        hides_names: whether refusals do not quote names that no goal has, because such a name may be an id.

    Raises:
        OSError: if the file cannot be opened or read.
    """
    if path.stat().st_size > LARGEST_FILE:
        return [Entry(0, None, f"The file is larger than {LARGEST_FILE:,} bytes.")]
    content = path.read_bytes()
    try:
        if name.lower().endswith(".json"):
            found = _json(content)
        elif name.lower().endswith(".csv"):
            found = [*_csv(content)]
        else:
            return [Entry(0, None, "The name ends neither in .json nor in .csv.")]
    except RecursionError:
        return [Entry(0, None, "The file cannot be read: it is nested too deeply.")]
    except (ValueError, csv.Error) as error:
        return [Entry(0, None, plain(f"The file cannot be read: {error}."))]
    if not found or len(found) > MOST_GOALS:
        return [Entry(0, None, f"The file has {len(found):,} goals; it may have 1 to {MOST_GOALS:,}.")]
    return [_entry(position, cells, hides_names) for position, cells in enumerate(found, 1)]


def plain(text: str) -> str:
    """Text from outside as any table, page and log can hold it: valid Unicode on one line, not too long."""
    readable = text.encode(errors="backslashreplace").decode()
    return "".join(c if c.isprintable() else " " for c in readable)[:_LONGEST_REASON]


def _json(content: bytes) -> list[Any]:
    found = json.loads(content.decode("utf-8-sig"))
    return found if isinstance(found, list) else [found]


def _csv(content: bytes) -> Iterator[dict[str, Any]]:
    rows = _csv_rows(content.decode("utf-8-sig"))
    names = [name.strip() for name in next(rows, [])]
    if len({*names}) < len(names):
        raise ValueError("two columns have the same name")
    for number, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(names):
            raise ValueError(f"row {number} has {len(row)} cells, the header has {len(names)}")
        yield {name: cell for name, cell in zip(names, row, strict=True) if cell.strip()}


def _csv_rows(text: str) -> Any:
    """The reader of a CSV file; its first row is the header."""
    lines = io.StringIO(text, newline="")
    header = lines.readline()
    lines.seek(0)
    return csv.reader(lines, delimiter=";" if ";" in header and "," not in header else ",", strict=True)


def pieces(content: bytes, name: str) -> list[str]:
    """The text of a goal file in pieces: what is before the first goal, the first goal, what is between, and so on.

    Every second piece is a goal, the last piece is what comes after the last goal.

    Args:
        content: the bytes of a file of which `read_goals` does not refuse the whole.
        name: what it is called, which tells its format.
    """
    text = content.decode("utf-8")  # with the byte order mark, so that nothing is lost
    found = _csv_places(text) if name.lower().endswith(".csv") else _json_places(text)
    cuts = [0, *(cut for place in found for cut in place), len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]


def _csv_places(text: str) -> Iterator[tuple[int, int]]:
    """Where each goal of a CSV file starts and ends; blank rows are none."""
    start = int(text.startswith(_MARK))
    ends = [*accumulate(map(len, io.StringIO(text[start:], newline="")), initial=start)]
    rows = _csv_rows(text[start:])
    for number, row in enumerate(rows):
        end = ends[rows.line_num]
        if number and any(cell.strip() for cell in row):
            yield start, end
        start = end


def _json_places(text: str) -> Iterator[tuple[int, int]]:
    """Where each goal of a JSON file starts and ends."""
    start = _after_blanks(text, int(text.startswith(_MARK)))
    if text[start] != "[":
        yield start, len(text)
        return
    while text[start] != "]":
        start = _after_blanks(text, start + 1)
        _, end = json.JSONDecoder().raw_decode(text, start)
        yield start, end
        start = _after_blanks(text, end)


def _after_blanks(text: str, start: int) -> int:
    return cast(re.Match[str], _BLANKS.match(text, start)).end()


def _entry(position: int, cells: Any, hides_names: bool) -> Entry:
    if not isinstance(cells, Mapping):
        return Entry(position, None, "A goal has to be an object with names and values.")
    try:
        goal = Goal.model_validate(cells)
    except ValidationError as error:
        user_id = cells.get("user_id")
        known = plain(str(user_id).strip()) or None if isinstance(user_id, str | int) else None
        return Entry(position, None, plain(" ".join(sentences(error, hides_names))), known)
    return Entry(position, goal, user_id=goal.user_id)


def sentences(error: ValidationError, hides_names: bool = False) -> Iterator[str]:
    """What is wrong with a goal, field by field; three fields at most. See `read_goals` for ``hides_names``."""
    for found in error.errors(include_input=False, include_url=False)[:3]:
        field = ".".join(map(str, found["loc"]))
        if hides_names and field not in Goal.model_fields:
            field = field and "an unknown name"
        message = found["msg"].removeprefix("Value error, ")
        yield f"{field}: {message}." if field else f"The goal is incomplete: {message}."
