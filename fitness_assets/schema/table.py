"""Describes tables: columns, keys and rules. Spark and Arrow schemas are derived from the description.

The tables themselves are in ``<layer>/tables.py``, the list of all of them in ``registry.py``. What Dagster shows of a
table is made in ``orchestration/table_metadata.py``.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyspark.sql import types as T

from fitness_assets.schema.rules import (
    RULES_CHECK,
    ForeignKey,
    Rule,
    RuleSummary,
    SetRule,
    Severity,
    key_rule,
    table_name,
)
from fitness_assets.schema.standards import Standard, labels

if TYPE_CHECKING:
    import pyarrow as pa
    from pandera.pyspark import DataFrameSchema

CONTRACT = "contract"
"""Name of the rule about the columns themselves; every table has it."""

CONTRACT_DESCRIPTION = "The columns have the names, types and order of the table's declaration."

_SPARK_TYPES: dict[str, Any] = {
    "string": T.StringType(),
    "int": T.IntegerType(),
    "bigint": T.LongType(),
    "double": T.DoubleType(),
    "boolean": T.BooleanType(),
    "date": T.DateType(),
    "timestamp": T.TimestampType(),
    "array<string>": T.ArrayType(T.StringType()),
}


@dataclass(frozen=True)
class Column:
    """One column of one table.

    Attributes:
        name: lower snake_case, with the unit if the quantity has one (``weight_kg``).
        type: a Spark SQL type, one of those that this module lists.
        description: the meaning of the value, for an analyst.
        example: a value that breaks no rule. Tests and the data dictionary use it.
        unit: the unit of measure, if there is one.
        range: the smallest and the largest possible value, both included.
        allowed: the only possible values, if they are few.
        nullable: whether the value may be missing.
        sources: the columns that it is made from, as ``layer/table.column``; none for data that enters from outside.
        standard: the codes of its quantity in published standards, if it has any.
        is_free_text: whether it holds text of uploads as it was, which may name a person. Samples do not show it.
    """

    name: str
    type: str
    description: str
    example: Any = field(hash=False)
    unit: str | None = None
    range: tuple[float, float] | None = None
    allowed: tuple[str, ...] = ()
    nullable: bool = True
    sources: tuple[str, ...] = ()
    standard: Standard | None = None
    is_free_text: bool = False

    @property
    def codes(self) -> dict[str, str]:
        """Its LOINC code, UCUM unit and schema by name: ``loinc``, ``ucum``, ``schema``; only those that it has."""
        return labels(self.standard, self.unit)

    def from_table(self, key: str, **changes: Any) -> "Column":
        """The same column in another table, copied from the table ``key``, except for ``changes``."""
        return replace(self, **{"sources": (f"{key}.{self.name}",), **changes})


@dataclass(frozen=True)
class Table:
    """One table: its columns, its keys and the rules that it must keep.

    Attributes:
        key: asset key and place in the lake, ``layer/table``.
        description: what the table contains, for an analyst.
        grain: what one row stands for.
        columns: the columns, in stored order.
        primary_key: the columns that identify a row.
        foreign_keys: references to other tables.
        own_rules: rules beyond those that follow from columns and keys.
        range_severity: what a value outside its column's range means in this table.
        by_month: whether each file holds rows of one calendar month; the rows have a ``date`` or a ``date_key``.
        artifacts: names of sidecar files that are published beside the table, for people to open.
        known_rows: key of a table, and its columns. Rows with such values came with an earlier version and never
            change, so the primary key is not checked again for them.
        is_daily: whether new rows are expected every day; else the Dagster UI never calls the table stale.
        kinds: the tools that make and store it, for the Dagster UI.
    """

    key: str
    description: str
    grain: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    own_rules: tuple[Rule | SetRule, ...] = ()
    range_severity: Severity = "blocking"
    by_month: bool = False
    artifacts: tuple[str, ...] = ()
    known_rows: tuple[str, tuple[str, ...]] | None = None
    is_daily: bool = False
    kinds: tuple[str, ...] = ("pyspark", "parquet")

    @property
    def layer(self) -> str:
        """The part of the key before the slash."""
        return self.key.partition("/")[0]

    @property
    def name(self) -> str:
        """The part of the key after the slash."""
        return table_name(self.key)

    def __getitem__(self, column: str) -> Column:
        return next(c for c in self.columns if c.name == column)

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns that samples and previews show: those without free text."""
        return tuple(column.name for column in self.columns if not column.is_free_text)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule about single rows: required values, ranges, allowed values, then the table's own rules."""
        required = [c.name for c in self.columns if not c.nullable]
        derived = [
            Rule(
                "required_values",
                f"Never empty: {', '.join(required)}.",
                " OR ".join(f"{name} IS NULL" for name in required),
                {required[-1]: None},
            )
        ]
        derived += [range_rule(c, self.range_severity) for c in self.columns if c.range]
        derived += [_allowed_rule(c) for c in self.columns if c.allowed]
        return (*derived, *(rule for rule in self.own_rules if isinstance(rule, Rule)))

    @cached_property
    def set_rules(self) -> tuple[SetRule, ...]:
        """Every rule about several rows: the primary key, the foreign keys, then the table's own rules."""
        known, known_by = self.known_rows or (None, ())
        unique = key_rule(
            "primary_key",
            f"No two rows have the same {' and '.join(self.primary_key)}.",
            self.primary_key,
            (self.key,),
            f"{self.name} > 1",
            except_for=known,
            except_by=known_by,
        )
        references = (foreign_key.rule(self.key) for foreign_key in self.foreign_keys)
        return (unique, *references, *(rule for rule in self.own_rules if isinstance(rule, SetRule)))

    @property
    def all_rules(self) -> list[RuleSummary]:
        """A summary of every rule: the contract, the rules about single rows, the rules about several rows."""
        contract = RuleSummary(CONTRACT, CONTRACT_DESCRIPTION, "blocking", RULES_CHECK)
        rules = (*self.rules, *self.set_rules)
        return [contract, *(RuleSummary(r.name, r.description, r.severity, r.check) for r in rules)]

    @property
    def spark_schema(self) -> T.StructType:
        """The schema for reading and writing with Spark. Parquet columns are always nullable there."""
        return T.StructType([T.StructField(c.name, _SPARK_TYPES[c.type], True) for c in self.columns])

    def pandera_schema(self) -> "DataFrameSchema":
        """Names and types as a pandera schema for Spark frames; pandera does not compare the order there."""
        from pandera import pyspark as pa

        return pa.DataFrameSchema(
            {c.name: pa.Column(_SPARK_TYPES[c.type], nullable=True) for c in self.columns}, name=self.key, strict=True
        )

    @property
    def arrow_schema(self) -> "pa.Schema":
        """The schema for rows that Python makes."""
        import pyarrow as pa

        types = {
            "string": pa.string(),
            "int": pa.int32(),
            "bigint": pa.int64(),
            "double": pa.float64(),
            "boolean": pa.bool_(),
            "date": pa.date32(),
            "timestamp": pa.timestamp("us", tz="UTC"),
            "array<string>": pa.list_(pa.string()),
        }
        return pa.schema([(c.name, types[c.type]) for c in self.columns])


def number_text(value: float) -> str:
    """A number with all its digits, for SQL and for people; a whole number has no decimals."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def range_rule(column: Column, severity: Severity = "blocking") -> Rule:
    """The rule that no value is outside the column's range. NaN breaks it, an empty cell does not."""
    if column.range is None:
        raise ValueError(f"the column {column.name} has no range")
    low, high = column.range
    unit = f" {column.unit}" if column.unit else ""
    return Rule(
        f"{column.name}_range",
        f"{column.name} is between {number_text(low)} and {number_text(high)}{unit}, both included.",
        f"{column.name} IS NOT NULL AND NOT {column.name} BETWEEN {number_text(low)} AND {number_text(high)}",
        {column.name: type(column.example)(high + 1)},
        severity,
        engines=("duckdb", "spark"),
    )


def _allowed_rule(column: Column) -> Rule:
    values = ", ".join(f"'{value}'" for value in column.allowed)
    return Rule(
        f"{column.name}_allowed",
        f"{column.name} is one of {', '.join(column.allowed)}.",
        f"{column.name} IS NOT NULL AND {column.name} NOT IN ({values})",
        {column.name: "no such value"},
    )
