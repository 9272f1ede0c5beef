"""The run inputs of bronze: tables of what a run found and what bronze knew before, which rules query."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from fitness_assets.bronze.tables import FOUND, KNOWN_UPLOADS, KNOWN_USERS, LOGGED_DAYS, UNREAD
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging

if TYPE_CHECKING:
    from pyarrow.dataset import FileSystemDataset

_USERS = "users.json"  # sidecar of the logged days: whose they are


def run_inputs(
    found: Iterable[str] = (),
    unread: Mapping[str, str] | None = None,
    known_uploads: Iterable[str] = (),
    known_users: Iterable[str] = (),
) -> dict[str, pa.Table]:
    """Tables in memory, by key.

    Args:
        found: ids of the uploads that this run found.
        unread: why an upload was left out for now, by URI.
        known_uploads: ids of the uploads in the ledger of the version before.
        known_users: people who have logged days in the version before.
    """
    unread = unread or {}
    return {
        FOUND: _texts(upload_id=found),
        KNOWN_UPLOADS: _texts(upload_id=known_uploads),
        UNREAD: _texts(uri=unread.keys(), reason=unread.values()),
        KNOWN_USERS: _texts(user_id=known_users),
    }


def known_users(lake: Lake, version: str | None) -> list[str]:
    """The people who have logged days in a version; empty if there is none."""
    if version is None:
        return []
    if (name := f"{version}.{_USERS}") in lake.attachments(LOGGED_DAYS, version):
        return json.loads(lake.store.read_sidecar(LOGGED_DAYS, name))
    return _users(lake.store.dataset(LOGGED_DAYS, version))  # versions before 2026-12 have no list


def keep_users(staging: Staging, known: Iterable[str]) -> None:
    """Keep beside a version the people who have logged days in it: the known ones, and those of its new rows."""
    made = staging.metadata[LOGGED_DAYS.key].months_made
    files = staging.store.paths(LOGGED_DAYS, staging.version, made)
    new = _users(staging.store.dataset_of(LOGGED_DAYS, files)) if files else []
    staging.attach(LOGGED_DAYS, _USERS, json.dumps(sorted({*known, *new})).encode())


def _users(dataset: "FileSystemDataset") -> list[str]:
    column = dataset.to_table(columns=["user_id"])["user_id"]
    return sorted(column.unique().to_pylist())


def _texts(**columns: Iterable[str]) -> pa.Table:
    return pa.table({name: pa.array([*texts], pa.string()) for name, texts in columns.items()})
