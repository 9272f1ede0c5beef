"""Spark expressions that give the same digits on every engine, in whatever order the engine reads rows.

A sum of doubles depends on the order of its terms, and engines round decimals differently. So sums are sums of whole
numbers: each value counts in units of one millionth, which is finer than any device reports. What remains (division,
multiplication, square root, floor) is IEEE 754 arithmetic, alike everywhere. `rint` is not: halves go up on Sail and to
even numbers on Spark.
"""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame, WindowSpec
from pyspark.sql import functions as F

from fitness_assets.schema.months import month_sql
from fitness_assets.schema.table import Table

_SCALE = 1_000_000.0
_COUNT_BITS = 17
"""Low bits that hold a count: more than the 36,525 days of a century. A sum above them has 46 bits: 7·10¹³ millionths,
thousands of times what any metric adds up to in that time."""


def total(value: Column) -> Column:
    """The sum of a group's values in millionths; null if the group has none. Sums of parts add up to that of all."""
    return F.sum(_millionths(value))


def mean_of(total: Column, count: Column) -> Column:
    """The mean of values, from their sum in millionths and their count; null if there are none."""
    some = F.nullif(count.cast("bigint"), F.lit(0).cast("bigint"))  # some engines fail where a group has no value
    return _double(total) / _double(some) / F.lit(_SCALE)


def mean_over(value: Column, window: WindowSpec) -> Column:
    """The mean of the values in a window; null if it has none."""
    total = sum_and_count(value, window)
    return _double(sum_of(total)) / _double(count_of(total)) / F.lit(_SCALE)


def spread_over(value: Column, window: WindowSpec) -> Column:
    """The standard deviation (of the population) of a window's values in units of one thousandth; null for no value."""
    thousandths = _whole(_double(value) * F.lit(1_000.0))
    count, total = F.count(value).over(window), F.sum(thousandths).over(window)
    # Whole numbers below 2⁶³: 30 values of 50,000 give 2.25·10¹⁸.
    variance = F.sum(thousandths * thousandths).over(window) * count - total * total
    return F.when(count > 0, F.sqrt(_double(variance)) / _double(count) / F.lit(1_000.0))


def sum_and_count(value: Column, window: WindowSpec) -> Column:
    """Sum (in millionths) and count of a window's values in one number, because each window function takes time."""
    one = F.when(value.isNotNull(), F.shiftleft(_millionths(value), _COUNT_BITS) + F.lit(1).cast("bigint"))
    return F.sum(one).over(window)


def sum_of(total: Column) -> Column:
    """The sum in a result of `sum_and_count`, in millionths."""
    return F.shiftright(total, _COUNT_BITS)


def count_of(total: Column) -> Column:
    """The count in a result of `sum_and_count`; null if the window has no value."""
    return total.bitwiseAND(F.lit((1 << _COUNT_BITS) - 1).cast("bigint"))


def decimals(value: Column, digits: int) -> Column:
    """A value with so many decimals; halves are rounded up."""
    scale = float(10**digits)
    return _double(_whole(value * F.lit(scale))) / F.lit(scale)


def clamp(value: Column, limit: float) -> Column:
    """A value, moved to ``limit`` or ``-limit`` if it is farther from zero; null stays null."""
    # greatest and least skip nulls.
    return F.when(value.isNotNull(), F.greatest(F.lit(-float(limit)), F.least(F.lit(float(limit)), value)))


def of_months(days: DataFrame, months: Collection[str] | None) -> DataFrame:
    """The rows of some months (``2024-09``); None: all of them. The frame has a ``date`` or a ``date_key``."""
    return days if months is None else days.where(F.expr(month_sql(days.columns)).isin([*months]))


def with_codes(table: Table, frame: DataFrame) -> DataFrame:
    """The frame with the codes of each column as field metadata, which engines write into Parquet files.

    Args:
        table: the table; the frame has its columns, in their order.
        frame: the rows.
    """
    return frame.select(*(F.col(c.name).alias(c.name, metadata=c.codes) if c.codes else c.name for c in table.columns))


def _millionths(value: Column) -> Column:
    return _whole(_double(value) * F.lit(_SCALE))


def _whole(value: Column) -> Column:
    """The nearest whole number, as a bigint."""
    return F.floor(value + F.lit(0.5)).cast("bigint")


def _double(value: Column) -> Column:
    return value.cast("double")
