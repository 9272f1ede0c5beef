"""Cleans columns of cells: trims each cell and normalises its text, or says why the cell is malformed.

A column of plain numbers or ids is passed on unchanged. In other columns Python reads each distinct text once
(``cells.py``, ``numbers.py``). Errors of values (too large, not whole) are found by the engine.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fitness_assets.bronze.readers import cells
from fitness_assets.bronze.readers.numbers import NumberStyles
from fitness_assets.bronze.tables import RAW_COLUMNS
from fitness_assets.schema.table import Column

CUT_SCHEMA = pa.schema(
    [
        *((column.name, pa.string()) for column in RAW_COLUMNS),
        ("extra", pa.string()),
        ("text", pa.string()),
        ("problems", pa.string()),
        ("line_number", pa.int64()),
    ]
)
"""Rows as the engine gets them; every upload has these columns, whatever its header. A reason is one line."""

_ASCII_BLANKS = tuple(c.encode() for c in cells.BLANKS if c.isascii())
_NO_DAY = "is not a day written as YYYY-MM-DD"
_EMPTY = "is empty, but required"

_Read = Callable[[str], tuple[str | None, str | None]]
"""From the trimmed text of a cell to its value, or None and the reason why it does not fit."""


def clean(table: pa.Table, names: Sequence[str], styles: NumberStyles) -> pa.Table:
    """Bring cut rows under the raw names.

    Args:
        table: ``c0``, ``c1``, … as strings, ``text``, ``line_number``, and ``problem`` of rows that could not be cut.
        names: of the columns ``c0``, ``c1``, ….
        styles: how the file writes numbers; learns what is seen.

    Returns:
        The rows, but for blank ones, as `CUT_SCHEMA`.
    """
    position_of = {name: f"c{position}" for position, name in enumerate(names)}
    reasons: dict[int, list[str]] = defaultdict(list)
    values: dict[str, pa.Array] = {}
    beyond: dict[str, pa.Array] = {}
    for column in RAW_COLUMNS:
        if column.name not in position_of:
            values[column.name] = pa.nulls(len(table), pa.string())
            continue
        array = whole(table[position_of[column.name]])
        if column.name == "gender":
            values["gender"], beyond["gender"] = _genders(array)
        else:
            values[column.name] = _column(column, array, styles, reasons)
    for name, position in position_of.items():
        if name not in values:
            beyond[name] = _trimmed(whole(table[position]))
    extra = _as_json(beyond, len(table))
    malformed = whole(table["problem"])
    for row in np.flatnonzero(malformed.is_valid().to_numpy(zero_copy_only=False)):
        reasons[int(row)] = [malformed[int(row)].as_py()]
    keep = _require(values, extra, reasons)
    problems = pa.nulls(len(table), pa.string())
    if reasons:
        lines = ("\n".join(reasons[row]) if row in reasons else None for row in range(len(table)))
        problems = pa.array(lines, pa.string())
    arrays = [*values.values(), extra, whole(table["text"]), problems, whole(table["line_number"])]
    cleaned = pa.Table.from_arrays(arrays, schema=CUT_SCHEMA)
    return cleaned if keep is None else cleaned.filter(keep)


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column as one chunk; a column that has one chunk is not copied."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _column(column: Column, array: pa.Array, styles: NumberStyles, reasons: dict[int, list[str]]) -> pa.Array:
    """A column of the contract, but for genders."""
    if column.type in ("int", "double"):
        if not styles.are_needed(column, _characters(array)):
            return array

        def read(text: str) -> tuple[str | None, str | None]:
            return styles.read(column, text)

        def observe(texts: list[str | None]) -> None:
            styles.observe(column, [text for text in texts if text])

        return _read_distinct(column, array, read, reasons, observe)
    if column.type == "date":
        return _read_distinct(column, array, _day, reasons)
    if not _may_have_blanks(_characters(array)):
        return array
    return _read_distinct(column, array, lambda text: (cells.person(text), None), reasons)


def _day(text: str) -> tuple[str | None, str | None]:
    day = cells.day(text)
    return day, None if day else _NO_DAY


def _read_distinct(
    column: Column,
    array: pa.Array,
    read: _Read,
    reasons: dict[int, list[str]],
    observe: Callable[[list[str | None]], None] = lambda _: None,
) -> pa.Array:
    """Read each different text of a column once."""
    encoded = array.dictionary_encode()
    texts = [cells.empty_to_none(column, cells.trimmed(text)) for text in encoded.dictionary.to_pylist()]
    observe(texts)
    read_texts = [read(text) if text else (None, None) for text in texts]
    faults = {
        at: f"{column.name}: '{cells.shown(text or '')}' {reason}"
        for at, (text, (_, reason)) in enumerate(zip(texts, read_texts, strict=True))
        if reason
    }
    if faults:
        indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(np.isin(indices, [*faults])):
            reasons[int(row)].append(faults[int(indices[row])])
    return _replaced(array, encoded, [value for value, _ in read_texts])


def _replaced(array: pa.Array, encoded: pa.DictionaryArray, values: Sequence[str | None]) -> pa.Array:
    """The column with each distinct text replaced."""
    if encoded.dictionary.to_pylist() == values:
        return array
    return pa.array(values, pa.string()).take(encoded.indices)


def _genders(array: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The genders M and F, and a second column with all other words."""
    encoded = array.dictionary_encode()
    texts = [cells.trimmed(text) for text in encoded.dictionary.to_pylist()]
    known = [cells.gender(text) for text in texts]
    is_empty = [not text or text.lower() in cells.MARKERS for text in texts]
    other = [None if gender or empty else text for text, gender, empty in zip(texts, known, is_empty, strict=True)]
    others = _replaced(array, encoded, other) if any(other) else pa.nulls(len(array), pa.string())
    return _replaced(array, encoded, known), others


