"""Messages on runs: plain text from what a run published, and how it is sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from logging import Logger
from typing import Any

from fitness_assets.bronze.identity import last_of_each
from fitness_assets.bronze.tables import LOGGED_DAYS, UPLOADS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import CheckResult, LakeError, VersionMetadata
from fitness_assets.orchestration.asset_checks import failure_text
from fitness_assets.quality.published import verdict_of
from fitness_assets.quality.tables import AUDIT
from fitness_assets.registry import PUBLISH_GROUPS, TABLES, table_of
from fitness_assets.silver.tables import CLEAN_DAYS, REJECTED_DAYS

_SUBJECT_CHARACTERS = 100  # the limit of SNS
_UPLOADS_BYTES, _WHY_CHARACTERS = 100_000, 2_000  # SNS refuses a text of more than 256 KB


@dataclass(frozen=True)
class Message:
    """A subject of one line and a text."""

    subject: str
    text: str


@dataclass(frozen=True)
class RunOutput:
    """What a run left in the lake.

    Attributes:
        run_id: which run.
        all_metadata: metadata of the versions that it wrote, published or not.
        uploads: rows of the ledger that it added.
        unread: why a part of this could not be read; None if all of it was.
        rows_before: rows of the version that each new version follows, by table.
    """

    run_id: str
    all_metadata: Sequence[VersionMetadata]
    uploads: Sequence[Mapping[str, Any]]
    unread: str | None = None
    rows_before: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> list[tuple[VersionMetadata, CheckResult]]:
        """Every check result that failed."""
        return [
            (metadata, result) for metadata in self.all_metadata for result in metadata.check_results if result.failed
        ]


def output_of(lake: Lake, run_id: str, started_at: datetime) -> RunOutput:
    """What a run left in the lake; where the lake cannot be read, as much as could be.

    Args:
        lake: where it ran.
        run_id: which run.
        started_at: when it began; uploads of the ledger since then are its own.
    """
    all_metadata: list[VersionMetadata] = []
    uploads: list[Mapping[str, Any]] = []
    rows_before: dict[str, int] = {}
    try:
        for table in TABLES:
            versions = lake.versions(table)
            newest_first = (lake.metadata(table, version) for version in reversed(versions))
            metadata = next((each for each in newest_first if each.run_id == run_id), None)
            if metadata is None:
                continue
            all_metadata.append(metadata)
            if metadata.parent in versions:
                rows_before[table.key] = lake.metadata(table, metadata.parent).rows
            if table == UPLOADS:
                uploads = [row for row in lake.rows(UPLOADS, metadata.version) if row["ingested_at"] >= started_at]
    except (LakeError, OSError) as error:
        return RunOutput(run_id, all_metadata, uploads, str(error), rows_before)
    return RunOutput(run_id, all_metadata, uploads, None, rows_before)


def success(output: RunOutput) -> Message:
    """The message on a run that succeeded: what it ingested and published."""
    refused = [row for row in output.uploads if row["status"] == "refused"]
    uploads = [
        *(_line(f"{row['uri']}: refused, because {row['refusal']}") for row in refused),
        *(
            f"{_line(row['uri'])}: {row['rows_read']:,} rows read, {row['rows_quarantined']:,} quarantined"
            for row in output.uploads
            if row["status"] != "refused"
        ),
    ]
    checks = _checks(output)
    text = [
        *_first(uploads),
        *_rejected(output.all_metadata),
        *_published(output),
        *checks,
        *(
            [_line(f"This message is not complete, because the lake could not be read: {output.unread}")]
            if output.unread
            else []
        ),
        _where(output.run_id),
    ]
    what = f"uploads ingested: {len(output.uploads) - len(refused)}, refused: {len(refused)}"
    return Message(f"fitness-assets: {what}, checks to look at: {len(checks)}", "\n".join(text))


def failure(run_id: str, steps: Sequence[tuple[str, str]]) -> Message:
    """The message on a run that failed: which steps, and why.

    Args:
        run_id: which run.
        steps: names of steps that failed, each with what it said.
    """
    names = ", ".join(name for name, _ in steps) or "the run itself"
    text = [
        *(_line(f"{name}: {why[:_WHY_CHARACTERS]}") for name, why in steps),
        "Readers keep the tables that were there.",
        _where(run_id),
    ]
    return Message(f"fitness-assets: failed in {names}", "\n".join(text))


def interrupted(lake: Lake, output: RunOutput) -> str:
    """The text about a run that a person interrupted: which tables are new, if any."""
    published = [
        f"{metadata.table} version {metadata.version}"
        for metadata in output.all_metadata
        if lake.store.current(metadata.table) == metadata.version
    ]
    if not published:
        return "Interrupted; the tables are as they were."
    return f"Interrupted. Published before: {', '.join(published)}. All other tables are as they were."


def outlook(lake: Lake) -> list[str]:
    """The end of the summary of a successful run: the verdict, where things are, and lost uploads last."""
    try:
        version = lake.current(AUDIT)
        said = verdict_of(lake, version) if version else None
        lost = lost_uploads(lake.rows(UPLOADS))
    except (LakeError, OSError) as error:
        return [f"The lake could not be read: {error}"]
    root = lake.store.location(AUDIT).removesuffix(AUDIT.key)
    return [
        *([f"What the data is worth: {said.verdict}. {said.advice}"] if said else []),
        *([f"Report: {lake.store.artifact_location(AUDIT, AUDIT.artifacts[0])}"] if said else []),
        *([f"Tables: {root}LAYER/TABLE"] if not root.startswith("s3://") else []),
        "To open the UI: dagster dev",
        *_first(lost),
    ]


def lost_uploads(ledger: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each upload of which no row, or less than half of the rows, could be typed.

    Of the uploads with one URI only the last one counts; a withdrawn upload is left out on purpose.
    """
    return [
        f"LOST: {_line(row['uri'])} was refused, because {row['refusal']}"
        if row["status"] == "refused"
        else f"LOST: of {row['rows_read']:,} rows of {_line(row['uri'])} only {row['rows_typed']:,} could be typed"
        for row in last_of_each(ledger).values()
        if row["status"] == "refused" or (row["status"] == "ingested" and 2 * row["rows_typed"] < row["rows_read"])
    ]


