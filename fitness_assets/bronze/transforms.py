"""How bronze is made: rows of text into cells by name, cells into typed values, malformed_rows into reasons."""

from functools import reduce
from operator import or_

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.bronze.readers.csv import LONGEST_ROW, Layout, closed_field, open_quote
from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, RAW_COLUMNS
from fitness_assets.schema.table import Column

_RAW_NAMES = [column.name for column in RAW_COLUMNS]
_MALFORMED = "_malformed"
_FITS = "_fits"
_INFINITY = float("inf")
_NUMBERS = [column for column in RAW_COLUMNS if column.type in ("int", "double")]
# Java's parser also takes 8000d and 0x1p3; digits, sign, point and exponent are all that a number here may have.
_NUMBER_PATTERN = r"^[-+0-9.eE]*\z"
_SHOWN = 60  # characters of a cell in a reason


def parse(rows: DataFrame, layout: Layout) -> DataFrame:
    """Cut the text of rows into cells and give each its name.

    Args:
        rows: with a column ``text``; other columns are kept.
        layout: how the text is cut. The names in it are data from outside: they become literals, never expressions.

    Returns:
        ``rows`` plus one text column for each raw column (null where empty or absent), ``extra`` and a flag for rows
        whose cells are not as many as the names.
    """
    positions = [f"c{position}" for position in range(len(layout.names))]
    cells = F.from_csv(
        "text",
        ", ".join(f"{cell} STRING" for cell in [*positions, _MALFORMED]),
        {
            "sep": layout.delimiter,
            "quote": '"',
            "escape": '"',
            "mode": "PERMISSIVE",
            "maxCharsPerColumn": "-1",
            "maxColumns": str(LONGEST_ROW + 1),  # Spark fails on a row of more cells than this
            "columnNameOfCorruptRecord": _MALFORMED,
        },
    )
    cut = rows.select("*", cells.alias("_cells")).select(*rows.columns, "_cells.*")
    # Spark notices a quote left open only if cells are missing behind it.
    is_open = open_quote(layout.delimiter)
    without_closed = F.regexp_replace("text", closed_field(layout.delimiter), "$1")
    malformed = F.col(_MALFORMED).isNotNull() | (F.col("text").rlike(is_open) & without_closed.rlike(is_open))
    return _named(cut.withColumn(_MALFORMED, malformed), layout)


def assemble(cells: DataFrame, layout: Layout) -> DataFrame:
    """The same from cells that were cut already: columns ``c0``, ``c1``, …, as they stood between the delimiters."""
    text = F.concat_ws(layout.delimiter, *(f"c{position}" for position in range(len(layout.names))))
    return _named(cells.withColumns({"text": text, _MALFORMED: F.lit(False)}), layout)


def _named(cells: DataFrame, layout: Layout) -> DataFrame:
    position_of = {name: f"c{position}" for position, name in enumerate(layout.names)}

    def cell(name: str) -> SparkColumn:
        return F.nullif(F.trim(position_of[name]), F.lit(""))

    beyond = [name for name in layout.names if name not in _RAW_NAMES]
    extra = F.lit(None).cast("string")
    if beyond:
        pairs = [part for name in beyond for part in (F.lit(name), cell(name))]
        filled = F.map_filter(F.create_map(*pairs), lambda _, value: value.isNotNull())
        extra = F.when(F.size(filled) > 0, F.to_json(filled))
    return cells.select(
        *(name for name in cells.columns if name not in position_of.values()),
        *((cell(name) if name in position_of else F.lit(None).cast("string")).alias(name) for name in _RAW_NAMES),
        extra.alias("extra"),
    )


