"""The journal of erased people: who is being erased, who was, and which rows of an upload are theirs.

The journal names a person by a code, a hash of the id with a random key of the lake. So it does not hold the id, and
rows of an erased person are recognised when they are uploaded again. The journal also holds the key, so anybody who can
read the lake can test whether an id was erased.
"""

import hmac
import json
import re
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from fitness_assets.bronze.pseudonyms import Pseudonyms
from fitness_assets.bronze.readers.cells import trimmed
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.lake.lake import Lake

REFUSAL = "this person was erased; to have their data again: fitness readmit USER_ID"
"""Why archives of erased people are refused; with these words the ledger tells them from other refusals."""

_FILE = "erasures.json"  # beside the versions of the ledger; garbage collection keeps it
_CELLS = re.compile(r'[,;\t|"\r\n]+')


@dataclass
class Erasures:
    """The journal of one lake.

    Attributes:
        key: of the codes, random, in hexadecimal digits.
        open: by code the people whose erasure has begun and is not finished: when it began and what the lake had.
        erased: the people who were erased: ``code``, ``finished_at``, and what the lake had.
    """

    key: str = field(default_factory=lambda: secrets.token_hex(32))
    open: dict[str, dict[str, Any]] = field(default_factory=dict)
    erased: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, lake: Lake) -> "Erasures":
        """The journal of a lake; a new one, which is not stored, if it has none."""
        try:
            return cls(**json.loads(lake.store.read_sidecar(UPLOADS, _FILE)))
        except FileNotFoundError:
            return cls()

    def write(self, lake: Lake) -> None:
        """Store the journal atomically."""
        lake.store.write_sidecar(UPLOADS, _FILE, json.dumps(asdict(self), indent=1).encode())

    def code(self, user_id: str) -> str:
        """The code of a person.

        Args:
            user_id: the id as tables have it.
        """
        return hmac.digest(bytes.fromhex(self.key), user_id.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]


@dataclass(frozen=True)
class People:
    """Some people, known by their codes.

    Attributes:
        journal: gives the code of an id.
        codes: the codes of the people.
        pseudonyms: what stands for ids in tables.
    """

    journal: Erasures
    codes: frozenset[str]
    pseudonyms: Pseudonyms

    def have(self, user_id: str | None) -> bool:
        """Whether an id of an upload or a table belongs to one of these people."""
        return bool(user_id) and self.journal.code(self.pseudonyms.of(user_id or "")) in self.codes

    def are_in(self, text: str | None) -> bool:
        """Whether a cell of a text is an id of one of these people."""
        return any(self.have(trimmed(cell)) for cell in _CELLS.split(text or "") if cell)

    def of_ids(self, ids: pa.ChunkedArray) -> np.ndarray:
        """Which ids of a column are theirs."""
        encoded = ids.combine_chunks().dictionary_encode()
        theirs = [self.have(user_id) for user_id in encoded.dictionary.to_pylist()]
        return pa.array(theirs, pa.bool_()).take(encoded.indices).fill_null(False).to_numpy(zero_copy_only=False)

    def of_texts(self, texts: pa.ChunkedArray) -> np.ndarray:
        """Which rows of a column of malformed rows are theirs.

        Nobody can tell whose a malformed row is, so it is theirs if any of its cells is an id of theirs.
        """
        return np.array([self.are_in(text) for text in texts.to_pylist()], bool)

    def of_rows(self, rows: pa.Table) -> np.ndarray:
        """Which rows of an upload are theirs.

        Args:
            rows: as a reader gives them (`readers.cleaning.CUT_SCHEMA`).
        """
        theirs = self.of_ids(rows["user_id"])
        malformed = np.flatnonzero(rows["problems"].is_valid().to_numpy())
        theirs[malformed] |= self.of_texts(rows["text"].take(pa.array(malformed)))
        return theirs


@dataclass
class LeftOut:
    """Leaves the rows of erased people out of an upload.

    Attributes:
        people: the erased people.
        rows: how many rows were left out.
    """

    people: People
    rows: int = 0

    @classmethod
    def of(cls, lake: Lake, pseudonyms: Pseudonyms) -> "LeftOut":
        """For everybody in the journal of a lake."""
        journal = Erasures.read(lake)
        codes = frozenset((*journal.open, *(entry["code"] for entry in journal.erased)))
        return cls(People(journal, codes, pseudonyms))

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The rows of an upload that are not of erased people."""
        if not self.people.codes:
            return rows
        theirs = self.people.of_rows(rows)
        self.rows += int(theirs.sum())
        return rows.filter(pa.array(~theirs)) if theirs.any() else rows
