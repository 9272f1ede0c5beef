"""The sensors: one requests a run when uploads arrive, the other sends a message and metrics when a run ends.

This module has the Dagster side. ``arrivals.py`` and ``pending.py`` decide when a run is requested; ``messages.py`` and
``metrics.py`` make what is sent.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import Logger
from typing import Any

import dagster as dg

from fitness_assets.bronze.pseudonyms import AS_UPLOADED, Pseudonyms
from fitness_assets.bronze.sources import source_of
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.coach.assets import goal_files
from fitness_assets.coach.tables import TABLES as COACH
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError
from fitness_assets.orchestration import messages, metrics
from fitness_assets.orchestration.arrivals import Outcome, State, decide
from fitness_assets.orchestration.observed import uploads_seen, versions_moved
from fitness_assets.orchestration.pending import Hashes, UnfinishedError, pending_of, with_goals
from fitness_assets.orchestration.terminal import reason_of
from fitness_assets.registry import PUBLISH_GROUPS

ALL_TABLES_JOB = dg.define_asset_job(
    "all_tables", dg.AssetSelection.all(), description="Every table, from raw/ to the audit."
)
DAILY = dg.ScheduleDefinition(
    name="daily",
    job=ALL_TABLES_JOB,
    cron_schedule="0 6 * * *",
    description="Builds every table at 6:00 UTC, for a lake whose sensor `new_uploads` is off. Off until switched on.",
)

_COACH = [dg.AssetKey(table.key.split("/")) for table in COACH]
_RUN_KEY = "dagster/run_key"  # tags that Dagster gives a run: key of the request, and code location
_LOCATION = ".dagster/repository"
_SECONDS = 30
_SECONDS_TO_TELL = 10
_GIVE_UP_SECONDS = 86_400
"""After a day a message that could not be sent is only in the log, so that later ones are sent."""
_ENDS_AT_ONCE = 100
_ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE)
_CHANNELS = ("message", "metrics")
_ENDED: dict[dg.DagsterRunStatus, Outcome] = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
}


@dataclass(frozen=True)
class Listeners:
    """Where messages and metrics go.

    Attributes:
        topic: ARN of an SNS topic; None: messages are only logged.
        bucket: the dimension of metrics in CloudWatch; None: no metrics.
        client: makes a boto3 client for a service.
    """

    topic: str | None
    bucket: str | None
    client: Callable[[str], Any]

    def say(self, message: messages.Message, log: Logger) -> bool:
        """Send a message; returns whether that was done."""
        return messages.send(message, self.topic, lambda: self.client("sns"), log)

    def measure(self, values: Iterable[metrics.Metric], log: Logger) -> bool:
        """Send metrics, if there is a bucket; returns whether that was done."""
        return not self.bucket or metrics.put([*values], self.bucket, lambda: self.client("cloudwatch"), log)


def uploads_sensor(
    raw: str, goals: str, listeners: Listeners, pseudonyms: Pseudonyms = AS_UPLOADED
) -> dg.SensorDefinition:
    """Ask for a run when uploads or goals arrive or change.

    Args:
        raw: a file, a folder or an S3 prefix.
        goals: a folder or an S3 prefix.
        listeners: get a heartbeat with every look.
        pseudonyms: with a key, no run is requested for uploads in folders that a user id names.
    """
    hashes: Hashes = {}  # of files that were touched, moved or copied; a new process hashes them again

    @dg.sensor(
        name="new_uploads",
        job=ALL_TABLES_JOB,
        minimum_interval_seconds=_SECONDS,
        # On a laptop the first look at the UI would start a run; a bucket is set up for unattended runs.
        default_status=dg.DefaultSensorStatus.RUNNING if listeners.bucket else dg.DefaultSensorStatus.STOPPED,
        description=f"Requests one run for all files in {raw} whose content the ledger does not know.",
    )
    def sensor(context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]) -> dg.SensorResult:
        state = State.from_json(context.cursor)
        try:
            recovered = [tables[0].layer for tables in PUBLISH_GROUPS if lake.recover(tables)]
            source = source_of(raw)
            there, named_by_id = pseudonyms.readable(source.find())
            events = [*versions_moved(context.instance, lake)]
            listing = {found.uri: found.fingerprint for found in (*there, *goal_files(goals))}
            decision = decide(
                state,
                listing,
                lake.store.location(UPLOADS),
                lake.store.pointer(UPLOADS.key),
                lambda: with_goals(pending_of(lake, source, there, hashes), lake, goals),
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
            left_out = f" Left out: {len(named_by_id)} uploads in folders that a user id names." if named_by_id else ""
            return dg.SensorResult(skip_reason=f"{decision.reason}{left_out}", cursor=cursor, asset_events=events)
        context.log.info(decision.reason)
        if decision.is_coach_alone:
            request = dg.RunRequest(decision.state.run_key, asset_selection=_COACH)
            return dg.SensorResult(run_requests=[request], cursor=cursor, asset_events=events)
        uploads = [found.uri for found in there if found.uri in decision.uris]  # without goals
        config = {"ops": {"bronze": {"config": {"uploads": uploads}}}}
        requests, seen = [dg.RunRequest(decision.state.run_key, config)], uploads_seen(there, uploads)
        return dg.SensorResult(run_requests=requests, cursor=cursor, asset_events=[*events, seen])

    return sensor


def messages_sensor(listeners: Listeners) -> dg.SensorDefinition:
    """Send a message and metrics for every run that ended.

    Dagster's own run status sensors advance their cursor also where sending fails. This one sends again with the next
    tick, message and metrics each by itself, so that neither is lost nor sent twice.
    """

    @dg.sensor(
        name="run_messages",
        minimum_interval_seconds=_SECONDS_TO_TELL,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Says how a run ended, to the SNS topic if one is set, else to the log; sends metrics of it.",
    )
    def run_messages(context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]) -> dg.SensorResult:
        told = _told(context.cursor) or dict.fromkeys(_CHANNELS, _last_end(context.instance))
        ends = _ends_after(context.instance, min(told.values()))
        runs: dict[str, _EndedRun] = {}
        for channel in _CHANNELS:
            for end in ends:
                if end.storage_id <= told[channel]:
                    continue
                run = runs.get(end.run_id) or _ended_run(context, lake, end.run_id)
                if run:
                    runs[end.run_id] = run
                    is_done = (
                        listeners.say(run.message, context.log)
                        if channel == "message"
                        else listeners.measure(run.metrics, context.log)
                    )
                    if not is_done and end.timestamp > time.time() - _GIVE_UP_SECONDS:
                        break
                told[channel] = end.storage_id
        waiting = sum(end.storage_id > min(told.values()) for end in ends)
        reason = f"Runs told of: {len(ends) - waiting}." + (f" To be sent again: {waiting}." if waiting else "")
        return dg.SensorResult(skip_reason=reason, cursor=json.dumps(told))

    return run_messages


@dataclass(frozen=True)
class _EndedRun:
    """What is sent for a run."""

    message: messages.Message
    metrics: list[metrics.Metric]


def _told(cursor: str | None) -> dict[str, int] | None:
    """For each channel the storage id of the last end of a run that was sent; None where the cursor does not say."""
    try:
        told = json.loads(cursor or "")
        return {channel: int(told[channel]) for channel in _CHANNELS}
    except (ValueError, KeyError, TypeError):
        return None


def _ends_after(instance: dg.DagsterInstance, storage_id: int) -> list[dg.EventLogRecord]:
    """The first ends of runs after one, in the order in which they were stored."""
    filters = (dg.RunStatusChangeRecordsFilter(kind, after_storage_id=storage_id) for kind in _ENDS)
    pages = (instance.fetch_run_status_changes(filter_, _ENDS_AT_ONCE, ascending=True) for filter_ in filters)
    ends = sorted((end for page in pages for end in page.records), key=lambda end: end.storage_id)
    return ends[:_ENDS_AT_ONCE]


def _last_end(instance: dg.DagsterInstance) -> int:
    """The storage id of the last end of a run: a new sensor says nothing of earlier runs."""
    pages = (instance.fetch_run_status_changes(kind, limit=1) for kind in _ENDS)
    return max((end.storage_id for page in pages for end in page.records), default=0)


def _ended_run(context: dg.SensorEvaluationContext, lake: Lake, run_id: str) -> _EndedRun | None:
    """What is sent for a run; None for one that was deleted, or that another code location or a person started."""
    origin = context.code_location_origin
    ours = {_LOCATION: f"{context.repository_name}@{origin.location_name}"} if origin else {}
    records = context.instance.get_run_records(dg.RunsFilter(run_ids=[run_id], tags=ours), limit=1)
    if not records:
        return None
    record = records[0]
    is_failed = record.dagster_run.status == dg.DagsterRunStatus.FAILURE
    began, ended = record.start_time or 0, record.end_time or 0
    output = messages.output_of(lake, run_id, datetime.fromtimestamp(began, UTC))
    message = messages.failure(run_id, _failures(context.instance, run_id)) if is_failed else messages.success(output)
    return _EndedRun(message, [*metrics.of_run(output, max(ended - began, 0), is_failed)])


def _failures(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, str]]:
    """Each step of a run that failed, with the reason."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return [(log.step_key or "", reason_of(log.get_dagster_event())) for log in logs]


def _outcome(instance: dg.DagsterInstance, run_key: str) -> Outcome | None:
    """How the run that was requested with a key ended; None if there is no such run."""
    runs = instance.get_runs(dg.RunsFilter(tags={_RUN_KEY: run_key}), limit=1)
    if not runs:
        return None
    return _ENDED.get(runs[0].status, "running")
