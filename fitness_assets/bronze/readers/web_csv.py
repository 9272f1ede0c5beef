"""Reads CSV tables that people download from vendors, in a ZIP archive or one by one.

``layouts.py`` says what the tables are. A filled cell of a column that is known is a record. Each other column of a
table counts once, as ``other columns``, and its name is kept as the reason.
"""

import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from io import StringIO, TextIOWrapper

from fitness_assets.bronze.readers.archives import Archive, Entry, lines
from fitness_assets.bronze.readers.cells import MARKERS, shown, trimmed
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.layouts import LAYOUTS, Cell, Layout
from fitness_assets.bronze.readers.records import Record, RecordCounter, number
from fitness_assets.bronze.readers.table_rows import Row

VERSION = 2
_HEAD = 16_384  # bytes in which a header ends
_MOST_AT_ONCE = 64 << 20
"""Bytes of a table whose rows are held in memory together."""
_SAMSUNG = "com.samsung."
_COMMENT = "comment"
"""A column whose text Samsung does not quote, so commas in it look like more cells."""
_NEVER_ZERO = {"steps", "heart_rate", "resting_heart_rate", "heart_rate_min", "heart_rate_max", "energy_total",
               "energy_basal", "weight", "height", "bmi"}  # fmt: skip
_DURATION = re.compile(r"(?:(\d{1,3})h)? ?(?:(\d{1,2})min)?")
_WITH_UNIT = re.compile(r"(-?\d+(?:[.,]\d+)?) ?([A-Za-z]+)")


@lru_cache(1)
def _tables(archive: Archive) -> dict[Entry, Layout]:
    """The files of an archive that are known tables of one vendor: that of the first one."""
    found = {entry: layout for entry in archive.entries if (layout := _layout(archive, entry))}
    kind = next((layout.kind for layout in found.values()), None)
    return {entry: layout for entry, layout in found.items() if layout.kind == kind}


def kind_of_tables(archive: Archive) -> str | None:
    """The kind of an archive of such tables; None if it has none of them."""
    return next((layout.kind for layout in _tables(archive).values()), None)


def records(archive: Archive, counter: RecordCounter) -> Iterator[Record]:
    """Yield the records of an archive, table by table."""
    tables = _tables(archive)
    if others := len(archive.entries) - len(tables):
        counter.see("other files", others)
        counter.drop("other files", "not_mapped", count=others)
    known: set[str] = set()
    for layout in LAYOUTS:
        mine: set[str] = set()
        for entry in sorted(tables, key=lambda entry: (entry.name, entry.index)):
            if tables[entry] is layout:
                yield from _Table(archive, entry, layout, counter).records(known, mine)
        known |= mine


def _layout(archive: Archive, entry: Entry) -> Layout | None:
    """Which table a file is."""
    if archive.is_zip and not entry.base.lower().endswith(".csv"):
        return None
    head = archive.head(entry, _HEAD).decode("utf-8-sig", "replace")
    for delimiter in ",;":
        try:
            names, signs = _header(csv.reader(StringIO(head, newline=""), delimiter=delimiter))
        except csv.Error:
            continue
        for layout in LAYOUTS:
            is_named = layout.entry is None or (archive.is_zip and entry.base == layout.entry)
            has_cells = any(signs.issuperset(cell.columns) for cell in layout.cells)
            if layout.delimiter == delimiter and is_named and has_cells and layout.signs <= signs:
                return None if "user_id" in names else layout
    return None


def _header(rows: Iterator[list[str]]) -> tuple[list[str], set[str]]:
    """The names of a table, and by what it is known: its names, and what Samsung says above them that it is."""
    first, above = next(rows, []), set[str]()
    if first and first[0].startswith(_SAMSUNG):
        above.add(first[0])
        first = [cell.rpartition(".")[2] if cell.startswith(_SAMSUNG) else cell for cell in next(rows, [])]
    names = [trimmed(cell) for cell in first]
    names = names[:-1] if len(names) > 1 and not names[-1] else names
    return names, {*names} | above


