"""Bronze: what becomes of each cell and each row."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from fitness_assets.bronze import transforms
from fitness_assets.bronze.readers.csv import OPEN_QUOTE, read_rows, tell_dialect
from fitness_assets.bronze.readers.numbers import COMMA, THOUSANDS, NumberStyles
from fitness_assets.bronze.row_files import RowFiles
from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, RAW_COLUMNS, UPLOADS
from fitness_assets_tests.conftest import GOOD_ROW, violations

RAW_NAMES = [column.name for column in RAW_COLUMNS]
ODD_NAMES = ['we`ird "name', "a b"]
GOOD_CELLS = dict(zip(RAW_NAMES, GOOD_ROW.split(","), strict=True))


def line(*more: str, **cells: str) -> str:
    """A good row but for some cells, and with more cells at its end."""
    text = StringIO()
    csv.writer(text).writerow([*(GOOD_CELLS | cells).values(), *more])
    return text.getvalue().removesuffix("\r\n")


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
        reason = f"{column}: '{text.strip()}' {says}" if text.strip() else f"{column}: {says}"
        yield pytest.param(column, text, None, reason, id=f"{column}={text!r}")


NUMBERS = {"8000": 8000, "8000.0": 8000, " 8000 ": 8000, "+8000": 8000, "8e3": 8000, "-1": -1, "0": 0, "\t8000": 8000}
NUMBERS |= dict.fromkeys(("\u00a08000\u200b", '="8000"', "\ufeff8000"), 8000)
NO_NUMBERS = (
    dict.fromkeys(("8k", "8000d", "8000f", "0x1p3", "1.2.3", "e", "true", "８０００", "1_000"), "is not a number")
    | dict.fromkeys(("inf", "-Infinity", "-nan"), "is not finite")
    | dict.fromkeys(("1e309", "-1e309"), "overflows")
    | dict.fromkeys(("8,000", "8000,5", "1.234,5", "1,234.5"), COMMA)
    | dict.fromkeys(("1.234.567",), THOUSANDS)
)
NO_INTEGERS = (
    NO_NUMBERS
    | dict.fromkeys(("8000.5", "1e-3"), "is not a whole number")
    | dict.fromkeys(("99999999999", "2147483648"), "overflows")
)
REQUIRED = {"": "is empty, but required", "  ": "is empty, but required"}
MARKERS = ("NA", "na", "N/A", "null", "NULL", "None", "NaN", "nan", "\\N", "-", "--", " NA ")
EMPTY = {"": None, "  ": None, "\u00a0": None} | dict.fromkeys(MARKERS)
NO_DAYS = dict.fromkeys(
    (
        *("2023-02-29", "2024-13-01", "06/09/2024", "20240906", "2024-09", "12024-09-06", "today", "-2024-1-01"),
        *("2024-09-06 10:00:00", "2024-09-06T10:00:00", "2024-09-06T00:00:00+02:00", "0000-09-06", "2024-09/06"),
        *("24-09-06", "2024-09-06T", "２０２４-09-06", "NA"),
    ),
    "is not a day written as YYYY-MM-DD",
)
DAYS = ("2024-09-06", " 2024-09-06 ", "2024-9-6", "2024/09/06", "2024/9/06", "2024-09-06\n", "2024-09-06T00:00:00")
DAYS += ("2024-09-06 00:00", "2024-09-06T00:00:00.000", "2024-09-06T00:00:00Z", "2024-09-06 00:00:00.000000+00:00")
GENDERS = {"M": "M", " F ": "F", "m": "M", "f": "F", "male": "M", "Female": "F", "FEMALE": "F"}
LONG_ID = "123456789012345678901234567890"
IDS = {
    LONG_ID: LONG_ID,
    "007": "007",
    " a, b ": "a, b",
    'Zoë "Z"': 'Zoë "Z"',
    "17.0": "17.0",
    "'17": "'17",
    "null": "null",
}
IDS |= {
    "cafe\u0301": "café",
    "\u200b17\ufeff": "17",
    '="17"': "17",
    "\u202e17\u202c": "17",
    "\u2003a\u2003b": "a\u2003b",
}
CELLS = [
    *column_cases("steps", NUMBERS | {"2147483647": 2147483647, "-2147483648": -2147483648}, NO_INTEGERS | REQUIRED),
    *column_cases("steps", {}, dict.fromkeys(("NA", "-", "null", "--"), "is not a number")),
    *column_cases("age", NUMBERS | EMPTY, NO_INTEGERS),
    *column_cases("stress_level", NUMBERS | EMPTY, NO_INTEGERS),
    *column_cases("heart_rate_avg", NUMBERS | EMPTY | {"8000.5": 8000.5, "99999999999": 99999999999.0}, NO_NUMBERS),
    *column_cases(
        "date", {"2024-02-29": date(2024, 2, 29)} | dict.fromkeys(DAYS, date(2024, 9, 6)), NO_DAYS | REQUIRED
    ),
    *column_cases("gender", GENDERS | EMPTY, {}),
    *column_cases("user_id", IDS, REQUIRED),
]
FILLED_UP = ["", ""]
ROWS = {
    "several_wrong": line(*FILLED_UP, user_id="", age="old", gender="x", date="now", steps="1.2.3", bmi="inf"),
    "text_as_it_was": ' "17" ,042, F ,2024-09-06,"8 ""k""\r\nor so",,,,,,, ,"n, o", ',
    "long_cell": line(*FILLED_UP, steps="9" * 61 + "x"),
    "long_number": line(*FILLED_UP, steps="9" * 61),
    "unseen": line(*FILLED_UP, steps="8\u200b0\x07"),
    "other_gender": line("a", "", gender="Non-binary"),
    "too_few_cells": line(),
    "only_two_cells": "17,42",
    "ends_with_a_required_cell": "17,42,F,2024-09-06,8120",
    "too_many_cells": line("", "", "x"),
    "empty_cells_too_many": line("", "", "", " "),
    "text_behind_a_quote": line(*FILLED_UP).replace("8120", '"8"1"20"'),
    "blank_before_quotes": line(*FILLED_UP).replace("8120", ' "8120"').replace("17,", '\t"1,7" ,'),
    "last_cell_ends_in_delimiter": line("", 'tired, so ""tired"", '),
    "no_extra": line(*FILLED_UP),
    "one_extra": line("5`6", ""),
    "both_extra": line('say "hi"', "two\r\nlines, ë"),
}


OPEN = {
    "first_quote_open": f'"{line(*FILLED_UP)}',
    "last_quote_open": line("") + ',"open',
    "quote_open_behind_closed_ones": line("1, ") + ',"open, ""a"", ',
}


def outcomes_of(spark: SparkSession, folder: Path, lines: Sequence[str], names: Sequence[str]) -> list[Outcome]:
    """What the reader and the transforms make of rows of one file."""
    path = folder / "upload.csv"
    header = StringIO()
    csv.writer(header, lineterminator="").writerow(names)
    path.write_text("\n".join([header.getvalue(), *lines]) + "\n", newline="")
    dialect, files = tell_dialect(path), RowFiles(folder / "rows")
    files.keep(files.draft("u", datetime(2024, 9, 7, tzinfo=UTC), read_rows(path, dialect, NumberStyles(","))))
    stored = spark.read.schema(transforms.STORED).parquet(*map(str, files.close()))
    typed = transforms.typed(stored)
    found = {row["row_number"]: Outcome(values=row.asDict()) for row in transforms.logged_days(typed).collect()}
    for row in transforms.quarantine(typed).collect():
        assert row["row_number"] not in found
        found[row["row_number"]] = Outcome(reasons=row["reasons"], text=row["text"])
    return [found[number] for number in sorted(found)]


@pytest.fixture(scope="module")
def outcomes(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What becomes of every row above, each text once, all in one file."""
    texts = list(dict.fromkeys([*(cell_line(*case.values[:2]) for case in CELLS), *ROWS.values()]))
    found = outcomes_of(spark, tmp_path_factory.mktemp("rows"), texts, (*RAW_NAMES, *ODD_NAMES))
    return dict(zip(texts, found, strict=True))


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
        "date: 'now' is not a day written as YYYY-MM-DD",
        "steps: '1.2.3' is not a number",
        "bmi: 'inf' is not finite",
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("long_cell", f"steps: '{'9' * 60}…' is not a number"),
        ("long_number", f"steps: '{'9' * 60}…' overflows"),
        ("unseen", r"steps: '8\u200b0\x07' is not a number"),
    ],
)
def test_a_reason_shortens_long_cells_and_shows_what_cannot_be_seen_and_the_text_stays(outcomes, name, reason):
    assert outcomes[ROWS[name]] == Outcome(reasons=[reason], text=ROWS[name])


