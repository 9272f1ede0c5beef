"""What tables must keep: rules about single rows, about rows together, about keys and references.

Here belongs how a rule is said. Which rules a table has stands in its ``tables.py`` and follows from its columns
(``dictionary.py``); how rules are asked, and what follows from a failure, stands in ``checks.py``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

Severity = Literal["blocking", "error", "warning"]
"""``blocking``: a wrong table would mislead, so it is not published. ``error``: a person has to act, the table is
right all the same. ``warning``: odd."""

Frames = Mapping[str, DataFrame]
"""Tables by key (``layer/table``): those that a step has staged and those that it read."""


@dataclass(frozen=True)
class Rule:
    """A condition that single rows must not fulfil; counted while the table is written.

    Attributes:
        name: snake_case, unique in its table.
        description: the rule as a sentence about good data.
        violated: a Spark SQL condition, true for a row that breaks the rule.
        canary: cells that, put into a good row, make it break the rule.
        severity: what a failure means.
    """

    name: str
    description: str
    violated: str
    canary: Mapping[str, Any] = field(hash=False)
    severity: Severity = "blocking"


@dataclass(frozen=True)
class SetRule:
    """A rule about rows together that needs a query of its own; asked of the staged files before they are published.

    Attributes:
        name: snake_case, unique in its table.
        description: the rule as a sentence about good data.
        violations: from the frames at hand to a frame with one row for each violation.
        severity: what a failure means.
    """

    name: str
    description: str
    violations: Callable[[Frames], DataFrame] = field(hash=False)
    severity: Severity = "blocking"


@dataclass(frozen=True)
class KeyRule:
    """A rule about how many rows each table has for one key; all those of a step are asked in one job.

    Attributes:
        name: snake_case, unique in its table.
        description: the rule as a sentence about good data.
        columns: the columns that make up the key; each of the tables has them.
        tables: whose rows are counted, by key.
        violated: a Spark SQL condition on the numbers of rows with one key, each named as its table.
        severity: what a failure means.
        sums: columns of one of the tables that are added up for the key; the condition may ask for them too.
    """

    name: str
    description: str
    columns: tuple[str, ...]
    tables: tuple[str, ...]
    violated: str
    severity: Severity = "blocking"
    sums: tuple[str, ...] = ()

    def violations(self, frames: Frames) -> DataFrame:
        """One row for each key that breaks the rule, with its numbers of rows."""
        rows = [(key, frames[key]) for key in self.tables]
        return count_rows(rows, self.columns, self.tables, self.sums).where(self.violated)


def count_rows(
    frames: Iterable[tuple[str, DataFrame]], columns: Sequence[str], tables: Sequence[str], sums: Sequence[str] = ()
) -> DataFrame:
    """Count the rows of several tables by common columns.

    Args:
        frames: pairs of a table's key and a frame that has the common columns.
        columns: the names of these.
        tables: the keys of all tables; the counts are columns named as these are without their layer.
        sums: further columns that are added up; a frame that lacks one adds nothing to it.
    """
    names = [table_name(key) for key in tables]
    marked = (
        frame.select(
            *columns,
            *(F.lit(int(name == table_name(key))).alias(name) for name in names),
            *(F.col(name) if name in frame.columns else F.lit(0).alias(name) for name in sums),
        )
        for key, frame in frames
    )
    totals = (F.sum(name).alias(name) for name in (*names, *sums))
    return reduce(DataFrame.unionAll, marked).groupBy(*columns).agg(*totals)


def table_name(key: str) -> str:
    """The part of a table's key after its layer."""
    return key.partition("/")[2]


@dataclass(frozen=True)
class ForeignKey:
    """Every value of ``columns`` has a row in the table ``references``, whose primary key has the same names."""

    columns: tuple[str, ...]
    references: str

    def rule(self, key: str) -> KeyRule:
        """The reference as a rule of the table ``key``."""
        target = table_name(self.references)
        return KeyRule(
            f"{target}_exists",
            f"Every {' and '.join(self.columns)} has its row in {self.references}.",
            self.columns,
            (key, self.references),
            f"{table_name(key)} > 0 AND {target} = 0",
        )
