"""What a run says on a terminal: a few lines while it works, and a summary at its end.

``Summary`` is a log handler that `dagster.yaml` names, so every run has it. ``terminal_logger`` replaces Dagster's
console logger in `fitness run`. What the summary says is in ``messages.py``.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import click
import dagster as dg

from fitness_assets.engine.session import store_of
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError
from fitness_assets.orchestration import messages
from fitness_assets.settings import SettingsError, load_settings

LOGGER = "terminal"
"""The name of `terminal_logger` in run config."""

_ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)
_INTERRUPTIONS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")


class Summary(logging.Handler):
    """Prints a summary when a run ends.

    Args:
        say: prints a line.
    """

    def __init__(self, say: Callable[[str], None] = click.echo) -> None:
        super().__init__()
        self._say = say
        self._started_at = datetime.now(UTC)  # Dagster makes a handler for each run

    def emit(self, record: logging.LogRecord) -> None:
        """Print the summary if the record is the end of a run."""
        event = event_of(record)
        if event and event.event_type in _ENDS:
            for line in self._lines(event, record.dagster_meta["run_id"]):  # pyright: ignore[reportAttributeAccessIssue]
                self._say(line)

    def _lines(self, event: dg.DagsterEvent, run_id: str) -> Iterator[str]:
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
        report = messages.report_of(lake, run_id, self._started_at)
        if is_interrupted:
            yield messages.interrupted(lake, report)
            return
        message = messages.success(report)
        yield from (message.subject, message.text, *messages.outlook(lake))


def event_of(record: logging.LogRecord) -> dg.DagsterEvent | None:
    """The Dagster event of a log record; None for what code logged."""
    return getattr(record, "dagster_event", None)


def reason_of(event: dg.DagsterEvent) -> str:
    """The first line of why a step failed: its own failure, or the error behind it."""
    failure = event.step_failure_data
    own, error = failure.user_failure_data, failure.error and (failure.error.cause or failure.error)
    said = own.description if own else error and error.message
    return (said or "").strip().split("\n")[0]


def _failure(event: dg.DagsterEvent) -> tuple[dg.DagsterEvent | None, str | None]:
    """The first step that failed, and the name of the error that ended the run."""
    if event.event_type != dg.DagsterEventType.RUN_FAILURE:
        return None, None
    failure = event.job_failure_data
    step = failure.first_step_failure_event
    error = (step.step_failure_data.error if step else None) or failure.error
    return step, error.cls_name if error else None


class _Lines(logging.Formatter):
    """Time, layer step and text; warnings say that they are one."""

    def format(self, record: logging.LogRecord) -> str:
        meta: dict[str, Any] = getattr(record, "dagster_meta", {})
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.capitalize()}: "
        return f"{self.formatTime(record, '%H:%M:%S')}  {meta.get('step_key') or '':<12}{level}{meta['orig_message']}"


def _make_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """Print what layer steps log; the summary says what became of the run."""
    logger = logging.Logger(LOGGER, logging.INFO)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Lines())
    handler.addFilter(lambda record: event_of(record) is None)
    logger.addHandler(handler)
    return logger


terminal_logger = dg.LoggerDefinition(_make_logger, description="A few lines for a person, without stack traces.")


def _no_spark() -> Any:
    raise LakeError("a summary reads no table with Spark")
