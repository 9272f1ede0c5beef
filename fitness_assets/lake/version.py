"""What is known of one version of a table, and what can go wrong with one. No files and no Spark here."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from fitness_assets.schema.rules import Severity


class LakeError(Exception):
    """The lake cannot do what was asked; the message is one sentence for a person."""


class TableMissingError(LakeError):
    """A table was asked for that was never published."""


class VersionConflictError(LakeError):
    """Somebody else published meanwhile; what was staged was made from what is no longer current."""


@dataclass
class CheckResult:
    """What one rule says of one version: how many rows (or sets of rows) fail, and some of them."""

    rule: str
    severity: Severity
    description: str
    failed: int
    sample: list[dict[str, Any]] = field(default_factory=list)

    @property
    def blocks(self) -> bool:
        """Whether the version must not be published."""
        return self.failed > 0 and self.severity == "blocking"


@dataclass
class VersionMetadata:
    """What is known of a version without reading it; stored as JSON beside its folder."""

    table: str
    version: str
    parent: str | None
    inputs: dict[str, str]
    run_id: str
    created_at: str
    rows: int = 0
    size_bytes: int = 0
    check_results: list[CheckResult] = field(default_factory=list)

    def to_json(self) -> str:
        """The metadata as it is stored, and sent from one machine to another."""
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