def test_a_quarantined_row_is_kept_to_the_last_blank_and_line_break(outcomes):
    assert outcomes[ROWS["text_as_it_was"]].text == ROWS["text_as_it_was"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("only_two_cells", "the row has 2 cells, and the header 14 names"),
        ("ends_with_a_required_cell", "the row has 5 cells, and the header 14 names"),
        ("too_many_cells", "the row has 15 cells, and the header 14 names"),
        ("text_behind_a_quote", OPEN_QUOTE),
    ],
)
def test_a_row_that_cannot_be_cut_is_quarantined_as_it_was(outcomes, name, reason):
    assert outcomes[ROWS[name]] == Outcome(reasons=[reason], text=ROWS[name])


@pytest.mark.parametrize("text", OPEN.values(), ids=OPEN)
def test_a_row_with_an_open_quote_is_quarantined_as_it_was_and_the_next_one_is_read(spark, tmp_path, text):
    malformed, good = outcomes_of(spark, tmp_path, [text, ROWS["no_extra"]], (*RAW_NAMES, *ODD_NAMES))
    assert malformed == Outcome(reasons=[OPEN_QUOTE], text=text)
    assert good.values


@pytest.mark.parametrize("name", ["too_few_cells", "empty_cells_too_many"])
def test_empty_cells_too_few_or_too_many_at_the_end_change_nothing(outcomes, name):
    values, good = outcomes[ROWS[name]].values, outcomes[ROWS["no_extra"]].values
    assert {name: values[name] for name in (*RAW_NAMES, "extra")} == {
        name: good[name] for name in (*RAW_NAMES, "extra")
    }


