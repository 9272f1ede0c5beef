"""Identifies uploads by their content, not by their names or times."""

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fitness_assets.bronze.pseudonyms import AS_UPLOADED, Pseudonyms
from fitness_assets.bronze.readers.csv import require_name
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.kinds import newer_version
from fitness_assets.bronze.sources import Found, Source

_HASH_AGAIN_SECONDS = 30 * 86_400
"""A file on disk is hashed again after so long, whatever the file system says of it."""
_CLOCK_TICK_SECONDS = 2.0
"""Two changes within this time may get the same time of change: a hash of that moment proves nothing later."""


@dataclass(frozen=True)
class Upload:
    """One upload; no other upload of the run has the same content.

    Attributes:
        source: where it is.
        found: as it was found there.
        content_sha256: SHA-256 of its bytes, in hexadecimal digits.
        upload_id: the name under which rows refer to their upload.
    """

    source: Source
    found: Found
    content_sha256: str
    upload_id: str

    def is_unchanged(self) -> bool:
        """Whether it is still the one that was hashed, and not one that is being copied in right now."""
        return self.source.stat(self.found.uri) == self.found


@dataclass
class Hashes:
    """Content hashes by URI, so that files that did not change are not read again.

    Attributes:
        entries: by URI (as text): fingerprint, SHA-256, and when it was computed, in seconds since 1970.
    """

    entries: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    _started: frozenset[tuple[str, tuple[str, str, float]]] = frozenset()

    @classmethod
    def of(cls, ledger: Sequence[Mapping[str, Any]], kept: str | bytes = "{}") -> "Hashes":
        """What the ledger says, oldest row first, and what earlier runs found beside it."""
        rows = {
            row["uri"]: (row["fingerprint"], row["content_sha256"], row["ingested_at"].timestamp()) for row in ledger
        }
        entries = rows | {uri: (entry[0], entry[1], entry[2]) for uri, entry in json.loads(kept).items()}
        return cls(entries, frozenset(entries.items()))

    @property
    def have_changed(self) -> bool:
        """Whether there is something to keep for the next run."""
        return frozenset(self.entries.items()) != self._started

    def to_json(self) -> str:
        """The entries as text, for a sidecar."""
        return json.dumps(self.entries)

    def content_sha256(self, source: Source, found: Found) -> str:
        """The hash of an upload, computed if nothing proves the known one."""
        entry, now = self.entries.get(found.text), time.time()
        if entry and entry[0] == found.fingerprint:
            if found.changed_at is None:
                return entry[1]
            is_sure = found.changed_at + _CLOCK_TICK_SECONDS < entry[2]
            if is_sure and now - entry[2] < _HASH_AGAIN_SECONDS:
                return entry[1]
        content_sha256 = source.content_sha256(found)
        self.entries[found.text] = (found.fingerprint, content_sha256, now)
        return content_sha256


def last_of_each(ledger: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The row of the ledger that was ingested last, by URI."""
    return {row["uri"]: row for row in sorted(ledger, key=lambda row: row["ingested_at"])}


def identify(
    sources: Sequence[Source],
    ledger: Sequence[Mapping[str, Any]] = (),
    hashes: Hashes | None = None,
    unread: dict[str, str] | None = None,
    pseudonyms: Pseudonyms = AS_UPLOADED,
) -> list[Upload]:
    """The uploads of some sources in the order of ingestion (last modified, then name), each `upload_id` once.

    The content identifies an upload: the same bytes under a second name are no second upload. Under a name whose last
    upload had other bytes they are a new one, even if they are known: who puts an earlier file back wants it to count.

    Args:
        sources: where to look.
        ledger: rows of ``bronze/uploads``, oldest first.
        hashes: known content hashes; learns those that are computed.
        unread: gets the URIs (as text) of those that cannot be read, each with the reason; None: the first one raises.
        pseudonyms: with a key, uploads in folders that a user id names are not read.
    """
    hashes = hashes or Hashes.of(ledger)
    last = {row["uri"]: row for row in ledger}
    known = {row["upload_id"] for row in ledger}
    uploads: dict[str, Upload] = {}
    everything = list[tuple[Source, Found]]()
    for source in sources:
        there, named_by_id = pseudonyms.readable(source.find())
        everything += ((source, found) for found in there)
        if unread is not None:
            unread |= named_by_id
    for source, found in sorted(everything, key=lambda item: (item[1].modified_at, item[1].uri)):
        try:
            content_sha256 = hashes.content_sha256(source, found)
        except OSError as error:
            if unread is None:
                raise
            unread[found.text] = str(error)
            continue
        upload_id = upload_id_of(found, content_sha256, last.get(found.text), known)
        uploads.setdefault(upload_id, Upload(source, found, content_sha256, upload_id))
    return list(uploads.values())


def upload_id_of(found: Found, content_sha256: str, last: Mapping[str, Any] | None, known: Collection[str]) -> str:
    """The id of an upload: the first digits of its content hash, with these exceptions.

    Of an upload below ``people/`` the person counts too, and the version of its reader once a newer one reads it again.
    Of other uploads a name that is refused counts: the same content may come, or be there already, under a better
    name. Where known bytes were put back under a name that had other bytes since, the upload before counts too.

    Args:
        found: the upload.
        content_sha256: the hash of its bytes.
        last: the last row of the ledger for its URI, if any.
        known: every upload id of the ledger.
    """
    if last and last["content_sha256"] == content_sha256:
        version = newer_version(last)
        return _digest(f"{content_sha256} of {found.person} by reader {version}") if version else last["upload_id"]
    upload_id = content_sha256[:16]
    if found.person:
        upload_id = _digest(f"{content_sha256} of {found.person}")
    elif not _has_name_of_upload(found):
        upload_id = _digest(f"{content_sha256} {found.text}")
    if last and upload_id in known:
        return _digest(f"{content_sha256} {found.text} after {last['upload_id']}")
    return upload_id


def _has_name_of_upload(found: Found) -> bool:
    try:
        require_name(found.uri)
    except RefusedError:
        return False
    return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
