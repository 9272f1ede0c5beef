"""Bronze: what becomes of each cell and each row."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import StringIO
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from fitness_assets.bronze import assets as bronze_assets
from fitness_assets.bronze import transforms
from fitness_assets.bronze.readers.csv import LONGEST_ROW, Layout
from fitness_assets.bronze.sources import identify, source_of
from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, RAW_COLUMNS, TABLES, UPLOADS
from fitness_assets.lake.lake import Lake
from fitness_assets_tests.conftest import GOOD_ROW, violations

RAW_NAMES = [column.name for column in RAW_COLUMNS]
ODD_NAMES = ['we`ird "name', "a b"]
GOOD_CELLS = dict(zip(RAW_NAMES, GOOD_ROW.split(","), strict=True))
MALFORMED = "the row has not as many cells as the header, or an open quote"


def line(*more: str, **cells: str) -> str:
    """A good row but for some cells, and with more cells at its end."""
    text = StringIO()
    csv.writer(text, lineterminator="").writerow([*(GOOD_CELLS | cells).values(), *more])
    return text.getvalue()


@dataclass
class Outcome:
    """What one row of text became: values by column, or reasons and the text that was kept."""

    values: dict[str, Any] | None = None
    reasons: list[str] | None = None
    text: str | None = None


def column_cases(column: str, values: Mapping[Any, Any], malformed_rows: Mapping[Any, str]) -> Iterator[Any]:
    """One case for each cell text of a column: the value that it becomes, or what the reason says of it."""
    for text, value in values.items():
        yield pytest.param(column, text, value, None, id=f"{column}={text!r}")
    for text, says in malformed_rows.items():
        reason = f"{column}: '{text.strip(' ')}' {says}" if text.strip() else f"{column}: {says}"
        yield pytest.param(column, text, None, reason, id=f"{column}={text!r}")


NUMBERS = {"8000": 8000, "8000.0": 8000, " 8000 ": 8000, "+8000": 8000, "8e3": 8000, "-1": -1, "0": 0}
NO_NUMBERS = (
    dict.fromkeys(("8,000", "8k", "8000d", "8000f", "0x1p3", "1.2.3", "-", "e", "true"), "is not a number")
    | dict.fromkeys(("NaN", "nan", "inf", "-Infinity"), "is not finite")
    | dict.fromkeys(("1e309", "-1e309"), "overflows")
)
NO_INTEGERS = (
    NO_NUMBERS
    | dict.fromkeys(("8000.5", "1e-3"), "is not a whole number")
    | dict.fromkeys(("99999999999", "2147483648"), "overflows")
)
REQUIRED = {"": "is empty, but required", "  ": "is empty, but required"}
EMPTY = {"": None, "  ": None}
NO_DAYS = dict.fromkeys(
    (
        *("2023-02-29", "2024-13-01", "2024-9-6", "06/09/2024", "20240906", "2024-09", "12024-09-06", "today"),
        *("2024-09-06 10:00:00", "2024-09-06T10:00:00", "2024-09-06\n", "0000-09-06"),
    ),
    "is not a day written as YYYY-MM-DD",
)
LONG_ID = "123456789012345678901234567890"
CELLS = [
    *column_cases("steps", NUMBERS | {"2147483647": 2147483647, "-2147483648": -2147483648}, NO_INTEGERS | REQUIRED),
    *column_cases("age", NUMBERS | EMPTY, NO_INTEGERS),
    *column_cases("stress_level", NUMBERS | EMPTY, NO_INTEGERS),
    *column_cases("heart_rate_avg", NUMBERS | EMPTY | {"8000.5": 8000.5, "99999999999": 99999999999.0}, NO_NUMBERS),
    *column_cases("date", {"2024-02-29": date(2024, 2, 29), " 2024-09-06 ": date(2024, 9, 6)}, NO_DAYS | REQUIRED),
    *column_cases("gender", {"M": "M", " F ": "F"} | EMPTY, dict.fromkeys(("f", "X", "Female"), "is not one of M, F")),
    *column_cases("user_id", {LONG_ID: LONG_ID, "007": "007", " a, b ": "a, b", 'Zoë "Z"': 'Zoë "Z"'}, REQUIRED),
]
FILLED_UP = ["", ""]
ROWS = {
    "several_wrong": line(*FILLED_UP, user_id="", age="old", gender="x", date="now", steps="", bmi="NaN"),
    "text_as_it_was": ' "17" ,042, F ,2024-09-06,"8 ""k""\r\nor so",,,,,,, ,"n, o", ',
    "long_cell": line(*FILLED_UP, steps="9" * 61 + "x"),
    "too_few_cells": line(""),
    "only_two_cells": "17,42",
    "too_many_cells": line("", "", ""),
    "as_many_cells_as_can_be": "," * LONGEST_ROW,
    "first_quote_open": f'"{line(*FILLED_UP)}',
    "last_quote_open": line("") + ',"open',
    "quote_open_behind_closed_ones": line("1, ") + ',"open, ""a"", ',
    "last_cell_ends_in_delimiter": line("", 'tired, so ""tired"", '),
    "all_empty": "," * 13,
    "no_extra": line(*FILLED_UP),
    "one_extra": line("5`6", ""),
    "both_extra": line('say "hi"', "two\r\nlines, ë"),
}


@pytest.fixture(scope="module")
def outcomes(spark: SparkSession) -> dict[str, Outcome]:
    """What the transforms make of every row above, all in one frame."""
    texts = list(dict.fromkeys([*(cell_line(*case.values[:2]) for case in CELLS), *ROWS.values()]))
    stored = [("u", number, number + 1, text, datetime(2024, 9, 7, tzinfo=UTC)) for number, text in enumerate(texts)]
    schema = "upload_id STRING, row_number BIGINT, line_number BIGINT, text STRING, ingested_at TIMESTAMP"
    layout = Layout(",", (*RAW_NAMES, *ODD_NAMES))
    typed = transforms.typed(transforms.parse(spark.createDataFrame(stored, schema).coalesce(1), layout)).cache()
    good, bad = transforms.logged_days(typed).collect(), transforms.quarantine(typed).collect()
    assert len(good) + len(bad) == len(texts)
    return {texts[row["row_number"]]: Outcome(values=row.asDict()) for row in good} | {
        texts[row["row_number"]]: Outcome(reasons=row["reasons"], text=row["text"]) for row in bad
    }


def cell_line(column: str, text: str) -> str:
    return line(*FILLED_UP, **{column: text})


@pytest.mark.parametrize(("column", "text", "value", "reason"), CELLS)
def test_a_cell_becomes_its_value_or_a_reason_and_spoils_no_other_cell(outcomes, column, text, value, reason):
    outcome = outcomes[cell_line(column, text)]
    if reason:
        assert outcome == Outcome(reasons=[reason], text=cell_line(column, text))
    else:
        expected = outcomes[ROWS["no_extra"]].values | {column: value}
        assert {name: outcome.values[name] for name in RAW_NAMES} == {name: expected[name] for name in RAW_NAMES}


def test_a_row_with_several_wrong_cells_lists_every_reason(outcomes):
    assert outcomes[ROWS["several_wrong"]].reasons == [
        "user_id: is empty, but required",
        "age: 'old' is not a number",
        "gender: 'x' is not one of M, F",
        "date: 'now' is not a day written as YYYY-MM-DD",
        "steps: is empty, but required",
        "bmi: 'NaN' is not finite",
    ]


def test_a_reason_shortens_a_long_cell_and_the_text_does_not(outcomes):
    outcome = outcomes[ROWS["long_cell"]]
    assert outcome == Outcome(reasons=[f"steps: '{'9' * 60}…' is not a number"], text=ROWS["long_cell"])


def test_a_quarantined_row_is_kept_to_the_last_blank_and_line_break(outcomes):
    assert outcomes[ROWS["text_as_it_was"]].text == ROWS["text_as_it_was"]


@pytest.mark.parametrize(
    "name",
    [
        *("too_few_cells", "only_two_cells", "too_many_cells", "as_many_cells_as_can_be"),
        *("first_quote_open", "last_quote_open", "quote_open_behind_closed_ones"),
    ],
)
def test_a_row_with_the_wrong_number_of_cells_or_an_open_quote_is_quarantined_as_it_was(outcomes, name):
    outcome = outcomes[ROWS[name]]
    assert outcome.text == ROWS[name]
    assert outcome.reasons[0] == MALFORMED


def test_a_row_of_empty_cells_lacks_only_what_is_required(outcomes):
    empty = [f"{name}: is empty, but required" for name in ("user_id", "date", "steps")]
    assert outcomes[ROWS["all_empty"]].reasons == empty


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("no_extra", None),
        ("one_extra", {'we`ird "name': "5`6"}),
        ("last_cell_ends_in_delimiter", {"a b": 'tired, so ""tired"",'}),
        ("both_extra", {'we`ird "name': 'say "hi"', "a b": "two\r\nlines, ë"}),
    ],
)
def test_unknown_columns_are_kept_as_json_under_their_own_names(outcomes, name, extra):
    kept = outcomes[ROWS[name]].values["extra"]
    assert (json.loads(kept) if kept else kept) == extra


# Cells that need no quotes; a row that begins with an empty cell is read row by row, so another column stands first.
PLAIN_CELLS = [
    *(case.values[:2] for case in CELLS if not {",", '"', "\n"} & {*case.values[1]}),
    *(("bmi", text) for text in ("#23.9", "\\N", "23.9\\", "'23.9'", "null", "\u00a023.9", "９", "\x0123.9")),
    *(("user_id", text) for text in ("#1", "\\", "null", "\u00a0", "'", " é\u2028", "\x1f1", "9" * 5_000)),
    *(("note", text) for text in ("", " ", " - ", "\\t", "\u3000x", "{}", "'a'", "\ufeff", "😀")),
]


def as_read(lake: Lake, path: Path, is_regular: bool) -> list[list[dict[str, Any]]]:
    """The rows of a file that fit and those that do not, without what depends on the bytes of the whole file."""
    (upload,) = identify([source_of(str(path))], {})
    entry = bronze_assets._Taken(upload, datetime(2024, 9, 7, tzinfo=UTC))
    entry.store(path.with_suffix(".parquet"))
    assert entry.is_regular == is_regular
    cells = bronze_assets._cells(lake.spark, lake.stage(TABLES, {}, "run"), [entry])
    assert cells is not None
    frames = [transforms.logged_days(cells).drop("upload_id"), transforms.quarantine(cells).drop("upload_id")]
    return [sorted((row.asDict() for row in frame.collect()), key=itemgetter("row_number")) for frame in frames]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_a_file_is_typed_alike_whether_it_is_read_cell_by_cell_or_row_by_row(lake, tmp_path, delimiter):
    good = GOOD_CELLS | {"note": ""}
    rows = [["first", *good], *(["x", *(good | {column: text}).values()] for column, text in PLAIN_CELLS)]
    content = "\n".join(delimiter.join(row) for row in rows) + "\n"
    plain, quoted = tmp_path / "plain.csv", tmp_path / "quoted.csv"
    plain.write_text(content, newline="")
    quoted.write_text(content.replace("first", '"first"', 1), newline="")
    fitting, malformed_rows = as_read(lake, plain, is_regular=True)
    assert [fitting, malformed_rows] == as_read(lake, quoted, is_regular=False)
    assert len(fitting) + len(malformed_rows) == len(PLAIN_CELLS)
    assert min(len(fitting), len(malformed_rows)) > 40


@pytest.mark.parametrize(
    ("logged", "quarantined", "offenders"),
    [
        (["a", "a", "b"], ["a"], set()),
        (["a", "b"], ["a"], {"a"}),
        (["a", "a", "b", "b"], ["a"], {"b"}),
        (["a", "a", "b"], [], {"a"}),
        (["a", "b"], ["a", "a"], {"a"}),
        (["a", "a", "b", "c"], ["a"], {"c"}),
    ],
    ids=["adds_up", "row_missing", "row_doubled", "misfit_missing", "row_moved", "no_ledger_row"],
)
def test_rows_reconcile_finds_the_uploads_that_do_not_add_up(logged, quarantined, offenders):
    (rule,) = [rule for rule in UPLOADS.set_rules if rule.name == "rows_reconcile"]
    ledger = [
        {
            "upload_id": name,
            "rows_read": typed + malformed_rows,
            "rows_typed": typed,
            "rows_quarantined": malformed_rows,
        }
        for name, typed, malformed_rows in (("a", 2, 1), ("b", 1, 0), ("refused", 0, 0))
    ]
    rows = {
        UPLOADS.key: ledger,
        LOGGED_DAYS.key: [{"upload_id": name} for name in logged],
        QUARANTINE.key: [{"upload_id": name} for name in quarantined],
    }
    assert {row["upload_id"] for row in violations(rule, rows)} == offenders
