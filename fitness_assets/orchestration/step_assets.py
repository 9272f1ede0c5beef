"""Makes Dagster assets with checks from a layer step.

A step stages its tables and checks them. Then the asset reports every check result. If no blocking rule failed, the IO
manager gets the version and publishes it. So a version that fails a blocking rule appears in the UI, but never reaches
a reader. The step of each layer is in the layer's ``assets.py``.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from fitness_assets.engine.layer_step import ContractError, LayerStep, StepRun, run_step
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.orchestration.asset_checks import check_results, check_specs, failure_text
from fitness_assets.orchestration.headlines import remarks
from fitness_assets.orchestration.io_manager import IO_MANAGER_KEY, plain_failures
from fitness_assets.orchestration.observed import RAW
from fitness_assets.orchestration.table_metadata import column_schema, materialization_metadata
from fitness_assets.registry import publish_groups_of

Launch = Callable[[dg.AssetExecutionContext, LayerStep, StepRun], Staging]
"""Has a job elsewhere run a step, and waits for its version."""

Before = Callable[[dg.AssetExecutionContext, Lake], None]
"""What a run does before a step."""

_UPLOADS = dg.Field(
    [str], default_value=[], description="Files, folders or S3 prefixes to read instead of raw/ or FITNESS_RAW_PATH."
)
_REBUILD = dg.Field(bool, default_value=False, description="Make everything anew, not only the months that changed.")
_OWNER = "team:fitness-data"


def step_assets(
    step: LayerStep, stale_after_days: int, launch: Launch | None = None, before: Before | None = None
) -> dg.AssetsDefinition:
    """The tables of a step as assets. A run may select each table alone, and each check alone.

    A run that selects only checks reports the stored results of the current version again.

    Args:
        step: the layer step.
        stale_after_days: the UI calls a table that grows daily stale after so many days without a new version.
        launch: runs the step as a job elsewhere; then Dagster's process reads no table.
        before: what is done before the step.
    """
    # A step that reads no table reads uploads.
    config_schema = {"rebuild": _REBUILD} if step.reads else {"uploads": _UPLOADS}

    @dg.multi_asset(**_definition(step, stale_after_days), config_schema=config_schema, required_resource_keys={"lake"})
    def assets(context: dg.AssetExecutionContext) -> Iterator[Any]:
        lake: Lake = context.resources.lake
        with plain_failures(lake):
            if before:
                before(context, lake)
            if not context.selected_asset_keys:
                yield from report_version(context, lake, lake.reopen(step.tables))
                return
            config = context.op_execution_context.op_config
            step_run = StepRun(
                lake, context.run.run_id, context.log, config.get("uploads", ()), config.get("rebuild", False)
            )
            if launch:
                yield from report_version(context, lake, launch(context, step, step_run))
                return
            try:
                staging = run_step(step, step_run, publish_groups_of(step.reads))
            except ContractError as error:
                yield from _selected(context, check_results(error.table, error.metadata))
                raise dg.Failure(str(error), allow_retries=False) from error
            yield from report_version(context, lake, staging)

    return assets


def report_version(context: dg.AssetExecutionContext, lake: Lake, staging: Staging) -> Iterator[Any]:
    """Report every check result of a version and hand the version to the IO manager.

    Raises:
        dagster.Failure: if a blocking rule failed; then the IO manager does not get the version.
    """
    all_metadata = [(table, staging.metadata[table.key]) for table in staging.tables]
    blocked = [
        (table, version_metadata, result)
        for table, version_metadata in all_metadata
        for result in version_metadata.check_results
        if result.blocks
    ]
    if context.selected_asset_keys and not blocked:
        for table, _ in all_metadata:
            key, metadata = dg.AssetKey(table.key.split("/")), materialization_metadata(lake, staging, table)
            if key in context.selected_asset_keys:
                yield dg.MaterializeResult(key, value=staging, metadata=metadata)
            else:  # not selected, but written and published with the selected tables
                yield dg.AssetMaterialization(key, metadata=metadata)
    for table, version_metadata in all_metadata:
        said = {} if blocked else remarks(lake, table, staging.version)
        yield from _selected(context, check_results(table, version_metadata, said))
    if blocked:
        failures = " ".join(
            f"{table.key} breaks the rule {failure_text(version_metadata, result)}"
            for table, version_metadata, result in blocked
        )
        raise dg.Failure(
            f"{failures} Nothing was published: readers keep the version before. The failed one is version "
            f"{staging.version} in {lake.store.location(blocked[0][0], staging.version)}.",
            allow_retries=False,
        )


def _definition(step: LayerStep, stale_after_days: int) -> dict[str, Any]:
    """The arguments of `dagster.multi_asset` that follow from the tables of a step."""
    made_from = {key: {dg.AssetKey(t.key.split("/")) for t in tables} for key, tables in step.made_from.items()}
    every = {dg.AssetKey(table.key.split("/")) for table in step.reads}
    return {
        "name": step.name,
        "can_subset": True,
        "deps": [dg.AssetKey(table.key.split("/")) for table in step.reads] or [RAW],
        "internal_asset_deps": {t.name: made_from.get(t.key, every) for t in step.tables} if made_from else None,
        "outs": {
            table.name: dg.AssetOut(
                key=table.key.split("/"),
                description=f"{table.description}\n\nGrain: {table.grain}.",
                group_name=table.layer,
                kinds={table.layer, *table.kinds},
                owners=[_OWNER],
                metadata={"dagster/column_schema": column_schema(table)},
                io_manager_key=IO_MANAGER_KEY,
                code_version=step.code_version,
                is_required=False,
                freshness_policy=_freshness_policy(stale_after_days) if table.is_daily else None,
            )
            for table in step.tables
        },
        "check_specs": [spec for table in step.tables for spec in check_specs(table)],
    }


def _freshness_policy(stale_after_days: int) -> dg.FreshnessPolicy:
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(days=stale_after_days))


def _selected(
    context: dg.AssetExecutionContext, results: Iterable[dg.AssetCheckResult]
) -> Iterator[dg.AssetCheckResult]:
    selected = {(key.asset_key, key.name) for key in context.selected_asset_check_keys}
    yield from (result for result in results if (result.asset_key, result.check_name) in selected)
