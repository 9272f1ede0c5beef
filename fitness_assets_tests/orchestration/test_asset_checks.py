"""Check results of a version as Dagster shows them: few checks, each with all of its rules and failing rows."""

import dagster as dg
import pytest

from fitness_assets.gold.tables import FACT_DAILY
from fitness_assets.lake.version import CheckResult, VersionMetadata
from fitness_assets.orchestration.asset_checks import check_results, check_specs
from fitness_assets.registry import TABLES
from fitness_assets.schema.rules import Severity
from fitness_assets_tests.conftest import sample_of


def _row(rule: str) -> dict[str, object]:
    """A row of gold/fact_daily that breaks a rule."""
    example = {column.name: column.example for column in FACT_DAILY.columns}
    return example | {"steps_range": {"steps": 99_999}, "required_values": {"weekday": None}}.get(rule, {})


def shown(failed: dict[str, int], **severities: Severity) -> dict[str, dg.AssetCheckResult]:
    """The checks of gold/fact_daily for a version of 100 rows in which some rules fail."""
    results = [
        CheckResult(
            rule.name,
            severities.get(rule.name, rule.severity),
            rule.description,
            failed.get(rule.name, 0),
            [_row(rule.name)] if rule.name in failed else [],
        )
        for rule in FACT_DAILY.all_rules
    ]
    metadata = VersionMetadata(FACT_DAILY.key, "000001", None, {}, "run", "now", rows=100, check_results=results)
    return {str(result.check_name): result for result in check_results(FACT_DAILY, metadata)}


def test_every_check_has_a_result_and_a_good_version_passes_all():
    results = shown({})
    assert [*results] == [spec.name for spec in check_specs(FACT_DAILY)] == ["rules"]
    assert all(result.passed and not result.description for result in results.values())


def test_a_failed_check_says_which_rules_fail_how_often_and_shows_rows_of_each():
    result = shown({"steps_range": 2, "required_values": 1_000})["rules"]
    assert not result.passed
    assert result.description == "2 rules have failures in 100 rows: required_values (1,000), steps_range (2)."
    assert result.metadata["failed"].value == 1_002
    assert sample_of(result) == [
        {"rule": "required_values", "user_id": "17", "date_key": 20240906, "cells": "weekday = None"},
        {"rule": "steps_range", "user_id": "17", "date_key": 20240906, "cells": "steps = 99999"},
    ]
    rules = result.metadata["rules"]
    assert isinstance(rules, dg.TableMetadataValue)
    expected = [rule.name for rule in FACT_DAILY.all_rules if rule.check == "rules"]
    assert [(r.data["rule"], r.data["failed"]) for r in rules.records][:2] == [
        ("required_values", 1_000),
        ("steps_range", 2),
    ]
    assert sorted(str(r.data["rule"]) for r in rules.records) == sorted(expected)


def test_a_check_with_one_failing_rule_says_what_should_hold():
    said = shown({"steps_range": 2})["rules"].description
    assert said == "steps_range: 2 failures in 100 rows. It demands: steps is between 0 and 50000 steps, both included."


@pytest.mark.parametrize(
    ("failed", "severity"),
    [
        ({"steps_range": 1}, dg.AssetCheckSeverity.WARN),
        ({"steps_range": 1, "age_range": 1}, dg.AssetCheckSeverity.ERROR),
        ({"age_range": 1}, dg.AssetCheckSeverity.ERROR),
    ],
    ids=["only a warning", "worst of two", "blocking"],
)
def test_a_check_has_the_severity_of_the_worst_rule_that_fails(failed, severity):
    assert shown(failed, steps_range="warning")["rules"].severity == severity


def test_rows_of_different_rules_share_one_table():
    metadata = VersionMetadata(FACT_DAILY.key, "000001", None, {}, "run", "now", rows=2)
    metadata.check_results = [
        CheckResult("primary_key", "blocking", "Unique.", 1, [{"user_id": "a", "fact_daily": 2}]),
        CheckResult("dim_user_exists", "blocking", "Exists.", 1, [{"user_id": "b", "dim_user": 0}]),
    ]
    (result,) = check_results(FACT_DAILY, metadata)
    assert sample_of(result) == [
        {"rule": "primary_key", "user_id": "a", "fact_daily": 2, "dim_user": None},
        {"rule": "dim_user_exists", "user_id": "b", "fact_daily": None, "dim_user": 0},
    ]


def test_a_version_of_an_earlier_release_lacks_rules_and_has_others():
    metadata = VersionMetadata(FACT_DAILY.key, "000001", None, {}, "run", "now")
    metadata.check_results = [
        CheckResult("no_such_rule", "blocking", "Gone.", 1),
        CheckResult("contract", "blocking", "", 0),
    ]
    (result,) = check_results(FACT_DAILY, metadata)
    assert (result.check_name, result.passed) == ("rules", True)


def test_a_table_has_a_handful_of_checks():
    assert max(len(check_specs(table)) for table in TABLES) <= 7
