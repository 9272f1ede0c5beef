"""The command `export`."""

import json
from datetime import UTC, datetime
from typing import IO, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from fitness_assets.bronze.pseudonyms import pseudonyms_of
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.engine.session import store_of
from fitness_assets.export.days import days_of
from fitness_assets.export.fhir import bundle
from fitness_assets.export.open_mhealth import data_points
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError
from fitness_assets.settings import load_settings


class _Zone(click.ParamType):
    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        try:
            return value if isinstance(value, ZoneInfo) else ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            self.fail(f"{value} is no IANA time zone, such as Europe/Berlin.", param, ctx)


@click.command()
@click.option("--user", "user_id", required=True, help="The user id, or its pseudonym.")
@click.option(
    "--format", "kind", required=True, type=click.Choice(["omh", "fhir"]), help="Open mHealth and IEEE 1752.1, or FHIR."
)
@click.option("--zone", default="UTC", show_default=True, type=_Zone(), help="The person's time zone; only for omh.")
@click.option("--output", default="-", type=click.File("w", "utf-8", atomic=True), help="A file; else standard output.")
def export(user_id: str, kind: str, zone: ZoneInfo, output: IO[str]) -> None:
    """Write the clean days of one person as Open mHealth data points or as a FHIR R4 Bundle.

    Example: fitness export --user 17 --format fhir --output 17.json
    """

    def no_spark() -> Any:
        raise LakeError("this command needs no Spark")

    try:
        settings = load_settings()
        lake, pseudonyms = Lake(store_of(settings), no_spark), pseudonyms_of(settings)
        pseudonyms.require_same_key(lake.rows(UPLOADS))
        days = days_of(lake, pseudonyms.of(user_id))
    except (LakeError, OSError) as error:
        raise click.ClickException(str(error)) from None
    document = data_points(days, zone) if kind == "omh" else bundle(days, datetime.now(UTC))
    json.dump(document, output, ensure_ascii=False, indent=1)
    output.write("\n")
