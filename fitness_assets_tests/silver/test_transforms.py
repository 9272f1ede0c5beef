"""Silver: every cleaning rule broken and just kept, every feature against plain arithmetic."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import pandas as pd
import pytest

from fitness_assets.bronze.tables import LOGGED_DAYS, RAW_COLUMNS
from fitness_assets.silver import transforms
from fitness_assets.silver.device_tables import DEVICE_DAYS
from fitness_assets.silver.tables import CLEAN_DAYS, REJECTED_DAYS
from fitness_assets_tests.conftest import frame_of, violations
from fitness_assets_tests.oracle import OVER_TIME, good_days, over_time, row_windows

RAW_NAMES = [column.name for column in RAW_COLUMNS]
OPTIONAL = [name for name in RAW_NAMES if name not in ("user_id", "date", "steps")]

# The later upload has the smaller id, so that neither order by id nor order by name can pass for order by time.
INGESTED = datetime(2024, 9, 7, 23, 59, tzinfo=UTC)
EARLIER = {"upload_id": "ffff", "ingested_at": datetime(2024, 10, 1, tzinfo=UTC)}
LATER = {"upload_id": "0000", "ingested_at": datetime(2024, 10, 2, tzinfo=UTC)}
TOO_FAST = {"heart_rate_avg": 260.0}

OUTSIDE = [
    *[
        ("age", 17),
        ("age", 101),
        ("age", -42),
        ("steps", 50_001),
        ("heart_rate_avg", 29.99),
        ("heart_rate_avg", 200.01),
    ],
    *[("sleep_hours", 1.99), ("sleep_hours", 16.01), ("calories_burned", 499.99), ("calories_burned", 8_000.01)],
    *[("exercise_minutes", 600.01), ("stress_level", 0), ("stress_level", 11), ("stress_level", -4)],
    *[("weight_kg", 29.99), ("weight_kg", 200.01), ("bmi", 9.99), ("bmi", 60.01)],
    # Negative, so 0 by the first rule, and 0 is outside.
    *[("heart_rate_avg", -71.5), ("sleep_hours", -7.2), ("calories_burned", -2240.0), ("weight_kg", -68.4)],
    ("bmi", -23.9),
]
ENDS = [
    *[("age", 18), ("age", 100), ("steps", 1), ("steps", 50_000), ("heart_rate_avg", 30.0), ("heart_rate_avg", 200.0)],
    *[("sleep_hours", 2.0), ("sleep_hours", 16.0), ("calories_burned", 500.0), ("calories_burned", 8_000.0)],
    *[("exercise_minutes", 0.0), ("exercise_minutes", 600.0), ("stress_level", 1), ("stress_level", 10)],
    *[("weight_kg", 30.0), ("weight_kg", 200.0), ("bmi", 10.0), ("bmi", 60.0)],
]
# What each row of one user and day is rejected for; a row with no reason is the clean day.
TOGETHER: dict[str, list[tuple[dict[str, Any], list[str]]]] = {
    "zero steps": [({"steps": 0}, ["zero_steps"])],
    "negative steps": [({"steps": -8120}, ["zero_steps"])],
    "before any tracker": [({"date": date(1989, 12, 31)}, ["date_range"])],
    "the first day": [({"date": date(1990, 1, 1)}, [])],
    "the day after its ingestion": [({"date": INGESTED.date() + timedelta(1), "ingested_at": INGESTED}, [])],
    "two days after its ingestion": [
        ({"date": INGESTED.date() + timedelta(2), "ingested_at": INGESTED}, ["date_range"])
    ],
    "several reasons on one row": [
        ({"steps": -1, "sleep_hours": 0.5, **TOO_FAST}, ["heart_rate_avg_range", "sleep_hours_range", "zero_steps"])
    ],
    "of exact repeats the first stays": [({}, []), ({}, ["duplicate"]), ({}, ["duplicate"])],
    "repeats with the same empty cells are exact": [({"bmi": None}, []), ({"bmi": None}, ["duplicate"])],
    "an exact repeat of an impossible row has both reasons": [
        (TOO_FAST, ["heart_rate_avg_range"]),
        (TOO_FAST, ["duplicate", "heart_rate_avg_range"]),
    ],
    "of exact repeats before another row each says all": [
        ({}, ["superseded"]),
        ({}, ["duplicate", "superseded"]),
        ({"steps": 2}, []),
    ],
    "of other repeats the last wins": [
        ({"steps": 1}, ["superseded"]),
        ({"steps": 3}, ["superseded"]),
        ({"steps": 2}, []),
    ],
    "the same number in another column is another row": [
        ({"calories_burned": 550.0, "exercise_minutes": None}, ["superseded"]),
        ({"calories_burned": None, "exercise_minutes": 550.0}, []),
    ],
    "a later upload wins whatever its row numbers": [({**LATER, "steps": 1}, []), ({"steps": 2}, ["superseded"])],
    "a later upload wins also with the same row": [(LATER, []), ({}, ["superseded"])],
    "a later impossible row does not supersede": [({}, []), ({**LATER, **TOO_FAST}, ["heart_rate_avg_range"])],
    "an impossible last row does not supersede": [({}, []), (TOO_FAST, ["heart_rate_avg_range"])],
    "an impossible row before a good one is superseded too": [
        (TOO_FAST, ["heart_rate_avg_range", "superseded"]),
        (LATER, []),
    ],
    "two days of a user do not compete": [({"date": date(2024, 9, 5)}, []), ({"date": date(2024, 9, 6)}, [])],
}
CATEGORIES = [
    *[("steps", 4_999, "activity_level", "sedentary"), ("steps", 5_000, "activity_level", "light")],
    *[("steps", 9_999, "activity_level", "light"), ("steps", 10_000, "activity_level", "moderate")],
    *[("steps", 14_999, "activity_level", "moderate"), ("steps", 15_000, "activity_level", "active")],
    *[("sleep_hours", 5.9, "sleep_quality", "poor"), ("sleep_hours", 6.0, "sleep_quality", "fair")],
    *[("sleep_hours", 7.9, "sleep_quality", "fair"), ("sleep_hours", 8.0, "sleep_quality", "good")],
    *[("sleep_hours", 9.9, "sleep_quality", "good"), ("sleep_hours", 10.0, "sleep_quality", "excellent")],
    *[("bmi", 18.4, "bmi_category", "underweight"), ("bmi", 18.5, "bmi_category", "normal")],
    *[("bmi", 24.9, "bmi_category", "normal"), ("bmi", 25.0, "bmi_category", "overweight")],
    *[("bmi", 29.9, "bmi_category", "overweight"), ("bmi", 30.0, "bmi_category", "obese")],
    *[("sleep_hours", None, "sleep_quality", None), ("bmi", None, "bmi_category", None)],
]
CALENDAR = {
    date(2024, 2, 29): (2024, 2, 29, "Thursday", 3, False),
    date(2023, 12, 31): (2023, 12, 31, "Sunday", 6, True),
    date(2024, 1, 5): (2024, 1, 5, "Friday", 4, False),
    date(2024, 9, 7): (2024, 9, 7, "Saturday", 5, True),
    date(2024, 9, 2): (2024, 9, 2, "Monday", 0, False),
}
# 64.8 kg at 20 kg/m² are 1.8 m; 10·64.8 + 6.25·180 − 5·30 = 1623.
BODY = {"age": 30, "gender": "M", "weight_kg": 64.8, "bmi": 20.0, "calories_burned": 2000.0}
BODIES: dict[str, tuple[dict[str, Any], float | None, float | None, float | None]] = {
    "man": (BODY, 180, 1628, 372),
    "woman": (BODY | {"gender": "F"}, 180, 1462, 538),
    "gender unknown": (BODY | {"gender": None}, 180, None, None),
    "age unknown": (BODY | {"age": None}, 180, None, None),
    "weight unknown": (BODY | {"weight_kg": None}, None, None, None),
    "calories unknown": (BODY | {"calories_burned": None}, 180, 1628, None),
}


class Silver(NamedTuple):
    """One judged frame: the rows that went in and both tables, by the case that a row belongs to."""

    logged: dict[str, list[dict[str, Any]]]
    clean: dict[str, list[dict[str, Any]]]
    rejected: dict[str, list[dict[str, Any]]]
    types: list[list[tuple[str, str]]]

    def reasons(self, case: str) -> list[list[str]]:
        """Reasons of each row of a case in the order in which it went in, sorted; none for a clean row."""
        kept = [(row["row_number"], []) for row in self.clean.get(case, [])]
        left_out = [(row["row_number"], sorted(row["reasons"])) for row in self.rejected.get(case, [])]
        return [reasons for _, reasons in sorted(kept + left_out)]

    def day(self, case: str) -> dict[str, Any]:
        (row,) = self.clean[case]
        return row


def cases() -> dict[str, list[dict[str, Any]]]:
    return {
        **{f"{column} {value}": [{column: value}] for column, value in OUTSIDE + ENDS},
        **{case: [row for row, _ in rows] for case, rows in TOGETHER.items()},
        **{f"no {column}": [{column: None}] for column in OPTIONAL},
        "nothing but steps": [dict.fromkeys(OPTIONAL)],
        "negative exercise": [{"exercise_minutes": -35.0}],
        "all negative": [{"steps": -8120, "exercise_minutes": -35.0, "bmi": -23.9, "extra": None}],
        **{f"{source} {value}": [{source: value}] for source, value, _, _ in CATEGORIES},
        **{str(day): [{"date": day}] for day in CALENDAR},
        **{body: [cells] for body, (cells, *_) in BODIES.items()},
    }


def by_user(rows: list[Any]) -> dict[str, list[dict[str, Any]]]:
    result: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        result.setdefault(row["user_id"], []).append(row.asDict())
    return result


@pytest.fixture(scope="module")
def silver(spark) -> Silver:
    every = [(case, row) for case, rows in cases().items() for row in rows]
    rows = [EARLIER | row | {"user_id": case, "row_number": i} for i, (case, row) in enumerate(every, 1)]
    logged = frame_of(spark, LOGGED_DAYS, random.Random(7).sample(rows, len(rows)))
    judged = transforms.judge(logged).persist()
    clean, rejected = transforms.clean_days(judged), transforms.rejected_days(judged)
    result = Silver(
        by_user(logged.collect()),
        by_user(clean.collect()),
        by_user(rejected.collect()),
        [clean.dtypes, rejected.dtypes],
    )
    judged.unpersist()
    return result


@pytest.mark.parametrize(("column", "value"), OUTSIDE)
def test_a_value_outside_its_range_rejects_the_row_for_that_reason_only(silver, column, value):
    assert silver.reasons(f"{column} {value}") == [[f"{column}_range"]]


@pytest.mark.parametrize(("column", "value"), ENDS)
def test_the_ends_of_a_range_are_kept(silver, column, value):
    assert silver.day(f"{column} {value}")[column] == value


@pytest.mark.parametrize("column", OPTIONAL)
def test_an_empty_optional_cell_breaks_nothing_and_stays_empty(silver, column):
    assert silver.day(f"no {column}")[column] is None


def test_a_day_with_nothing_but_steps_is_a_clean_day(silver):
    day = silver.day("nothing but steps")
    assert (day["steps"], day["activity_level"], day["ra30_days"]) == (8120, "light", 1)
    assert {day[name] for name in (*OPTIONAL, "height_cm", "bmr", "ra30_stress", "yesterday_sleep")} == {None}


def test_negative_exercise_minutes_are_kept_as_zero(silver):
    assert silver.reasons("negative exercise") == [[]]
    assert silver.day("negative exercise")["exercise_minutes"] == 0


@pytest.mark.parametrize("case", TOGETHER)
def test_rows_of_one_user_and_day(silver, case):
    assert silver.reasons(case) == [reasons for _, reasons in TOGETHER[case]]


def test_every_logged_row_is_either_clean_or_rejected(silver):
    def keys(*sides):
        return sorted((r["upload_id"], r["row_number"]) for side in sides for rows in side.values() for r in rows)

    assert keys(silver.clean, silver.rejected) == keys(silver.logged)


def test_rejected_rows_are_as_they_were(silver):
    assert silver.rejected["all negative"][0]["steps"] == -8120
    logged = {(row["upload_id"], row["row_number"]): row for rows in silver.logged.values() for row in rows}
    for row in (row for rows in silver.rejected.values() for row in rows):
        assert {name: row[name] for name in RAW_NAMES} == {
            name: logged[row["upload_id"], row["row_number"]][name] for name in RAW_NAMES
        }


def test_both_tables_have_the_columns_and_types_that_the_dictionary_says(silver):
    assert silver.types == [[(c.name, c.type) for c in table.columns] for table in (CLEAN_DAYS, REJECTED_DAYS)]


@pytest.mark.parametrize(("source", "value", "category", "expected"), CATEGORIES)
def test_categories_begin_at_their_bounds(silver, source, value, category, expected):
    assert silver.day(f"{source} {value}")[category] == expected


def test_activity_levels_are_also_one_hot(silver):
    for source, value, category, level in CATEGORIES:
        if category == "activity_level":
            day = silver.day(f"{source} {value}")
            levels = {name: day[f"activity_level_{name}"] for name in ("sedentary", "light", "moderate", "active")}
            assert levels == dict.fromkeys(levels, 0) | {level: 1}


@pytest.mark.parametrize("day", CALENDAR)
def test_calendar_columns_follow_from_the_date(silver, day):
    row = silver.day(str(day))
    names = ("year", "month", "day", "weekday", "weekday_num", "is_weekend")
    assert tuple(row[name] for name in names) == CALENDAR[day]


@pytest.mark.parametrize("body", BODIES)
def test_height_and_energy_by_hand(silver, body):
    row = silver.day(body)
    values = [row[name] for name in ("height_cm", "bmr", "caloric_balance")]
    assert values == [value if value is None else pytest.approx(value) for value in BODIES[body][1:]]


@pytest.fixture(scope="module")
def gappy(spark) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Days with gaps and empty cells: as they went in and as they are clean, both by user and day."""
    logged = good_days(["a", "b", "c", "d", "e"], date(2024, 1, 20), 120, seed=11, gaps=0.1, empty=0.1)
    rows = [row | {"row_number": i} for i, row in enumerate(random.Random(5).sample(logged, len(logged)))]
    clean = transforms.clean_days(transforms.judge(frame_of(spark, LOGGED_DAYS, rows))).collect()
    return logged, sorted((row.asDict() for row in clean), key=lambda row: (row["user_id"], row["date"]))


