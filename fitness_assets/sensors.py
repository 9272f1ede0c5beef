"""The Dagster side of what happens by itself: a run when uploads arrive, a message when a run ends.

What is decided stands in ``arrivals.py``, what is said in ``messages.py``.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from fitness_assets import messages
from fitness_assets.arrivals import Outcome, State, decide
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.bronze.uploads import find_uploads, stamp
from fitness_assets.lake import Lake

JOB = dg.define_asset_job("all_tables", dg.AssetSelection.all(), description="Every table, from raw/ to predictions.")

_RUN_KEY = "dagster/run_key"  # the tag under which Dagster keeps a request's key
_SECONDS = 30
_ENDED: dict[dg.DagsterRunStatus, Outcome] = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "failed",
}


def uploads_sensor(raw: Path) -> dg.SensorDefinition:
    """Ask for a run when files arrive in ``raw`` or change there.

    Args:
        raw: a file or a folder.
    """

    @dg.sensor(
        name="new_uploads",
        job=JOB,
        minimum_interval_seconds=_SECONDS,
        description=f"Asks for one run for all files in {raw} that the ledger does not know.",
    )
    def sensor(context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]) -> dg.SensorResult:
        state = State.from_json(context.cursor)
        try:
            listing = {str(path): _stamp(*stamp(path)) for path in find_uploads(raw)}
        except OSError as error:  # not there, or gone between listing and looking
            return dg.SensorResult(skip_reason=str(error))
        known = {row["uri"]: _stamp(row["size_bytes"], row["modified_at"]) for row in lake.rows(UPLOADS)}
        outcome = _outcome(context.instance, state.run_key) if state.asked else None
        decision = decide(state, listing, known, outcome, time.time())
        cursor = decision.state.to_json()
        if not decision.uris:
            return dg.SensorResult(skip_reason=decision.reason, cursor=cursor)
        context.log.info(decision.reason)
        config = {"ops": {"bronze": {"config": {"uploads": list(decision.uris)}}}}
        return dg.SensorResult(run_requests=[dg.RunRequest(decision.state.run_key, config)], cursor=cursor)

    return sensor


def message_sensors(topic: str | None, client: Callable[[], Any]) -> Iterator[dg.SensorDefinition]:
    """Tell people how a run ended.

    Args:
        topic: ARN of an SNS topic; None: messages are logged.
        client: makes a boto3 client for SNS.
    """

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name="success_message",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Says what a run took in and published, to the SNS topic if one is set, else to the log.",
    )
    def success_message(context: dg.RunStatusSensorContext, lake: dg.ResourceParam[Lake]) -> None:
        run_id = context.dagster_run.run_id
        record = context.instance.get_run_record_by_id(run_id)
        began = datetime.fromtimestamp(record.start_time if record and record.start_time else 0, UTC)
        messages.send(messages.success(lake, run_id, began), topic, client, context.log)

    @dg.run_failure_sensor(
        name="failure_message",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Says which step of a run failed and why, to the SNS topic if one is set, else to the log.",
    )
    def failure_message(context: dg.RunFailureSensorContext) -> None:
        events = context.get_step_failure_events()
        steps = [
            (event.step_key or "", event.step_failure_data.error_display_string.split("\n")[0]) for event in events
        ]
        messages.send(messages.failure(context.dagster_run.run_id, steps), topic, client, context.log)

    yield from (success_message, failure_message)


def _outcome(instance: dg.DagsterInstance, run_key: str) -> Outcome | None:
    """How the run that was asked for with a key went so far; None if there is none."""
    runs = instance.get_runs(dg.RunsFilter(tags={_RUN_KEY: run_key}), limit=1)
    return _ENDED.get(runs[0].status, "running") if runs else None


def _stamp(size_bytes: int, modified_at: datetime) -> str:
    return f"{size_bytes} {modified_at.isoformat()}"
