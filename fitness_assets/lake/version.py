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
    """The result of one rule for one version: how many rows (or groups of rows) fail, and some of them."""

    rule: str
    severity: Severity
    description: str
    failed: int
    sample: list[dict[str, Any]] = field(default_factory=list)

    @property
    def blocks(self) -> bool:
        """Whether this result keeps the version from being published."""
        return self.failed > 0 and self.severity == "blocking"


@dataclass
class VersionMetadata:
    """What is known about a version without reading it; stored as JSON in a sidecar file."""

    table: str
    version: str
    parent: str | None
    inputs: dict[str, str]
    run_id: str
    created_at: str
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