@pytest.mark.parametrize("name", OVER_TIME)
def test_windows_go_by_calendar_days(gappy, name):
    logged, clean = gappy
    expected = over_time(pd.DataFrame(logged, dtype=object))
    assert [(row["user_id"], row["date"]) for row in clean] == sorted(expected)
    values = [(row[name], expected[row["user_id"], row["date"]][name]) for row in clean]
    assert any(value is not None for _, value in values)
    assert [actual for actual, _ in values] == [
        value if value is None else pytest.approx(value, rel=0, abs=1e-9) for _, value in values
    ]


def test_over_a_year_without_gaps_calendar_windows_are_plain_row_windows(spark):
    # Over a new year, a leap day and both changes of the clock.
    logged = good_days(["a", "b", "c"], date(2023, 8, 1), 400, seed=12)
    rows = [row | {"row_number": i} for i, row in enumerate(random.Random(6).sample(logged, len(logged)))]
    clean = transforms.clean_days(transforms.judge(frame_of(spark, LOGGED_DAYS, rows))).toPandas()
    actual = clean.set_index(["user_id", "date"]).sort_index()[[*OVER_TIME]].astype(float)
    expected = row_windows(pd.DataFrame(logged)).set_index(["user_id", "date"])[[*OVER_TIME]].astype(float)
    assert len(expected) == 3 * 400
    pd.testing.assert_frame_equal(actual, expected, rtol=0, atol=1e-9)


