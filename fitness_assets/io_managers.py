"""The Dagster side of the lake: the IO manager, and how a step becomes assets with checks.

A step stages its tables, audits them, reports every verdict, and only then hands them to the IO manager, whose storing
is publishing. So a version that fails a blocking rule shows in the UI and never reaches a reader. Here belongs what
every table does alike; what one layer does stands in its ``assets.py``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

import dagster as dg
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from fitness_assets.checks import CONTRACT, audit, check_result, check_specs, contract_errors, records
from fitness_assets.dictionary import Table
from fitness_assets.lake import Lake
from fitness_assets.resources import lost_server
from fitness_assets.rules import Frames
from fitness_assets.staging import Staging
from fitness_assets.versions import LakeError, Verdict, VersionConflictError

IO_MANAGER_KEY = "spark_io_manager"
_OWNER = "team:fitness-data"
_RETRIES = 3


class SparkIOManager(dg.IOManager):
    """Publishes staged versions of tables and loads tables as Spark frames.

    Args:
        lake: where the tables live.
        groups: every table it may be asked for, with those that are published together.
        register: enters tables that were published in a catalog.
    """

    def __init__(
        self, lake: Lake, groups: Sequence[Sequence[Table]], register: Callable[[Sequence[Table]], None] | None = None
    ) -> None:
        self._lake = lake
        self._register = register
        self._groups = {table.key: group for group in groups for table in group}

    def handle_output(self, context: dg.OutputContext, obj: Staging) -> None:
        """Make the staged version the current one, together with the other tables of its step."""
        with plain_failures():
            if obj.publish() and self._register:
                self._register(obj.tables)

    def load_input(self, context: dg.InputContext) -> DataFrame:
        """The current version of the upstream table."""
        with plain_failures():
            key = "/".join(context.asset_key.path)
            self._lake.mend(self._groups[key])
            return self._lake.read(next(table for table in self._groups[key] if table.key == key))


def table_assets(
    tables: Sequence[Table],
    reads: Sequence[Table],
    make: Callable[..., AbstractContextManager[Sequence[DataFrame]]],
    at_once: int = 1,
) -> dg.AssetsDefinition:
    """Assets for tables that are made from other tables in one step.

    Args:
        tables: what is made; published together, in this order.
        reads: what it is made from; each is an upstream asset.
        make: from the frames of ``reads`` to those of ``tables``, in the same order; left when all are written.
        at_once: how many of them are written at a time.
    """

    @dg.multi_asset(**step_definition(tables), ins={t.name: dg.AssetIn(t.key.split("/")) for t in reads})
    def step(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], **inputs: DataFrame) -> Iterator[Any]:
        sources = {table.key: inputs[table.name] for table in reads}

        def write(staging: Staging) -> Frames:
            with make(*sources.values()) as frames, ThreadPoolExecutor(at_once) as pool:
                for table, frame in zip(tables, frames, strict=True):
                    keep_contract(table, frame)
                written = pool.map(staging.write, tables, frames)
                return sources | {table.key: frame for table, frame in zip(tables, written, strict=True)}

        yield from run_step(context, lake, tables, lake.versions_of([*sources.values()]), write)

    return step


def step_definition(tables: Sequence[Table]) -> dict[str, Any]:
    """What Dagster is told of a step: its assets with columns and checks, each of which may be selected alone."""
    return {
        "name": tables[0].layer,
        "can_subset": True,
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
            for table in tables
        },
        "check_specs": [spec for table in tables for spec in check_specs(table)],
    }


def run_step(
    context: dg.AssetExecutionContext,
    lake: Lake,
    tables: Sequence[Table],
    inputs: Mapping[str, str],
    write: Callable[[Staging], Frames],
) -> Iterator[Any]:
    """Stage, write, audit and report; publishing is left to the IO manager.

    When only checks are selected, those of the current version are reported again, as they were stored.

    Args:
        context: of the running step.
        lake: where the tables live.
        tables: what the step makes.
        inputs: versions of what it reads, by key.
        write: writes every table to the staging and gives the frames that the rules are asked of.
    """
    with plain_failures():
        if not context.selected_asset_keys:
            yield from report(context, lake.reopen(tables))
            return
        lake.mend(tables)
        staging = lake.stage(tables, inputs, context.run.run_id)
        context.log.info(f"{', '.join(table.key for table in tables)}: writing version {staging.version}")
        try:
            audit(staging, write(staging))
            staging.seal()
        except ContractError as error:
            yield from _selected(context, [check_result(error.table, staging.audits[error.table.key], error.verdict)])
            raise dg.Failure(str(error), allow_retries=False) from error
        finally:
            staging.clean_up()
        yield from report(context, staging)


def report(context: dg.AssetExecutionContext, staging: Staging) -> Iterator[Any]:
    """Hand an audited version to the IO manager and report every verdict.

    Raises:
        dagster.Failure: if a blocking rule failed; then nothing is handed over.
    """
    audits = [(table, staging.audits[table.key]) for table in staging.tables]
    results = [check_result(table, audit, verdict) for table, audit in audits for verdict in audit.verdicts]
    blocked = [(table, audit, verdict) for table, audit in audits for verdict in audit.verdicts if verdict.blocks]
    if context.selected_asset_keys and not blocked:
        for table, _ in audits:
            key, metadata = dg.AssetKey(table.key.split("/")), _materialization_metadata(staging, table)
            if key in context.selected_asset_keys:
                yield dg.MaterializeResult(key, value=staging, metadata=metadata)
            else:  # not asked for, but written and published along with what was
                yield dg.AssetMaterialization(key, metadata=metadata)
    yield from _selected(context, results)
    if blocked:
        failures = "; ".join(
            f"{audit.table} breaks the rule {verdict.rule}, {verdict.failed} times in {audit.rows} rows: "
            f"{verdict.description}"
            for _, audit, verdict in blocked
        )
        raise dg.Failure(
            f"{failures} Nothing was published: readers keep the version before. The failed one is version "
            f"{staging.version} in {staging.lake.store.location(blocked[0][0], staging.version)}.",
            allow_retries=False,
        )


class ContractError(Exception):
    """A frame has not the columns of its table; it is not even staged."""

    def __init__(self, table: Table, errors: list[dict[str, Any]]) -> None:
        self.table = table
        self.verdict = Verdict(CONTRACT, "blocking", "Columns are not those of the dictionary.", len(errors), errors)
        what = "; ".join(error["error"] for error in errors)
        super().__init__(f"{table.key} breaks the rule {CONTRACT}: {what}. Nothing was published.")


def keep_contract(table: Table, frame: DataFrame) -> None:
    """Compare a frame with the dictionary before it is written.

    Raises:
        ContractError: naming each column that is wrong.
    """
    if errors := contract_errors(table, frame):
        raise ContractError(table, errors)


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turn what a person has to know into Dagster's failure with one sentence, and a conflict into another try."""
    try:
        yield
    except VersionConflictError as conflict:
        raise dg.RetryRequested(_RETRIES, seconds_to_wait=1) from conflict
    except (LakeError, OSError) as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    except PySparkException as error:
        if lost := lost_server(error):
            raise dg.Failure(lost, allow_retries=False) from error
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


def _materialization_metadata(staging: Staging, table: Table) -> dict[str, Any]:
    audit, lake = staging.audits[table.key], staging.lake
    preview = lake.preview(table, staging.version)
    attached = {name.split(".")[1]: name for name in lake.attachments(table, staging.version)}
    return {
        "dagster/row_count": audit.rows,
        "dagster/column_lineage": table.column_lineage(),
        "size_bytes": audit.size_bytes,
        "version": audit.version,
        "made_from": dg.MetadataValue.json(audit.inputs),
        "path": dg.MetadataValue.path(lake.store.location(table)),
        **({"preview": records(preview)} if preview else {}),
        **{f"{what}_file": dg.MetadataValue.path(lake.store.location(table, name)) for what, name in attached.items()},
        **{
            what: dg.MetadataValue.md(lake.store.read_note(table, name).decode())
            for what, name in attached.items()
            if name.endswith(".md")
        },
    }
