"""What is asked of a staged version: every rule of its tables, counted, with some of the rows that break it.

Here belongs how rules become counts and samples; no rule of any one table, and no Dagster, so that a job on somebody
else's Spark audits as well. Row rules were counted in the pass that wrote the table (`Staging.write`); rules about rows
together are asked of the staged files.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import Any

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.dictionary import Table
from fitness_assets.rules import Frames, KeyRule, Rule, SetRule, Severity, count_rows, table_name
from fitness_assets.staging import Staging
from fitness_assets.versions import Verdict

CONTRACT = "contract"
_AT_ONCE = 4  # planning and compiling a query keeps one core busy and leaves the others to the queries beside it
_SAMPLE_ROWS = 5


def rules_of(table: Table) -> list[tuple[str, str, Severity]]:
    """Name, description and severity of everything that is checked of a table."""
    contract = (CONTRACT, "Column names and types are those of the dictionary, in its order.", "blocking")
    return [contract, *((rule.name, rule.description, rule.severity) for rule in (*table.rules, *table.set_rules))]


def contract_errors(table: Table, frame: DataFrame) -> list[dict[str, Any]]:
    """Where names, types and order of a frame are not those of the dictionary; judged from the schema alone."""
    from pandera.config import ValidationDepth, config_context

    with config_context(validation_depth=ValidationDepth.SCHEMA_ONLY):
        validated: Any = table.pandera_schema().validate(frame)
    errors = validated.pandera.errors
    found = [
        {"column": str(error["column"]), "error": str(error["error"])}
        for kinds in errors.get("SCHEMA", {}).values()
        for error in kinds
    ]
    expected = [column.name for column in table.columns]
    if not found and frame.columns != expected:
        found = [{"column": table.key, "error": f"columns are in another order than {', '.join(expected)}"}]
    return found


def audit(staging: Staging, frames: Frames) -> None:
    """Fill in the verdicts of a staged version.

    Args:
        staging: with every table written.
        frames: the staged tables by key, and whatever else their rules ask for.
    """
    set_rules = {_label(table, rule): rule for table in staging.tables for rule in table.set_rules}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        suspects = pool.submit(_suspects, {name: r for name, r in set_rules.items() if isinstance(r, KeyRule)}, frames)
        offending = {name: r.violations(frames) for name, r in set_rules.items() if isinstance(r, SetRule)}
        offending |= {name: set_rules[name].violations(frames) for name in suspects.result()}
        failed = dict(zip(offending, pool.map(DataFrame.count, offending.values()), strict=True))
    for table in staging.tables:
        failed |= {_label(table, rule): staging.audits[table.key].failed_rows[rule.name] for rule in table.rules}
        offending |= {
            _label(table, rule): frames[table.key].where(rule.violated)
            for rule in table.rules
            if failed[_label(table, rule)]
        }
    samples = _sample({label: frame for label, frame in offending.items() if failed[label]})
    for table in staging.tables:
        staging.audits[table.key].verdicts = [
            Verdict(
                name,
                severity,
                description,
                failed.get(f"{table.key} {name}", 0),
                samples.get(f"{table.key} {name}", []),
            )
            for name, description, severity in rules_of(table)
        ]


def _label(table: Table, rule: Rule | SetRule | KeyRule) -> str:
    return f"{table.key} {rule.name}"


def _suspects(rules: Mapping[str, KeyRule], frames: Frames) -> list[str]:
    """The key rules that may be broken, found in one job by counting the rows of every table by blocks of keys.

    A rule that is found here is counted again by the keys themselves, since blocks are told apart by a hash. That two
    blocks with one hash hide a missing reference has a chance of one in 2⁶⁴ for each two.
    """
    tables = list(dict.fromkeys(key for rule in rules.values() for key in rule.tables))
    keys = list(dict.fromkeys(rule.columns for rule in rules.values()))
    sums = list(dict.fromkeys(name for rule in rules.values() for name in rule.sums))
    rows = [
        (
            key,
            frames[key].select(
                F.lit(keys.index(columns)).alias("_key"),
                *_in_blocks(frames[key], columns, f"_bits_{table_name(key)}"),
                *(name for name in sums if name in frames[key].columns),
            ),
        )
        for key, columns in dict.fromkeys((key, rule.columns) for rule in rules.values() for key in rule.tables)
    ]
    names = [table_name(key) for key in tables]
    blocks = count_rows(rows, ["_key", "_block"], tables, [*sums, *(f"_bits_{name}" for name in names)])
    # No bits: the block is one key. As many ones as rows: each key came once. Else it is unknown how often each came.
    of_a_key = (
        "CASE WHEN _bits_{0} = 0 THEN {0} WHEN bit_count(_bits_{0}) = {0} THEN shiftright(_bits_{0}, _at) & 1 END"
    )
    counts = (
        blocks.withColumn("_at", F.explode(F.sequence(F.lit(0), F.lit(31))))
        .withColumns({name: F.expr(of_a_key.format(name)) for name in names})
        .agg(
            *(
                F.count_if(
                    (F.col("_key") == keys.index(rule.columns)) & F.expr(f"coalesce({rule.violated}, true)")
                ).alias(label)
                for label, rule in rules.items()
            )
        )
        .collect()[0]
    )
    return [label for label in rules if counts[label]]


def _in_blocks(frame: DataFrame, columns: Sequence[str], bits: str) -> tuple[SparkColumn, SparkColumn]:
    """The block of each key, and its bit there.

    Days and row numbers follow one another: 32 keys that end in neighbours make a block, each with a bit of its own.
    Bits are added up, so that one which comes twice carries, and the sum has fewer ones than the block has rows. Keys
    of one column are few, and may come often where they are referred to: each is a block, without a bit.
    """
    *others, last = columns
    number = {"int": last, "bigint": last, "date": f"unix_date({last})"}.get(dict(frame.dtypes)[last])
    if not others or number is None:
        return F.xxhash64(*columns).alias("_block"), F.lit(0).alias(bits)
    return (
        F.xxhash64(*others, F.expr(f"shiftright({number}, 5)")).alias("_block"),
        F.expr(f"shiftleft(1L, CAST({number} & 31 AS INT))").alias(bits),
    )


def _sample(offending: Mapping[str, DataFrame]) -> dict[str, list[dict[str, Any]]]:
    if not offending:
        return {}
    # Rows become a table in the UI, which wants every column in each, whichever cells are empty.
    row = F.to_json(F.struct("*"), {"ignoreNullFields": "false"}).alias("row")
    rows = (frame.limit(_SAMPLE_ROWS).select(F.lit(label).alias("label"), row) for label, frame in offending.items())
    samples: dict[str, list[dict[str, Any]]] = {label: [] for label in offending}
    for row in _union(rows).collect():
        samples[row["label"]].append(json.loads(row["row"]))
    return samples


def _union(frames: Iterable[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionAll, frames)
