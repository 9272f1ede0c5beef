"""What a step is, and what every step does, wherever it runs: in Dagster's process, or on somebody else's Spark.

A step makes the tables of one layer as one version: it stages them, writes them, has them audited, and leaves
publishing to whoever asked. Here belongs no Dagster (``io_managers.py`` makes assets of a step) and nothing of any one
layer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import Logger
from threading import Event, Thread
from typing import Any

from pyspark.sql import DataFrame

from fitness_assets.engine.rule_checks import check_version, contract_errors
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import CheckResult
from fitness_assets.registry import publish_group_of, table_of
from fitness_assets.schema.table import CONTRACT, Table

_MINUTE = 60.0  # seconds

Frames = Mapping[str, DataFrame]
"""Tables that a step reads, by key (``layer/table``)."""


@dataclass(frozen=True)
class StepRun:
    """One run of one step.

    Attributes:
        lake: where the tables live.
        run_id: of the Dagster run; kept in the audit.
        log: for people.
        uploads: places to look for uploads, instead of those of the settings; only bronze asks.
    """

    lake: Lake
    run_id: str
    log: Logger
    uploads: Sequence[str] = ()


@dataclass(frozen=True)
class LayerStep:
    """What makes some tables that are published together.

    Attributes:
        tables: what is made; the last one is published first.
        reads: what it is made from; none for bronze, which reads uploads.
        make: from the frames of ``reads``, by key, to a version that is written and audited, but not published.
        made_from: tables by the key of what is made from them, where that is not all of ``reads``.
        loads: modules that are imported only here, because they take a second or more.
    """

    tables: Sequence[Table]
    reads: Sequence[Table]
    make: Callable[[StepRun, Frames], Staging]
    made_from: Mapping[str, Sequence[Table]] = field(default_factory=dict)
    loads: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The layer that it makes."""
        return self.tables[0].layer


class ContractError(Exception):
    """A frame has not the columns of its table; it is not even staged."""

    def __init__(self, table: Table, staging: Staging, errors: list[dict[str, Any]]) -> None:
        self.table = table
        self.metadata = staging.metadata[table.key]
        self.result = CheckResult(CONTRACT, "blocking", "Columns are not those of the dictionary.", len(errors), errors)
        what = "; ".join(error["error"] for error in errors)
        super().__init__(f"{table.key} breaks the rule {CONTRACT}: {what}. Nothing was published.")


def read(lake: Lake, key: str) -> DataFrame:
    """The current version of a table, once a publisher that was killed half-way has been followed up.

    Raises:
        LakeError: if there is no such table yet.
    """
    lake.recover(publish_group_of(key))
    return lake.read(table_of(key))


def stage(step_run: StepRun, tables: Sequence[Table], sources: Frames, write_all: Callable[[Staging], None]) -> Staging:
    """Stage a version, write it, check it and commit it.

    Args:
        step_run: the run.
        tables: what is written.
        sources: what it is made from, as it was read from the lake.
        write_all: writes every table to the staging.

    Raises:
        ContractError: if a frame has not the columns of its table.
    """
    step_run.lake.recover(tables)
    staging = step_run.lake.stage(tables, step_run.lake.versions_of([*sources.values()]), step_run.run_id)
    step_run.log.info(f"{', '.join(table.key for table in tables)}: writing version {staging.version}")
    try:
        with _progress(step_run.log, staging):
            write_all(staging)
            check_version(staging)
        staging.commit()
    finally:
        staging.clean_up()
    return staging


@contextmanager
def _progress(log: Logger, staging: Staging) -> Iterator[None]:
    """Say every minute how far a version is; a large one takes many."""
    ended = Event()

    def say() -> None:
        minutes = 0
        while not ended.wait(_MINUTE):
            minutes += 1
            written = [
                f"{metadata.table} ({metadata.rows:,} rows)" for metadata in staging.metadata.values() if metadata.rows
            ]
            log.info(f"version {staging.version}, minute {minutes}: written so far {', '.join(written) or 'nothing'}")

    speaker = Thread(target=say, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        ended.set()
        speaker.join()


def write(staging: Staging, table: Table, frame: DataFrame | None, append: bool = False) -> None:
    """Write the rows of one table (see `Staging.write`), if the frame has the columns of the dictionary.

    Raises:
        ContractError: naming each column that is wrong.
    """
    if frame is not None and (errors := contract_errors(table, frame)):
        raise ContractError(table, staging, errors)
    staging.write(table, frame, append)
