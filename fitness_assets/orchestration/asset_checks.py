"""Shows the check results of a version as Dagster asset checks.

Each event of a run takes Dagster some milliseconds, and a reader of the UI wants a few meaningful checks. So one check
reports all rules that follow from a table's columns (``columns``), one its keys (``keys``), and a table's own rules
have checks of their own. The metadata of a check lists every rule with its failures.
``engine/rule_checks.py`` counts the failures.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from fitness_assets.lake.version import CheckResult, VersionMetadata
from fitness_assets.orchestration.table_metadata import records
from fitness_assets.schema.rules import RuleSummary
from fitness_assets.schema.table import Table


def check_specs(table: Table) -> list[dg.AssetCheckSpec]:
    """The Dagster checks of a table."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=dg.AssetKey(table.key.split("/")),
            description=" ".join(rule.description for rule in rules),
            blocking=any(rule.severity == "blocking" for rule in rules),
        )
        for name, rules in _rules_by_check(table).items()
    ]


def check_results(table: Table, version_metadata: VersionMetadata) -> Iterator[dg.AssetCheckResult]:
    """The results of these checks for one version.

    A version that was written by an earlier release may have no result for a rule; a check without any is left out.
    """
    stored = {result.rule: result for result in version_metadata.check_results}
    for name, rules in _rules_by_check(table).items():
        if results := [stored[rule.name] for rule in rules if rule.name in stored]:
            yield _check_result(table, version_metadata, name, results)


def _rules_by_check(table: Table) -> Mapping[str, Sequence[RuleSummary]]:
    checks: dict[str, list[RuleSummary]] = {}
    for rule in table.all_rules:
        checks.setdefault(rule.check, []).append(rule)
    return checks


def _check_result(
    table: Table, version_metadata: VersionMetadata, name: str, results: Sequence[CheckResult]
) -> dg.AssetCheckResult:
    """One check: it has the severity of the worst rule that fails, and says which rules fail."""
    failing = [result for result in results if result.failed]
    is_warning = all(result.severity == "warning" for result in failing or results)
    metadata: dict[str, Any] = {
        "failed": sum(result.failed for result in failing),
        "rows": version_metadata.rows,
        "version": version_metadata.version,
    }
    if len(results) > 1:
        metadata["rules"] = records(
            [
                {"rule": r.rule, "failed": r.failed, "severity": r.severity, "description": r.description}
                for r in sorted(results, key=lambda result: -result.failed)
            ]
        )
    if sample := [{"rule": result.rule, **row} for result in failing for row in result.sample]:
        metadata["sample"] = records(sample)
    return dg.AssetCheckResult(
        passed=not failing,
        asset_key=dg.AssetKey(table.key.split("/")),
        check_name=name,
        severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
        description=" ".join(failure_text(version_metadata, result) for result in failing) or None,
        metadata=metadata,
    )


def failure_text(version_metadata: VersionMetadata, result: CheckResult) -> str:
    """A sentence that says which rule fails, how often, and what should hold."""
    return f"{result.rule}: {result.failed:,} failures in {version_metadata.rows:,} rows. {result.description}"
