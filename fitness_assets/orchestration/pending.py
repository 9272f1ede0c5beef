"""Compares the uploads that are there with what the lake holds, to tell what a run would have to do.

The content of an upload decides. A file that was touched, moved or copied has a new fingerprint, but the ledger may
know its content. So a file of a size that the ledger knows is hashed, once per process.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

from fitness_assets.bronze.identity import last_of_each, upload_id_of
from fitness_assets.bronze.readers.kinds import newer_version
from fitness_assets.bronze.sources import Found, Source
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.coach.assets import find_goals
from fitness_assets.coach.tables import GOALS, PLANS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError
from fitness_assets.orchestration.arrivals import Pending
from fitness_assets.quality.tables import AUDIT
from fitness_assets.registry import PUBLISH_GROUPS

_SECONDS = 20.0
"""How long one tick hashes files: Dagster ends a tick that takes more than a minute."""

Hashes = dict[tuple[str, str], str]
"""SHA-256 of contents by URI and fingerprint."""


class UnfinishedError(LakeError):
    """Too many files had to be hashed; the next tick goes on with the rest."""


def pending_of(lake: Lake, source: Source, there: Sequence[Found], hashes: Hashes) -> Pending:
    """What a run would have to do.

    Args:
        lake: what is there already.
        source: where the uploads are.
        there: the uploads that were found.
        hashes: kept from one tick to the next; hashes of this tick are added.

    Raises:
        UnfinishedError: if not all files could be hashed in the time of one tick.
        OSError: if the lake cannot be read.
    """
    ledger = lake.rows(UPLOADS)
    new = _unknown(source, there, ledger, hashes)
    before = [row for version in lake.rolled_back(UPLOADS) for row in lake.rows(UPLOADS, version)] if new else []
    held = {found.uri for found in new} - {found.uri for found in _unknown(source, new, before, hashes)}
    later = [(tables[-1], lake.current(tables[-1])) for tables in PUBLISH_GROUPS[1:]]
    is_behind = any(
        lake.store.current(key) != made_from
        for table, version in later
        if version and table != AUDIT  # it has a rule of its own for when it is made again
        for key, made_from in lake.metadata(table, version).inputs.items()
    )
    is_missing = lake.current(UPLOADS) is not None and not all(version for _, version in later)
    withdrawn = tuple(sorted(row["upload_id"] for row in ledger if row["status"] == "withdrawn"))
    refusals = {row["uri"] for row in last_of_each(ledger).values() if row["status"] == "refused"}
    refused = sum(found.text in refusals for found in there)
    uris = tuple(sorted(found.uri for found in new))
    return Pending(uris, tuple(sorted(held)), withdrawn, is_behind, is_missing, refused)


def with_goals(pending: Pending, lake: Lake, goals: str) -> Pending:
    """The same with the goal files whose content the ledger of the coach does not know.

    Those that were in a version of the coach that a person rolled back are held, as uploads are.

    Args:
        pending: what a run would have to do for uploads.
        lake: what is there already.
        goals: a folder or an S3 prefix.
    """
    new = _new_goals(goals, lake.rows(GOALS))
    before = [row for version in lake.rolled_back(PLANS) for row in lake.rows(GOALS, version)] if new else []
    held = new - _new_goals(goals, before) if before else set[str]()
    return replace(
        pending, new=(*pending.new, *sorted(new)), held=(*pending.held, *sorted(held)), goals=tuple(sorted(new))
    )


def _new_goals(goals: str, ledger: Sequence[Mapping[str, Any]]) -> set[str]:
    """The goal files whose content a ledger does not know."""
    known = {row["upload_id"] for row in ledger}
    found, _ = find_goals(goals, [dict(row) for row in ledger])
    return {upload.found.uri for upload in found if upload.upload_id not in known}


def _unknown(
    source: Source, there: Iterable[Found], ledger: Sequence[Mapping[str, Any]], hashes: Hashes
) -> list[Found]:
    """The uploads whose content a ledger does not know."""
    sizes, ids = {row["size_bytes"] for row in ledger}, {row["upload_id"] for row in ledger}
    last = last_of_each(ledger)
    deadline, unknown = monotonic() + _SECONDS, []
    for found in there:
        before, content = last.get(found.text), None
        if before and before["fingerprint"] == found.fingerprint and not newer_version(before):
            continue
        if found.size_bytes in sizes:
            content = hashes.get((found.uri, found.fingerprint))
            if content is None and monotonic() > deadline:
                raise UnfinishedError(f"Comparing uploads with the ledger: {found.text} is next in the next look.")
            content = content or _hash(source, found, hashes)
        if content is None or upload_id_of(found, content, before, ids) not in ids:
            unknown.append(found)
    return unknown


def _hash(source: Source, found: Found, hashes: Hashes) -> str | None:
    """The content hash of an upload; None if it cannot be read: then a run reports why."""
    try:
        content = source.content_sha256(found)
    except OSError:
        return None
    hashes[found.uri, found.fingerprint] = content
    return content
