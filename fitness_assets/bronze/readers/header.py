"""Finds the header of an upload and its columns, and warns about names that do not match the contract."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from fitness_assets.bronze.readers.cells import listed, shown, trimmed
from fitness_assets.bronze.tables import RAW_COLUMNS

RAW_NAMES = tuple(column.name for column in RAW_COLUMNS)
REQUIRED_NAMES = tuple(column.name for column in RAW_COLUMNS if not column.nullable)
MOST_COLUMNS = 500
_NO_HEADER = f"no header was found: the first two rows have to name {', '.join(REQUIRED_NAMES)}"

_ALIASES = {
    "user_id": "id user userid userno participant participantid subject subjectid person personid member memberid "
    "patientid benutzer benutzerid nutzer utilisateur usuario",
    "age": "years alter edad",
    "gender": "sex geschlecht genero sexe",
    "date": "day activitydate activityday logdate calendardate datum fecha jour daytime",
    "steps": "step stepcount stepscount countsteps totalsteps dailysteps numberofsteps stepstotal schritte pasos pas",
    "heart_rate_avg": "heartrate hr avghr averagehr avgheartrate averageheartrate averageheartratebpm averagehrbpm "
    "heartratebpm meanheartrate heartrateaverage pulse",
    "sleep_hours": "sleep hourssleep hoursslept sleepduration sleeptime sleephrs hoursofsleep",
    "calories_burned": "calories caloriesburnt burnedcalories totalcalories calorieskcal energyburned energykcal kcal "
    "calorie",
    "exercise_minutes": "exercise exercisemins exerciseduration activeminutes totalactiveminutes workoutminutes",
    "stress_level": "stress stressscore averagestress avgstress",
    "weight_kg": "weight bodyweight averageweightkg avgweight weightkilograms masskg gewicht peso poids",
    "bmi": "bodymassindex",
}
_NEAR = {alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()}
_NEAR |= {name.replace("_", ""): name for name in RAW_NAMES}

_EXPORTS = (
    ("Fitbit's dailyActivity", {"activitydate", "totalsteps"}, "write days as YYYY-MM-DD"),
    (
        "Garmin Connect's weekly sleep",
        {"avgscore", "avgduration"},
        "download four weeks or less, because means of weeks are no days",
    ),
    (
        "WHOOP's physiological cycles",
        {"cyclestarttime"},
        "it is no daily log, because it has no steps: join it to a file with user_id, date and steps",
    ),
)


class RefusedError(Exception):
    """The upload as a whole cannot be ingested; the message says why in one sentence.

    Attributes:
        without_cells: the message without text that may come from a cell.
    """

    def __init__(self, message: str, without_cells: str | None = None) -> None:
        super().__init__(message)
        self.without_cells = without_cells or message


@dataclass(frozen=True)
class Header:
    """The header of an upload.

    Attributes:
        delimiter: between its cells, and so between those of every row.
        names: one for each column, in file order: raw names as the contract has them, others as they were found.
        warnings: sentences about names that may be misnamed columns of the contract.
    """

    delimiter: str
    names: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def header_of(candidates: Sequence[tuple[str, Sequence[str]]], text: str, hint: str = "") -> tuple[Header, int]:
    """Find the header among the first rows.

    Args:
        candidates: the first rows, each cut at each delimiter that can be: delimiter and cells, the delimiters of one
            row beside each other.
        text: the first row as it was found, for the sentence of a refusal.
        hint: what else may be wrong with the file, as part of a sentence.

    Returns:
        The header, and the position of its candidate.

    Raises:
        RefusedError: if no row names a raw column, a required column is missing, or one is there twice.
    """
    known = [len({*map(_normalised, cells)} & {*RAW_NAMES}) for _, cells in candidates]
    position = max(range(len(candidates)), key=lambda at: (known[at], len(candidates[at][1])), default=-1)
    if position < 0 or not known[position]:
        raise RefusedError(_no_header(candidates, text, hint), _NO_HEADER)
    delimiter, cells = candidates[position]
    if len(cells) > MOST_COLUMNS:
        raise RefusedError(f"the header has {len(cells):,} columns, and no more than {MOST_COLUMNS} can be read")
    names = [_normalised(cell) for cell in cells]
    repeated = [name for name, times in Counter(names).items() if times > 1 and name in RAW_NAMES]
    if repeated:
        raise RefusedError(f"the header names a column twice: {', '.join(repeated)}")
    missing = [name for name in REQUIRED_NAMES if name not in names]
    if missing:
        columns = "column" if len(missing) == 1 else "columns"
        advice = _advice(cells, missing)
        if "steps" in missing and not advice:
            advice = "; a daily log has steps, and no name here looks like them"
        lead = f"the header lacks the required {columns} {', '.join(missing)}"
        raise RefusedError(f"{lead}: it has {listed(cells)}{advice}{hint}", lead)
    optional = [name for name in RAW_NAMES if name not in names]
    warnings = tuple(f"{_quoted(cell)} looks like {near}: rename it" for cell, near in _near(cells, optional))
    return Header(delimiter, _distinct(names), warnings), position


def _normalised(cell: str) -> str:
    """A name without what surrounds it; that of a raw column in lower case."""
    name = trimmed(cell)
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = trimmed(name[1:-1])
    return name.lower() if name.lower() in RAW_NAMES else name


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Give columns without a name one, and number those whose name is there before, in whatever case."""
    taken, found = {*RAW_NAMES}, []
    for position, name in enumerate(names, start=1):
        own = wanted = name or f"column_{position}"
        number = 1
        while own.lower() in taken and own not in RAW_NAMES:
            number += 1
            own = f"{wanted}_{number}"
        taken.add(own.lower())
        found.append(own)
    return tuple(found)


