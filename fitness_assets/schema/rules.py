"""Kinds of rules that a table must keep: about single rows, about several rows, about keys and references.

The rules of one table are in the ``tables.py`` of its layer; further rules follow from its columns and keys
(``table.py``). ``engine/rule_checks.py`` counts failures, ``orchestration/asset_checks.py`` shows them in Dagster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Severity = Literal["blocking", "error", "warning"]
"""What a failure means.

``blocking``: the table would mislead its readers, so it is not published.
``error``: the table is correct and published, but a person has to act.
``warning``: the table is published; the data is unusual.
"""

Engine = Literal["duckdb", "spark"]

RULES_CHECK = "rules"
"""The Dagster check that reports every rule of a table that has no check of its own."""


@dataclass(frozen=True)
class Rule:
    """A rule about single rows. DuckDB counts the failing rows in the staged files.

    Attributes:
        name: snake_case, unique in its table.
        description: the rule as a sentence about correct data.
        violated: an SQL condition that is true for a row that breaks the rule.
        failing_example: cells that make a correct row break the rule.
        severity: what a failure means.
        check: the Dagster check that reports it. A rule whose failure a person acts on has a check of its own.
        engines: the engines that evaluate ``violated``; their SQL dialects differ. Silver rejects rows with Spark.
    """

    name: str
    description: str
    violated: str
    failing_example: Mapping[str, Any] = field(hash=False)
    severity: Severity = "blocking"
    check: str = RULES_CHECK
    engines: tuple[Engine, ...] = ("duckdb",)


@dataclass(frozen=True)
class SetRule:
    """A rule about several rows, or about several tables. DuckDB finds the violations in the staged files.

    Attributes:
        name: snake_case, unique in its table.
        description: the rule as a sentence about correct data.
        tables: the keys of the tables that ``violations`` reads.
        violations: a query in DuckDB's SQL that returns one row for each violation. It names a table by its key
            without the layer.
        severity: what a failure means.
        check: the Dagster check that reports it.
    """

    name: str
    description: str
    tables: tuple[str, ...]
    violations: str
    severity: Severity = "blocking"
    check: str = RULES_CHECK


class RuleSummary(NamedTuple):
    """What reports and pages need to know of a rule of any kind."""

    name: str
    description: str
    severity: Severity
    check: str


def key_rule(
    name: str,
    description: str,
    columns: Sequence[str],
    tables: tuple[str, ...],
    violated: str,
    sums: Sequence[str] = (),
    check: str = RULES_CHECK,
    except_for: str | None = None,
    except_by: Sequence[str] = (),
) -> SetRule:
    """Make a rule about how many rows each table has for one key. A violation is a key with these numbers of rows.

    Args:
        name: as of a `SetRule`.
        description: as of a `SetRule`.
        columns: the columns of the key; every table has them.
        tables: keys of the tables whose rows are counted.
        violated: an SQL condition on the numbers of rows with one key; each number has the name of its table.
        sums: columns of the first table whose sums for the key the condition may use, too.
        check: as of a `SetRule`.
        except_for: key of a table of keys that are not looked at; None: every key is.
        except_by: the columns of that table, if they are not those of the key.
    """
    first, *others = names = [table_name(key) for key in tables]
    key = ", ".join(columns)
    rows = [f"SELECT {', '.join((key, *sums))}, 1 AS {first} FROM {first}"]
    rows += [f"SELECT {key}, 1 AS {other} FROM {other}" for other in others]
    totals = [f"count({counted}) AS {counted}" for counted in names]
    totals += [f"CAST(coalesce(sum({column}), 0) AS BIGINT) AS {column}" for column in sums]
    every = f"({' UNION ALL BY NAME '.join(rows)})"
    looked_at = (
        f"{every} ANTI JOIN {table_name(except_for)} USING ({', '.join(except_by or columns)})" if except_for else every
    )
    by_key = f"SELECT {key}, {', '.join(totals)} FROM {looked_at} GROUP BY {key}"
    tables = (*tables, except_for) if except_for else tables
    return SetRule(name, description, tables, f"SELECT * FROM ({by_key}) WHERE {violated}", check=check)


def table_name(key: str) -> str:
    """The part of a table's key after its layer."""
    return key.partition("/")[2]


@dataclass(frozen=True)
class ForeignKey:
    """Every value of ``columns`` has a row in the table ``references``, whose primary key has the same columns."""

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
