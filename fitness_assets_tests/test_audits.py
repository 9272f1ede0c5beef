"""Rules about keys: suspected by blocks of keys in one query, then counted by the keys themselves."""

from operator import itemgetter

import pytest
from pyspark.sql import functions as F

from fitness_assets import audits
from fitness_assets.checks import check_specs, records
from fitness_assets.rules import KeyRule
from fitness_assets_tests.conftest import frame_of, table_of

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
RULES = {
    (DIM_USER.key, MONTHS.key): {UNIQUE_USER, UNIQUE_MONTH, USER_EXISTS},
    ("gold/fact_daily", "gold/dim_activity", "gold/dim_date"): {
        "gold/fact_daily primary_key",
        "gold/fact_daily dim_activity_exists",
        "gold/fact_daily dim_date_exists",
        "gold/dim_activity primary_key",
        "gold/dim_date primary_key",
    },
    ("gold/dim_date",): {"gold/dim_date primary_key"},
}
"""The key rules that can be asked of some tables, if there are no others."""


@pytest.fixture
def audited(lake):
    """Write both tables, audit them as a step does, and return the failures of each rule with its sample."""

    def audit(rows):
        staging = lake.stage(TABLES, {}, "run")
        frames = {t.key: staging.write(t, frame_of(lake.spark, t, rows[t.key])) for t in TABLES}
        audits.audit(staging, frames)
        verdicts = {(key, verdict.rule): verdict for key, a in staging.audits.items() for verdict in a.verdicts}
        assert set(verdicts) == {(table.key, spec.name) for table in TABLES for spec in check_specs(table)}
        return {
            " ".join(name): (verdict.failed, verdict.sample) for name, verdict in verdicts.items() if verdict.failed
        }

    return audit


@pytest.fixture
def suspects(spark):
    def of(rows):
        tables = [table_of(key) for key in rows]
        every = {f"{t.key} {rule.name}": rule for t in tables for rule in t.set_rules if isinstance(rule, KeyRule)}
        rules = {name: rule for name, rule in every.items() if rows.keys() >= set(rule.tables)}
        assert set(rules) == RULES[*rows]
        frames = {t.key: frame_of(spark, t, rows[t.key]) for t in tables}
        found = audits._suspects(rules, frames)
        assert {name for name, rule in rules.items() if rule.violations(frames).count()} <= set(found)
        return found

    return of


@pytest.fixture
def one_hash_for_all(monkeypatch):
    """The worst that can happen to a hash: every key has the same."""
    monkeypatch.setattr(audits.F, "xxhash64", lambda *names: F.lit(7).cast("bigint"))


def test_honest_keys_are_not_suspected(suspects):
    assert suspects(HONEST) == []


def test_of_broken_keys_each_rule_is_suspected_that_is_broken(suspects):
    assert suspects(BROKEN) == [UNIQUE_USER, USER_EXISTS]


def test_honest_keys_pass_every_rule(audited):
    assert audited(HONEST) == {}


def test_rows_are_shown_as_a_table_whichever_cells_are_empty(audited):
    too_long = {"month": 1, "days_logged": 32}
    rows = [
        {"user_id": "a", **too_long, "avg_steps": 8_000.0, "avg_sleep_hours": None},
        {"user_id": "b", **too_long, "avg_steps": None, "avg_sleep_hours": 7.0},
    ]
    ((failed, sample),) = audited(HONEST | {MONTHS.key: rows}).values()
    shown = sorted((record.data for record in records(sample).value.records), key=itemgetter("user_id"))
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


@pytest.mark.usefixtures("one_hash_for_all")
def test_keys_that_share_a_hash_are_suspected_and_found_innocent(suspects, audited):
    assert suspects(HONEST) == [UNIQUE_USER, UNIQUE_MONTH]
    assert audited(HONEST) == {}


@pytest.mark.usefixtures("one_hash_for_all")
def test_broken_keys_are_counted_exactly_also_among_those_that_share_their_hash(audited):
    failed, sample = audited(BROKEN)[UNIQUE_USER]
    assert failed == 2
    assert {row["user_id"] for row in sample} == {"b", "c"}


BLOCK = [20240101, 20240102, 20240103]
"""Days that are counted in one block."""


@pytest.mark.parametrize(
    ("fact", "activity", "dates", "broken"),
    [
        pytest.param([*BLOCK, 20240731], [*BLOCK, 20240731], [*BLOCK, 20240731, 20241231], [], id="nothing"),
        pytest.param(
            [*BLOCK, 20240103],
            BLOCK,
            BLOCK,
            ["fact_daily dim_activity_exists", "fact_daily primary_key"],
            id="twice, and then it is unknown which day",
        ),
        pytest.param(BLOCK, BLOCK[:2], BLOCK, ["fact_daily dim_activity_exists"], id="missing"),
        pytest.param(BLOCK, [*BLOCK[:2], 20240104], BLOCK, ["fact_daily dim_activity_exists"], id="another one"),
        pytest.param([], BLOCK, [], [], id="more than is asked for"),
        pytest.param(
            BLOCK,
            [*BLOCK[:2], 20240102],
            BLOCK,
            ["dim_activity primary_key", "fact_daily dim_activity_exists"],
            id="as many, but one twice and one missing",
        ),
        pytest.param(
            BLOCK[:2], BLOCK[:2], BLOCK[1:], ["fact_daily dim_date_exists"], id="a key of fewer columns is missing"
        ),
    ],
)
def test_what_is_wrong_within_a_block_of_keys_is_suspected(suspects, fact, activity, dates, broken):
    of_a = {"fact_daily": fact, "dim_activity": activity}
    rows = {f"gold/{name}": [{"user_id": "a", "date_key": day} for day in days] for name, days in of_a.items()}
    rows["gold/fact_daily"] += [{"user_id": "b", "date_key": day} for day in fact[:1]]  # users may share days
    rows["gold/dim_activity"] += [{"user_id": "b", "date_key": day} for day in activity[:1]]
    rows["gold/dim_date"] = [{"date_key": day} for day in dates]
    assert sorted(suspects(rows)) == [f"gold/{name}" for name in broken]


def test_empty_keys_are_keys(suspects):
    assert suspects({"gold/dim_date": [{"date_key": None}, {"date_key": None}]}) == ["gold/dim_date primary_key"]