def _squashed(name: str) -> str:
    return re.sub(r"[\W_]+", "", trimmed(name).lower())


def _near(cells: Sequence[str], wanted: Sequence[str]) -> list[tuple[str, str]]:
    """Names of a header that look like raw columns that it lacks, each with that column; every column once."""
    found: list[tuple[str, str]] = []
    rest = [*wanted]
    for cell in cells:
        squashed = _squashed(cell)
        if _normalised(cell) in RAW_NAMES or not rest:
            continue
        close = get_close_matches(squashed, [name.replace("_", "") for name in rest], 1, 0.85)
        near = _NEAR.get(squashed) or (_NEAR[close[0]] if close else None)
        if near in rest:
            found.append((cell, near))
            rest.remove(near)
    return found


def _quoted(cell: str) -> str:
    return f"'{shown(trimmed(cell))}'"


def _advice(cells: Sequence[str], missing: Sequence[str]) -> str:
    """What to do about names that do not match, as the end of a sentence."""
    near = [f"rename {_quoted(cell)} to {name}" for cell, name in _near(cells, missing)]
    squashed = {*map(_squashed, cells)}
    export = next((f"this looks like {what}: {do}" for what, signs, do in _EXPORTS if signs <= squashed), None)
    parts = [*([export] if export else []), *near]
    return f"; {'; '.join(parts)}" if parts else ""


def _no_header(candidates: Sequence[tuple[str, Sequence[str]]], text: str, hint: str) -> str:
    """The sentence for a file in whose first rows no raw column is named."""
    lead = _NO_HEADER
    if "|" in text and {"user_id", "steps"} & {*map(_normalised, text.split("|"))}:
        return f"{lead}, and this one is separated by |: comma, semicolon and tab are read"
    whole = trimmed(text)
    inner = whole[1:-1].split(",") if whole[:1] == whole[-1:] == '"' and len(whole) > 1 else []
    if {*REQUIRED_NAMES} <= {*map(_normalised, inner)}:
        return f"{lead}, and here each line is one quoted cell: remove the quotes around the lines"
    widest = max((cells for _, cells in candidates), key=len, default=[])
    found = [cells for _, cells in candidates if len(cells) > 1]
    advice = max((_advice(cells, REQUIRED_NAMES) for cells in [*found, widest]), key=len, default="")
    return f"{lead}, and the first row is {listed(widest if widest and len(found) else [text])}{advice}{hint}"
