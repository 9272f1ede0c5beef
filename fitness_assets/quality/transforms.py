"""Queries the tables for the audit: sums, histograms and short lists, whose size does not grow with the days.

The tables are opened by `duckdb_reader.reader`. ``measures.py`` and ``diagnostics.py`` interpret the results. Most
results are sums for each person, which ``sums.py`` makes and ``aggregates.py`` adds up.
"""

from typing import TYPE_CHECKING

from fitness_assets.predictions.tables import MODELS
from fitness_assets.quality.aggregates import NAMED, ROWS, Aggregates, Row, aggregate_people
from fitness_assets.quality.sums import COARSE, COARSE_STEPS, DAY, HEIGHT, INPUTS, ROUND_TO
from fitness_assets.quality.tables import METRICS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

COPY_CELLS, COPY_DAYS = 3, 3
"""Two people's days are equal if all cells agree and at least `COPY_CELLS` cells are neither 0 nor round (round numbers
agree by chance). `COPY_DAYS` equal days are a copy."""

BIN_WIDTH = {
    "age": 5.0,
    "gender": 1.0,
    "steps": 500.0,
    "heart_rate_avg": 2.0,
    "sleep_hours": 0.5,
    "calories_burned": 100.0,
    "exercise_minutes": 5.0,
    "stress_level": 1.0,
    "weight_kg": 2.0,
    "bmi": 0.5,
    HEIGHT: 5.0,
}
"""Width of a bar of each histogram, in the column's unit. Gender is counted as 1 for M and 0 for F."""

_MADE = {
    "gender": "CASE gender WHEN 'M' THEN 1 WHEN 'F' THEN 0 END",
    HEIGHT: "CASE WHEN weight_kg > 0 AND bmi > 0 THEN 100 * sqrt(weight_kg / bmi) END",
}
"""SQL of items that are not a column of every table. A height follows from the weight and the BMI of the day."""

_FURTHEST_BAR = 1e12
"""Larger values count in the last bar: 1e300 may be logged, and its square overflows."""


def aggregates(tables: "DuckDBPyConnection") -> Aggregates:
    """The `aggregates.Aggregates` of all clean days."""
    made = {DAY: "date - DATE '1970-01-01'", "gender": _MADE["gender"]}
    columns = ", ".join(f"{made.get(name, name)} AS {name}" for name in INPUTS)
    return aggregate_people(
        tables.sql(f"SELECT {columns} FROM clean_days ORDER BY user_id, {DAY}").to_arrow_reader(ROWS)
    )


def bars(tables: "DuckDBPyConnection", table: str, key: str) -> list[Row]:
    """Histograms of the items of `BIN_WIDTH`.

    Args:
        tables: the connection.
        table: whose columns they are.
        key: what has histograms of its own, in SQL; empty is a key, too.

    Returns:
        For each key, item and bar that has days: key, item, bin, days (n), their sum (x) and their squares (xx).
    """
    values = {name: f"CAST({_MADE.get(name, name)} AS DOUBLE)" for name in BIN_WIDTH}
    ends = {name: _FURTHEST_BAR * width for name, width in BIN_WIDTH.items()}
    within = (
        f"CASE WHEN abs({value}) <= {ends[name]} THEN {value} ELSE sign({value}) * {ends[name]} END AS {name}"
        for name, value in values.items()
    )
    widths = " ".join(f"WHEN '{name}' THEN {width}" for name, width in BIN_WIDTH.items())
    # The small addition keeps 6.5 out of the bar below, where 0.1 is no number of the machine.
    return _rows(
        tables.sql(
            f"""
            WITH days AS (SELECT {key} AS key, {", ".join(within)} FROM {table}),
            cells AS (UNPIVOT days ON {", ".join(BIN_WIDTH)} INTO NAME item VALUE x)
            SELECT key, item, CAST(floor(x / CASE item {widths} END + 1e-9) AS BIGINT) AS bin,
                count(*) AS n, sum(x) AS x, sum(x * x) AS xx
            FROM cells GROUP BY key, item, bin ORDER BY ALL
            """
        )
    )


def uploads(tables: "DuckDBPyConnection") -> list[Row]:
    """For each upload with typed rows: its id, number of people, first and last day."""
    counts = "count(DISTINCT user_id) AS people, min(date) AS first, max(date) AS last"
    return _rows(tables.sql(f"SELECT upload_id, {counts} FROM logged_days GROUP BY upload_id"))


