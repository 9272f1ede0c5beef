"""The star schema: every table against plain Python or pandas, and the keys that hold it together."""

import calendar
import statistics
from datetime import date, timedelta
from typing import Any, NamedTuple

import pandas as pd
import pytest

from fitness_assets.bronze.tables import LOGGED_DAYS
from fitness_assets.gold import transforms
from fitness_assets.gold.tables import (
    DIM_ACTIVITY,
    DIM_DATE,
    DIM_USER,
    FACT_DAILY,
    MONTHLY_SUMMARY,
    MONTHLY_SUMS,
    TABLES,
)
from fitness_assets.silver import transforms as silver
from fitness_assets.silver.tables import CLEAN_DAYS
from fitness_assets_tests.conftest import frame_of, violations
from fitness_assets_tests.oracle import OVER_TIME, good_days, over_time, row_windows

MAKE = {
    DIM_USER.key: lambda clean: transforms.dim_user(transforms.monthly_sums(clean)),
    DIM_DATE.key: lambda clean: transforms.dim_date(transforms.monthly_sums(clean)),
    DIM_ACTIVITY.key: transforms.dim_activity,
    MONTHLY_SUMS.key: transforms.monthly_sums,
    MONTHLY_SUMMARY.key: lambda clean: transforms.monthly_summary(transforms.monthly_sums(clean)),
    FACT_DAILY.key: transforms.fact_daily,
}
COLUMNS = {
    DIM_USER.key: "user_id, age, gender, avg_height_cm, avg_weight_kg, avg_bmi, avg_bmr",
    DIM_DATE.key: "date_key, date, day, month, year, weekday, weekday_num, is_weekend",
    DIM_ACTIVITY.key: ("user_id, steps, exercise_minutes, calories_burned, activity_level, sleep_quality, date_key"),
    FACT_DAILY.key: (
        "user_id, date_key, age, gender, sleep_hours, heart_rate_avg, stress_level, steps, exercise_minutes, "
        "calories_burned, weight_kg, bmi, height_cm, bmr, ra30_steps, ra30_calories, ra30_ex_minutes, ra30_stress, "
        "ra30_days, caloric_balance, weight_change_30d, weight_change_30d_raw, stress_change_30d, yesterday_stress, "
        "yesterday_sleep, year, month, day, weekday, weekday_num, is_weekend, activity_level, sleep_quality, "
        "bmi_category"
    ),
}
MONTHLY = {
    "avg_steps": "steps",
    "avg_heart_rate": "heart_rate_avg",
    "avg_sleep_hours": "sleep_hours",
    "avg_calories_burned": "calories_burned",
    "avg_exercise_minutes": "exercise_minutes",
    "avg_stress_level": "stress_level",
    "avg_weight_kg": "weight_kg",
    "avg_bmi": "bmi",
}

# Nobody logs anything between the last day of the one group and the first day of the other, a leap day among the first.
EVEN = good_days(["even 1", "even 2", "even 3", "even 4"], date(2024, 1, 5), 80, seed=2)
GAPPY = good_days(["gappy 1", "gappy 2", "gappy 3"], date(2024, 4, 20), 75, seed=4, gaps=0.1, empty=0.1)
# In this order in the file, so that the latest day is not the last row.
BIRTHDAY = [
    {"date": date(2024, 5, 4), "age": None, "gender": None},
    {"date": date(2024, 5, 3), "age": 41, "gender": None},
    {"date": date(2024, 5, 1), "age": 40, "gender": "M"},
    {"date": date(2024, 5, 2), "age": 40, "gender": "F"},
]
NAMELESS = {"user_id": "nameless", "date": date(2024, 5, 1), "age": None, "gender": None, "weight_kg": None}
LOGGED = [*EVEN, *GAPPY, *({"user_id": "birthday"} | row for row in BIRTHDAY), NAMELESS]


class Gold(NamedTuple):
    """All tables made from one clean frame, the rows of each by its key, and the clean days themselves."""

    clean: list[dict[str, Any]]
    rows: dict[str, list[dict[str, Any]]]
    types: dict[str, list[tuple[str, str]]]

    def fact(self) -> dict[tuple[str, date], dict[str, Any]]:
        return {(row["user_id"], day_of(row["date_key"])): row for row in self.rows[FACT_DAILY.key]}


@pytest.fixture(scope="module")
def gold(spark) -> Gold:
    logged = frame_of(spark, LOGGED_DAYS, [row | {"row_number": i} for i, row in enumerate(LOGGED)])
    clean = silver.clean_days(silver.judge(logged)).persist()
    made = {key: make(clean) for key, make in MAKE.items()}
    rows = {key: [row.asDict() for row in frame.collect()] for key, frame in made.items()}
    result = Gold([row.asDict() for row in clean.collect()], rows, {key: frame.dtypes for key, frame in made.items()})
    clean.unpersist()
    return result