class _Table:
    """One table of an archive."""

    def __init__(self, archive: Archive, entry: Entry, layout: Layout, counter: RecordCounter) -> None:
        self._archive, self._entry, self._layout, self._counter = archive, entry, layout, counter

    def records(self, known: set[str], mine: set[str]) -> Iterator[Record]:
        """Yield the records.

        Args:
            known: ids of rows that count in an earlier table.
            mine: gets the ids of rows of this one that are used.
        """
        layout = self._layout
        if layout.prepare and self._entry.size > _MOST_AT_ONCE:
            raise RefusedError(f"a table of {layout.source} has {self._entry.size:,} bytes, more than it ever has")
        for row in layout.prepare([*self._rows()]) if layout.prepare else self._rows():
            when, skipped = layout.when(row), layout.skip(row)
            id_ = row[layout.once] if layout.once else ""
            if id_ in known:
                skipped = "overlapped", None
            elif isinstance(when, str):
                skipped = skipped or ("invalid", when)
            for cell in layout.cells:
                texts = [row[name] for name in cell.columns if row.get(name)]
                if not texts or any((number(row.get(name)) or 0) > 0 for name in cell.unless):
                    continue
                self._counter.see(cell.type)
                value, unit, text = _value(cell, texts)
                reason = skipped or _reason(cell, value, text)
                if reason or isinstance(when, str):
                    outcome, why = reason or ("invalid", None)
                    self._counter.drop(cell.type, outcome, why)
                    continue
                mine.update([id_] if id_ else [])
                yield Record(cell.type, value, unit, when.start, when.end, when.offset, when.day, layout.source,
                             text=text, clock=when.clock)  # fmt: skip

    def _rows(self) -> Iterator[Row]:
        """Rows by name. A row with too few or too many cells is counted, and left out."""
        with self._archive.open(self._entry) as file, TextIOWrapper(file, "utf-8-sig", "replace", newline="") as text:
            rows = csv.reader(lines(text), delimiter=self._layout.delimiter)
            try:
                names, signs = _header(rows)
                if not self._layout.signs <= signs:  # it is longer than what was looked at
                    self._damaged()
                    return
                self._count_others(names)
                for cells in rows:
                    if (row := self._row(names, [trimmed(cell) for cell in cells])) is not None:
                        yield row
            except csv.Error:
                self._damaged()

    def _damaged(self) -> None:
        self._counter.see("unreadable files")
        self._counter.drop("unreadable files", "invalid", "damaged")
        self._counter.warnings.append(f"a table of {self._layout.source} cannot be read to its end")

    def _row(self, names: list[str], cells: list[str]) -> Row | None:
        if len(cells) > len(names) and not cells[-1]:
            cells = cells[:-1]  # rows of Samsung and of Garmin end with a comma
        more = len(cells) - len(names)
        if more > 0 and _COMMENT in names:
            at = names.index(_COMMENT)
            cells = [*cells[:at], ",".join(cells[at : at + more + 1]), *cells[at + more + 1 :]]
        elif more < 0 and self._layout.has_headings:
            cells = cells + [""] * -more
        if not any(cells):
            return None
        if len(cells) != len(names):
            type_ = self._layout.cells[0].type
            self._counter.see(type_)
            self._counter.drop(type_, "invalid", "a row with too few or too many cells")
            return None
        return {name: "" if cell.lower() in MARKERS else cell for name, cell in zip(names, cells, strict=True)}

    def _count_others(self, names: list[str]) -> None:
        known = {column for cell in self._layout.cells for column in cell.columns} | self._layout.signs
        for name in names:
            if name not in known:
                self._counter.see("other columns")
                self._counter.drop("other columns", "not_mapped", shown(name, 40) or "(no name)")


def _value(cell: Cell, texts: list[str]) -> tuple[float | None, str | None, str | None]:
    """The value, the unit and the text of a record."""
    if cell.code:
        return None, None, cell.code(texts[0])
    found = [_quantity(text, cell.type == "weight") for text in texts]
    values = [value for value, _ in found if value is not None]
    return sum(values) if len(values) == len(found) else None, found[0][1] or cell.unit, cell.text


def _quantity(text: str, has_decimal_comma: bool) -> tuple[float | None, str | None]:
    """A number and the unit behind it, if there is one: ``8120``, ``80.0 kg``, ``5h 8min``."""
    if (match := _DURATION.fullmatch(text)) and text:
        return float(int(match[1] or 0) * 60 + int(match[2] or 0)), "min"
    match = _WITH_UNIT.fullmatch(text)
    plain, unit = (match[1], match[2]) if match else (text, None)
    return number(plain.replace(",", ".") if has_decimal_comma else plain), unit


def _reason(cell: Cell, value: float | None, text: str | None) -> tuple[str, str | None] | None:
    """Why a cell is not a valid record; None if it is."""
    if cell.code:
        return None if text else ("not_mapped", None)
    if value is None:
        return "invalid", "no number"
    if value < 0:
        return "invalid", "a code for no measurement"
    return ("invalid", "zero means not measured") if value == 0 and cell.type in _NEVER_ZERO else None
