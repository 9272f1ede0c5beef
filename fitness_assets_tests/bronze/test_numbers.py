"""How files write numbers: what is read, and what is quarantined because it could be read in two ways."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitness_assets.bronze.readers.csv import read_rows, tell_dialect
from fitness_assets.bronze.readers.numbers import COMMA, THOUSANDS, NumberStyles

Cells = list[str | None]


def read(
    folder: Path, delimiter: str = ",", **columns: list[str]
) -> tuple[dict[str, Cells], list[list[str]], str | None]:
    """Cells of number columns as they go to the engine, the reasons of each row, and the decimal mark."""
    path = folder / "upload.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["user_id", "date", "steps", *(name for name in columns if name != "steps")])
        steps = columns.pop("steps", None) or ["7"] * len(next(iter(columns.values())))
        for row in zip(steps, *columns.values(), strict=True):
            writer.writerow(["17", "2024-09-06", *row])
    styles = NumberStyles(delimiter)
    rows = [row for table in read_rows(path, tell_dialect(path), styles) for row in table.to_pylist()]
    if styles.decide():
        rows = [row for table in read_rows(path, tell_dialect(path), styles) for row in table.to_pylist()]
    cells: dict[str, Cells] = {name: [row[name] for row in rows] for name in ("steps", *columns)}
    reasons: list[list[str]] = [str(row["problems"] or "").splitlines() for row in rows]
    return cells, reasons, styles.decimal_mark


READ = {
    "plain": (",", {"steps": ["8120", "8000.0"], "bmi": ["23.9", "24"]}, {"steps": ["8120", "8000.0"]}, "."),
    "decimal commas": (";", {"bmi": ["23,9", "24", "-1,5"]}, {"bmi": ["23.9", "24", "-1.5"]}, ","),
    "decimal commas by tab": ("\t", {"bmi": ["23,9"]}, {"bmi": ["23.9"]}, ","),
    "european": (
        ";",
        {"steps": ["8.120", "950"], "calories_burned": ["2.240,5", "980,25"]},
        {"steps": ["8120", "950"], "calories_burned": ["2240.5", "980.25"]},
        ",",
    ),
    "american": (
        ",",
        {"steps": ["8,120", "950"], "calories_burned": ["2,240.5", "980.25"]},
        {"steps": ["8120", "950"], "calories_burned": ["2240.5", "980.25"]},
        ".",
    ),
    "three decimals everywhere": (
        ",",
        {"steps": ["10.000", "8120.000"], "weight_kg": ["68.400", "71.250"]},
        {"steps": ["10.000", "8120.000"], "weight_kg": ["68.400", "71.250"]},
        ".",
    ),
    "three decimals below a thousand": (",", {"weight_kg": ["68.400"]}, {"weight_kg": ["68.400"]}, "."),
    "three decimals among others": (
        ",",
        {"calories_burned": ["2240.5", "1.125"]},
        {"calories_burned": ["2240.5", "1.125"]},
        ".",
    ),
}


@pytest.mark.parametrize(("delimiter", "columns", "expected", "mark"), READ.values(), ids=READ)
def test_numbers_are_read_where_the_file_proves_how_it_writes_them(tmp_path, delimiter, columns, expected, mark):
    cells, problems, found = read(tmp_path, delimiter, **columns)
    assert {name: cells[name] for name in expected} == expected
    assert not any(problems)
    assert found == mark


UNPROVEN = {
    "steps by point": (";", {"steps": ["10.000", "950"]}, [f"steps: '10.000' {THOUSANDS}", None]),
    "steps by point beside decimals": (",", {"steps": ["10.000"], "bmi": ["23.9"]}, [f"steps: '10.000' {THOUSANDS}"]),
    "steps by point beside long ones": (
        ";",
        {"steps": ["10.000", "12000"], "bmi": ["23,9", "23,9"]},
        [f"steps: '10.000' {THOUSANDS}", None],
    ),
    "steps by comma": (",", {"steps": ["8,120", "950"]}, [f"steps: '8,120' {COMMA}", None]),
    "calories by point": (
        ",",
        {"calories_burned": ["2.240", "1.980"]},
        [f"calories_burned: '2.240' {THOUSANDS}", f"calories_burned: '1.980' {THOUSANDS}"],
    ),
    "decimal comma between commas": (",", {"bmi": ["23,9"]}, [f"bmi: '23,9' {COMMA}"]),
    "comma and point in one column": (";", {"bmi": ["23,9", "24.1"]}, [f"bmi: '23,9' {COMMA}", None]),
    "comma and point in one file": (";", {"bmi": ["23,9"], "weight_kg": ["68.4"]}, [f"bmi: '23,9' {COMMA}"]),
    "many groups": (";", {"steps": ["1.234.567"]}, [f"steps: '1.234.567' {THOUSANDS}"]),
}


@pytest.mark.parametrize(("delimiter", "columns", "reasons"), UNPROVEN.values(), ids=UNPROVEN)
def test_numbers_that_could_be_read_in_two_ways_are_quarantined(tmp_path, delimiter, columns, reasons):
    _, problems, _ = read(tmp_path, delimiter, **columns)
    assert problems == [[reason] if reason else [] for reason in reasons]


steps = st.integers(0, 50_000)


@settings(max_examples=50)
@given(st.lists(st.tuples(steps, st.integers(3000, 20_000)), min_size=1, max_size=8), st.sampled_from(".,"))
def test_grouped_steps_are_never_read_as_another_number(tmp_path_factory, rows, group):
    """Whatever else the file has: a number that is read is the one that was written."""
    texts = [f"{number:,}".replace(",", group) for number, _ in rows]
    decimals = [f"{number / 100:.2f}".replace(".", "," if group == "." else ".") for _, number in rows]
    for columns in ({"steps": texts}, {"steps": texts, "weight_kg": decimals}):
        cells, problems, _ = read(tmp_path_factory.mktemp("f"), ";", **columns)
        for (number, _), cell, problem in zip(rows, cells["steps"], problems, strict=True):
            assert problem or float(cell or "nan") == number
        if len(columns) == 2:
            assert not any(problems)
