"""Reads one archive or one profile of a person, and makes its row of the ledger."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from fitness_assets.bronze.measurements import OFFSET_OF_EXPORT
from fitness_assets.bronze.readers import profile
from fitness_assets.bronze.readers.archives import Archive
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.kinds import VERSIONS, kind_of
from fitness_assets.bronze.readers.records import RecordCounter, tables
from fitness_assets.bronze.sources import Found

REPEATED = ("user_id", "type", "source", "device", "unit", "text", "utc_offset_seconds", "day")
"""Columns of records that repeat few values."""
_SAID = {"age": "birth_date", "gender": "gender", "height": "height_cm"}
"""Types of records that say something of the person, and the lines of a profile that say it."""


class ReadArchive:
    """An archive that is being read.

    Args:
        found: the upload.
        person: the person's id as tables have it; None if the upload belongs to nobody.

    Attributes:
        kind: kind of the archive; None until it is known.
        counter: counts its records by outcome.
    """

    def __init__(self, found: Found, person: str | None) -> None:
        self._found = found
        self._person = person
        self.kind: str | None = None
        self.counter = RecordCounter()
        self._needs_zone = False

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
            yield from tables(profile.records(profile.read_profile(path), self.counter), person, self.counter)
            return
        with Archive(path, scratch) as archive:
            kind = kind_of(archive)
            self.kind = kind.name
            if person is None:
                raise RefusedError(f"it is {kind.label}, and nobody's: move it to people/<user_id>/ below raw/")
            for table in tables(kind.records(archive, self.counter), person, self.counter):
                self._needs_zone = self._needs_zone or _needs_zone(table, kind.name)
                yield table

    def unsaid(self, ledger: Sequence[Mapping[str, Any]]) -> list[str]:
        """Warnings about facts of the person that the archive needs and no upload states.

        Args:
            ledger: the rows of ``bronze/uploads``, with those of the same run.
        """
        mine = [row for row in ledger if row.get("person") == self._person and row["status"] == "ingested"]
        counts = [json.loads(row.get("record_counts") or "{}") for row in mine]
        said = {type_ for of_upload in counts for type_, count in of_upload.items() if count["used"]}
        lines = [line for type_, line in _SAID.items() if type_ not in said]
        found = []
        if lines and not any(row.get("kind") == "profile" for row in mine):
            found.append(f"no profile.toml says {', '.join(lines)} of this person: what needs it stays empty")
        if self._needs_zone and "zone" not in said:
            found.append("no profile.toml says the time_zone of this person: days of this file are those of UTC")
        return found

    def ledger_columns(self) -> dict[str, Any]:
        """Its columns of the ledger beyond those of every upload."""
        return {"kind": self.kind, "reader_version": VERSIONS.get(self.kind or ""), **self.counter.ledger_columns()}


def _needs_zone(table: pa.Table, kind: str) -> bool:
    """Whether some records have neither the vendor's day nor their own offset."""
    is_null = {
        name: table[name].is_null().to_numpy(zero_copy_only=False) for name in ("start_at", "day", "utc_offset_seconds")
    }
    has_no_offset = is_null["utc_offset_seconds"] | (kind in OFFSET_OF_EXPORT)
    return bool((~is_null["start_at"] & is_null["day"] & has_no_offset).any())
