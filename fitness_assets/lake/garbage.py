"""Removes old versions, and what killed runs left behind.

A version expires first and is removed an hour later, because somebody may still read it. Versions that were never
completed are removed after a day.
"""

from collections.abc import Sequence
from time import time

from fitness_assets.lake.store import EXPIRED_SUFFIX, Store, complete_versions
from fitness_assets.schema.table import Table

KEEP_VERSIONS = 5
"""How many versions stay by default: of those that were current, of those that passed their checks, and of all."""

KEEP_SECONDS = 3_600
"""How long an expired version stays: somebody may still read it."""

KEEP_UNFINISHED_SECONDS = 86_400
"""How long an incomplete version stays: by then its writer is dead."""


def collect_garbage(store: Store, tables: Sequence[Table], keep_versions: int = KEEP_VERSIONS) -> list[str]:
    """Remove old versions of one publish group, and what killed runs left behind.

    Args:
        store: where they are kept.
        tables: the publish group.
        keep_versions: how many versions stay; see `KEEP_VERSIONS`.

    Returns:
        Names of what was removed.
    """
    now = time()
    removed = store.discard_older(now - KEEP_UNFINISHED_SECONDS)
    with store.publishing(tables):
        current, last = {store.current(table.key) for table in tables}, tables[-1]
        names = {table.key: store.names(table) for table in tables}
        versions = sorted(set.intersection(*(set(complete_versions(found)) for found in names.values())))
        keep = current | _kept(store, tables, versions, keep_versions)
        # A bucket has no lock. A run that is about to make one of these versions current needs less than the hour.
        for version in versions:
            if version not in keep:
                store.write_sidecar(last, f"{version}{EXPIRED_SUFFIX}", b"")
        expired = {
            name.removesuffix(EXPIRED_SUFFIX): at
            for name, at in names[last.key].items()
            if name.endswith(EXPIRED_SUFFIX)
        }
        old = {version for version, at in expired.items() if at < now - KEEP_SECONDS} - current
        committed = {*versions, *expired, *current}
        for table in tables:  # the last table comes last: until then its sidecar file says that the version expired
            gone = [
                name
                for name, changed in names[table.key].items()
                if name.isdecimal()
                and (name in old or (name not in committed and changed < now - KEEP_UNFINISHED_SECONDS))
            ]
            if gone:
                store.remove(table, gone)
            removed += gone
    return removed


def _kept(store: Store, tables: Sequence[Table], versions: Sequence[str], keep_versions: int) -> set[str | None]:
    """The versions to keep: the last current ones, the last that passed their checks, and the last of all."""
    all_metadata = {version: [store.metadata(table, version) for table in tables] for version in versions}
    passed = [
        version for version, each in all_metadata.items() if not any(metadata.blocking_rules for metadata in each)
    ]
    published = [store.current(tables[-1].key)]
    while published[-1] in all_metadata and len(published) < keep_versions:
        published.append(all_metadata[published[-1]][-1].parent)
    return {*published, *passed[-keep_versions:], *versions[-keep_versions:]}
