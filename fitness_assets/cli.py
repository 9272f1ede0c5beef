"""The lake's commands: `python -m fitness_assets versions|rollback|withdraw|restore|dictionary|coach|spark-server`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from fitness_assets.bronze import withdrawal
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.bronze.withdrawal import lost_by_rollback
from fitness_assets.engine.java import require_java
from fitness_assets.engine.session import connect_server, store_of
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError
from fitness_assets.registry import page, publish_group_of
from fitness_assets.settings import load_settings

_FOLLOW = "Silver and all later tables follow with the next run; the sensor requests one if it is on."


class _Key(click.ParamType):
    name = "layer/table"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            publish_group_of(value)
        except KeyError as error:
            self.fail(error.args[0], param, ctx)
        return value


def _lake() -> Lake:
    def no_spark() -> Any:
        raise LakeError("this command reads no table")

    return Lake(store_of(load_settings()), no_spark)


@contextmanager
def _plain_failures() -> Iterator[None]:
    try:
        yield
    except (LakeError, OSError) as error:
        raise click.ClickException(str(error)) from None


@click.group(help=__doc__)
def main() -> None:
    """Dispatch to the commands below."""


@main.command()
@click.argument("key", type=_Key(), metavar="LAYER/TABLE")
def versions(key: str) -> None:
    """List the versions of a table that can still be looked at; the current one is marked."""
    tables = publish_group_of(key)
    sealing = tables[-1]
    with _plain_failures():
        lake = _lake()
        found = lake.versions(sealing)
        if not found:
            place = next(lake.store.location(table) for table in tables if table.key == key)
            raise LakeError(f"{key} has no version at {place}: materialize it first, or run this where its .env is.")
        for version in found:
            all_metadata = {table.key: lake.metadata(table, version) for table in tables}
            metadata, failed = (
                all_metadata[key],
                [v.rule for each in all_metadata.values() for v in each.check_results if v.blocks],
            )
            state = "current" if version == lake.current(sealing) else f"failed {', '.join(failed)}" if failed else ""
            click.echo(
                f"{version}  {metadata.created_at}  {metadata.rows:>12,} rows  run {metadata.run_id}  {state}".rstrip()
            )


@main.command()
@click.argument("key", type=_Key(), metavar="LAYER/TABLE")
@click.argument("version")
def rollback(key: str, version: str) -> None:
    """Make VERSION of a table current again, together with the tables that were published with it."""
    tables = publish_group_of(key)
    with _plain_failures():
        lake = _lake()
        lost = lost_by_rollback(lake, version) if UPLOADS in tables and lake.current(UPLOADS) else []
        lake.rollback(tables, version)
    click.echo(f"{', '.join(table.key for table in tables)}: version {version} is current")
    if lost:
        click.echo(f"Uploads that this version lacks ({len(lost)}); the next run ingests again those that are there:")
        for row in lost:
            click.echo(f"  {row['upload_id']}  {row['uri']}")
        click.echo("To keep one out: python -m fitness_assets withdraw UPLOAD --reason WHY")


@main.command()
@click.argument("upload", metavar="UPLOAD")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
def withdraw(upload: str, reason: str) -> None:
    """Keep UPLOAD (an id or URI of the ledger) out of silver and all later tables; `restore` undoes this."""
    with _plain_failures():
        row = withdrawal.withdraw(_lake(), upload, reason)
    click.echo(f"{row['upload_id']} ({row['uri']}) is withdrawn. {_FOLLOW}")


@main.command()
@click.argument("upload", metavar="UPLOAD")
def restore(upload: str) -> None:
    """Undo the withdrawal of UPLOAD (an id or URI of the ledger)."""
    with _plain_failures():
        row = withdrawal.restore(_lake(), upload)
    click.echo(f"{row['upload_id']} ({row['uri']}) is no longer withdrawn. {_FOLLOW}")


@main.command()
def dictionary() -> None:
    """Print the page for analysts that describes every table."""
    click.echo(page(), nl=False)


@main.command()
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="Of 127.0.0.1; 0: any.")
def coach(port: int) -> None:
    """Serve the coach's page on this machine, until it is interrupted."""
    from fitness_assets.coach.page.server import serve

    with _plain_failures():
        serve(_lake(), load_settings().goals, port, lambda address: click.echo(f"The coach is at {address}"))


@main.command()
@click.option("--port", default=15002, show_default=True, type=click.IntRange(1024, 65535), help="Of 127.0.0.1.")
def spark_server(port: int) -> None:
    """Become a Spark Connect server, for runs with FITNESS_SPARK=sc://127.0.0.1:PORT."""
    require_java()
    command = connect_server(load_settings(), port)
    os.execv(command[0], command)  # noqa: S606, no shell is meant
