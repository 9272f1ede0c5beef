"""Finds exact repeats among millions of records: by 64 bits for each, in sorted arrays."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa


def hashes(table: pa.Table, more: np.ndarray) -> np.ndarray:
    """64 bits for each row: equal rows have equal bits, and of ten million different rows no two do, as a rule.

    Args:
        table: the rows.
        more: 64 bits for each row that tell it from rows with the same cells; zero for none.
    """
    found = more ^ np.uint64(0x9E3779B97F4A7C15)
    for field in table.schema:
        column = table[field.name].combine_chunks()
        if pa.types.is_string(field.type):
            encoded = column.dictionary_encode()
            of_texts = [_hash_of(text) for text in encoded.dictionary.to_pylist()] or [0]
            bits = np.array(of_texts, np.uint64)[encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
        else:
            wide = (
                column
                if pa.types.is_floating(field.type)
                else column.cast(pa.int32() if pa.types.is_date(field.type) else pa.int64()).cast(pa.int64())
            )
            bits = wide.fill_null(0).to_numpy(zero_copy_only=False).view(np.uint64)
        is_null = column.is_null().to_numpy(zero_copy_only=False)
        found = _mixed(found ^ np.where(is_null, np.uint64(0x2545F4914F6CDD1D), bits))
    return found


def _hash_of(text: str) -> int:
    """64 bits of a text, alike in every process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Spread each number over all 64 bits (the finalizer of SplitMix64, Steele and others, OOPSLA 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


class Known:
    """Hashes of all rows so far, in sorted arrays; each is at least twice as long as the one after it."""

    def __init__(self) -> None:
        self._sorted: list[np.ndarray] = []

    def add(self, hashes: np.ndarray) -> np.ndarray:
        """Add the hashes of a batch; returns which of them are new."""
        unique, first = np.unique(hashes, return_index=True)
        is_new = np.zeros(len(hashes), bool)
        is_new[first] = True
        for known in self._sorted:
            at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            is_new &= known[at] != hashes
        self._sorted.append(unique)
        while len(self._sorted) > 1 and 2 * len(self._sorted[-1]) > len(self._sorted[-2]):
            self._sorted[-2:] = [np.union1d(self._sorted[-2], self._sorted[-1])]
        return is_new
