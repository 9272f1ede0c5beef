"""The Dagster side of the lake: the IO manager, and how a step becomes assets with checks.

A step stages its tables, checks them, reports every result, and only then hands them to the IO manager, whose storing
is publishing. So a version that fails a blocking rule shows in the UI and never reaches a reader. Here belongs what
every table does alike; what one layer does stands in its ``assets.py``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from threading import Thread
from typing import Any

import dagster as dg
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from fitness_assets.engine.layer_step import ContractError, LayerStep, StepRun, read
from fitness_assets.engine.session import lost_server
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import LakeError, VersionConflictError
from fitness_assets.orchestration.asset_checks import check_result, check_specs, records
from fitness_assets.schema.table import Table

IO_MANAGER_KEY = "spark_io_manager"

Launch = Callable[[dg.AssetExecutionContext, Lake, LayerStep, Sequence[str]], Staging]
"""Has a step made elsewhere, from the current tables or from uploads in some places; waits for what it made."""

_UPLOADS = dg.Field(
    [str],
    default_value=[],
    description="Files, folders or S3 prefixes to read, instead of all of raw/ or FITNESS_RAW_PATH.",
)
_OWNER = "team:fitness-data"
_RETRIES = 3


class SparkIOManager(dg.IOManager):
    """Publishes staged versions of tables and loads tables as Spark frames.

    Args:
        lake: where the tables live.
        register: enters tables that were published in a catalog.
    """

    def __init__(self, lake: Lake, register: Callable[[Sequence[Table]], None] | None = None) -> None:
        self._lake = lake
        self._register = register

    def handle_output(self, context: dg.OutputContext, obj: Staging) -> None:
        """Make the staged version the current one, together with the other tables of its step."""
        with plain_failures():
            if self._lake.publish(obj) and self._register:
                self._register(obj.tables)

    def load_input(self, context: dg.InputContext) -> DataFrame:
        """The current version of the upstream table."""
        with plain_failures():
            return read(self._lake, "/".join(context.asset_key.path))


def step_assets(step: LayerStep, launch: Launch | None = None) -> dg.AssetsDefinition:
    """The tables of a step as assets; each of them and each check of them may be selected alone.

    When only checks are selected, those of the current version are reported again, as they were stored.

    Args:
        step: what is made.
        launch: has the step made by a job elsewhere; then no table is read here.
    """
    # A step that is made from no table takes in uploads.
    config_schema = None if step.reads else {"uploads": _UPLOADS}
    upstream = {table.name: dg.AssetKey(table.key.split("/")) for table in step.reads}
    ins: dict[str, Any] = (
        {"deps": [*upstream.values()]} if launch else {"ins": {name: dg.AssetIn(key) for name, key in upstream.items()}}
    )

    resources = {"lake"} if launch or not step.loads else {"lake", libraries_key(step)}

    @dg.multi_asset(**_definition(step), **ins, config_schema=config_schema, required_resource_keys=resources)
    def assets(context: dg.AssetExecutionContext, **inputs: DataFrame) -> Iterator[Any]:
        lake: Lake = context.resources.lake
        with plain_failures():
            if not context.selected_asset_keys:
                yield from report(context, lake, lake.reopen(step.tables))
                return
            uploads = context.op_execution_context.op_config["uploads"] if config_schema else []
            if launch:
                yield from report(context, lake, launch(context, lake, step, uploads))
                return
            step_run = StepRun(lake, context.run.run_id, context.log, uploads)
            try:
                staging = step.make(step_run, {table.key: inputs[table.name] for table in step.reads})
            except ContractError as error:
                yield from _selected(context, [check_result(error.table, error.metadata, error.result)])
                raise dg.Failure(str(error), allow_retries=False) from error
            yield from report(context, lake, staging)

    return assets


def libraries(step: LayerStep) -> dg.ResourceDefinition:
    """Begins to load what a step imports as soon as a run with that step begins.

    That takes seconds, in which the steps before it often leave a core idle.
    """

    @dg.resource(description=f"Loads what only {step.name} needs, beside the steps before it.")
    def load(_: dg.InitResourceContext) -> None:
        Thread(target=lambda: [*map(import_module, step.loads)], daemon=True).start()

    return load


def libraries_key(step: LayerStep) -> str:
    """The key of that resource."""
    return f"{step.name}_libraries"


def _definition(step: LayerStep) -> dict[str, Any]:
    """What Dagster is told of a step: its assets with columns, what each is made from, and checks."""
    made_from = {key: {dg.AssetKey(t.key.split("/")) for t in tables} for key, tables in step.made_from.items()}
    every = {dg.AssetKey(table.key.split("/")) for table in step.reads}
    return {
        "name": step.name,
        "can_subset": True,
        "internal_asset_deps": {t.name: made_from.get(t.key, every) for t in step.tables} if made_from else None,
        "outs": {
            table.name: dg.AssetOut(
                key=table.key.split("/"),
                description=f"{table.description}\n\nGrain: {table.grain}.",
                group_name=table.layer,
                kinds={table.layer, *table.kinds},
                owners=[_OWNER],
                metadata={"dagster/column_schema": table.column_schema()},
                io_manager_key=IO_MANAGER_KEY,
                is_required=False,
                freshness_policy=_freshness_policy(table),
            )
            for table in step.tables
        },
        "check_specs": [spec for table in step.tables for spec in check_specs(table)],
    }


def report(context: dg.AssetExecutionContext, lake: Lake, staging: Staging) -> Iterator[Any]:
    """Hand an audited version to the IO manager and report every result.

    Raises:
        dagster.Failure: if a blocking rule failed; then nothing is handed over.
    """
    all_metadata = [(table, staging.metadata[table.key]) for table in staging.tables]
    results = [
        check_result(table, version_metadata, result)
        for table, version_metadata in all_metadata
        for result in version_metadata.check_results
    ]
    blocked = [
        (table, version_metadata, result)
        for table, version_metadata in all_metadata
        for result in version_metadata.check_results
        if result.blocks
    ]
    if context.selected_asset_keys and not blocked:
        for table, _ in all_metadata:
            key, metadata = dg.AssetKey(table.key.split("/")), _materialization_metadata(lake, staging, table)
            if key in context.selected_asset_keys:
                yield dg.MaterializeResult(key, value=staging, metadata=metadata)
            else:  # not asked for, but written and published along with what was
                yield dg.AssetMaterialization(key, metadata=metadata)
    yield from _selected(context, results)
    if blocked:
        failures = "; ".join(
            f"{version_metadata.table} breaks the rule {result.rule} "
            f"(failures: {result.failed}, rows: {version_metadata.rows}): "
            f"{result.description}"
            for _, version_metadata, result in blocked
        )
        raise dg.Failure(
            f"{failures} Nothing was published: readers keep the version before. The failed one is version "
            f"{staging.version} in {staging.store.location(blocked[0][0], staging.version)}.",
            allow_retries=False,
        )


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turn what a person has to know into Dagster's failure with one sentence, and a conflict into another try."""
    try:
        yield
    except VersionConflictError as conflict:
        raise dg.RetryRequested(_RETRIES, seconds_to_wait=1) from conflict
    except LakeError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    except (PermissionError, NotADirectoryError) as error:
        needs = "FITNESS_LOCAL_ROOT has to be a folder that this user may write to, and uploads files that it may read"
        raise dg.Failure(f"{error}: {needs}.", allow_retries=False) from None
    except OSError as error:  # which does not say what was tried
        raise dg.Failure(str(error), allow_retries=False) from error
    except PySparkException as error:
        if lost := lost_server(error):
            raise dg.Failure(lost, allow_retries=False) from None
        raise


