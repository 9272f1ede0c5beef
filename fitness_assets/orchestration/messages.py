"""What people are told of a run: plain text from what the run left in the lake; and how it reaches them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from logging import Logger
from typing import Any

from fitness_assets.bronze.tables import LOGGED_DAYS, UPLOADS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import Audit, Verdict
from fitness_assets.registry import TABLES
from fitness_assets.schema.table import Table
from fitness_assets.silver.tables import CLEAN_DAYS, REJECTED_DAYS

_SUBJECT_CHARACTERS = 100  # SNS takes no longer ones
_UPLOADS_BYTES, _WHY_CHARACTERS = 100_000, 2_000  # and no text of more than 256 KB


@dataclass(frozen=True)
class Message:
    """A subject of one line and a text."""

    subject: str
    text: str


@dataclass(frozen=True)
class Report:
    """What a run left in the lake.

    Attributes:
        run_id: which run.
        audits: of the versions that it wrote, published or not.
        uploads: rows of the ledger that it added.
    """

    run_id: str
    audits: Sequence[Audit]
    uploads: Sequence[Mapping[str, Any]]

    @property
    def failed(self) -> list[tuple[Audit, Verdict]]:
        """Every verdict on a rule that does not hold."""
        return [(audit, verdict) for audit in self.audits for verdict in audit.verdicts if verdict.failed]


def report_of(lake: Lake, run_id: str, started_at: datetime) -> Report:
    """What a run left in the lake.

    Args:
        lake: where it ran.
        run_id: which run.
        started_at: when it began; uploads of the ledger since then are its own.
    """
    audits = [audit for table in TABLES if (audit := _audit_of(lake, table, run_id))]
    ledger = next((audit for audit in audits if audit.table == UPLOADS.key), None)
    rows = lake.rows(UPLOADS, ledger.version) if ledger else []
    return Report(run_id, audits, [row for row in rows if row["ingested_at"] >= started_at])


def success(report: Report) -> Message:
    """What a run took in and published."""
    refused = [row for row in report.uploads if row["status"] == "refused"]
    uploads = [
        *(f"{_line(row['uri'])}: refused, because {row['refusal']}" for row in refused),
        *(
            f"{_line(row['uri'])}: {row['rows_read']:,} rows read, {row['rows_quarantined']:,} quarantined"
            for row in report.uploads
            if row["status"] != "refused"
        ),
    ]
    text = [
        *_first(uploads),
        *(f"{audit.table}: {audit.rows:,} rows, version {audit.version}" for audit in report.audits),
        *(f"Check that failed or warns: {a.table} {v.rule}, failures: {v.failed}" for a, v in report.failed),
        *_rejected(report.audits),
        _where(report.run_id),
    ]
    what = f"uploads ingested: {len(report.uploads) - len(refused)}, refused: {len(refused)}"
    return Message(f"fitness-assets: {what}, checks to look at: {len(report.failed)}", "\n".join(text))


def failure(run_id: str, steps: Sequence[tuple[str, str]]) -> Message:
    """Which steps of a run failed, and why.

    Args:
        run_id: which run.
        steps: names of steps that failed, each with what it said.
    """
    names = ", ".join(name for name, _ in steps) or "the run itself"
    text = [
        *(f"{name}: {why[:_WHY_CHARACTERS]}" for name, why in steps),
        "Readers keep the tables that were there.",
        _where(run_id),
    ]
    return Message(f"fitness-assets: failed in {names}", "\n".join(text))


def send(message: Message, topic: str | None, client: Callable[[], Any], log: Logger) -> bool:
    """Publish a message to an SNS topic; without a topic, or if that fails, it is logged.

    Args:
        message: what to say.
        topic: ARN of the topic, or None.
        client: makes a boto3 client for SNS.
        log: for the message, or for why it was not sent.

    Returns:
        Whether it was sent.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if topic is None:
        log.info(f"{message.subject}\n{message.text}")
        return False
    try:
        client().publish(TopicArn=topic, Subject=message.subject[:_SUBJECT_CHARACTERS], Message=message.text)
    except (BotoCoreError, ClientError) as error:
        log.warning(f"The message was not sent to {topic}: {error}\n{message.subject}\n{message.text}")
        return False
    return True


def _audit_of(lake: Lake, table: Table, run_id: str) -> Audit | None:
    audits = (lake.audit(table, version) for version in reversed(lake.versions(table)))
    return next((audit for audit in audits if audit.run_id == run_id), None)


def _rejected(audits: Sequence[Audit]) -> list[str]:
    rows = {audit.table: audit.rows for audit in audits}
    if not {LOGGED_DAYS.key, CLEAN_DAYS.key, REJECTED_DAYS.key} <= rows.keys():
        return []
    return [
        f"Of {rows[LOGGED_DAYS.key]:,} logged days in all, {rows[CLEAN_DAYS.key]:,} are clean and "
        f"{rows[REJECTED_DAYS.key]:,} rejected."
    ]


def _first(uploads: Sequence[str]) -> list[str]:
    """As many lines as a message has room for, and how many more there are."""
    sizes = accumulate(len(line.encode()) for line in uploads)
    kept = sum(size <= _UPLOADS_BYTES for size in sizes)
    more = len(uploads) - kept
    return [*uploads[:kept], *([f"{more:,} more uploads: see {UPLOADS.key}"] if more else [])]


def _line(name: str) -> str:
    """A name from outside on one line, whatever characters it has."""
    return "".join(character if character.isprintable() else "?" for character in name)


def _where(run_id: str) -> str:
    return f"Look at /runs/{run_id} in the Dagster UI."
