"""What tables must keep: rules about single rows, about rows together, about keys and references.

Here belongs how a rule is said. Which rules a table has stands in its ``tables.py`` and follows from its columns
(``dictionary.py``); how rules are asked, and what follows from a failure, stands in ``checks.py``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["blocking", "error", "warning"]
"""``blocking``: a wrong table would mislead, so it is not published. ``error``: a person has to act, the table is
right all the same. ``warning``: odd."""


@dataclass(frozen=True)
class Rule:
    """A condition that single rows must not fulfil; asked of the staged files, as a `SetRule` is.

    Attributes:
        name: snake_case, unique in its table.
        description: the rule as a sentence about good data.
        violated: a condition in DuckDB's SQL, true for a row that breaks the rule. Those that silver rejects rows by
            are asked by Spark as well.
        failing_example: cells that, put into a good row, make it break the rule.
        severity: what a failure means.
    """

    name: str
    description: str
    violated: str
    failing_example: Mapping[str, Any] = field(hash=False)
    severity: Severity = "blocking"


@dataclass(frozen=True)
class SetRule:
    """A rule about rows together; asked of the staged files before they are published.

    Attributes:
        name: snake_case, unique in its table.
        description: the rule as a sentence about good data.
        tables: the keys of those that it is about.
        violations: a query in DuckDB's SQL with one row for each violation; tables are named as their keys are without
            the layer.
        severity: what a failure means.
    """

    name: str
    description: str
    tables: tuple[str, ...]
    violations: str
    severity: Severity = "blocking"


def key_rule(
    name: str,
    description: str,
    columns: Sequence[str],
    tables: tuple[str, ...],
    violated: str,
    sums: Sequence[str] = (),
) -> SetRule:
    """A rule about how many rows each table has for one key. A violation is a key, with its numbers of rows.

    Args:
        name: as of a `SetRule`.
        description: as of a `SetRule`.
        columns: the columns that make up the key; each of the tables has them.
        tables: whose rows are counted, by key.
        violated: a SQL condition on the numbers of rows with one key, each named as its table.
        sums: columns of the first table that are added up for the key; the condition may ask for them too.
    """
    first, *others = names = [table_name(key) for key in tables]
    key = ", ".join(columns)
    rows = [f"SELECT {', '.join((key, *sums))}, 1 AS {first} FROM {first}"]
    rows += [f"SELECT {key}, 1 AS {other} FROM {other}" for other in others]
    totals = [f"count({counted}) AS {counted}" for counted in names]
    totals += [f"CAST(coalesce(sum({column}), 0) AS BIGINT) AS {column}" for column in sums]
    by_key = f"SELECT {key}, {', '.join(totals)} FROM ({' UNION ALL BY NAME '.join(rows)}) GROUP BY {key}"
    return SetRule(name, description, tables, f"SELECT * FROM ({by_key}) WHERE {violated}")


def table_name(key: str) -> str:
    """The part of a table's key after its layer."""
    return key.partition("/")[2]


@dataclass(frozen=True)
class ForeignKey:
    """Every value of ``columns`` has a row in the table ``references``, whose primary key has the same names."""

    columns: tuple[str, ...]
    references: str

    def rule(self, key: str) -> SetRule:
        """The reference as a rule of the table ``key``."""
        target = table_name(self.references)
        return key_rule(
            f"{target}_exists",
            f"Every {' and '.join(self.columns)} has its row in {self.references}.",
            self.columns,
            (key, self.references),
            f"{table_name(key)} > 0 AND {target} = 0",
        )
