"""The metadata of one version of a table, and the errors of the lake. No files and no Spark here."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from fitness_assets.schema.rules import Severity


class LakeError(Exception):
    """The lake cannot do what it was asked to; the message is one sentence for a person."""


class TableMissingError(LakeError):
    """The table was never published."""


class VersionConflictError(LakeError):
    """Another run published meanwhile; the staged version was made from a version that is no longer current."""


@dataclass
class CheckResult:
    """The result of one rule for one version.

    Attributes:
        rule: its name.
        severity: what a failure means.
        description: what should hold.
        failed: how many rows (or groups of rows) fail.
        sample: some of them.
        failed_by_month: of a table by month, how many of its rows fail in which month.
    """

    rule: str
    severity: Severity
    description: str
    failed: int
    sample: list[dict[str, Any]] = field(default_factory=list)
    failed_by_month: dict[str, int] = field(default_factory=dict)

    @property
    def blocks(self) -> bool:
        """Whether this result keeps the version from being published."""
        return self.failed > 0 and self.severity == "blocking"


@dataclass
class VersionMetadata:
    """What is known about a version without reading it; stored as JSON in a sidecar file.

    Attributes:
        table: key of the table.
        version: its number.
        parent: the version that was current when this one was staged.
        inputs: versions of the tables that it was made from, by key.
        run_id: the run that wrote it.
        created_at: when it was staged (UTC, ISO 8601).
        code_version: of the code that made it.
        made_because: why it was made, for people.
        months_made: of a table by month: the months that were made anew; files of other months are the parent's.
        parts: rows and bytes by month; of a table that is not by month, under an empty name.
        rows: how many rows it has.
        size_bytes: how large its files are.
        check_results: one for each rule.
    """

    table: str
    version: str
    parent: str | None
    inputs: dict[str, str]
    run_id: str
    created_at: str
    code_version: str = ""
    made_because: str = ""
    months_made: list[str] = field(default_factory=list)
    parts: dict[str, list[int]] = field(default_factory=dict)
    rows: int = 0
    size_bytes: int = 0
    check_results: list[CheckResult] = field(default_factory=list)

    @property
    def blocking_rules(self) -> list[str]:
        """Names of the blocking rules that failed; while there are any, the version must not be published."""
        return [result.rule for result in self.check_results if result.blocks]

    def to_json(self) -> str:
        """The metadata as text, for a file or another machine."""
        return json.dumps(asdict(self), indent=1, default=str)

    @classmethod
    def from_json(cls, text: str | bytes) -> "VersionMetadata":
        """Metadata that `to_json` wrote."""
        content = json.loads(text)
        content.pop("failed_rows", None)  # versions before 2026-10 have this key
        results = (
            content.pop("verdicts") if "verdicts" in content else content["check_results"]
        )  # versions before 2026-12 call them verdicts
        return cls(**content | {"check_results": [CheckResult(**result) for result in results]})
