"""Reads the verdicts of the published audit, for steps that run before the next audit."""

from typing import NamedTuple

from fitness_assets.lake.lake import Lake
from fitness_assets.quality.tables import AUDIT, FILE, VERDICT


class Said(NamedTuple):
    """The verdict of one version of the audit on all data."""

    verdict: str
    advice: str


def verdict_of(lake: Lake, version: str) -> Said:
    """The verdict of one version."""
    found = [row for row in lake.rows(AUDIT, version) if (row["name"], row["scope"]) == (VERDICT, FILE)]
    return Said(found[0]["verdict"], found[0]["finding"])


def audited(lake: Lake) -> str:
    """A sentence or two on what the data is worth, as of the last audit."""
    version = lake.current(AUDIT)
    if version is None:
        return "The data was not audited before: read quality/audit of this run before you conclude anything."
    said = verdict_of(lake, version)
    return f"The last audit (version {version}) says of the data: {said.verdict}. {said.advice}"
