"""The aggregates of parts add up to those of the whole, wherever the days were cut."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fitness_assets.quality import aggregates
from fitness_assets.quality.aggregates import NAMED, Aggregates, aggregate_people, surprise
from fitness_assets.quality.sums import INPUTS

PEOPLE, DAYS = 60, 14


@pytest.fixture(scope="module")
def days() -> pa.Table:
    """Days of people in order, with holes in them."""
    random = np.random.default_rng(5)
    rows = pd.DataFrame({name: random.uniform(1, 100, PEOPLE * DAYS).round(1) for name in INPUTS})
    rows = rows.mask(random.random(rows.shape) < 0.1)
    rows["user_id"] = np.repeat([f"u{person:03}" for person in range(PEOPLE)], DAYS)
    rows["_day"] = np.tile(np.arange(19_700, 19_700 + 2 * DAYS, 2), PEOPLE) - random.integers(0, 2, len(rows))
    rows["gender"] = (random.random(len(rows)) < 0.5).astype(float)
    return pa.Table.from_pandas(rows, preserve_index=False)


def assert_same(found: Aggregates, expected: Aggregates) -> None:
    assert found.completeness == expected.completeness
    assert found.changing == expected.changing
    assert sorted(map(str, found.named)) == sorted(map(str, expected.named))
    assert str(found.person) == str(expected.person)
    assert found.items.keys() == expected.items.keys()
    for item, sums in expected.items.items():
        assert found.items[item] == pytest.approx(sums), item


@pytest.mark.parametrize("at_a_time", [1, 5, DAYS, 100])
def test_people_are_never_cut_in_two(days, monkeypatch, at_a_time):
    whole = aggregate_people(days.to_batches())
    assert whole.items["log"]["people"] == PEOPLE
    assert whole.changing > 0
    monkeypatch.setattr(aggregates, "ROWS", at_a_time)
    assert_same(aggregate_people(days.to_batches(max_chunksize=9)), whole)


def test_only_so_many_are_named_and_they_are_the_highest(days):
    found = aggregate_people(days.to_batches())
    peaks = [row for row in found.named if (row["item"], row["list"]) == ("weight change in a day", "peak")]
    assert 0 < len(peaks) <= NAMED < PEOPLE
    longest = [row["value"] for row in found.named if (row["item"], row["list"]) == ("log", "peak")]
    assert longest == sorted(longest, reverse=True)


def test_the_first_days_of_the_person_with_most_weights_are_kept(days, monkeypatch):
    monkeypatch.setattr("fitness_assets.quality.sums.SHOWN_DAYS", 5)
    found = aggregate_people(days.to_batches()).person
    rows = days.to_pandas()
    weights = rows.groupby("user_id").weight_kg.count()
    theirs = rows[rows.user_id == weights.idxmax()][:5]
    assert (found["user_id"], found["n"]) == (weights.idxmax(), weights.max())
    assert found["_day"] == theirs["_day"].tolist()
    assert str(found["steps"]) == str(theirs["steps"].tolist())


def test_where_nobody_has_weights_no_person_is_kept(days):
    none = pa.array([None] * len(days), pa.float64())
    assert aggregate_people(days.set_column(INPUTS.index("weight_kg"), "weight_kg", none).to_batches()).person == {}


def test_a_stretch_is_as_surprising_as_the_persons_own_days_make_it():
    run, pairs = np.array([5.0, 5.0, 60.0, 100.0, np.nan]), np.array([100, 100, 100, 99, 50])
    found = surprise(run, pairs, np.array([4, 50, 95, 99, 0]))
    assert found[:2] == pytest.approx([4 * np.log(102 / 5), 4 * np.log(2)])
    # Longer than a month: as if half of the days were equal, however many are.
    assert found[2:4] == pytest.approx([59 * np.log(2), 99 * np.log(2)])
    assert np.isnan(found[4])
