"""Rules about keys: suspected by a hash in one query, then counted by the keys themselves."""

import pytest
from pyspark.sql import functions as F

from fitness_assets import audits
from fitness_assets.checks import check_specs
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
        rules = {f"{t.key} {rule.name}": rule for t in TABLES for rule in t.set_rules if isinstance(rule, KeyRule)}
        assert set(rules) == {UNIQUE_USER, UNIQUE_MONTH, USER_EXISTS}
        return audits._suspects(rules, {table.key: frame_of(spark, table, rows[table.key]) for table in TABLES})

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
