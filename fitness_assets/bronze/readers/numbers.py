"""Finds out how a file writes numbers: its decimal mark, and whether it groups digits in thousands.

Numbers must not be misread: ``10.000`` steps may be ten thousand, and ``68,4`` is a number only if the decimal mark is
a comma. One cell cannot tell, so the shapes of all numbers are counted while a file is read. If a column is not plain,
its style is decided at the end, and the file is read once more.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from fitness_assets.schema.table import Column

PLAIN_CHARACTERS = b"0123456789.+-eE"
"""The characters of a number that the engine reads."""

NO_NUMBER = "is not a number"
NOT_FINITE = "is not finite"
THOUSANDS = "may have a thousands separator, and the file does not prove what it is: write 10000, not 10.000"
COMMA = "has a decimal comma or a thousands separator, and the file does not prove which: write 68.4, not 68,4"

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?(nan|inf|infinity)", re.IGNORECASE)


class Shape(Enum):
    """The shape of a text in a number column. A text without any mark has a shape only if it is ``LONG``."""

    LONG = r"\d{4,}"
    POINT_GROUPS = r"[1-9]\d{0,2}(\.\d{3})+"
    COMMA_GROUPS = r"[1-9]\d{0,2}(,\d{3})+"
    POINT_GROUPS_DECIMAL_COMMA = r"[1-9]\d{0,2}(\.\d{3})+,\d+"
    COMMA_GROUPS_DECIMAL_POINT = r"[1-9]\d{0,2}(,\d{3})+\.\d+"
    THREE_DECIMALS = r"\d+\.\d{3}"
    DECIMAL_POINT = r"\d+\.\d+"
    DECIMAL_COMMA = r"\d+,\d+"


class Style(Enum):
    """How a column writes numbers, if not plainly."""

    EUROPEAN = "thousands by point, decimal comma"
    AMERICAN = "thousands by comma, decimal point"
    UNKNOWN = "not proven"


_PATTERNS = {shape: re.compile(f"[-+]?(?:{shape.value})", re.ASCII) for shape in Shape}
_MARKS = {Style.EUROPEAN: (".", ","), Style.AMERICAN: (",", ".")}
_SHAPES_OF = {
    Style.EUROPEAN: {Shape.POINT_GROUPS, Shape.DECIMAL_COMMA, Shape.POINT_GROUPS_DECIMAL_COMMA},
    Style.AMERICAN: {Shape.COMMA_GROUPS, Shape.COMMA_GROUPS_DECIMAL_POINT},
}


@dataclass
class NumberStyles:
    """The number columns of one file.

    Attributes:
        delimiter: of the file. Where it is a comma, a decimal comma is not proven.
        styles: the style of each column that is not plain, by name; empty until `decide`.
    """

    delimiter: str
    styles: dict[str, Style] = field(default_factory=dict)
    _seen: dict[str, Counter[Shape]] = field(default_factory=dict)
    _fractions: set[str] = field(default_factory=set)
    _columns: dict[str, Column] = field(default_factory=dict)

    def are_needed(self, column: Column, characters: bytes) -> bool:
        """Whether the texts of a column have to be looked at, given all of their characters."""
        if column.name in self.styles or b"-" in characters or characters.translate(None, PLAIN_CHARACTERS):
            return True
        seen = self._seen.get(column.name, Counter())
        is_proven = seen[Shape.DECIMAL_POINT] and (column.type == "double" or not _can_be_grouped(column))
        return b"." in characters and not is_proven

    def observe(self, column: Column, texts: Iterable[str]) -> None:
        """Count the shapes of a column's texts; each text needs to come once only."""
        seen = self._seen.setdefault(column.name, Counter())
        self._columns[column.name] = column
        for text in texts:
            shape = _shape(column, text)
            if shape:
                seen[shape] += 1
            if shape is Shape.POINT_GROUPS and not text.endswith(".000"):
                self._fractions.add(column.name)

    def decide(self) -> bool:
        """Decide how each column is written.

        Returns:
            Whether a column is not plain, so that the file has to be read again.
        """
        styles = {name: self._style(self._columns[name], seen) for name, seen in self._seen.items()}
        self.styles = {name: style for name, style in styles.items() if style}
        return bool(self.styles)

    def read(self, column: Column, text: str) -> tuple[str | None, str | None]:
        """A number as the engine reads it, or None and the reason why it cannot be read."""
        style, shape = self.styles.get(column.name), _shape(column, text)
        if style and shape in _SHAPES_OF.get(style, ()):
            group, decimal = _MARKS[style]
            return text.replace(group, "").replace(decimal, "."), None
        if shape is Shape.POINT_GROUPS and (style or text.count(".") > 1):
            return None, THOUSANDS
        if shape and "," in text:
            return None, COMMA
        if _NUMBER.fullmatch(text):
            return text, None
        return None, NOT_FINITE if _NOT_FINITE.fullmatch(text) else NO_NUMBER

    @property
    def decimal_mark(self) -> str | None:
        """The decimal mark that the numbers of the file prove; None if they prove none, or two."""
        total = sum(self._seen.values(), Counter())
        points = total[Shape.DECIMAL_POINT] + total[Shape.THREE_DECIMALS] + total[Shape.COMMA_GROUPS_DECIMAL_POINT]
        commas = total[Shape.DECIMAL_COMMA] + total[Shape.POINT_GROUPS_DECIMAL_COMMA]
        if points and not commas:
            return "."
        return "," if commas and not points and self.delimiter != "," else None

    def _style(self, column: Column, seen: Counter[Shape]) -> Style | None:
        european = sum(seen[shape] for shape in _SHAPES_OF[Style.EUROPEAN])
        american = sum(seen[shape] for shape in _SHAPES_OF[Style.AMERICAN])
        if not european and not american:
            return None
        if not american and european == seen[Shape.POINT_GROUPS] and self._is_decimal_point(column, seen):
            return None
        if self.decimal_mark == "," and not american and not (seen[Shape.POINT_GROUPS] and seen[Shape.LONG]):
            return Style.EUROPEAN
        if self.decimal_mark == "." and not european and not seen[Shape.LONG]:
            return Style.AMERICAN
        return Style.UNKNOWN

    def _is_decimal_point(self, column: Column, seen: Counter[Shape]) -> bool:
        """Whether numbers such as 10.000 are decimals, because the column or the file proves it."""
        if column.type == "double" and (seen[Shape.DECIMAL_POINT] or seen[Shape.THREE_DECIMALS]):
            return True
        total = sum(self._seen.values(), Counter())
        has_three_decimals = total[Shape.THREE_DECIMALS] and not total[Shape.DECIMAL_POINT]
        is_fraction = column.type == "int" and column.name in self._fractions
        return bool(has_three_decimals and self.decimal_mark == "." and not is_fraction)


def _can_be_grouped(column: Column) -> bool:
    """Whether values of a column reach a thousand; 72.500 beats a minute cannot be thousands."""
    return column.range is None or column.range[1] >= 1_000


def _shape(column: Column, text: str) -> Shape | None:
    """The first shape that fits; in a column that cannot reach a thousand, a point or comma is a decimal mark."""
    if text.isdecimal():  # most are
        return Shape.LONG if len(text) > 3 else None
    shape = next((shape for shape, pattern in _PATTERNS.items() if pattern.fullmatch(text)), None)
    if not _can_be_grouped(column):
        if shape is Shape.POINT_GROUPS and text.count(".") == 1:
            return Shape.THREE_DECIMALS
        if shape is Shape.COMMA_GROUPS and text.count(",") == 1:
            return Shape.DECIMAL_COMMA
    return shape
