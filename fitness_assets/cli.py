"""Run the graph, look at its tables, and manage them: `fitness COMMAND`, or `python -m fitness_assets COMMAND`."""

import json
import os
import signal
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NoReturn

import click

from fitness_assets.bronze import withdrawal
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.bronze.withdrawal import lost_by_rollback
from fitness_assets.coach.tables import GOALS
from fitness_assets.engine.java import require_java
from fitness_assets.engine.session import connect_server, store_of
from fitness_assets.export.command import export
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.scratch import new_folder
from fitness_assets.lake.version import LakeError
from fitness_assets.privacy.commands import erase, pseudonym, readmit
from fitness_assets.quality.tables import AUDIT
from fitness_assets.registry import TABLES, page, publish_group_of
from fitness_assets.sample import main as sample
from fitness_assets.settings import Settings, load_settings

_FOLLOW = "Silver and all later tables follow with the next run; the sensor requests one if it is on."
_RUN_FAILED = "Materialization failed"  # Dagster's command line; the summary has said why
_INTERRUPTED = 130


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


main.add_command(sample, "sample")
for command in (export, erase, readmit, pseudonym):
    main.add_command(command)


_DEBUG = click.option("--debug", is_flag=True, help="Show every event, and stack traces.")


@main.command()
@click.option("--select", default="*", show_default=True, help="Assets, in Dagster's selection syntax.")
@_DEBUG
def run(select: str, debug: bool) -> None:
    """Ingest new uploads and build the tables; ends with a summary.

    Exit status 1: a step failed, or no row of the new uploads could be typed. 130: interrupted.

    Example: fitness run --select 'group:gold'
    """
    _materialize(load_settings(), select, {}, debug)


@main.command()
@_DEBUG
def rebuild(debug: bool) -> None:
    """Like `run`, but make every table after bronze anew, and not only the months that changed.

    Example: fitness rebuild
    """
    from fitness_assets.layers import steps  # loads Spark, which other commands do without

    settings = load_settings()
    anew = {step.name: {"config": {"rebuild": True}} for step in steps(settings) if step.reads}
    _materialize(settings, "*", {"ops": anew}, debug)


def _materialize(settings: Settings, select: str, config: dict[str, Any], debug: bool) -> NoReturn:
    """Have Dagster's command line build tables, and exit with its status."""
    if settings.needs_java:
        require_java()
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "fitness_assets.definitions"]
    command += ["--select", select]
    if debug:
        config = config | {"loggers": {"console": {"config": {"log_level": "DEBUG"}}}}
    if config:
        command += ["--config-json", json.dumps(config)]
    started_at = datetime.now(UTC)
    with TemporaryFile("w+") as errors:
        # Without the summary that dagster.yaml asks for, Dagster's own lines have to say what happened.
        is_plain = not debug and _has_summary()
        process = subprocess.Popen(command, stderr=errors if is_plain else None)  # noqa: S603, no shell is meant
        status = _wait(process)
        errors.seek(0)
        said = errors.read()
    if said and status not in (0, _INTERRUPTED) and _RUN_FAILED not in said:
        plain = [line for line in said.splitlines() if line.startswith("Error: ")]
        click.echo("\n".join(plain) or said, err=True)
    if not status and _nothing_ingested(started_at):
        click.echo("Nothing could be ingested: no row of the new uploads could be typed.", err=True)
        status = 1
    sys.exit(status)


def _has_summary() -> bool:
    """Whether Dagster's configuration names the log handler of `orchestration/terminal.py`."""
    file = Path(os.environ.get("DAGSTER_HOME", ""), "dagster.yaml")
    return file.is_file() and "orchestration.terminal" in file.read_text(encoding="utf-8")