def _trimmed(array: pa.Array) -> pa.Array:
    """A column beyond the contract."""
    if not _may_have_blanks(_characters(array)):
        return array
    encoded = array.dictionary_encode()
    return _replaced(array, encoded, [cells.trimmed(text) or None for text in encoded.dictionary.to_pylist()])


def _as_json(columns: Mapping[str, pa.Array], rows: int) -> pa.Array:
    """The filled cells of some columns as JSON objects; null where all are empty."""
    filled = {name: array for name, array in columns.items() if array.null_count < len(array)}
    if not filled:
        return pa.nulls(rows, pa.string())
    parts = []
    for name, array in filled.items():
        characters = _characters(array)
        if any(sign in characters for sign in (b'"', b"\\", b"\x7f")) or characters.translate(None, _VISIBLE):
            encoded = array.dictionary_encode()
            inner = [json.dumps(text, ensure_ascii=False)[1:-1] for text in encoded.dictionary.to_pylist()]
            array = pa.array(inner, pa.string()).take(encoded.indices)
        key = json.dumps(name, ensure_ascii=False)
        parts.append(_joined(pa.scalar(f',{key}:"'), array, pa.scalar('"')).fill_null(""))
    joined = _joined(*parts)
    inner = pc.call_function("utf8_slice_codeunits", [joined], pc.SliceOptions(1))
    is_empty = pc.call_function("equal", [joined, pa.scalar("")])
    objects = _joined(pa.scalar("{"), inner, pa.scalar("}"))
    return pc.call_function("if_else", [is_empty, pa.scalar(None, pa.string()), objects])


def _joined(*parts: pa.Array | pa.Scalar) -> pa.Array:
    """Concatenated texts; null where one of them is null."""
    return pc.call_function("binary_join_element_wise", [*parts, pa.scalar("")])


def _require(values: Mapping[str, pa.Array], extra: pa.Array, reasons: dict[int, list[str]]) -> pa.Array | None:
    """Give rows that lack a required value the reason; returns which rows are not blank, None for all."""
    required = [column for column in RAW_COLUMNS if not column.nullable and values[column.name].null_count]
    if not required:
        return None
    missing = {column.name: values[column.name].is_null().to_numpy(zero_copy_only=False) for column in required}
    candidates = np.flatnonzero(np.logical_or.reduce([*missing.values()]))
    is_blank = np.zeros(len(extra), bool)
    is_blank[candidates] = extra.take(pa.array(candidates)).is_null().to_numpy(zero_copy_only=False)
    for array in values.values():
        is_blank[candidates] &= array.take(pa.array(candidates)).is_null().to_numpy(zero_copy_only=False)
    order = [column.name for column in RAW_COLUMNS]
    blank = []
    for row in map(int, candidates):
        if is_blank[row] and row not in reasons:
            blank.append(row)
            continue
        said = reasons.get(row, [])
        if said and said[0].partition(":")[0] not in order:
            continue  # the row could not be cut: which cells are empty is not known
        for name in missing:
            if missing[name][row] and not any(reason.startswith(f"{name}: ") for reason in said):
                said = [*said, f"{name}: {_EMPTY}"]
        reasons[row] = sorted(said, key=lambda reason: order.index(reason.partition(":")[0]))
    if not blank:
        return None
    keep = np.ones(len(extra), bool)
    keep[blank] = False
    return pa.array(keep)


def _characters(array: pa.Array) -> bytes:
    """All characters of a column, in UTF-8, one cell after the other."""
    buffer = array.buffers()[2]
    return buffer.to_pybytes() if buffer else b""


def _may_have_blanks(characters: bytes) -> bool:
    """Whether a cell may have something around it, or letters that can be written in two ways."""
    return not characters.isascii() or b"=" in characters or any(blank in characters for blank in _ASCII_BLANKS)


_VISIBLE = bytes(range(0x20, 0x100))
