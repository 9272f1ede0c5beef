"""Types the cells of bronze, and gives reasons for malformed rows.

The readers (``readers/``) have trimmed each cell and marked rows that are written in a wrong way. Here the values
themselves are checked: whether each is a number, finite, whole and not too large. All expressions give the same results
on Spark and Sail: no look-ahead, no parsing of CSV, no Python.
"""

from functools import reduce
from operator import and_

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, RAW_COLUMNS
from fitness_assets.schema.table import Column

_NUMBERS = [column for column in RAW_COLUMNS if column.type in ("int", "double")]
_FITS = "_fits"
_INFINITY = float("inf")
_SHOWN = 60  # characters of a cell in a reason

STORED = ", ".join(
    [
        "upload_id STRING, row_number BIGINT, line_number BIGINT",
        *(f"{column.name} STRING" for column in RAW_COLUMNS),
        "extra STRING, text STRING, problems STRING, ingested_at TIMESTAMP",
    ]
)
"""Schema of the rows that the readers give."""


def typed(rows: DataFrame) -> DataFrame:
    """Give each cell its type; a cell that does not fit becomes null and its row does not fit the raw contract.

    Args:
        rows: as the readers give them, with the schema `STORED`.

    Returns:
        ``rows`` with typed raw columns, the texts of numbers under ``_text_<name>``, and a flag ``_fits``.
    """
    texts = {_text(column): F.col(column.name) for column in _NUMBERS}
    values = {column.name: _number(column) for column in _NUMBERS}
    is_typed = (F.col(_text(column)).isNull() | F.col(column.name).isNotNull() for column in _NUMBERS)
    return (
        rows.withColumns(texts)
        .withColumns({**values, "date": F.col("date").try_cast("date")})
        .withColumn(_FITS, reduce(and_, is_typed, F.col("problems").isNull()))
    )


def logged_days(typed: DataFrame) -> DataFrame:
    """The rows that fit the raw contract."""
    return typed.where(_FITS).select(*(column.name for column in LOGGED_DAYS.columns))


def quarantine(typed: DataFrame, shows_cells: bool = True) -> DataFrame:
    """The rows that do not fit the raw contract, with every reason.

    Args:
        typed: as `typed` gives them.
        shows_cells: whether reasons quote cells.
    """
    each = (_reason(column, shows_cells) for column in _NUMBERS)
    reasons = F.concat_ws("\n", "problems", *each)  # each is one line; nulls are left out
    return (
        typed.where(~F.col(_FITS))
        .withColumns(
            {
                "reasons": F.split(reasons, "\n").cast("array<string>"),
                "text": F.rtrim("text", F.lit("\r\n")),  # lines of a file come with their ends
            }
        )
        .select(*(column.name for column in QUARANTINE.columns))
    )


def _text(column: Column) -> str:
    return f"_text_{column.name}"


def _number(column: Column) -> SparkColumn:
    """A number; null for an empty cell and for one that does not fit."""
    number = F.col(_text(column)).try_cast("double")
    if column.type == "int":  # by way of double, because 8000.0 is a whole number and a cast to int would make it null
        return F.when(number % 1 == 0, number.try_cast("int"))
    return F.when(F.abs(number) < _INFINITY, number)


def _reason(column: Column, shows_cells: bool) -> SparkColumn:
    """Why a number does not fit, as a sentence for a person; null if it fits."""
    text, value = F.col(_text(column)), F.col(column.name)
    number = text.try_cast("double")
    shown = F.when(F.length(text) > _SHOWN, F.concat(F.left(text, F.lit(_SHOWN)), F.lit("…"))).otherwise(text)

    def says(what: str) -> SparkColumn:
        if not shows_cells:
            return F.lit(f"{column.name}: the cell {what}")
        return F.concat(F.lit(f"{column.name}: '"), shown, F.lit(f"' {what}"))

    reason = (
        F.when(text.isNull() | value.isNotNull(), F.lit(None).cast("string"))
        .when(number.isNull(), says("is not a number"))
        .when(F.abs(number) == _INFINITY, says("overflows"))
    )
    return reason.when(number % 1 != 0, says("is not a whole number")).otherwise(says("overflows"))