def send(message: Message, topic: str | None, client: Callable[[], Any], log: Logger) -> bool:
    """Publish a message to an SNS topic; without a topic, or if that fails, log it.

    Args:
        message: what to say.
        topic: ARN of the topic, or None.
        client: makes a boto3 client for SNS.
        log: for the message, or for why it was not sent.

    Returns:
        Whether that was done; else it has to be tried again.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if topic is None:
        log.info(f"{message.subject}\n{message.text}")
        return True
    try:
        client().publish(TopicArn=topic, Subject=message.subject[:_SUBJECT_CHARACTERS], Message=message.text)
    except (BotoCoreError, ClientError) as error:
        log.warning(f"The message was not sent to {topic}: {error}\n{message.subject}\n{message.text}")
        return False
    return True


def _published(output: RunOutput) -> list[str]:
    """A line for each publish group: its version, and the rows of its tables."""
    lines = []
    for tables in PUBLISH_GROUPS:
        layer, keys = tables[0].layer, {table.key for table in tables}
        if found := [metadata for metadata in output.all_metadata if metadata.table in keys]:
            rows = (f"{each.table.removeprefix(f'{layer}/')} {_rows(output, each)}" for each in found)
            lines.append(f"{layer}, version {found[0].version}, rows: {', '.join(rows)}")
    return lines


def _rows(output: RunOutput, metadata: VersionMetadata) -> str:
    more = metadata.rows - output.rows_before.get(metadata.table, metadata.rows)
    return f"{metadata.rows:,}" + (f" ({more:+,})" if more else "")


def _checks(output: RunOutput) -> list[str]:
    """A line for each check that fails or warns: the rules with failures; of a single rule what it demands."""
    failed: dict[tuple[str, str], list[tuple[VersionMetadata, CheckResult]]] = {}
    for metadata, result in output.failed:
        checks = {rule.name: rule.check for rule in table_of(metadata.table).all_rules}
        failed.setdefault((metadata.table, checks[result.rule]), []).append((metadata, result))
    lines = []
    for (table, check), results in failed.items():
        does = "warns" if all(result.severity == "warning" for _, result in results) else "fails"
        rules = ", ".join(f"{result.rule} {result.failed:,}" for _, result in results)
        what = failure_text(*results[0]) if len(results) == 1 else f"{check}, failures: {rules}"
        lines.append(f"Check that {does}: {table} {what}")
    return lines


def _rejected(all_metadata: Sequence[VersionMetadata]) -> list[str]:
    rows = {metadata.table: metadata.rows for metadata in all_metadata}
    if not {LOGGED_DAYS.key, CLEAN_DAYS.key, REJECTED_DAYS.key} <= rows.keys():
        return []
    return [
        f"Of {rows[LOGGED_DAYS.key]:,} logged days in all, {rows[CLEAN_DAYS.key]:,} are clean and "
        f"{rows[REJECTED_DAYS.key]:,} rejected."
    ]


def _first(uploads: Sequence[str]) -> list[str]:
    """As many lines as fit into a message, and how many more there are."""
    sizes = accumulate(len(line.encode()) for line in uploads)
    kept = sum(size <= _UPLOADS_BYTES for size in sizes)
    more = len(uploads) - kept
    return [*uploads[:kept], *([f"{more:,} more uploads: see {UPLOADS.key}"] if more else [])]


def _line(text: str) -> str:
    """Text from outside on one line; unprintable characters become question marks."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _where(run_id: str) -> str:
    return f"Look at /runs/{run_id} in the Dagster UI."