def by_kind(tables: "DuckDBPyConnection") -> dict[str, dict[str, Row]]:
    """Of each metric, what clean days of people with devices have it from each kind of source, ``csv`` among them.

    A value of several sources counts for the best one.

    Returns:
        By metric and kind, that with most days first: days (n), how many of them are ``fine`` (not whole), and how many
        are multiples of coarse steps (`COARSE`).
    """
    kinds = ", ".join(
        f"split_part(sources->>'$.{name}', ':', 1) AS {name}_kind, CAST({name} AS DOUBLE) AS {name}" for name in METRICS
    )
    pairs = ", ".join(f"({name}_kind, {name}) AS {name}" for name in METRICS)
    coarse = ", ".join(
        f"count(*) FILTER (x % CASE metric {cases} END = 0) AS {count}"
        for at, count in enumerate(COARSE)
        for cases in [" ".join(f"WHEN '{name}' THEN {of[at]}" for name, of in COARSE_STEPS.items() if at < len(of))]
    )
    rows = _rows(
        tables.sql(
            f"""
            WITH days AS (SELECT {kinds} FROM device_days SEMI JOIN clean_days USING (upload_id, row_number, user_id)),
            cells AS (UNPIVOT days ON {pairs} INTO NAME metric VALUE kind, x)
            SELECT metric, kind, count(*) AS n, count(*) FILTER (x != round(x)) AS fine, {coarse}
            FROM cells WHERE kind IS NOT NULL GROUP BY ALL ORDER BY metric, n DESC, kind
            """
        )
    )
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row.pop("metric"), {})[row.pop("kind")] = row
    return found


def copies(tables: "DuckDBPyConnection") -> list[Row]:
    """Pairs of people who have days that agree in every metric, whenever these days were.

    Returns:
        At most `NAMED` pairs with at least `COPY_DAYS` such days, those with most first: user_id, other_id, days, first
        (a day of the pair). Of more than two people who share a day, two stand for all.
    """
    telling = (f"{name} % {ROUND_TO[name]}" if name in ROUND_TO else name for name in METRICS)
    cells = " + ".join(f"CASE WHEN {value} != 0 THEN 1 ELSE 0 END" for value in telling)
    return _rows(
        tables.sql(
            f"""
            WITH alike AS (
                SELECT min(user_id) AS user_id, max(user_id) AS other_id, min(date) AS first
                FROM clean_days WHERE {cells} >= {COPY_CELLS}
                GROUP BY {", ".join(METRICS)} HAVING min(user_id) != max(user_id)
            )
            SELECT user_id, other_id, count(*) AS days, min(first) AS first
            FROM alike GROUP BY user_id, other_id HAVING count(*) >= {COPY_DAYS}
            ORDER BY days DESC, user_id, other_id LIMIT {NAMED}
            """
        )
    )


def months(tables: "DuckDBPyConnection") -> list[Row]:
    """Each month's averages over people, and the share of its days that were logged, in order."""
    averages = ", ".join(f"avg(avg_{name.removesuffix('_avg')}) AS {name}" for name in METRICS)
    return _rows(
        tables.sql(
            f"""
            SELECT year, month, count(*) AS people, sum(days_logged) / sum(days_in_month) AS share_logged, {averages}
            FROM monthly_summary GROUP BY year, month ORDER BY year, month
            """
        )
    )


def reasons(tables: "DuckDBPyConnection", table: str) -> dict[str, int]:
    """The number of rows for each reason, highest first; a reason is cut at its colon."""
    reason = "split_part(unnest(reasons), ':', 1)"
    counted = f"SELECT reason, count(*) AS rows FROM (SELECT {reason} AS reason FROM {table}) GROUP BY reason"
    return dict(tables.sql(f"{counted} ORDER BY rows DESC, reason").fetchall())


def conclusions(tables: "DuckDBPyConnection") -> list[str]:
    """For each model, the sentence that says what may be concluded from its predictions."""
    every = " UNION ALL ".join(
        f"SELECT {position} AS position, conclusion FROM {table.name} WHERE measure = 'skill'"
        for position, table in enumerate(MODELS.values())
    )
    return [sentence for _, sentence in tables.sql(f"{every} ORDER BY position").fetchall()]


def _rows(found: "DuckDBPyRelation") -> list[Row]:
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
