"""One archive, or one profile, of one person: who reads it, and what the ledger says of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from fitness_assets.bronze.readers import profile
from fitness_assets.bronze.readers.archives import Archive
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.kinds import VERSIONS, kind_of
from fitness_assets.bronze.readers.records import Tally, tables
from fitness_assets.bronze.sources import Found

REPEATED = ("user_id", "type", "source", "device", "unit", "text", "utc_offset_seconds", "day")
"""Columns of records that repeat few values."""


class ReadArchive:
    """An archive that is read.

    Args:
        found: the upload.
        person: whose it is, as tables name them; None for nobody's.

    Attributes:
        kind: of the archive; None before it is known.
        tally: what became of its records.
    """

    def __init__(self, found: Found, person: str | None) -> None:
        self._found = found
        self._person = person
        self.kind: str | None = None
        self.tally = Tally()

    def tables(self, path: Path, scratch: Path) -> Iterator[pa.Table]:
        """Stream its records.

        Args:
            path: the upload as a file of this machine.
            scratch: a folder for copies of entries.

        Raises:
            RefusedError: if it is of no kind that is read, damaged, or nobody's.
        """
        person = self._person
        if self._found.is_profile:
            self.kind = "profile"
            if person is None:
                raise RefusedError("a profile is read only as people/<user_id>/profile.toml")
            yield from tables(profile.records(profile.read_profile(path), self.tally), person, self.tally)
            return
        with Archive(path, scratch) as archive:
            kind = kind_of(archive)
            self.kind = kind.name
            if person is None:
                raise RefusedError(f"it is {kind.label}, and nobody's: move it to people/<user_id>/ below raw/")
            yield from tables(kind.records(archive, self.tally), person, self.tally)

    def ledger_columns(self) -> dict[str, Any]:
        """Its columns of the ledger beyond those of every upload."""
        return {"kind": self.kind, "reader_version": VERSIONS.get(self.kind or ""), **self.tally.ledger_columns()}
