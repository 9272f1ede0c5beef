"""Erases a person from a lake: uploads, bronze, all later tables and every old version of them.

The order makes it safe to be killed at any moment. The journal is written first and closed last. Bronze is published
without the person before the uploads are rewritten, with the hashes that they will have, so no run takes a rewritten
upload for a new one. Later tables are made from the new bronze. Then every older version goes. Each step does nothing
where it was done before, so the next process that finds an open journal repeats all of them.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from logging import Logger
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fitness_assets.bronze.erasures import Erasures, People
from fitness_assets.bronze.pseudonyms import pseudonyms_of
from fitness_assets.bronze.sources import Prefix, source_of
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.bronze.withdrawal import forget_refused
from fitness_assets.engine.layer_step import LayerStep, StepRun, run_step
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError
from fitness_assets.layers import steps
from fitness_assets.privacy.bronze import rewrite, rows_of
from fitness_assets.privacy.goals import copy_goals, rewrite_goals
from fitness_assets.privacy.uploads import folders_of, remove_drafts, replace, rewritten
from fitness_assets.registry import PUBLISH_GROUPS, TABLES, publish_groups_of
from fitness_assets.settings import Settings


def people_of(lake: Lake, settings: Settings, user_id: str) -> People:
    """One person as the journal of a lake knows them.

    Args:
        lake: the lake.
        settings: with the key of its pseudonyms.
        user_id: the id or the pseudonym.

    Raises:
        LakeError: if the key of the pseudonyms is not that of the lake.
    """
    pseudonyms, journal = pseudonyms_of(settings), Erasures.read(lake)
    pseudonyms.require_same_key(lake.rows(UPLOADS))
    return People(journal, frozenset([journal.code(pseudonyms.of(user_id))]), pseudonyms)


def holdings(lake: Lake, settings: Settings, people: People) -> dict[str, Any]:
    """What the lake has of some people, and what erasing would do.

    Returns:
        ``uploads`` that would change, ``left``: files and folders that a person has to look at, ``rows`` by table, and
        the number of ``versions`` to drop.

    Raises:
        OSError: if an upload cannot be read.
    """
    source, left = source_of(settings.raw), list[str]()
    with (
        TemporaryDirectory() as scratch,
        rewritten(source, people, Path(scratch), left=left) as uploads,
        rewritten(source_of(settings.goals), people, Path(scratch), copy_goals, left) as goals,
    ):
        found = [
            f"{one.found.text}: {f'{len(one.removed):,} {what}' if one.draft else 'deleted'}"
            for what, files in (("rows", uploads), ("goals", goals))
            for one in files
        ] or [f"{folder}: an empty folder" for folder in folders_of(source, people)]
    rows = {table.key: rows_of(lake, table, version, people) for table in TABLES if (version := lake.current(table))}
    versions = sum(len(lake.versions(tables[-1])) for tables in PUBLISH_GROUPS)
    return {
        "uploads": found,
        "left": left,
        "rows": {key: count for key, count in rows.items() if count},
        "versions": versions,
    }


def begin(lake: Lake, settings: Settings, code: str) -> None:
    """Write into the journal that a person is to be erased; `finish` does it.

    Args:
        lake: the lake.
        settings: where the uploads are.
        code: of the person, from `Erasures.code`.

    Raises:
        LakeError: if the lake has nothing of such a person.
    """
    journal = Erasures.read(lake)
    if code not in journal.open:
        found = holdings(lake, settings, People(journal, frozenset([code]), pseudonyms_of(settings)))
        if not found["uploads"] and not found["rows"]:
            raise LakeError(f"The lake has nothing of a person with the code {code}: ask `erase USER_ID --dry-run`.")
        del found["left"]
        found["uploads"] = len(found["uploads"])  # names of files may name the person
        journal.open[code] = {"started_at": _now(), **found}
        journal.write(lake)


def readmit(lake: Lake, code: str) -> bool:
    """Have data of an erased person count again from now on; returns whether the person was erased.

    Archives that were refused meanwhile are read by the next run.
    """
    journal = Erasures.read(lake)
    refused = forget_refused(lake, lambda user_id: journal.code(user_id) == code)
    kept = [entry for entry in journal.erased if entry["code"] != code]
    is_known = len(kept) < len(journal.erased)
    journal.erased = kept
    if is_known:
        journal.write(lake)
    return is_known or bool(refused)


def finish(lake: Lake, settings: Settings, log: Logger, run_id: str, forget_history: Callable[[], None]) -> bool:
    """Erase everybody whose erasure has begun; returns whether there was anybody.

    Args:
        lake: the lake.
        settings: where the uploads are, and how tables are made.
        log: the log of the run.
        run_id: kept in the metadata of versions.
        forget_history: removes what the orchestrator keeps of earlier runs.

    Raises:
        VersionConflictError: if another run published meanwhile; to be tried again.
        LakeError: if a table cannot be made without the person, or an upload changed meanwhile.
    """
    journal = Erasures.read(lake)
    if not journal.open:
        return False
    codes = frozenset(journal.open)
    log.info(f"erasing people: {len(codes)}")
    people = People(journal, codes, pseudonyms_of(settings))
    source, goal_files, left = source_of(settings.raw), source_of(settings.goals), list[str]()
    remove_drafts(settings.raw)
    with (
        TemporaryDirectory() as scratch,
        rewritten(source, people, Path(scratch), left=left) as uploads,
        rewritten(goal_files, people, Path(scratch), copy_goals, left) as goals,
    ):
        removed = rewrite(lake, people, uploads, run_id)
        log.info(f"rows removed from bronze: {removed or 'none'}")
        for one in uploads:
            replace(one, source)
        log.info(f"uploads rewritten or deleted: {len(uploads)}")
        rewrite_goals(lake, people, goals, run_id)
        for one in goals:
            replace(one, goal_files)
        log.info(f"files of goals rewritten or deleted: {len(goals)}")
    for folder in folders_of(source, people):
        with suppress(OSError):  # it may have files of others
            folder.rmdir()
    _make_again(lake, steps(settings)[1:], run_id, log)
    _drop_old_versions(lake)
    if isinstance(source, Prefix):
        source.bucket.delete_old_versions(source.prefix)
    forget_history()
    journal = Erasures.read(lake)
    for code in codes:
        journal.erased.append({"code": code, **journal.open.pop(code), "finished_at": _now()})
    journal.write(lake)
    for line in left:
        log.warning(f"left as it is, look at it yourself: {line}")
    log.info("erasing is finished")
    return True


def _make_again(lake: Lake, later: Sequence[LayerStep], run_id: str, log: Logger) -> None:
    """Make the tables after bronze from its new version, those that were made before."""
    for step in later:
        last = step.tables[-1]
        version = lake.current(last)
        if version is None:
            continue
        made = lake.metadata(last, version)
        is_current = all(made.inputs.get(table.key) == lake.current(table) for table in step.reads)
        if is_current and made.code_version == step.code_version:
            continue
        # Every month: none of the files that were made with the person is taken over.
        step_run = StepRun(lake, run_id, log, is_rebuild=True)
        lake.publish(run_step(step, step_run, publish_groups_of(step.reads)))


def _drop_old_versions(lake: Lake) -> None:
    """Remove every version but the current ones, scratch folders, and older versions of objects."""
    for tables in PUBLISH_GROUPS:
        lake.recover(tables)
        for table in tables:
            names = {name.partition(".")[0] for name in lake.store.names(table)} - {lake.current(table)}
            lake.store.remove(table, sorted(name for name in names if name.isdecimal()))
    lake.store.discard_older(datetime.now(UTC).timestamp() + 1)
    lake.store.forget_old_objects(TABLES)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