def day_of(date_key: int) -> date:
    return date(date_key // 10_000, date_key // 100 % 100, date_key % 100)


def is_rounded(actual: float | None, exact: float | None) -> bool:
    """Whether ``actual`` is ``exact`` with 2 decimals; a half may go either way, as its last bit may."""
    if actual is None or exact is None or pd.isna(exact):
        return actual is None and (exact is None or pd.isna(exact))
    return actual == round(actual, 2) and abs(actual - exact) <= 0.005 + 1e-9


def mean(values: list[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


@pytest.mark.parametrize("key", COLUMNS)
def test_a_table_has_exactly_these_columns_in_this_order(gold, key):
    assert [name for name, _ in gold.types[key]] == COLUMNS[key].split(", ")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_a_table_has_the_types_that_the_dictionary_says(gold, table):
    assert gold.types[table.key] == [(column.name, column.type) for column in table.columns]


@pytest.mark.parametrize("key", MAKE)
def test_no_clean_days_make_an_empty_table(spark, key):
    assert MAKE[key](frame_of(spark, CLEAN_DAYS, [])).collect() == []


def test_without_gaps_the_fact_is_what_plain_row_windows_give(gold):
    days = row_windows(pd.DataFrame(EVEN).sort_values(["user_id", "date"], ignore_index=True))
    fact = gold.fact()
    assert len(days) == 4 * 80
    for row in days.to_dict("records"):
        actual = fact[row["user_id"], row["date"]]
        assert {name: actual[name] for name in OVER_TIME if not is_rounded(actual[name], row[name])} == {}


def test_with_gaps_the_fact_goes_by_calendar_days(gold):
    expected = over_time(pd.DataFrame(GAPPY, dtype=object))
    fact = gold.fact()
    assert len(expected) < 3 * 75
    for key, row in expected.items():
        actual = fact[key]
        assert {name: actual[name] for name in OVER_TIME if not is_rounded(actual[name], row[name])} == {}


def test_the_fact_has_every_clean_day_once_with_its_measures_as_they_are(gold):
    fact = gold.fact()
    assert len(gold.rows[FACT_DAILY.key]) == len(fact) == len(LOGGED)
    for row in LOGGED:
        actual = fact[row["user_id"], row["date"]]
        assert {name: actual[name] for name in row if name != "date"} == {n: row[n] for n in row if n != "date"}
        assert (actual["year"], actual["month"], actual["day"]) == row["date"].timetuple()[:3]


def test_the_caloric_balance_carries_two_decimals(gold):
    balances = [(row["caloric_balance"], row["calories_burned"], row["bmr"]) for row in gold.rows[FACT_DAILY.key]]
    assert all(is_rounded(actual, None if bmr is None else burned - bmr) for actual, burned, bmr in balances)
    assert {balance is None for balance, _, _ in balances} == {True, False}


def test_a_user_is_one_row_also_when_the_age_changes(gold):
    users = [row["user_id"] for row in gold.rows[DIM_USER.key]]
    assert sorted(users) == sorted({row["user_id"] for row in LOGGED})


def test_a_user_has_the_latest_age_and_gender_that_are_known(gold):
    users = {row["user_id"]: (row["age"], row["gender"]) for row in gold.rows[DIM_USER.key]}
    assert users["birthday"] == (41, "F")
    assert users["nameless"] == (None, None)


@pytest.mark.parametrize("name", ["height_cm", "weight_kg", "bmi", "bmr"])
def test_a_user_has_averages_over_all_clean_days(gold, name):
    for user in gold.rows[DIM_USER.key]:
        values = [row[name] for row in gold.clean if row["user_id"] == user["user_id"]]
        assert is_rounded(user[f"avg_{name}"], mean(values)), user


def test_the_calendar_has_every_day_from_first_to_last(gold):
    first, last = min(row["date"] for row in LOGGED), max(row["date"] for row in LOGGED)
    every = [first + timedelta(n) for n in range((last - first).days + 1)]
    assert date(2024, 4, 5) in set(every) - {row["date"] for row in LOGGED}
    expected = [
        {
            "date_key": int(f"{day:%Y%m%d}"),
            "date": day,
            "day": day.day,
            "month": day.month,
            "year": day.year,
            "weekday": calendar.day_name[day.weekday()],
            "weekday_num": day.weekday(),
            "is_weekend": day.weekday() in (5, 6),
        }
        for day in every
    ]
    assert sorted(gold.rows[DIM_DATE.key], key=lambda row: row["date_key"]) == expected


def test_the_calendar_knows_the_leap_day(gold):
    (leap_day,) = (row for row in gold.rows[DIM_DATE.key] if row["date_key"] == 20240229)
    assert (leap_day["weekday"], leap_day["weekday_num"], leap_day["is_weekend"]) == ("Thursday", 3, False)


def test_an_activity_is_what_the_clean_day_says(gold):
    def key(row):
        return row["user_id"], row["date_key"]

    clean = [row | {"date_key": int(f"{row['date']:%Y%m%d}")} for row in gold.clean]
    expected = [{name: row[name] for name in COLUMNS[DIM_ACTIVITY.key].split(", ")} for row in clean]
    assert sorted(gold.rows[DIM_ACTIVITY.key], key=key) == sorted(expected, key=key)


@pytest.fixture(scope="module")
def months() -> pd.DataFrame:
    measured = [row for row in LOGGED if "steps" in row]
    days = pd.DataFrame(measured).astype(dict.fromkeys(MONTHLY.values(), float))
    dates = pd.to_datetime(days["date"])
    by_month = days.assign(year=dates.dt.year, month=dates.dt.month).groupby(["user_id", "year", "month"])
    return pd.DataFrame(
        by_month.agg(days_logged=("date", "size"), **{name: (of, "mean") for name, of in MONTHLY.items()})
    )


def monthly(gold: Gold) -> dict[tuple[str, int, int], dict[str, Any]]:
    return {(row["user_id"], row["year"], row["month"]): row for row in gold.rows[MONTHLY_SUMMARY.key]}


def test_a_month_counts_its_logged_and_its_calendar_days(gold, months):
    summary = monthly(gold)
    assert len(gold.rows[MONTHLY_SUMMARY.key]) == len(summary) == len(months) + 2  # and May of the other two users
    assert {key: summary[key]["days_logged"] for key in months.index} == months.days_logged.to_dict()
    assert summary["birthday", 2024, 5]["days_logged"] == 4
    assert {(year, month): row["days_in_month"] for (_, year, month), row in summary.items()} == {
        **{(2024, 1): 31, (2024, 2): 29, (2024, 3): 31, (2024, 4): 30, (2024, 5): 31, (2024, 6): 30, (2024, 7): 31}
    }


@pytest.mark.parametrize("name", MONTHLY)
def test_a_month_has_the_averages_of_its_days(gold, months, name):
    summary = monthly(gold)
    wrong = [key for key, exact in months[name].items() if not is_rounded(summary[key][name], exact)]
    assert wrong == []


def broken(rows: dict[str, list[dict[str, Any]]]) -> set[tuple[str, str]]:
    """Tables and names of the set rules of gold that find a violation."""
    return {(table.key, rule.name) for table in TABLES for rule in table.set_rules if violations(rule, rows)}


def test_honest_tables_keep_every_key_and_reference(gold):
    assert {table.key: {rule.name for rule in table.set_rules} for table in TABLES} == {
        DIM_USER.key: {"primary_key"},
        DIM_DATE.key: {"primary_key"},
        DIM_ACTIVITY.key: {"primary_key"},
        MONTHLY_SUMS.key: {"primary_key", "dim_user_exists", "days_reconcile"},
        MONTHLY_SUMMARY.key: {"primary_key", "dim_user_exists"},
        FACT_DAILY.key: {"primary_key", "dim_user_exists", "dim_date_exists", "dim_activity_exists"},
    }
    assert broken(gold.rows) == set()


# Rows in place of the one honest row that every table has otherwise.
NOBODY = [{}, {"user_id": "nobody"}]
DISHONEST = {
    "a user is missing": (
        {FACT_DAILY.key: NOBODY, DIM_ACTIVITY.key: NOBODY, MONTHLY_SUMMARY.key: NOBODY},
        {(FACT_DAILY.key, "dim_user_exists"), (MONTHLY_SUMMARY.key, "dim_user_exists")},
    ),
    "a date is missing": (
        {FACT_DAILY.key: [{}, {"date_key": 20240907}], DIM_ACTIVITY.key: [{}, {"date_key": 20240907}]},
        {(FACT_DAILY.key, "dim_date_exists")},
    ),
    "an activity is missing": (
        {FACT_DAILY.key: NOBODY, DIM_USER.key: NOBODY},
        {(FACT_DAILY.key, "dim_activity_exists")},
    ),
    "every key is repeated": (
        {table.key: [{}, {}] for table in TABLES} | {MONTHLY_SUMS.key: [{"days_logged": 1}] * 2},
        {(table.key, "primary_key") for table in TABLES},
    ),
}


@pytest.mark.parametrize("case", DISHONEST)
def test_missing_references_and_repeated_keys_are_violations(case):
    rows, violated = DISHONEST[case]
    days = len(rows.get(FACT_DAILY.key, [{}]))
    honest = {table.key: [{}] for table in TABLES} | {MONTHLY_SUMS.key: [{"days_logged": days}]}
    assert broken(honest | rows) == violated


@pytest.mark.parametrize(("sums", "offenders"), [([{}], [(29, 2)]), ([], [(None, 2)]), ([{"days_logged": 2}], [])])
def test_a_month_of_the_fact_that_has_other_days_than_the_sums_say_is_a_violation(sums, offenders):
    (rule,) = [rule for rule in MONTHLY_SUMS.set_rules if rule.name == "days_reconcile"]
    found = violations(rule, {MONTHLY_SUMS.key: sums, FACT_DAILY.key: [{}, {"user_id": "b"}]})
    assert [(row["summed"], row["days"]) for row in found] == offenders
