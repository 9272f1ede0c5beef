"""The commands `erase`, `readmit` and `pseudonym`."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from fitness_assets.bronze.erasures import People
from fitness_assets.bronze.pseudonyms import pseudonyms_of
from fitness_assets.engine.session import store_of
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError
from fitness_assets.privacy.erase import begin, holdings, people_of
from fitness_assets.privacy.erase import readmit as readmit_person
from fitness_assets.settings import Settings, load_settings

_JOB = [sys.executable, "-m", "dagster", "job", "execute", "-m", "fitness_assets.definitions", "-j", "erase"]


@contextmanager
def _person(user_id: str) -> Iterator[tuple[Lake, Settings, People, str]]:
    """The lake of the settings, and a person with their code; an error is one sentence."""

    def no_spark() -> Any:
        raise LakeError("this command needs no Spark")

    try:
        settings = load_settings()
        lake = Lake(store_of(settings), no_spark)
        people = people_of(lake, settings, user_id)
        yield lake, settings, people, next(iter(people.codes))
    except (LakeError, OSError) as error:
        raise click.ClickException(str(error)) from None


@click.command()
@click.argument("user_id", metavar="USER_ID")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(user_id: str, dry_run: bool, yes: bool) -> None:
    """Erase a person everywhere: uploads, all versions of all tables, models, reports, and the history of runs.

    USER_ID is an id or its pseudonym. There is no way back. If it is interrupted, the next run finishes it.

    Example: fitness erase 17 --dry-run
    """
    with _person(user_id) as (lake, settings, people, code):
        found = holdings(lake, settings, people)
        if not found["uploads"] and not found["rows"]:
            raise LakeError(f"There is nothing of {user_id}, neither in {settings.raw} nor in any table.")
        for upload in found["uploads"]:
            click.echo(f"upload  {upload}")
        for line in found["left"]:
            click.echo(f"left    {line}")
        for key, rows in found["rows"].items():
            click.echo(f"table   {key}: {rows:,} rows")
        click.echo(f"Also: {found['versions']} versions of tables, all but new ones; models and reports, made again;")
        click.echo("every run in Dagster's history of this project, with its events and logs.")
        people.journal.write(lake)  # a new journal has a new key, without which the code means nothing
        if dry_run:
            click.echo(f"To do this in the Dagster UI, launch the job erase with the code {code}")
            return
        if not yes:
            click.confirm("Erase all of this? It cannot be undone.", abort=True)
        begin(lake, settings, code)
    status = subprocess.run(_JOB, check=False).returncode  # noqa: S603, no shell is meant
    if status:
        click.echo("The erasure is not finished. Correct the cause, then run again: every run finishes it first.")
        sys.exit(status)
    click.echo("Erased. Rows of this person in later uploads are left out; `readmit` undoes that.")


@click.command()
@click.argument("user_id", metavar="USER_ID")
def readmit(user_id: str) -> None:
    """Let uploads have data of an erased person again: archives, and CSV files that the lake does not know yet.

    Example: fitness readmit 17
    """
    with _person(user_id) as (lake, _, _, code):
        if not readmit_person(lake, code):
            raise LakeError(f"{user_id} was not erased.")
    click.echo("From the next run on, archives of this person count again, and rows in uploads that the lake does not")
    click.echo("know yet.")


@click.command()
@click.argument("user_id", metavar="USER_ID")
def pseudonym(user_id: str) -> None:
    """Print the pseudonym of a user id.

    Example: fitness pseudonym 17
    """
    click.echo(pseudonyms_of(load_settings()).of(user_id))
