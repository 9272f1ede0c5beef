"""Defines layer steps, and runs them in Dagster's process or in a job on another Spark.

A layer step makes the tables of one layer as one version: it stages, writes and checks them. The caller publishes the
version. This module uses neither Dagster (``orchestration/`` makes assets from steps) nor any particular layer.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import Logger
from threading import Event, Thread
from typing import Any

from pyspark.sql import DataFrame

from fitness_assets.engine.changes import NO_CHANGES, Changes, Inputs, changes
from fitness_assets.engine.expressions import with_codes
from fitness_assets.engine.memory import memory_bytes
from fitness_assets.engine.rule_checks import check_version, contract_errors
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.room import LackOfRoomError, lack_of_room
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import CheckResult, VersionConflictError
from fitness_assets.schema.table import CONTRACT, CONTRACT_DESCRIPTION, Table

_MINUTE = 60.0  # seconds


@dataclass(frozen=True)
class StepRun:
    """One run of one step.

    Attributes:
        lake: the lake that holds the tables.
        run_id: id of the Dagster run; stored in the version metadata.
        log: the log of the run.
        uploads: files, folders or S3 prefixes to read instead of the source in the settings; only bronze uses them.
        is_rebuild: whether everything is made anew, whatever changed.
    """

    lake: Lake
    run_id: str
    log: Logger
    uploads: Sequence[str] = ()
    is_rebuild: bool = False


@dataclass(frozen=True)
class LayerStep:
    """Makes one publish group: tables that share a version and are published together.

    Attributes:
        tables: the tables that the step writes; the last one is published first.
        reads: the tables that the step reads; none for bronze, which reads uploads.
        make: makes a version from given versions of ``reads``, written and checked, but not published.
        code_version: of the code that decides what the tables hold; when it changes, everything is made anew.
        has_uploads: whether it looks for uploads of its own, so that it may have work when no table changed.
        made_from: for a table that is made from other tables than ``reads``: those tables, by its key.
    """

    tables: Sequence[Table]
    reads: Sequence[Table]
    make: Callable[[StepRun, Inputs, Changes], Staging]
    code_version: str
    made_from: Mapping[str, Sequence[Table]] = field(default_factory=dict)
    has_uploads: bool = False

    @property
    def name(self) -> str:
        """The name of the layer, which is also the name of the step."""
        return self.tables[0].layer


class ContractError(Exception):
    """The columns of a frame differ from the table's declaration; nothing of the version is kept."""

    def __init__(self, table: Table, staging: Staging, errors: list[dict[str, Any]]) -> None:
        self.table = table
        self.metadata = staging.metadata[table.key]
        self.metadata.check_results = [CheckResult(CONTRACT, "blocking", CONTRACT_DESCRIPTION, len(errors), errors)]
        what = "; ".join(error["error"] for error in errors)
        super().__init__(f"{table.key} breaks the rule {CONTRACT}: {what}. Nothing was published.")


def run_step(step: LayerStep, step_run: StepRun, publish_groups: Sequence[Sequence[Table]]) -> Staging:
    """Make a new version of the tables of a step; or reopen the current one, if nothing changed since it was made.

    Args:
        step: the step.
        step_run: the run.
        publish_groups: the groups of the tables that the step reads. Interrupted publications of them are completed.

    Returns:
        The version, checked and not published yet.

    Raises:
        LakeError: if a table that the step reads does not exist yet.
        ContractError: if the columns of a frame differ from the table's declaration.
        VersionConflictError: if another run published tables of this step meanwhile.
    """
    lake, inputs = step_run.lake, dict[str, str]()
    for group in publish_groups:
        lake.recover(group)
        # One version for all tables of a group, whoever publishes meanwhile.
        read = [table for table in group if table in step.reads]
        version = lake.current(group[-1]) or lake.published(read[0])
        inputs |= {table.key: version for table in read}
    lake.recover(step.tables)
    found = (
        changes(lake, step.tables, step.reads, inputs, step.code_version, step_run.is_rebuild) if step.reads else None
    )
    if not found and not step.has_uploads:
        step_run.log.info(f"{step.name}: nothing new, version {lake.current(step.tables[-1])} stays")
        return lake.reopen(step.tables)
    return step.make(step_run, inputs, found or NO_CHANGES)


def stage(
    step_run: StepRun,
    step: LayerStep,
    inputs: Inputs,
    changes: Changes,
    write_all: Callable[[Staging], Collection[str] | None],
) -> Staging:
    """Stage a version, write it, check it and commit it.

    Args:
        step_run: the run.
        step: the step.
        inputs: the versions of the tables that the step reads.
        changes: why the version is made, and on which one it builds.
        write_all: writes every table to the staged version; returns the months that it made anew, None meaning all.

    Raises:
        ContractError: if the columns of a frame differ from the table's declaration.
        VersionConflictError: if another run published tables of this step meanwhile.
        LackOfRoomError: if the disk or the memory is not enough.
    """
    staging = step_run.lake.stage(step.tables, inputs, step_run.run_id, step.code_version, changes.because)
    step_run.log.info(f"{step.name}: writing version {staging.version} ({changes.because})")
    with _cleaned_up(staging):
        if changes.base and staging.parent != changes.base.version:
            raise VersionConflictError(f"another run published {step.tables[-1].key} meanwhile.")
        with _progress(step_run.log, staging):
            months = write_all(staging)
            if months is not None:
                step_run.log.info(f"{step.name}: months made anew: {', '.join(sorted(months)) or 'none'}")
            check_version(staging, step.reads, months)
        staging.commit()
    return staging


@contextmanager
def _cleaned_up(staging: Staging) -> Iterator[None]:
    """Leave no file that is not needed, and say in one sentence that the disk or the memory was not enough."""
    written = 0
    try:
        try:
            yield
        except Exception:
            written = staging.written_bytes()
            raise
        finally:
            staging.clean_up()
    except Exception as error:
        if lack := lack_of_room(error, staging.store.disk, memory_bytes(), written):
            raise LackOfRoomError(lack) from error
        raise


@contextmanager
def _progress(log: Logger, staging: Staging) -> Iterator[None]:
    """Log once a minute which tables are written; a large version takes many minutes."""
    ended = Event()

    def log_progress() -> None:
        minutes = 0
        while not ended.wait(_MINUTE):
            minutes += 1
            written = [
                f"{metadata.table} ({metadata.rows:,} rows)" for metadata in staging.metadata.values() if metadata.rows
            ]
            log.info(f"version {staging.version}, minute {minutes}: written so far {', '.join(written) or 'nothing'}")

    thread = Thread(target=log_progress, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def write(staging: Staging, table: Table, frame: DataFrame | None, replaced: Collection[str] | None = None) -> None:
    """Write the rows of one table (see `Staging.write`), if the frame has the columns of the table's declaration.

    Raises:
        ContractError: names each column that is wrong.
    """
    if frame is not None:
        if errors := contract_errors(table, frame):
            raise ContractError(table, staging, errors)
        frame = with_codes(table, frame)
    staging.write(table, frame, replaced)
