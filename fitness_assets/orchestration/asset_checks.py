"""Shows the check results of a version as Dagster asset checks.

Each event of a run takes Dagster some milliseconds, and a reader of the UI wants a few meaningful checks. So one check
(``rules``) reports every rule of a table, and rules whose failure a person acts on have checks of their own. The
metadata of a check lists every rule with its failures. ``engine/rule_checks.py`` counts the failures.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dagster as dg

from fitness_assets.lake.version import CheckResult, VersionMetadata
from fitness_assets.orchestration.table_metadata import records
from fitness_assets.schema.rules import RULES_CHECK, RuleSummary
from fitness_assets.schema.table import Table

_ABOUT_RULES = (
    "Every rule of the table without a check of its own: names and types, required values, ranges, allowed values, "
    "values that go together, primary key, references. The metadata of a result lists the rules."
)


def check_specs(table: Table) -> list[dg.AssetCheckSpec]:
    """The Dagster checks of a table."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=dg.AssetKey(table.key.split("/")),
            description=_ABOUT_RULES if name == RULES_CHECK else " ".join(rule.description for rule in rules),
            blocking=any(rule.severity == "blocking" for rule in rules),
        )
        for name, rules in _rules_by_check(table).items()
    ]


def check_results(
    table: Table, version_metadata: VersionMetadata, remarks: Mapping[str, str] = MappingProxyType({})
) -> Iterator[dg.AssetCheckResult]:
    """The results of these checks for one version.

    A version that was written by an earlier release may have no result for a rule; a check without any is left out.

    Args:
        table: the table.
        version_metadata: of the version.
        remarks: what a check says beside its failures, by its name.
    """
    stored = {result.rule: result for result in version_metadata.check_results}
    for name, rules in _rules_by_check(table).items():
        if results := [stored[rule.name] for rule in rules if rule.name in stored]:
            yield _check_result(table, version_metadata, name, results, remarks.get(name))


def _rules_by_check(table: Table) -> Mapping[str, Sequence[RuleSummary]]:
    checks: dict[str, list[RuleSummary]] = {}
    for rule in table.all_rules:
        checks.setdefault(rule.check, []).append(rule)
    return checks


def _check_result(
    table: Table, version_metadata: VersionMetadata, name: str, results: Sequence[CheckResult], remark: str | None
) -> dg.AssetCheckResult:
    """One check: it has the severity of the worst rule that fails, and says which rules fail."""
    failing = sorted((result for result in results if result.failed), key=lambda result: -result.failed)
    is_warning = all(result.severity == "warning" for result in failing or results)
    metadata: dict[str, Any] = {
        "failed": sum(result.failed for result in failing),
        "rows": version_metadata.rows,
        "version": version_metadata.version,
    }
    if len(results) > 1:
        passing = [result for result in results if not result.failed]
        metadata["rules"] = records(
            [
                {"rule": r.rule, "failed": r.failed, "severity": r.severity, "description": r.description}
                for r in (*failing, *passing)
            ]
        )
    show = _broken_cells if name == RULES_CHECK else lambda table, result, row: row
    if sample := [{"rule": result.rule, **show(table, result, row)} for result in failing for row in result.sample]:
        metadata["sample"] = records(sample)
    return dg.AssetCheckResult(
        passed=not failing,
        asset_key=dg.AssetKey(table.key.split("/")),
        check_name=name,
        severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
        description=" ".join(filter(None, [_failures_text(version_metadata, failing) if failing else None, remark]))
        or None,
        metadata=metadata,
    )


def _broken_cells(table: Table, result: CheckResult, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The key of a failing row and the cells that break the rule; whole rows would be too wide for the page."""
    rule = next((rule for rule in table.rules if rule.name == result.rule), None)
    if rule is None:  # about columns or keys: the sample is no row of the table
        return row
    empty = [c.name for c in table.columns if not c.nullable and row.get(c.name) is None]
    cells = ", ".join(f"{name} = {row.get(name)}" for name in empty or rule.failing_example)
    return {**{name: row.get(name) for name in table.primary_key}, "cells": cells}


def _failures_text(version_metadata: VersionMetadata, failing: Sequence[CheckResult]) -> str:
    if len(failing) == 1:
        return failure_text(version_metadata, failing[0])
    rules = ", ".join(f"{result.rule} ({result.failed:,})" for result in failing)
    return f"{len(failing)} rules have failures in {version_metadata.rows:,} rows: {rules}."


def failure_text(version_metadata: VersionMetadata, result: CheckResult) -> str:
    """A sentence that says which rule fails and how often, and one that says what the rule demands."""
    failures = f"{result.failed:,} failure{'' if result.failed == 1 else 's'}"
    return f"{result.rule}: {failures} in {version_metadata.rows:,} rows. It demands: {result.description}"
