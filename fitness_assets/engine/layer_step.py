"""What a layer step is, and what every layer step does, in Dagster's process or in a job on another Spark.

A layer step makes the tables of one layer as one version: it stages, writes and checks them. The caller publishes the
version. This module does not use Dagster (``orchestration/`` makes assets from steps) and knows no single layer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import Logger
from threading import Event, Thread
from typing import Any

from pyspark.sql import DataFrame

from fitness_assets.engine.expressions import with_codes
from fitness_assets.engine.rule_checks import check_version, contract_errors
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import CheckResult, VersionConflictError
from fitness_assets.schema.table import CONTRACT, CONTRACT_DESCRIPTION, Table

_MINUTE = 60.0  # seconds

Frames = Mapping[str, DataFrame]
"""The tables that a step reads, by key (``layer/table``)."""


@dataclass(frozen=True)
class StepRun:
    """One run of one step.

    Attributes:
        lake: the lake that holds the tables.
        run_id: id of the Dagster run; stored in the version metadata.
        log: the log of the run.
        uploads: files, folders or S3 prefixes to read instead of the source in the settings; only bronze uses them.
        reads: the tables that the step reads; rules may ask about them, too.
    """

    lake: Lake
    run_id: str
    log: Logger
    uploads: Sequence[str] = ()
    reads: Sequence[Table] = ()


@dataclass(frozen=True)
class LayerStep:
    """Makes one publish group: tables that share a version and are published together.

    Attributes:
        tables: the tables that the step writes; the last one is published first.
        reads: the tables that the step reads; none for bronze, which reads uploads.
        make: turns the frames of ``reads`` into a version that is written and checked, but not published.
        made_from: for a table that is made from other tables than ``reads``: those tables, by its key.
    """

    tables: Sequence[Table]
    reads: Sequence[Table]
    make: Callable[[StepRun, Frames], Staging]
    made_from: Mapping[str, Sequence[Table]] = field(default_factory=dict)

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


def read(lake: Lake, table: Table, publish_group: Sequence[Table]) -> DataFrame:
    """Read the current version of a table, after completing a publication that was interrupted.

    Args:
        lake: the lake that holds the table.
        table: the table to read.
        publish_group: the tables that are published together with it, itself included.

    Raises:
        LakeError: if the table does not exist yet.
    """
    lake.recover(publish_group)
    return lake.read(table)


def stage(step_run: StepRun, tables: Sequence[Table], sources: Frames, write_all: Callable[[Staging], None]) -> Staging:
    """Stage a version, write it, check it and commit it.

    Args:
        step_run: the run.
        tables: the tables to write.
        sources: the frames that the version is made from, as the lake returned them.
        write_all: writes every table to the staged version.

    Raises:
        ContractError: if the columns of a frame differ from the table's declaration.
        VersionConflictError: if another run published tables of one group while they were read.
    """
    step_run.lake.recover(tables)
    inputs = step_run.lake.versions_of([*sources.values()])
    _require_one_version_of_each_group(inputs)
    staging = step_run.lake.stage(tables, inputs, step_run.run_id)
    step_run.log.info(f"{', '.join(table.key for table in tables)}: writing version {staging.version}")
    try:
        with _progress(step_run.log, staging):
            write_all(staging)
            check_version(staging, step_run.reads)
        staging.commit()
    finally:
        staging.clean_up()
    return staging


def _require_one_version_of_each_group(inputs: Mapping[str, str]) -> None:
    """Refuse inputs that were read before and after another run published their group; the tables of a layer are one.

    Raises:
        VersionConflictError: naming them; the step is tried again.
    """
    versions: dict[str, set[str]] = {}
    for key, version in inputs.items():
        versions.setdefault(key.partition("/")[0], set()).add(version)
    if mixed := [f"{layer} ({', '.join(sorted(found))})" for layer, found in versions.items() if len(found) > 1]:
        raise VersionConflictError(f"Another run published while inputs were read, versions: {', '.join(mixed)}.")


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


def write(staging: Staging, table: Table, frame: DataFrame | None, append: bool = False) -> None:
    """Write the rows of one table (see `Staging.write`), if the frame has the columns of the table's declaration.

    Raises:
        ContractError: names each column that is wrong.
    """
    if frame is not None:
        if errors := contract_errors(table, frame):
            raise ContractError(table, staging, errors)
        frame = with_codes(table, frame)
    staging.write(table, frame, append)
