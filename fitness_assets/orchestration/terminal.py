"""What a run says on a terminal: a few lines while it works, and a summary at its end.

`dagster.yaml` names the log handler ``Terminal``, so every run of this project has it, whoever starts the run. What the
summary says is in ``messages.py``.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NoReturn

import click
import dagster as dg

from fitness_assets.engine.session import store_of
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError
from fitness_assets.orchestration import messages
from fitness_assets.settings import SettingsError, load_settings

_ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)
_INTERRUPTIONS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")
_STEP_CHARACTERS = 12


class Terminal(logging.Handler):
    """Prints what layer steps log, when each one ends and which rows it published, and a summary of the run.

    Dagster makes one handler for each run. Dagster's console logger gets each record after this handler, so the handler
    lowers the level of the record, and nothing is printed twice. The event log gets each record before and keeps it.

    Args:
        say: prints a line.
    """

    def __init__(self, say: Callable[[str], None] = click.echo) -> None:
        super().__init__()
        self._say = say
        self._started_at = datetime.now(UTC)
        self._rows: dict[str, list[str]] = {}  # what each step published

    def emit(self, record: logging.LogRecord) -> None:
        """Print the lines that follow from a record, if any."""
        for line in self._lines(record):
            self._say(line)
        record.levelno = logging.DEBUG

    def _lines(self, record: logging.LogRecord) -> Iterator[str]:
        event, meta = event_of(record), record.dagster_meta  # pyright: ignore[reportAttributeAccessIssue]
        step = meta["step_key"] or ""
        start = f"{datetime.fromtimestamp(record.created):%H:%M:%S}  {step:<{_STEP_CHARACTERS}}"
        if event is None:
            level = "" if record.levelno <= logging.INFO else f"{record.levelname.capitalize()}: "
            if record.levelno >= logging.INFO:
                yield f"{start}{level}{meta['orig_message']}"
        elif event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._rows.setdefault(step, []).append(_rows_of(event.materialization))
        elif event.event_type == dg.DagsterEventType.STEP_SUCCESS:
            seconds = event.step_success_data.duration_ms / 1_000
            yield f"{start}done in {seconds:.1f} s: {', '.join(self._rows.get(step, []))}"
        elif event.event_type in _ENDS:
            yield from _summary(event, meta["run_id"], self._started_at)


def event_of(record: logging.LogRecord) -> dg.DagsterEvent | None:
    """The Dagster event of a log record; None for what code logged."""
    return getattr(record, "dagster_event", None)


def reason_of(event: dg.DagsterEvent) -> str:
    """The first line of why a step failed: its own failure, or the error behind it."""
    failure = event.step_failure_data
    own, error = failure.user_failure_data, failure.error and (failure.error.cause or failure.error)
    said = own.description if own else error and error.message
    return (said or "").strip().split("\n")[0]


def _rows_of(materialization: dg.AssetMaterialization) -> str:
    return f"{materialization.asset_key.path[-1]} {materialization.metadata['dagster/row_count'].value:,}"


def _summary(event: dg.DagsterEvent, run_id: str, started_at: datetime) -> Iterator[str]:
    yield ""
    failed_step, error = _failure(event)
    is_interrupted = event.event_type == dg.DagsterEventType.RUN_CANCELED or error in _INTERRUPTIONS
    if event.event_type == dg.DagsterEventType.RUN_FAILURE and not is_interrupted:
        steps = [(failed_step.step_key or "", reason_of(failed_step))] if failed_step else []
        message = messages.failure(run_id, steps)
        yield from (message.subject, message.text)
        return
    try:
        settings = load_settings()
    except SettingsError as wrong:
        yield str(wrong)
        return
    lake = Lake(store_of(settings), _no_spark)
    output = messages.output_of(lake, run_id, started_at)
    if is_interrupted:
        yield messages.interrupted(lake, output)
        return
    message = messages.success(output)
    yield from (message.subject, message.text, *messages.outlook(lake))


def _failure(event: dg.DagsterEvent) -> tuple[dg.DagsterEvent | None, str | None]:
    """The first step that failed, and the name of the error that ended the run."""
    if event.event_type != dg.DagsterEventType.RUN_FAILURE:
        return None, None
    failure = event.job_failure_data
    step = failure.first_step_failure_event
    error = (step.step_failure_data.error if step else None) or failure.error
    return step, error.cls_name if error else None


def _no_spark() -> NoReturn:
    raise LakeError("a summary reads no table with Spark")
