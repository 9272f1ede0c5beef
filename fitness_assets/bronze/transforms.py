"""How bronze is made: rows of text into cells by name, cells into typed values, misfits into reasons."""

from collections.abc import Sequence

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, RAW_COLUMNS
from fitness_assets.dictionary import Column

_RAW_NAMES = [column.name for column in RAW_COLUMNS]
_MALFORMED = "_malformed"
_SPACE = " \t\r\n\u00a0"
_INT_MAX = 2_147_483_647
_SHOWN = 60  # characters of a cell in a reason


def parse(rows: DataFrame, delimiter: str, names: Sequence[str]) -> DataFrame:
    """Cut the text of rows into cells and give each its name.

    Args:
        rows: with a column ``text``; other columns are kept.
        delimiter: between cells.
        names: column names in file order; they are data and end up in no expression.

    Returns:
        ``rows`` plus one text column for each raw column (null where empty or absent), ``extra`` and a flag for rows
        whose cells are not as many as the names.
    """
    positions = [f"c{position}" for position in range(len(names))]
    cells = F.from_csv(
        "text",
        ", ".join(f"{cell} STRING" for cell in [*positions, _MALFORMED]),
        {
            "sep": delimiter,
            "quote": '"',
            "escape": '"',
            "mode": "PERMISSIVE",
            "maxCharsPerColumn": "-1",
            "columnNameOfCorruptRecord": _MALFORMED,
        },
    )
    position_of = dict(zip(names, positions, strict=True))

    def cell(name: str) -> SparkColumn:
        return F.nullif(F.btrim(F.col(f"_cells.{position_of[name]}"), F.lit(_SPACE)), F.lit(""))

    beyond = [name for name in names if name not in _RAW_NAMES]
    pairs = [part for name in beyond for part in (F.lit(name), cell(name))]
    extra = F.map_filter(F.create_map(*pairs), lambda _, value: value.isNotNull()) if beyond else F.lit(None)
    return rows.withColumn("_cells", cells).select(
        *rows.columns,
        F.col(f"_cells.{_MALFORMED}").isNotNull().alias(_MALFORMED),
        *((cell(name) if name in position_of else F.lit(None).cast("string")).alias(name) for name in _RAW_NAMES),
        F.when(F.size(extra) > 0, F.to_json(extra)).alias("extra") if beyond else extra.cast("string").alias("extra"),
    )


def logged_days(cells: DataFrame) -> DataFrame:
    """The rows that fit the raw contract, typed."""
    typed = {column.name: _value(column) for column in RAW_COLUMNS}
    return cells.where(F.coalesce(*_problems()).isNull()).select(
        *(typed.get(column.name, F.col(column.name)).alias(column.name) for column in LOGGED_DAYS.columns)
    )


def quarantine(cells: DataFrame) -> DataFrame:
    """The rows that do not fit the raw contract, with every reason."""
    return (
        cells.withColumn("reasons", F.array_compact(F.array(*_problems())).cast("array<string>"))
        .where(F.size("reasons") > 0)
        .select(*(column.name for column in QUARANTINE.columns))
    )


def _number(cell: SparkColumn) -> SparkColumn:
    # Java's parser also takes 8000d and 0x1p3; digits, sign, point and exponent are all that a number here may have.
    return F.when(cell.rlike("^[-+0-9.eE]+$"), cell.try_cast("double"))


def _value(column: Column) -> SparkColumn:
    """A typed cell; null for an empty cell and for one that does not fit."""
    cell = F.col(column.name)
    match column.type:
        case "string":
            return cell
        case "date":
            return F.when(cell.rlike(r"^\d{4}-\d{2}-\d{2}$"), cell.try_cast("date"))
        case "int":  # by way of double, because 8000.0 is a whole number and Spark's cast to int would make it null
            number = _number(cell)
            return F.when(number % 1 == 0, number.try_cast("int"))
        case _:
            return _number(cell)


def _problems() -> list[SparkColumn]:
    """For each thing that may be wrong with a row a sentence, or null."""
    malformed = F.when(F.col(_MALFORMED), F.lit("the row has not as many cells as the header, or an open quote"))
    return [malformed, *(_problem(column) for column in RAW_COLUMNS)]


def _problem(column: Column) -> SparkColumn:
    cell, value = F.col(column.name), _value(column)

    def says(what: str) -> SparkColumn:
        shown = F.when(F.length(cell) > _SHOWN, F.concat(F.left(cell, F.lit(_SHOWN)), F.lit("…"))).otherwise(cell)
        return F.concat(F.lit(f"{column.name}: '"), shown, F.lit(f"' {what}"))

    number = _number(cell)
    not_finite = cell.rlike(r"(?i)^[-+]?(nan|inf|infinity)$")
    overflows = F.abs(number) == F.lit(float("inf"))
    match column.type:
        case "string" if column.allowed:
            misfit = F.when(~cell.isin(*column.allowed), says(f"is not one of {', '.join(column.allowed)}"))
        case "string":
            misfit = F.lit(None).cast("string")
        case "date":
            misfit = F.when(value.isNull(), says("is not a day written as YYYY-MM-DD"))
        case "int":
            misfit = (
                F.when(value.isNotNull(), None)
                .when(not_finite, says("is not finite"))
                .when(overflows | (F.abs(number) > _INT_MAX), says("overflows: it is too large to be stored"))
                .when(number.isNotNull(), says("is not a whole number"))
                .otherwise(says("is not a number"))
            )
        case _:
            misfit = (
                F.when(value.isNotNull() & ~overflows, None)
                .when(not_finite, says("is not finite"))
                .when(overflows, says("overflows: it is too large to be stored"))
                .otherwise(says("is not a number"))
            )
    empty = F.lit(None) if column.nullable else F.lit(f"{column.name}: is empty, but required")
    return F.when(cell.isNull(), empty.cast("string")).otherwise(misfit)