def _freshness_policy(table: Table) -> dg.FreshnessPolicy | None:
    if table.stale_after_days is None:
        return None
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(days=table.stale_after_days))


def _selected(
    context: dg.AssetExecutionContext, results: Iterable[dg.AssetCheckResult]
) -> Iterator[dg.AssetCheckResult]:
    selected = {(key.asset_key, key.name) for key in context.selected_asset_check_keys}
    yield from (result for result in results if (result.asset_key, result.check_name) in selected)


def _materialization_metadata(lake: Lake, staging: Staging, table: Table) -> dict[str, Any]:
    version_metadata = staging.metadata[table.key]
    preview = lake.preview(table, staging.version)
    attached = {name.split(".")[1]: name for name in lake.attachments(table, staging.version)}
    return {
        "dagster/row_count": version_metadata.rows,
        "dagster/column_lineage": table.column_lineage(),
        "size_bytes": version_metadata.size_bytes,
        "version": version_metadata.version,
        "made_from": dg.MetadataValue.json(version_metadata.inputs),
        "path": dg.MetadataValue.path(lake.store.location(table)),
        **({"preview": records(preview)} if preview else {}),
        **{f"{what}_file": dg.MetadataValue.path(lake.store.location(table, name)) for what, name in attached.items()},
        **{
            what: dg.MetadataValue.md(lake.store.read_sidecar(table, name).decode())
            for what, name in attached.items()
            if name.endswith(".md")
        },
    }
