"""The Dagster side of what happens by itself: a run when uploads arrive, a message when a run ends.

What is decided stands in ``arrivals.py``, what is said in ``messages.py`` and ``metrics.py``.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import Logger
from typing import Any

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData

from fitness_assets.bronze.sources import source_of
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError
from fitness_assets.orchestration import messages, metrics
from fitness_assets.orchestration.arrivals import Outcome, State, decide
from fitness_assets.orchestration.pending import Hashes, UnfinishedError, pending_of
from fitness_assets.registry import PUBLISH_GROUPS

JOB = dg.define_asset_job("all_tables", dg.AssetSelection.all(), description="Every table, from raw/ to the audit.")

_RUN_KEY = "dagster/run_key"  # the tag under which Dagster keeps a request's key
_SECONDS = 30
_SECONDS_TO_TELL = 10
_ENDED: dict[dg.DagsterRunStatus, Outcome] = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
}


@dataclass(frozen=True)
class Listeners:
    """Who is told of runs.

    Attributes:
        topic: ARN of an SNS topic; None: messages are only logged.
        bucket: whose metrics CloudWatch gets; None: it gets none.
        client: makes a boto3 client for a service.
    """

    topic: str | None
    bucket: str | None
    client: Callable[[str], Any]

    def say(self, message: messages.Message, log: Logger) -> None:
        """Send a message."""
        messages.send(message, self.topic, lambda: self.client("sns"), log)

    def measure(self, values: Iterable[metrics.Metric], log: Logger) -> None:
        """Send metrics."""
        if self.bucket:
            metrics.put([*values], self.bucket, lambda: self.client("cloudwatch"), log)


def uploads_sensor(raw: str, listeners: Listeners) -> dg.SensorDefinition:
    """Ask for a run when uploads arrive or change.

    Args:
        raw: a file, a folder or an S3 prefix.
        listeners: get a heartbeat with every look.
    """
    hashes: Hashes = {}  # of files that were touched, moved or copied; a new process hashes them again

    @dg.sensor(
        name="new_uploads",
        job=JOB,
        minimum_interval_seconds=_SECONDS,
        # On a laptop the first look at the UI would start a run; a bucket is set up for unattended runs.
        default_status=dg.DefaultSensorStatus.RUNNING if listeners.bucket else dg.DefaultSensorStatus.STOPPED,
        description=f"Requests one run for all files in {raw} whose content the ledger does not know.",
    )
    def sensor(context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]) -> dg.SensorResult:
        state = State.from_json(context.cursor)
        try:
            recovered = [tables[-1].layer for tables in PUBLISH_GROUPS if lake.recover(tables)]
            source = source_of(raw)
            there = source.find()
            decision = decide(
                state,
                {found.uri: found.fingerprint for found in there},
                lake.store.location(UPLOADS),
                lake.store.pointer(UPLOADS.key),
                lambda: pending_of(lake, source, there, hashes),
                _outcome(context.instance, state.run_key) if state.asked else None,
                time.time(),
            )
        except UnfinishedError as unfinished:
            listeners.measure([metrics.HEARTBEAT], context.log)
            return dg.SensorResult(skip_reason=str(unfinished))
        except (LakeError, OSError) as error:  # S3 does not answer, or a file went away between listing and reading
            return dg.SensorResult(skip_reason=str(error))
        listeners.measure([metrics.HEARTBEAT], context.log)
        if recovered:
            context.log.info(f"Finished the publication that a killed run began: {', '.join(recovered)}.")
        cursor = decision.state.to_json()
        if decision.uris is None:
            return dg.SensorResult(skip_reason=decision.reason, cursor=cursor)
        context.log.info(decision.reason)
        config = {"ops": {"bronze": {"config": {"uploads": list(decision.uris)}}}}
        return dg.SensorResult(run_requests=[dg.RunRequest(decision.state.run_key, config)], cursor=cursor)

    return sensor


def message_sensors(listeners: Listeners) -> Iterator[dg.SensorDefinition]:
    """Tell people how a run ended."""

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name="success_message",
        minimum_interval_seconds=_SECONDS_TO_TELL,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Says what a run took in and published, to the SNS topic if one is set, else to the log.",
    )
    def success_message(context: dg.RunStatusSensorContext, lake: dg.ResourceParam[Lake]) -> None:
        report, seconds = _ended(context, lake)
        listeners.say(messages.success(report), context.log)
        listeners.measure(metrics.of_run(report, seconds, failed=False), context.log)

    @dg.run_failure_sensor(
        name="failure_message",
        minimum_interval_seconds=_SECONDS_TO_TELL,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Says which step of a run failed and why, to the SNS topic if one is set, else to the log.",
    )
    def failure_message(context: dg.RunFailureSensorContext, lake: dg.ResourceParam[Lake]) -> None:
        events = context.get_step_failure_events()
        steps = [(event.step_key or "", _why(event.step_failure_data)) for event in events]
        listeners.say(messages.failure(context.dagster_run.run_id, steps), context.log)
        report, seconds = _ended(context, lake)
        listeners.measure(metrics.of_run(report, seconds, failed=True), context.log)

    yield from (success_message, failure_message)


def _why(failure: StepFailureData) -> str:
    """The first line of what a step said: of its own failure, or else of the error that Dagster wraps in one."""
    own, error = failure.user_failure_data, failure.error and (failure.error.cause or failure.error)
    said = own.description if own else error and error.message
    return (said or "").strip().split("\n")[0]


def _ended(context: dg.RunStatusSensorContext, lake: Lake) -> tuple[messages.Report, float]:
    """What a run left in the lake, and how many seconds it took."""
    run_id = context.dagster_run.run_id
    record = context.instance.get_run_record_by_id(run_id)
    began, ended = (record.start_time or 0, record.end_time or 0) if record else (0, 0)
    return messages.report_of(lake, run_id, datetime.fromtimestamp(began, UTC)), max(ended - began, 0)


def _outcome(instance: dg.DagsterInstance, run_key: str) -> Outcome | None:
    """How the run that was requested with a key ended; None if there is no such run."""
    runs = instance.get_runs(dg.RunsFilter(tags={_RUN_KEY: run_key}), limit=1)
    if not runs:
        return None
    return _ENDED.get(runs[0].status, "running")
