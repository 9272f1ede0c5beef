"""Tallies of parts have to add up to the tally of the whole, wherever the days were cut."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fitness_assets.quality import tallies
from fitness_assets.quality.measures import _bins, moments
from fitness_assets.quality.sums import INPUTS
from fitness_assets.quality.tallies import BIN_WIDTH, NAMED, Tally, add_up, tally_people, tally_rows
from fitness_assets.quality.transforms import tally as tally_clean
from fitness_assets.quality.transforms import tally_before
from fitness_assets_tests import people

PEOPLE, DAYS = 60, 14


@pytest.fixture(scope="module")
def days() -> pa.Table:
    """Days of people in order, with holes in them, as Spark hands them over."""
    random = np.random.default_rng(5)
    rows = pd.DataFrame({name: random.uniform(1, 100, PEOPLE * DAYS).round(1) for name in INPUTS})
    rows = rows.mask(random.random(rows.shape) < 0.1)
    rows["user_id"] = np.repeat([f"u{person:03}" for person in range(PEOPLE)], DAYS)
    rows["_day"] = np.tile(np.arange(19_700, 19_700 + 2 * DAYS, 2), PEOPLE) - random.integers(0, 2, len(rows))
    rows["gender"] = (random.random(len(rows)) < 0.5).astype(float)
    return pa.Table.from_pandas(rows, preserve_index=False)


def tally(make, table: pa.Table, size: int) -> Tally:
    (made,) = make(iter(table.to_batches(max_chunksize=size)))
    return Tally.from_json(made["tally"][0].as_py())


def assert_same(found: Tally, expected: Tally) -> None:
    assert found.completeness == expected.completeness
    assert found.changing == expected.changing
    assert sorted(map(str, found.named)) == sorted(map(str, expected.named))
    assert str(found.person) == str(expected.person)
    assert found.items.keys() == expected.items.keys()
    for item, sums in expected.items.items():
        assert found.items[item] == pytest.approx(sums), item
    assert found.bins.keys() == expected.bins.keys()
    for bar, sums in expected.bins.items():
        assert found.bins[bar] == pytest.approx(sums), bar


@pytest.mark.parametrize("at_a_time", [1, 5, DAYS, 100])
def test_people_are_never_cut_in_two(days, monkeypatch, at_a_time):
    whole = tally(tally_people, days, 10_000)
    assert whole.items["log"]["people"] == PEOPLE
    assert whole.changing > 0
    monkeypatch.setattr(tallies, "_ROWS", at_a_time)
    assert_same(tally(tally_people, days, 9), whole)


def test_tallies_of_machines_add_up_to_that_of_all_days(days):
    half = PEOPLE // 2 * DAYS
    parts = [next(tally_people(iter(part.to_batches()))) for part in (days[:half], days[half:], days[:0])]
    (total,) = add_up(iter(parts))
    assert_same(Tally.from_json(total["tally"][0].as_py()), tally(tally_people, days, 10_000))


def test_only_so_many_are_named_and_they_are_the_highest(days):
    found = tally(tally_people, days, 10_000)
    peaks = [row for row in found.named if (row["item"], row["list"]) == ("weight change in a day", "peak")]
    assert 0 < len(peaks) <= NAMED < PEOPLE
    longest = [row["value"] for row in found.named if (row["item"], row["list"]) == ("log", "peak")]
    assert longest == sorted(longest, reverse=True)


def test_the_first_days_of_the_person_with_most_weights_are_kept(days, monkeypatch):
    monkeypatch.setattr("fitness_assets.quality.sums.SHOWN_DAYS", 5)
    found = tally(tally_people, days, 10_000).person
    rows = days.to_pandas()
    weights = rows.groupby("user_id").weight_kg.count()
    theirs = rows[rows.user_id == weights.idxmax()][:5]
    assert (found["user_id"], found["n"]) == (weights.idxmax(), weights.max())
    assert found["_day"] == theirs["_day"].tolist()
    assert str(found["steps"]) == str(theirs["steps"].tolist())


def test_where_nobody_has_weights_no_person_is_kept(days):
    none = pa.array([None] * len(days), pa.float64())
    assert tally(tally_people, days.set_column(INPUTS.index("weight_kg"), "weight_kg", none), 10_000).person == {}


def test_histograms_count_each_key_for_itself_and_far_values_too(days):
    keys = pa.array(["a", None, "b"] * (len(days) // 3))
    hashes = pa.array(np.repeat(np.arange(PEOPLE), DAYS) * 7)
    rows = days.select([*BIN_WIDTH, "_day"]).append_column("key", keys).append_column("person", hashes)
    wild = pa.array([1e300, -1e300, *[None] * (len(days) - 2)])
    found = tally(tally_rows, rows.set_column(rows.schema.get_field_index("bmi"), "bmi", wild), 10)
    steps = rows.to_pandas().groupby("key", dropna=False).steps.agg(["count", "sum"])
    for key, (count, total) in zip(("a", "b", None), steps.to_numpy(), strict=True):
        sums = [sums for bar, sums in found.bins.items() if bar[:2] == (key, "steps")]
        assert sum(n for n, _, _ in sums) == count
        assert sum(x for _, x, _ in sums) == pytest.approx(total)
    assert [found.people(key) for key in ("a", None, "b", "other")] == [PEOPLE, PEOPLE, PEOPLE, 0]
    assert found.span["a"] == [min(days["_day"].to_pylist()[::3]), max(days["_day"].to_pylist()[::3])]
    rows = [row for row in _bins(found) if row["item"] == "bmi"]
    assert {row["key"]: row["n"] for row in rows} == {"a": 1, None: 1}
    assert all(abs(row["x"]) > 1e9 and row["xx"] < 1e300 for row in rows), "squares of such values are numbers still"
    assert moments(rows, "bmi") == {}, "one typing error must not hide what the others come to"


def test_many_people_are_counted_about():
    random = np.random.default_rng(6)
    parts = [random.integers(-(2**63), 2**63, 9_000).tolist() for _ in range(3)]
    total = Tally()
    for part in parts:
        total.add(Tally(seen={"a": sorted(part)[: tallies._HASHES]}))
    assert len(total.seen["a"]) == tallies._HASHES
    assert total.people("a") == pytest.approx(27_000, rel=0.2)


def test_spark_tallies_many_days_as_this_process_tallies_few(spark, tmp_path):
    frames = people.tables(spark, people.plausible(), tmp_path / "tables")
    clean, logged = frames["silver/clean_days"], frames["bronze/logged_days"]
    assert_same(tally_clean(clean, here=False), tally_clean(clean, here=True))
    by_spark, by_us = (tally_before(logged, ["may"], here) for here in (False, True))
    assert_same(by_spark, by_us)
    assert (by_spark.seen, by_spark.span) == (by_us.seen, by_us.span)
    assert by_us.span.keys() == {"may", None}
