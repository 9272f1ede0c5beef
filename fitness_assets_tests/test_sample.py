"""The sample generator: the same seed gives the same file, with every flaw at about its share of the rows."""

import csv
from itertools import pairwise

import pytest

from fitness_assets import sample
from fitness_assets.bronze.tables import RAW_COLUMNS

NAMES = [column.name for column in RAW_COLUMNS]
USERS, DAYS = 100, 200


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return [dict(zip(NAMES, cells, strict=True)) for user in sample.rows(USERS, DAYS, 5) for cells in user]


def is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdecimal()


def test_the_same_seed_gives_the_same_rows_and_another_one_others():
    first, again, other = ([*sample.rows(3, 20, seed)] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_flaw_has_about_its_share_of_the_rows(rows):
    repeated = sum(row == before for before, row in pairwise(rows))
    negative = sum(row[name].startswith("-") for row in rows for name in ("steps", "exercise_minutes"))
    impossible = sum(row[name] == text for row in rows for name, text in sample._IMPOSSIBLE.items())
    unparseable = sum(text in row.values() for row in rows for text in sample._UNPARSEABLE)
    for share, count in (
        (sample.GAP, USERS * DAYS - (len(rows) - repeated)),
        (sample.REPEATED, repeated),
        (sample.NEGATIVE, negative),
        (sample.ZERO_STEPS, sum(row["steps"] == "0" for row in rows)),
        (sample.IMPOSSIBLE, impossible),
        (sample.EMPTY, sum("" in row.values() for row in rows)),
        (sample.UNPARSEABLE, unparseable),
    ):
        expected = share * USERS * DAYS
        assert abs(count - expected) < 4 * expected**0.5 + 1, (share, count)


def test_all_other_cells_are_values_that_the_raw_contract_allows(rows):
    outside = 0
    for row in rows:
        for column in RAW_COLUMNS:
            if column.range and is_number(row[column.name]):
                outside += not column.range[0] <= float(row[column.name]) <= column.range[1]
    assert outside < 2 * (sample.IMPOSSIBLE + sample.NEGATIVE) * len(rows)


def test_the_command_writes_a_whole_file_or_none(tmp_path):
    out = tmp_path / "raw" / "mine.csv"
    sample.main(["--users", "2", "--days", "10", "--out", str(out)], standalone_mode=False)
    with out.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == NAMES
    assert lines == [cells for user in sample.rows(2, 10, 1) for cells in user]
    assert [*out.parent.iterdir()] == [out]
