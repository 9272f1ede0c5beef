"""The sample generators: the one of the shipped sample with its flaws, and the one of people who resemble real ones."""

import csv
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest

from fitness_assets import sample
from fitness_assets.bronze.tables import RAW_COLUMNS
from fitness_assets.sample import realistic

NAMES = [column.name for column in RAW_COLUMNS]
USERS, DAYS = 100, 200


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return [dict(zip(NAMES, cells, strict=True)) for user in sample.rows(USERS, DAYS, 5) for cells in user]


def is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdecimal()


@pytest.mark.parametrize("make", [sample.rows, realistic.rows])
def test_the_same_seed_gives_the_same_rows_and_another_one_others(make):
    first, again, other = ([*make(3, 20, seed)] for seed in (1, 1, 2))
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


@pytest.mark.parametrize(("options", "make"), [((), sample.rows), (("--realistic",), realistic.rows)])
def test_the_command_writes_a_whole_file_or_none(tmp_path, options, make):
    out = tmp_path / "raw" / "mine.csv"
    command = ["--users", "2", "--days", "10", "--out", str(out), *options]
    sample.main(command, standalone_mode=False)
    with out.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == NAMES
    assert lines == [cells for user in make(2, 10, 1) for cells in user]
    assert [*out.parent.iterdir()] == [out]
    with pytest.raises(click.ClickException, match="exists already"):
        sample.main(command, standalone_mode=False)


def test_the_realistic_sample_has_a_lake_of_its_own_and_is_no_archive(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sample.main(["--realistic", "--users", "1", "--days", "5"], standalone_mode=False)
    assert (tmp_path / "realistic" / "raw" / "people.csv").exists()
    assert capsys.readouterr().out.endswith("To build its tables: FITNESS_LOCAL_ROOT=realistic fitness run\n")
    with pytest.raises(click.UsageError, match="name one of them"):
        sample.main(["--realistic", "--export", "garmin"], standalone_mode=False)


def test_every_realistic_cell_is_in_the_range_of_its_column_however_long_the_log():
    ranges = [column.range for column in RAW_COLUMNS]
    for cells in (cells for user in realistic.rows(60, 1_500, 4) for cells in user):
        for text, limits in zip(cells, ranges, strict=True):
            assert limits is None or limits[0] <= float(text) <= limits[1], cells
        assert int(cells[NAMES.index("steps")]) > 0


def test_weight_changes_by_the_energy_that_is_eaten_and_not_burned():
    random = Random(1)
    for today, next_day in pairwise(realistic.lived(realistic.new_person("p1", random), 400, random)):
        gained = next_day.tissue_kg - today.tissue_kg
        assert gained == pytest.approx((today.eaten - today.burned) / realistic.KCAL_OF_KG)
        assert abs(next_day.weight_kg - next_day.tissue_kg) < 3  # water


MEASURES = ("steps", "heart_rate_avg", "sleep_hours", "calories_burned", "exercise_minutes", "stress_level")


@pytest.fixture(scope="module")
def by_day() -> dict[str, dict[str, pd.DataFrame]]:
    """Days of both generators: of each measure a table with a row for each calendar day and a column for each user."""
    return {"realistic": tables_of(realistic.rows), "independent": tables_of(sample.rows)}


def tables_of(make: Callable) -> dict[str, pd.DataFrame]:
    days = pd.DataFrame([cells for user in make(40, 240, 5) for cells in user], columns=pd.Index(NAMES))
    days = days.assign(date=pd.to_datetime(days["date"])).drop_duplicates(["user_id", "date"])
    found = {}
    for column in (column for column in RAW_COLUMNS if column.name in (*MEASURES, "weight_kg")):
        values: Any = pd.to_numeric(days[column.name], errors="coerce")
        assert column.range
        kept = days.assign(value=values.where(values.between(*column.range)))
        found[column.name] = kept.pivot(index="date", columns="user_id", values="value").asfreq("D")
    return found


def within(one: Any, other: Any) -> float:
    """Correlation of the differences from each user's own means."""
    pairs = [(table - table.mean()).to_numpy().ravel() for table in (one, other)]
    known = ~np.isnan(pairs).any(axis=0)
    return float(np.corrcoef(pairs[0][known], pairs[1][known])[0, 1])


def share_between(table: Any) -> float:
    """The share of the variance that lies between users."""
    return float(table.mean().var() / np.nanvar(table.to_numpy()))


def weekend_shift(table: Any) -> float:
    """How much higher weekends are, in standard deviations within users."""
    own = table - table.mean()
    is_weekend = own.index.weekday >= 5
    return float((own[is_weekend].mean() - own[~is_weekend].mean()).mean() / np.nanstd(own.to_numpy()))


@pytest.mark.parametrize("name", MEASURES)
def test_realistic_people_differ_and_their_days_know_the_day_before_and_the_weekday(by_day, name):
    people, others = (by_day[kind][name] for kind in ("realistic", "independent"))
    assert share_between(people) > 0.25 > 0.05 > share_between(others)
    assert within(people, people.shift(1)) > 0.25 > 0.05 > abs(within(others, others.shift(1)))
    assert abs(weekend_shift(people)) > 0.25 > 0.08 > abs(weekend_shift(others))


def test_who_burns_more_than_usual_for_a_month_loses_weight(by_day):
    def after_a_month(kind: str) -> float:
        weight, burned = by_day[kind]["weight_kg"], by_day[kind]["calories_burned"]
        return within(burned.rolling(timedelta(30), min_periods=20).mean(), weight.shift(-1) - weight.shift(29))

    assert after_a_month("realistic") < -0.25 < -0.05 < after_a_month("independent")


def test_a_short_night_adds_to_stress_and_stress_shortens_the_next_night(by_day):
    def links(kind: str) -> tuple[float, float]:
        stress, sleep = by_day[kind]["stress_level"], by_day[kind]["sleep_hours"]
        return within(sleep, stress), within(stress, sleep.shift(-1))

    assert max(links("realistic")) < -0.3
    assert max(map(abs, links("independent"))) < 0.05