def test_blanks_around_quotes_are_no_part_of_a_cell_and_what_is_quoted_is_not_cut(outcomes):
    values = outcomes[ROWS["blank_before_quotes"]].values
    assert (values["user_id"], values["age"], values["steps"]) == ("1,7", 42, 8120)


def test_another_gender_is_empty_and_kept_beside_the_unknown_columns(outcomes):
    values = outcomes[ROWS["other_gender"]].values
    assert values["gender"] is None
    assert json.loads(values["extra"]) == {"gender": "Non-binary", 'we`ird "name': "a"}


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


# Cells that need no quotes.
PLAIN_CELLS = [
    *(case.values[:2] for case in CELLS if not {",", '"', "\n"} & {*case.values[1]}),
    *(("bmi", text) for text in ("#23.9", "23.9\\", "'23.9'", "9", "\x0123.9")),
    *(("user_id", text) for text in ("#1", "\\", "\u00a0", "'", " é\u2028", "\x1f1", "9" * 5_000)),
    *(("note", text) for text in ("", " ", " - ", "\\t", "\u3000x", "{}", "'a'", "\ufeff", "😀", "\x0b\x7f")),
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_rows_are_read_alike_whether_a_block_or_a_row_is_cut_at_a_time(tmp_path, delimiter):
    """Each row once as it is, and once with a last cell that has a delimiter and quotes, which pyarrow cannot cut."""
    names = [*RAW_NAMES, "note", "quoted"]
    plain, quoted = tmp_path / "plain.csv", tmp_path / "quoted.csv"
    rows = [delimiter.join((GOOD_CELLS | {"note": ""} | {column: text}).values()) for column, text in PLAIN_CELLS]
    rows = [row for row in rows if delimiter != "\t" or row.count("\t") == len(names) - 2]
    header = delimiter.join(names)
    plain.write_text("\n".join([header, *(f"{row}{delimiter}x" for row in rows)]), newline="")
    quoted.write_text("\n".join([header, *(f'{row}{delimiter}"x""{delimiter}"' for row in rows)]), newline="")
    found = []
    for path in (plain, quoted):
        tables = read_rows(path, tell_dialect(path), NumberStyles(delimiter))
        found.append([row for table in tables for row in table.to_pylist()])
    for plain_row, quoted_row in zip(*found, strict=True):
        extra = [json.loads(row.pop("extra")) for row in (plain_row, quoted_row)]
        assert (extra[0].pop("quoted"), extra[1].pop("quoted")) == ("x", f'x"{delimiter}'.strip())
        assert extra[0] == extra[1]
        assert quoted_row.pop("text") == plain_row.pop("text").rstrip("\n")[:-1] + f'"x""{delimiter}"'
        assert plain_row == quoted_row
    assert len(found[0]) == len(rows) > 90


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
    ids=["adds_up", "row_missing", "row_doubled", "malformed_row_missing", "row_moved", "no_ledger_row"],
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
