"""The most important metadata of a version: the verdict on the data or on a model, in plain words."""

from collections.abc import Mapping
from typing import Any

from fitness_assets.lake.lake import Lake
from fitness_assets.predictions.tables import MODELS
from fitness_assets.quality.published import audited, verdict_of
from fitness_assets.quality.tables import AUDIT
from fitness_assets.schema.table import Table

_MODEL_CHECK = "has_skill"


def headline(lake: Lake, table: Table, version: str) -> dict[str, Any]:
    """The first metadata of a version; empty for a table that has no verdict.

    Args:
        lake: where the version is.
        table: the table.
        version: of the table; it may not be published yet.
    """
    if table == AUDIT:
        said = verdict_of(lake, version)
        # A command, and no link: browsers open neither a file: address from the UI's page nor a report on S3.
        return {"verdict": said.verdict, "advice": said.advice, "to_read_the_report": "fitness report"}
    if table in MODELS.values():
        model = lake.rows(table, version)[0]
        return {"verdict": model["verdict"], "conclusion": model["conclusion"], "data": audited(lake)}
    return {}


def remarks(lake: Lake, table: Table, version: str) -> Mapping[str, str]:
    """What checks of a version say beside their failures, by check: no model is worth more than its data."""
    if table not in MODELS.values():
        return {}
    return {_MODEL_CHECK: f"{lake.rows(table, version)[0]['conclusion']} {audited(lake)}"}
