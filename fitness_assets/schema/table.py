"""The language of the project: Column and Table, and what is made from them; their rules are in ``rules.py``.

Here belongs how a table is described and how a description is projected: Spark schema, pandera schema, Dagster column
schema and lineage. Not here: any one table (``<layer>/tables.py``), the list of all of them and their page for analysts
(``catalogue.py``), or what is done when a rule fails (``checks.py``).
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyspark.sql import types as T

from fitness_assets.schema.rules import ForeignKey, Rule, SetRule, Severity, key_rule, table_name

if TYPE_CHECKING:
    import dagster as dg
    import pyarrow as pa

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
        name: lower snake_case, with the unit where the quantity has one (``weight_kg``).
        type: a Spark SQL type name, one of those this module knows.
        description: what the value means, for an analyst.
        example: a value that breaks no rule; failing_example rows and the page for analysts are made from it.
        unit: the unit of measure, where there is one.
        range: smallest and largest value that can be true, both included.
        allowed: the only values there may be, where they are few.
        nullable: whether the value may be missing.
        sources: the columns it is made from, as ``layer/table.column``; none for what enters from outside.
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

    def from_table(self, key: str, **changes: Any) -> "Column":
        """The same quantity in another table, taken from ``key`` as it is there (but for ``changes``)."""
        return replace(self, **{"sources": (f"{key}.{self.name}",), **changes})


@dataclass(frozen=True)
class Table:
    """One table: its columns, its keys and the rules that it must keep.

    Attributes:
        key: asset key and place in the lake, ``layer/table``.
        description: what the table is, for an analyst.
        grain: what one row stands for.
        columns: in the order in which they are stored.
        primary_key: the columns that name a row.
        foreign_keys: references into other tables.
        own_rules: rules beyond those that follow from columns and keys.
        range_severity: what a value outside its column's range means in this table.
        artifacts: sidecar files of a version that lie beside the table, under these names, for people to open.
        stale_after_days: after so many days without a new version the UI calls the table stale; None: never.
        kinds: what it is made with and stored as, for the UI.
    """

    key: str
    description: str
    grain: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    own_rules: tuple[Rule | SetRule, ...] = ()
    range_severity: Severity = "blocking"
    artifacts: tuple[str, ...] = ()
    stale_after_days: int | None = None
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

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule about single rows: required values, ranges, allowed values, then the table's own."""
        required = [c.name for c in self.columns if not c.nullable]
        made = [
            Rule(
                "required_values",
                f"Never empty: {', '.join(required)}.",
                " OR ".join(f"{name} IS NULL" for name in required),
                {required[-1]: None},
            )
        ]
        made += [range_rule(c, self.range_severity) for c in self.columns if c.range]
        made += [_allowed_rule(c) for c in self.columns if c.allowed]
        return (*made, *(rule for rule in self.own_rules if isinstance(rule, Rule)))

    @cached_property
    def set_rules(self) -> tuple[SetRule, ...]:
        """Every rule about rows together: the primary key, the references, then the table's own."""
        unique = key_rule(
            "primary_key",
            f"No two rows have the same {' and '.join(self.primary_key)}.",
            self.primary_key,
            (self.key,),
            f"{self.name} > 1",
        )
        references = (foreign_key.rule(self.key) for foreign_key in self.foreign_keys)
        return (unique, *references, *(rule for rule in self.own_rules if isinstance(rule, SetRule)))

    @property
    def checks(self) -> list[tuple[str, str, Severity]]:
        """Name, description and severity of everything that is checked of the table."""
        contract = (CONTRACT, CONTRACT_DESCRIPTION, "blocking")
        return [contract, *((rule.name, rule.description, rule.severity) for rule in (*self.rules, *self.set_rules))]

    @property
    def spark_schema(self) -> T.StructType:
        """The schema for reading and writing with Spark; Parquet columns are always nullable there."""
        return T.StructType([T.StructField(c.name, _SPARK_TYPES[c.type], True) for c in self.columns])

    @property
    def arrow_schema(self) -> "pa.Schema":
        """The schema for rows that are made in Python."""
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

    def column_schema(self) -> "dg.TableSchema":
        """The Columns tab of the Dagster UI."""
        import dagster as dg

        return dg.TableSchema(
            columns=[
                dg.TableColumn(
                    c.name,
                    c.type,
                    c.description + (f" Unit: {c.unit}." if c.unit else ""),
                    dg.TableColumnConstraints(
                        nullable=c.nullable, unique=self.primary_key == (c.name,), other=_constraints(c)
                    ),
                )
                for c in self.columns
            ]
        )

    def column_lineage(self) -> "dg.TableColumnLineage":
        """Where each column comes from, for the Dagster UI."""
        import dagster as dg

        return dg.TableColumnLineage(
            {
                c.name: [
                    dg.TableColumnDep(dg.AssetKey(key.split("/")), column)
                    for key, _, column in (source.partition(".") for source in c.sources)
                ]
                for c in self.columns
                if c.sources
            }
        )


def range_rule(column: Column, severity: Severity = "blocking") -> Rule:
    """A value outside the column's range breaks it; an empty cell does not, NaN does."""
    low, high = column.range  # type: ignore[misc]
    unit = f" {column.unit}" if column.unit else ""
    return Rule(
        f"{column.name}_range",
        f"{column.name} is between {low:g} and {high:g}{unit}, both included.",
        f"{column.name} IS NOT NULL AND NOT {column.name} BETWEEN {low:g} AND {high:g}",
        {column.name: type(column.example)(high + 1)},
        severity,
    )


def _allowed_rule(column: Column) -> Rule:
    values = ", ".join(f"'{value}'" for value in column.allowed)
    return Rule(
        f"{column.name}_allowed",
        f"{column.name} is one of {', '.join(column.allowed)}.",
        f"{column.name} IS NOT NULL AND {column.name} NOT IN ({values})",
        {column.name: "no such value"},
    )


def _constraints(column: Column) -> list[str]:
    constraints = [f"{column.range[0]:g} to {column.range[1]:g}"] if column.range else []
    return constraints + ([f"one of {', '.join(column.allowed)}"] if column.allowed else [])