def typed(cells: DataFrame) -> DataFrame:
    """Give each cell its type; a cell that does not fit becomes null and its row does not fit the raw contract.

    Returns:
        ``cells`` with typed raw columns, their texts under ``_text_<name>``, and a flag ``_fits``.
    """
    texts = {_text(column): F.col(column.name) for column in RAW_COLUMNS}
    values = {column.name: _value(column) for column in RAW_COLUMNS}
    empty = (_has_no_value(column) for column in RAW_COLUMNS)
    # One pattern over all numbers of a row and one comparison for all doubles: asked cell by cell, the code that Spark
    # generates grows past what the JVM compiles.
    numbers = F.concat_ws("", *(_text(column) for column in _NUMBERS))
    largest = F.greatest(*(F.abs(column.name) for column in _NUMBERS if column.type == "double"))
    malformed_row = reduce(or_, empty, F.col(_MALFORMED)) | ~numbers.rlike(_NUMBER_PATTERN) | (largest == _INFINITY)
    return cells.withColumns(texts).withColumns(values).withColumn(_FITS, ~F.coalesce(malformed_row, F.col(_MALFORMED)))


def logged_days(typed: DataFrame) -> DataFrame:
    """The rows that fit the raw contract."""
    return typed.where(_FITS).select(*(column.name for column in LOGGED_DAYS.columns))


def quarantine(typed: DataFrame) -> DataFrame:
    """The rows that do not fit the raw contract, with every reason."""
    malformed = F.when(F.col(_MALFORMED), F.lit("the row has not as many cells as the header, or an open quote"))
    reasons = F.array(malformed, *(_reason(column) for column in RAW_COLUMNS))
    return (
        typed.where(~F.col(_FITS))
        .withColumn("reasons", F.array_compact(reasons).cast("array<string>"))
        .select(*(column.name for column in QUARANTINE.columns))
    )


def _text(column: Column) -> str:
    return f"_text_{column.name}"


def _value(column: Column) -> SparkColumn:
    """A typed cell; null for an empty cell and for most that do not fit (the pattern of numbers is asked apart)."""
    text = F.col(_text(column))
    match column.type:
        case "string" if column.allowed:
            return F.when(text.isin(*column.allowed), text)
        case "string":
            return text
        case "date":
            return F.when(text.rlike(r"^(?!0000)\d{4}-\d{2}-\d{2}\z"), text.try_cast("date"))
        case "int":  # by way of double, because 8000.0 is a whole number and a cast to int would make it null
            number = text.try_cast("double")
            return F.when(number % 1 == 0, number.try_cast("int"))
        case _:
            return text.try_cast("double")


def _has_no_value(column: Column) -> SparkColumn:
    no_value = F.col(column.name).isNull()
    return no_value & F.col(_text(column)).isNotNull() if column.nullable else no_value


def _reason(column: Column) -> SparkColumn:
    """Why a cell does not fit, as a sentence for a person; null if it fits."""
    text, value = F.col(_text(column)), F.col(column.name)
    shown = F.when(F.length(text) > _SHOWN, F.concat(F.left(text, F.lit(_SHOWN)), F.lit("…"))).otherwise(text)

    def says(what: str) -> SparkColumn:
        return F.concat(F.lit(f"{column.name}: '"), shown, F.lit(f"' {what}"))

    empty = None if column.nullable else f"{column.name}: is empty, but required"
    reason = F.when(text.isNull(), F.lit(empty).cast("string"))
    match column.type:
        case "string":
            return reason.when(value.isNull(), says(f"is not one of {', '.join(column.allowed)}"))
        case "date":
            return reason.when(value.isNull(), says("is not a day written as YYYY-MM-DD"))
    number = text.try_cast("double")
    reason = (
        reason.when(text.rlike(r"(?i)^[-+]?(nan|inf|infinity)\z"), says("is not finite"))
        .when(number.isNull() | ~text.rlike(_NUMBER_PATTERN), says("is not a number"))
        .when(F.abs(number) == _INFINITY, says("overflows"))
    )
    if column.type == "int":
        reason = reason.when(number % 1 != 0, says("is not a whole number")).when(value.isNull(), says("overflows"))
    return reason
