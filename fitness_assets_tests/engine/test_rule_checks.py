"""Rule checks read the staged files, and keep a sample of the rows that break a rule."""

from operator import itemgetter

import pytest

from fitness_assets.engine import rule_checks
from fitness_assets.registry import table_of
from fitness_assets_tests.conftest import frame_of, violations

DIM_USER, MONTHS = TABLES = [table_of("gold/dim_user"), table_of("gold/monthly_summary")]
HONEST = {
    DIM_USER.key: [{"user_id": "a"}, {"user_id": "b"}, {"user_id": "nobody's"}],
    MONTHS.key: [{"user_id": "a", "month": 1}, {"user_id": "a", "month": 2}, {"user_id": "b", "month": 1}],
}
BROKEN = {
    DIM_USER.key: [{"user_id": user_id} for user_id in "abbbcc"],
    MONTHS.key: [
        {"user_id": user_id, "month": month} for user_id, month in [*zip("ade", (1, 1, 1), strict=True), ("d", 2)]
    ],
}
UNIQUE_USER, UNIQUE_MONTH = "gold/dim_user primary_key", "gold/monthly_summary primary_key"
USER_EXISTS = "gold/monthly_summary dim_user_exists"


@pytest.fixture
def audited(lake):
    """Write both tables, check them as a step does, and return the failures of each rule with its sample."""

    def audit(rows):
        staging = lake.stage(TABLES, {}, "run")
        for table in TABLES:
            staging.write(table, frame_of(lake.spark, table, rows[table.key]))
        rule_checks.check_version(staging, [])
        check_results = {
            (key, result.rule): result for key, a in staging.metadata.items() for result in a.check_results
        }
        assert set(check_results) == {(table.key, rule.name) for table in TABLES for rule in table.all_rules}
        return {
            " ".join(name): (result.failed, result.sample) for name, result in check_results.items() if result.failed
        }

    return audit


def test_honest_keys_pass_every_rule(audited):
    assert audited(HONEST) == {}


def test_a_sample_has_every_column_whichever_cells_are_empty(audited):
    too_long = {"month": 1, "days_logged": 32}
    rows = [
        {"user_id": "a", **too_long, "avg_steps": 8_000.0, "avg_sleep_hours": None},
        {"user_id": "b", **too_long, "avg_steps": None, "avg_sleep_hours": 7.0},
    ]
    ((failed, sample),) = audited(HONEST | {MONTHS.key: rows}).values()
    shown = sorted(sample, key=itemgetter("user_id"))
    assert failed == 2
    assert [(row["avg_steps"], row["avg_sleep_hours"]) for row in shown] == [(8_000, None), (None, 7)]
    assert {*shown[0]} == {column.name for column in MONTHS.columns}


def test_broken_keys_are_counted_once_each_however_many_rows_have_them(audited):
    found = audited(BROKEN)
    assert {name: failed for name, (failed, _) in found.items()} == {UNIQUE_USER: 2, USER_EXISTS: 2}
    assert {row["user_id"]: row["dim_user"] for row in found[UNIQUE_USER][1]} == {"b": 3, "c": 2}
    assert {row["user_id"]: (row["monthly_summary"], row["dim_user"]) for row in found[USER_EXISTS][1]} == {
        "d": (2, 0),
        "e": (1, 0),
    }


DAYS = [20240101, 20240102, 20240103]
OF_DAYS = [
    "gold/fact_daily primary_key",
    "gold/fact_daily dim_date_exists",
    "gold/fact_daily dim_activity_exists",
    "gold/dim_date primary_key",
    "gold/dim_activity primary_key",
]


@pytest.mark.parametrize(
    ("fact", "activity", "dates", "broken"),
    [
        pytest.param([*DAYS, 20240731], [*DAYS, 20240731], [*DAYS, 20240731, 20241231], {}, id="nothing"),
        pytest.param([*DAYS, 20240103], DAYS, DAYS, {"gold/fact_daily primary_key": [20240103]}, id="twice"),
        pytest.param(DAYS, DAYS[:2], DAYS, {"gold/fact_daily dim_activity_exists": [20240103]}, id="missing"),
        pytest.param([], DAYS, [], {}, id="more than is asked for"),
        pytest.param(
            DAYS,
            [*DAYS[:2], 20240102],
            DAYS,
            {"gold/fact_daily dim_activity_exists": [20240103], "gold/dim_activity primary_key": [20240102]},
            id="as many, but one twice and one missing",
        ),
        pytest.param(
            DAYS[:2], DAYS[:2], DAYS[1:], {"gold/fact_daily dim_date_exists": [20240101]}, id="of fewer columns"
        ),
    ],
)
def test_each_broken_key_is_a_violation(fact, activity, dates, broken):
    of_a = {"gold/fact_daily": fact, "gold/dim_activity": activity}
    rows = {key: [{"user_id": "a", "date_key": day} for day in days] for key, days in of_a.items()}
    for key, days in of_a.items():
        rows[key] += [{"user_id": "b", "date_key": day} for day in days[:1]]  # users may share days
    rows["gold/dim_date"] = [{"date_key": day} for day in dates]
    found = {name: [row["date_key"] for row in violations(rule_of(name), rows)] for name in OF_DAYS}
    assert {name: days for name, days in found.items() if days} == broken


def test_empty_keys_are_keys():
    rows = {"gold/dim_date": [{"date_key": None}, {"date_key": None}]}
    assert violations(rule_of("gold/dim_date primary_key"), rows) == [{"date_key": None, "dim_date": 2}]


def rule_of(name):
    key, rule = name.split()
    return next(found for found in table_of(key).set_rules if found.name == rule)
