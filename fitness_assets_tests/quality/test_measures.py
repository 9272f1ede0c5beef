"""What sums over people say, where it is known what they have to say: statistics, and findings that hang on them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fitness_assets.quality import transforms
from fitness_assets.quality.aggregates import Aggregates, aggregate_people
from fitness_assets.quality.bounds import said
from fitness_assets.quality.diagnostics import Finding, diagnose
from fitness_assets.quality.measures import (
    Collected,
    between_people,
    between_share,
    correlation,
    drift,
    moments,
    weekend_shift,
)
from fitness_assets.quality.sums import ENERGY, HEIGHT, INPUTS, WEEK_CHANGE
from fitness_assets.quality.tables import METRICS, PLAUSIBLE, SUSPICIOUS
from fitness_assets.quality.transforms import BIN_WIDTH

FRIDAY = 19_971  # 2024-09-06


@contextmanager
def asked(frames: Mapping[str, pd.DataFrame]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Tables by name, to be asked."""
    with duckdb.connect() as connection:
        for name, rows in frames.items():
            connection.register(name, pa.Table.from_pandas(rows, preserve_index=False))
        yield connection


def noise(people: int, days: int, seed: int = 0, first_day: int = FRIDAY) -> pd.DataFrame:
    """Days of people whose values are all drawn independently."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({name: rng.normal(60, 10, people * days).round(1) for name in INPUTS})
    rows["user_id"] = np.repeat([f"{person:04}" for person in range(people)], days)
    rows["_day"] = np.tile(np.arange(first_day, first_day + days), people)
    rows["age"], rows["gender"] = 40.0, 1.0
    return rows


def aggregates(rows: Any) -> Aggregates:
    return aggregate_people(pa.Table.from_pandas(rows, preserve_index=False).to_batches())


def findings(rows: pd.DataFrame, kinds: pd.Series | None = None) -> dict[tuple[str, str], Finding]:
    """What is found.

    Args:
        rows: days.
        kinds: of the device that measured all of a day; None where a CSV file has it.
    """
    found, by_kind = aggregates(rows), {}
    days = rows.assign(gender="M", weekday_num=(rows["_day"] + 3) % 7, upload_id="u", row_number=rows.index)
    frames: dict[str, Any] = {"clean_days": days}
    if kinds is not None:
        sources = [json.dumps(dict.fromkeys(METRICS, f"{kind}: App on Watch: 2") if kind else {}) for kind in kinds]
        frames["device_days"] = days.assign(sources=sources)[[bool(kind) for kind in kinds]]
    with asked(frames) as tables:
        after = transforms.bars(tables, "clean_days", "CAST(weekday_num AS VARCHAR)")
        if kinds is not None:
            by_kind = transforms.by_kind(tables)
    collected = Collected(
        found.items, found.named, [], after, after, [], [], found.changing, [], {}, {}, {}, [], by_kind
    )
    return {(f.diagnostic.name, f.scope): f for f in diagnose(collected)}


@pytest.mark.parametrize("of_each", [False, True])
def test_of_what_never_changes_nothing_is_estimated(of_each):
    rows = noise(50, 60)
    rows["heart_rate_avg"] = rows.groupby("user_id").heart_rate_avg.transform("first") + 0.3 if of_each else 72.3
    item = aggregates(rows).items["heart_rate_avg"]
    assert correlation(item, lagged=True) is None
    assert weekend_shift(item) is None
    assert between_share(item) == ((1, 1, 1) if of_each else None)
    assert correlation(aggregates(rows).items["heart_rate_avg ~ exercise_minutes"]) is None


def test_a_link_without_exception_lies_in_its_interval():
    rows = noise(40, 30)
    rows["bmr"] = np.repeat(np.linspace(1_200, 2_000, 40), 30)
    rows["calories_burned"] = rows.bmr * 1.5
    found = between_people(aggregates(rows).items[ENERGY])
    assert found
    assert found.lower <= found.value <= found.upper <= 1
    assert found.value == pytest.approx(1)


@pytest.mark.parametrize(
    "kept",
    [
        lambda rows: (rows._day + 3) % 7 >= 5,
        lambda rows: np.random.default_rng(1).random(len(rows)) < 0.5,
        lambda rows: rows._day < FRIDAY + 8,
        lambda rows: rows._day > 0,
    ],
    ids=["weekends", "every other day", "a week", "all"],
)
def test_random_days_do_not_correlate_with_the_day_before_wherever_the_gaps_are(kept):
    rows = noise(1_000, 56)
    found = correlation(aggregates(rows[kept(rows)]).items["steps"], lagged=True)
    assert found
    assert found.lower < 0 < found.upper
    assert abs(found.value) < 0.04


def test_intervals_hold_with_99_percent_for_few_people_too():
    rng, rounds, people, days = np.random.default_rng(2), 300, 10, 30
    held = {"between": 0, "link": 0}
    for _ in range(rounds):
        rows = noise(people, days)
        rows["steps"] = np.repeat(rng.normal(0, np.sqrt(0.3), people), days) + rng.normal(0, np.sqrt(0.7), len(rows))
        own = np.repeat(rng.uniform(-0.8, 0.8, people), days)  # each person has a link of their own
        rows["stress_level"] = rng.normal(0, 1, len(rows))
        rows["sleep_hours"] = own * rows.stress_level + np.sqrt(1 - own**2) * rng.normal(0, 1, len(rows))
        items = aggregates(rows).items
        found = between_share(items["steps"])
        held["between"] += found is not None and found.lower <= 0.3 <= found.upper
        found = correlation(items["stress_level ~ sleep_hours"])
        held["link"] += found is not None and found.lower <= 0 <= found.upper
    assert min(held.values()) >= 0.97 * rounds, held


def test_nothing_is_said_of_fewer_people_than_ten():
    items = aggregates(noise(9, 300)).items
    for found in (between_share, correlation, weekend_shift):
        assert found(items["steps"]) is None
    assert between_people(items[ENERGY]) is None


def test_a_typing_error_does_not_hide_that_an_upload_has_other_values():
    def bars(upload: str, value: float, n: int) -> dict:
        return {"key": upload, "item": "heart_rate_avg", "bin": value // 2, "n": n, "x": value * n, "xx": value**2 * n}

    before = [bars("a", 68, 500), bars("a", 72, 500), bars("a", 99_999, 1), bars("b", 108, 500), bars("b", 112, 500)]
    uploads = [{"upload_id": name, "people": 50, "ingested_at": datetime(2026, 1, 1, tzinfo=UTC)} for name in "ba"]
    collected = Collected({}, [], [], before, [], uploads, [], 0, [], {}, {})
    assert drift(collected, "heart_rate_avg") == {"b": pytest.approx(20)}


def test_a_value_that_stays_is_found_where_most_of_them_stay():
    rows = noise(50, 90)
    rows.loc[rows.user_id < "0047", "heart_rate_avg"] = 72.0
    found = findings(rows)["identical_stretch", "heart_rate_avg"]
    assert found.verdict == SUSPICIOUS
    assert "user 0000: 90 days" in found.text
    rows["heart_rate_avg"] = 72.3
    assert findings(rows)["identical_stretch", "heart_rate_avg"].verdict == SUSPICIOUS


@pytest.mark.parametrize(("step", "verdict"), [(0.1, PLAUSIBLE), (5, SUSPICIOUS)])
def test_tenths_that_are_round_too_often_were_typed_in(step, verdict):
    rows = noise(20, 60)
    typed = rows.index % 8 == 0
    rows.loc[typed, "weight_kg"] = (rows.weight_kg[typed] / step).round() * step
    found = findings(rows)["round_values", "weight_kg"]
    assert found.verdict == verdict
    assert "chance gives 2.0%" in found.text


@pytest.mark.parametrize(
    ("metric", "chance", "rounded", "verdict"),
    [
        ("heart_rate_avg", 0.6 * 0.01 + 0.4 * 0.1, 0.0, PLAUSIBLE),  # a CSV file with whole numbers
        ("heart_rate_avg", 0.6 * 0.01 + 0.4 * 0.1, 0.3, SUSPICIOUS),
        ("weight_kg", 0.6 * 0.02 + 0.4 * 0.2, 0.0, PLAUSIBLE),  # a scale with whole kilograms
        ("weight_kg", 0.6 * 0.02 + 0.4 * 0.2, 0.9, SUSPICIOUS),
    ],
)
def test_values_are_as_often_round_as_the_precision_of_their_source_lets_them(metric, chance, rounded, verdict):
    """Six of ten people have a device that gives tenths."""
    rows = noise(20, 200)
    by_hand = rows.user_id >= "0012"
    rows.loc[by_hand, metric] = rows[metric][by_hand].round()
    typed = by_hand & (rows.index % 10 < 10 * rounded)
    rows.loc[typed, metric] = (rows[metric][typed] / 10).round() * 10
    kinds = pd.Series(np.where(by_hand, "", "apple_health"))
    found = findings(rows, kinds)["round_values", metric]
    assert (found.verdict, f"chance gives {chance:.1%}" in found.text) == (verdict, True), found.text
    as_one = findings(rows)["round_values", metric]
    assert as_one.verdict == SUSPICIOUS, "without sources, whole numbers look rounded beside tenths"


def test_nobody_is_named_for_steps_that_their_source_takes_beside_a_finer_one():
    """Of minutes in steps of five, half are multiples of ten by chance."""
    rows = noise(20, 200)
    in_steps = rows.user_id >= "0012"
    rows.loc[in_steps, "exercise_minutes"] = (rows["exercise_minutes"][in_steps] / 5).round() * 5
    found = findings(rows, pd.Series(np.where(in_steps, "", "apple_health")))["round_people", "exercise_minutes"]
    assert found.found
    assert found.found.value == 0, found.text
    as_one = findings(rows)["round_people", "exercise_minutes"]
    assert as_one.found
    assert as_one.found.value > 0, "without sources, these people look as if they rounded"


def test_an_age_from_a_profile_is_that_of_one_person():
    rows = noise(12, 520)
    assert findings(rows)["changing_identity", "file"].verdict == PLAUSIBLE
    rows.loc[rows.index % 520 > 400, "age"] = 30.0
    assert findings(rows)["changing_identity", "file"].verdict == SUSPICIOUS


def test_weeks_are_found_in_every_year_that_a_date_can_have():
    rows = noise(20, 30)
    early = aggregates(rows).items[WEEK_CHANGE]
    rows["_day"] += np.where(rows.user_id.astype(int) % 2, 2_900_000, 0)
    assert aggregates(rows).items[WEEK_CHANGE] == early


def test_people_who_write_round_values_do_not_share_days():
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({name: np.full(600, np.nan) for name in METRICS})
    rows["steps"], rows["sleep_hours"] = rng.integers(3, 12, 600) * 1_000.0, rng.integers(12, 18, 600) / 2
    rows["stress_level"] = rng.integers(1, 11, 600) * 1.0
    rows["user_id"] = np.repeat([f"{person:02}" for person in range(20)], 30)
    rows["date"] = pd.Timestamp("2024-09-06").date()
    rows.loc[570:, [*METRICS]] = rng.normal(60, 10, (30, len(METRICS)))
    rows.loc[540:569, [*METRICS]] = rows.loc[570:, [*METRICS]].to_numpy()
    with asked({"clean_days": rows}) as tables:
        (pair,) = transforms.copies(tables)
    assert (pair["user_id"], pair["other_id"], pair["days"]) == ("18", "19", 30)


@pytest.fixture
def logged() -> pd.DataFrame:
    """Rows of 60 people in two uploads and none, with empty cells and two that nobody can mean."""
    random = np.random.default_rng(5)
    rows = pd.DataFrame({name: random.uniform(1, 100, 840).round(1) for name in BIN_WIDTH})
    rows = rows.mask(random.random(rows.shape) < 0.1)
    rows["bmi"] = [1e300, -1e300, *[np.nan] * 838]
    rows["gender"] = random.choice(["M", "F", "X"], 840)
    rows["user_id"] = np.repeat([f"u{person:03}" for person in range(60)], 14)
    rows["date"] = [date(2024, 1, 1) + timedelta(day) for day in range(14)] * 60
    rows["upload_id"] = ["a", None, "b"] * 280
    return rows


def test_histograms_count_each_key_for_itself(logged):
    with asked({"logged_days": logged}) as tables:
        bars = transforms.bars(tables, "logged_days", "upload_id")
    keys = logged.upload_id.fillna("none")
    for name in set(BIN_WIDTH) - {"bmi", "gender", HEIGHT}:
        expected = logged[name].groupby(keys).agg(["count", "sum"])
        for key, (count, total) in zip(("a", "b", None), expected.to_numpy(), strict=True):
            own = [bar for bar in bars if (bar["key"], bar["item"]) == (key, name)]
            assert sum(bar["n"] for bar in own) == count, name
            assert sum(bar["x"] for bar in own) == pytest.approx(total)
            assert len({bar["bin"] for bar in own}) == len(own)
    men = [bar["n"] for bar in bars if (bar["item"], bar["bin"]) == ("gender", 1)]
    women = [bar["n"] for bar in bars if (bar["item"], bar["bin"]) == ("gender", 0)]
    assert (sum(men), sum(women)) == ((logged.gender == "M").sum(), (logged.gender == "F").sum())


def test_histograms_count_far_values_too(logged):
    with asked({"logged_days": logged}) as tables:
        bars = transforms.bars(tables, "logged_days", "upload_id")
    far = [bar for bar in bars if bar["item"] == "bmi"]
    assert {bar["key"]: bar["n"] for bar in far} == {"a": 1, None: 1}
    assert all(abs(bar["x"]) > 1e9 and bar["xx"] < 1e300 for bar in far), "squares of such values are numbers still"
    assert moments(far, "bmi") == {}, "one typing error must not hide what the others come to"


def test_people_and_days_of_each_upload_are_counted(logged):
    logged.loc[logged.user_id > "u029", "upload_id"] = "b"
    with asked({"logged_days": logged}) as tables:
        found = {row.pop("upload_id"): row for row in transforms.uploads(tables)}
    for upload, rows in logged.groupby("upload_id"):
        assert found[upload] == {
            "people": rows.user_id.nunique(),
            "first": rows["date"].min(),
            "last": rows["date"].max(),
        }
    assert found["a"]["people"] == 30


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0357, "0.036"), (0.9962, "0.996"), (-0.0001, "0.000"), (1.4, "1.40"), (12.34, "12.34"), (1234.5, "1,234")],
)
def test_a_number_is_written_so_that_it_can_be_held_against_its_threshold(value, text):
    assert said(value, "correlation") == text
