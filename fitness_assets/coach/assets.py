"""The coach step: it reads new goals, and makes plans for all people with a valid goal."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fitness_assets.bronze.erasures import LeftOut
from fitness_assets.bronze.identity import Upload, identify
from fitness_assets.bronze.pseudonyms import AS_UPLOADED, WITHHELD, Pseudonyms
from fitness_assets.bronze.sources import Folder, Found, Source, source_of
from fitness_assets.coach.goals import Entry, read_goals
from fitness_assets.coach.tables import (
    FOUND,
    GOALS,
    PLANNED,
    PLANS,
    PROGRESS,
    READS,
    REFUSED,
    SLEEP,
    STRESS,
    TABLES,
    UNREADABLE,
)
from fitness_assets.engine.changes import Changes, Inputs, code_version
from fitness_assets.engine.duckdb_reader import Opened, open_table, reader
from fitness_assets.engine.layer_step import LayerStep, StepRun, stage
from fitness_assets.engine.rule_checks import check_run_inputs
from fitness_assets.gold.tables import DIM_USER, FACT_DAILY
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import VersionConflictError
from fitness_assets.predictions.tables import FACT_PREDICTIONS
from fitness_assets.quality.tables import AUDIT, LOOKS_GENERATED, NOT_ENOUGH_DATA

if TYPE_CHECKING:
    from fitness_assets.coach.transforms import Planned

Row = dict[str, Any]

_START = datetime(1970, 1, 1, tzinfo=UTC)


def coach_step(goals: str, pseudonyms: Pseudonyms = AS_UPLOADED) -> LayerStep:
    """The step that makes this layer.

    Args:
        goals: a folder or an S3 prefix; where goals are looked for.
        pseudonyms: what stands for ids in tables; a goal may name a person either way.
    """

    def make(step_run: StepRun, inputs: Inputs, changes: Changes) -> Staging:
        lake, version = step_run.lake, step_run.lake.current(GOALS)
        ledger = lake.rows(GOALS, version)
        uploads, unread = find_goals(goals, ledger)
        known = {row["upload_id"] for row in ledger}
        new = [upload for upload in uploads if upload.upload_id not in known]
        if not changes.because and not new and not unread:
            staging = lake.reopen(TABLES)
            staging.run_inputs = {FOUND: _found(uploads)}
            check_run_inputs(staging)
            return staging

        def write_all(staging: Staging) -> None:
            if staging.parent != version:
                raise VersionConflictError(f"another run published {GOALS.key} meanwhile.")
            last = max((row["ingested_at"] for row in ledger), default=_START)
            erased = LeftOut.of(lake, pseudonyms).people
            read = _read(new, last, staging.scratch, unread, hides_names=bool(pseudonyms.check))
            rows = [named(row, pseudonyms) for row in (*ledger, *read)]
            rows = [row for row in rows if not erased.have(row["user_id"])]
            for uri, reason in unread.items():
                step_run.log.warning(f"{uri} cannot be read and is left out, a later run tries again: {reason}")
            staging.run_inputs = {FOUND: _found(uploads)}
            _write(step_run, staging, rows)

        return stage(step_run, step, inputs, Changes(changes.because or "new goals"), write_all)

    step = LayerStep(TABLES, READS, make, code_version("coach", "schema"), has_uploads=True)
    return step


def named(row: Row, pseudonyms: Pseudonyms) -> Row:
    """A row of the ledger with the id under which tables know the person; notes may name somebody."""
    notes = row["notes"] and (WITHHELD if pseudonyms.check else row["notes"])
    return row | {"user_id": row["user_id"] and pseudonyms.of(row["user_id"]), "notes": notes}


def find_goals(goals: str, ledger: Sequence[Row]) -> tuple[list[Upload], dict[str, str]]:
    """The goal files that are there, in the order in which they count, and those that cannot be read, with reasons."""
    # The status is that of a goal: a refused goal is not a file that a newer reader may be able to read.
    unread, once = dict[str, str](), {row["upload_id"]: {**row, "status": None} for row in ledger}
    return identify(_sources(goals), [*once.values()], unread=unread), unread


def goal_files(goals: str) -> list[Found]:
    """The goal files that are there, by name."""
    return [found for source in _sources(goals) for found in source.find()]


def _sources(goals: str) -> list[Source]:
    """The folder or prefix of goals; none if nobody made the folder yet."""
    source = source_of(goals)
    return [] if isinstance(source, Folder) and not source.path.exists() else [source]


def _found(uploads: Sequence[Upload]) -> pa.Table:
    return pa.table({"upload_id": pa.array([upload.upload_id for upload in uploads], pa.string())})


def _read(
    uploads: Sequence[Upload], last: datetime, scratch: Path, unread: dict[str, str], hides_names: bool
) -> list[Row]:
    """The ledger rows of new goal files; what cannot be read now is added to ``unread``."""
    rows, first = list[Row](), max(datetime.now(UTC), last + timedelta(microseconds=1))
    for position, upload in enumerate(uploads):
        try:
            with upload.source.local_copy(upload.found, scratch) as path:
                entries = read_goals(path, upload.found.text, hides_names)
        except OSError as error:
            unread[upload.found.text] = str(error)
            continue
        if not upload.is_unchanged():
            unread[upload.found.text] = "it changed while it was read"
            continue
        # No two files share a moment, so it is always known which goal was read last.
        rows += [_ledger_row(upload, entry, first + timedelta(microseconds=position)) for entry in entries]
    return rows


def _ledger_row(upload: Upload, entry: Entry, ingested_at: datetime) -> Row:
    empty = dict.fromkeys(GOALS.arrow_schema.names)
    stated = entry.goal.model_dump() if entry.goal else {"user_id": entry.user_id}
    refused = {"status": REFUSED, "refusal": UNREADABLE, "reason": entry.refusal}
    return (
        empty
        | stated
        | {
            "goal_id": f"{upload.upload_id}-{entry.position}",
            "upload_id": upload.upload_id,
            "content_sha256": upload.content_sha256,
            "uri": upload.found.text,
            "fingerprint": upload.found.fingerprint,
            "ingested_at": ingested_at,
            "position": entry.position,
            **({"status": PLANNED} if entry.goal else refused),
        }
    )


def _write(step_run: StepRun, staging: Staging, ledger: Sequence[Row]) -> None:
    if not ledger:
        for table in TABLES:
            staging.write_rows(table, [])
        return
    # These imports take a while, which runs without goals do not need.
    from fitness_assets.coach.days import has_skill, metrics_with, probabilities
    from fitness_assets.coach.rows import Trust, plan_rows, progress_rows
    from fitness_assets.coach.transforms import plan, settle

    inputs, store = staging.metadata[PLANS.key].inputs, staging.store
    gold, predictions = inputs[FACT_DAILY.key], inputs[SLEEP.key]
    versions = [(FACT_DAILY, gold), (DIM_USER, gold), (SLEEP, predictions), (STRESS, predictions)]
    with reader(store, [Opened(*each) for each in (*versions, (AUDIT, inputs[AUDIT.key]))]) as tables:

        def says(target: str, planned: "Planned") -> Any:
            open_table(tables, store, Opened(FACT_PREDICTIONS, predictions))
            last = [planned.day(i, column) for i, column in enumerate(planned.history.last)]
            return probabilities(
                tables, target, [(row["user_id"], day) for row, day in zip(planned.goals, last, strict=True)]
            )

        generated, sparse = metrics_with(tables, LOOKS_GENERATED), metrics_with(tables, NOT_ENOUGH_DATA)
        skilled = {target for target in ("sleep_quality", "stress_change") if has_skill(tables, target)}
        goals = settle(ledger)
        planned = plan(tables, goals, generated)
        plans = plan_rows(planned, Trust(generated, sparse, skilled, says)) if planned else []
        progress = progress_rows(planned) if planned else []
    staging.write_rows(GOALS, goals)
    staging.write_rows(PROGRESS, progress)
    staging.write_rows(PLANS, plans)
    step_run.log.info(f"goals: {len(goals)}, plans: {len(planned.kept) if planned else 0}")