def test_the_made_up_days_reach_both_ends_of_the_clamp_and_every_kind_of_gap(gappy):
    clean = pd.DataFrame(gappy[1])
    assert {-5, 5} <= set(clean.weight_change_30d)
    assert clean.weight_change_30d_raw.max() > 5
    assert clean.weight_change_30d_raw.min() < -5
    assert 0 < clean.yesterday_stress.isna().sum() < len(clean)
    assert clean.ra30_days.between(20, 29).any()


RECONCILES = [
    pytest.param([1, 2], [3], set(), id="nothing lost"),
    pytest.param([1], [3], {2}, id="a clean row lost"),
    pytest.param([1, 1], [3], {1, 2}, id="a clean row lost and another doubled"),
    pytest.param([1, 2], [], {3}, id="a rejected row lost"),
    pytest.param([1, 2], [2, 3], {2}, id="a row both clean and rejected"),
    pytest.param([], [], {1, 2, 3}, id="everything lost"),
]


@pytest.mark.parametrize(("clean", "rejected", "lost"), RECONCILES)
def test_rows_reconcile_counts_what_was_lost(clean, rejected, lost):
    # Of the other upload, with the same row numbers, nothing is ever lost.
    sides = [(CLEAN_DAYS, clean, [1]), (REJECTED_DAYS, rejected, [2])]
    sides += [(LOGGED_DAYS, [1, 3], [1, 2]), (DEVICE_DAYS, [2], [])]
    rows = {
        table.key: [{"upload_id": "u", "row_number": n} for n in of_u]
        + [{"upload_id": "other", "row_number": n} for n in of_other]
        for table, of_u, of_other in sides
    }
    (rule,) = (rule for rule in REJECTED_DAYS.set_rules if rule.name == "rows_reconcile")
    found = {(row["upload_id"], row["row_number"]) for row in violations(rule, rows)}
    assert found == {("u", number) for number in lost}