def _wait(process: subprocess.Popen) -> int:
    """The exit status; the terminal sends Ctrl-C to the process, too, and it ends by itself."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C does not hurry it
        process.wait()
        return _INTERRUPTED


def _nothing_ingested(started_at: datetime) -> bool:
    with _plain_failures():
        new = [row for row in _lake().rows(UPLOADS) if row["ingested_at"] >= started_at]
    return bool(new) and not any(row["rows_typed"] for row in new)


@main.command("report")
@click.option("--no-open", is_flag=True, help="Only print where it is.")
def open_report(no_open: bool) -> None:
    """Open the report: what the data is worth. A report on S3 is copied to a temporary file first.

    Example: fitness report --no-open
    """
    (name,) = AUDIT.artifacts
    with _plain_failures():
        lake = _lake()
        version = lake.current(AUDIT)
        if version is None:
            raise LakeError("There is no report yet: run `fitness run` first.")
        place = lake.store.artifact_location(AUDIT, name)
        click.echo(place)
        if no_open:
            return
        path = Path(place).absolute()
        if place.startswith("s3://"):
            path = new_folder() / name
            path.write_bytes(lake.store.read_sidecar(AUDIT, f"{version}.{name}"))
            click.echo(f"copied to {path}")
        webbrowser.open(path.as_uri())


@main.command()
@click.argument("sql")
@click.option("--csv", "as_csv", is_flag=True, help="Print all rows as CSV.")
def query(sql: str, as_csv: bool) -> None:
    """Run SQL on the tables with DuckDB. Each is a view, such as gold.fact_daily.

    Example: fitness query 'SELECT weekday, avg(steps) FROM gold.fact_daily GROUP BY ALL'
    """
    import duckdb  # loads slowly, and only this command needs it

    from fitness_assets.engine.duckdb_reader import Opened, reader

    with _plain_failures():
        lake = _lake()
        published = [Opened(table, version) for table in TABLES if (version := lake.current(table))]
        with reader(lake.store, published) as tables:
            # A view finds its own schema first; so each names the database that holds the table which it shows.
            opened = tables.sql("SELECT view_name, database_name FROM duckdb_views() WHERE NOT internal")
            databases = dict(opened.fetchall())
            for table in (each.table for each in published):
                tables.execute(f'CREATE SCHEMA IF NOT EXISTS "{table.layer}"')
                source = f'{databases[table.name]}.main."{table.name}"'
                tables.execute(f'CREATE VIEW "{table.layer}"."{table.name}" AS FROM {source}')
            try:
                found = tables.sql(sql)
                if found is not None:
                    click.echo(found.df().to_csv(index=False) if as_csv else str(found), nl=not as_csv)
            except duckdb.Error as error:
                raise click.ClickException(str(error)) from None


@main.command()
@click.argument("key", type=_Key(), metavar="LAYER/TABLE")
def versions(key: str) -> None:
    """List the versions of a table that can still be looked at; the current one is marked.

    Example: fitness versions gold/fact_daily
    """
    tables = publish_group_of(key)
    last = tables[-1]
    with _plain_failures():
        lake = _lake()
        found = lake.versions(last)
        if not found:
            place = next(lake.store.location(table) for table in tables if table.key == key)
            raise LakeError(f"{key} has no version at {place}: materialize it first, or run this where its .env is.")
        for version in found:
            all_metadata = {table.key: lake.metadata(table, version) for table in tables}
            metadata, failed = (
                all_metadata[key],
                [result.rule for each in all_metadata.values() for result in each.check_results if result.blocks],
            )
            state = "current" if version == lake.current(last) else f"failed {', '.join(failed)}" if failed else ""
            click.echo(
                f"{version}  {metadata.created_at}  {metadata.rows:>12,} rows  run {metadata.run_id}  {state}".rstrip()
            )


@main.command()
@click.argument("key", type=_Key(), metavar="LAYER/TABLE")
@click.argument("version")
def rollback(key: str, version: str) -> None:
    """Make VERSION of a table current again, together with the tables that were published with it.

    Example: fitness rollback gold/fact_daily 000003
    """
    tables = publish_group_of(key)
    with _plain_failures():
        lake = _lake()
        lost = {
            what: lost_by_rollback(lake, ledger, version)
            for what, ledger in (("Uploads", UPLOADS), ("Goals", GOALS))
            if ledger in tables and lake.current(ledger)
        }
        lake.rollback(tables, version)
    click.echo(f"{', '.join(table.key for table in tables)}: version {version} is current")
    for what, rows in lost.items():
        if rows:
            click.echo(f"{what} that this version lacks ({len(rows)}); the next run reads again those that are there:")
        for row in rows:
            click.echo(f"  {row['upload_id']}  {row['uri']}")
    if lost.get("Uploads"):
        click.echo("To keep one out: python -m fitness_assets withdraw UPLOAD --reason WHY")
    if lost.get("Goals"):
        click.echo("To keep one out: move its file away.")


@main.command()
@click.argument("upload", metavar="UPLOAD")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
def withdraw(upload: str, reason: str) -> None:
    """Keep UPLOAD (an id or URI of the ledger) out of silver and all later tables; `restore` undoes this.

    Example: fitness withdraw data/raw/mine.csv --reason 'wrong person'
    """
    with _plain_failures():
        row = withdrawal.withdraw(_lake(), upload, reason)
    click.echo(f"{row['upload_id']} ({row['uri']}) is withdrawn. {_FOLLOW}")


@main.command()
@click.argument("upload", metavar="UPLOAD")
def restore(upload: str) -> None:
    """Undo the withdrawal of UPLOAD (an id or URI of the ledger).

    Example: fitness restore data/raw/mine.csv
    """
    with _plain_failures():
        row = withdrawal.restore(_lake(), upload)
    click.echo(f"{row['upload_id']} ({row['uri']}) is no longer withdrawn. {_FOLLOW}")


@main.command()
def dictionary() -> None:
    """Print the page for analysts that describes every table.

    Example: fitness dictionary > docs/dictionary.md
    """
    click.echo(page(), nl=False)


@main.command()
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="Of 127.0.0.1; 0: any.")
def coach(port: int) -> None:
    """Serve the coach's page on this machine, until it is interrupted.

    Example: fitness coach --port 8765
    """
    from fitness_assets.coach.page.server import serve

    with _plain_failures():
        serve(_lake(), load_settings().goals, port, lambda address: click.echo(f"The coach is at {address}"))


@main.command()
@click.option("--port", default=15002, show_default=True, type=click.IntRange(1024, 65535), help="Of 127.0.0.1.")
def spark_server(port: int) -> None:
    """Become a Spark Connect server, for runs with FITNESS_SPARK=sc://127.0.0.1:PORT.

    Example: fitness spark-server --port 15002
    """
    require_java()
    command = connect_server(load_settings(), port)
    os.execv(command[0], command)  # noqa: S606, no shell is meant
