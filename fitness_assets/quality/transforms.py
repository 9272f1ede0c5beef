"""How days become measures of their own quality: sums, histograms and short lists, nothing that grows with the days.

Here belongs what Spark counts. What the counts say of the data stands in ``measures.py`` and ``diagnostics.py``.

Most of it are sums of *items* for each person: of a metric (beside its value one calendar day earlier), of a link between
two metrics of one day, of a quantity that follows from them. Statistics over people come from these sums.
"""

from functools import reduce

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from fitness_assets.quality.tables import METRICS

DAY = "_day"
"""Days since 1970-01-01."""

LINKS = (
    ("stress_level", "sleep_hours"),
    ("stress_level", "steps"),
    ("stress_level", "exercise_minutes"),
    ("stress_level", "heart_rate_avg"),
    ("sleep_hours", "steps"),
    ("heart_rate_avg", "exercise_minutes"),
    ("calories_burned", "steps"),
    ("exercise_minutes", "steps"),
    ("bmi", "weight_kg"),
)
"""Pairs of metrics of one day."""

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
}
"""Width of a bar of each histogram, in the column's unit. Gender is counted as 1 for M and 0 for F."""

ROUND_TO = {
    "steps": 1_000,
    "heart_rate_avg": 10,
    "sleep_hours": 1,
    "calories_burned": 100,
    "exercise_minutes": 10,
    "weight_kg": 5,
}
"""Multiples of these (0 is none) are what a person writes who rounds."""

DAY_CHANGE, WEEK_CHANGE, MONTH_CHANGE = "weight change in a day", "weight change in a week", "weight change in 30 days"
LIMITS_KG = {DAY_CHANGE: 2.0, WEEK_CHANGE: 4.0, MONTH_CHANGE: 5.0}
HEIGHT, ENERGY, LOG = "height_cm", "calories_burned ~ bmr", "log"
PAL_RANGE = (1.0, 4.0)
"""Energy spent in a day as a multiple of the basal metabolic rate: what a day of a living body can be."""

NAMED = 20
"""So many people are named for one item at most."""

COPY_CELLS, COPY_DAYS = 3, 3
"""Days of two people are alike if they agree in all cells and have at least so many; so many such days are a copy."""

LATEST_UPLOADS = 24
"""Uploads before these are taken together when uploads are compared."""

_AT_ONCE = 4  # items whose sums are made by one aggregate: Spark cannot compile one that has hundreds
_PACK = 1_000_000  # a peak and its day in one whole number, which Spark compares more quickly than a struct


_SUMS = {
    **dict.fromkeys(("n", "weekend_n", "pairs", "equal", "beyond", "round", "fine", "first", "last", "peak"), "bigint"),
    **dict.fromkeys(("x", "xx", "weekend_x", "px", "py", "pxx", "pyy", "pxy"), "double"),
}


def link_name(first: str, second: str) -> str:
    """The name of a link in tables and charts."""
    return f"{first} ~ {second}"


def days_in_order(clean_days: DataFrame) -> DataFrame:
    """Every clean day beside the one before it.

    Args:
        clean_days: ``silver/clean_days``.

    Returns:
        user_id, ``_day``, metrics and features; ``_before__day``, the person's last day with a log;
        ``_before_<metric>``, the value one calendar day earlier; ``_since_<metric>``, since when the value is what it
        is, day by day; ``_week_ago``, the weight seven calendar days earlier.
    """
    by_day = Window.partitionBy("user_id").orderBy(DAY)
    so_far = by_day.rowsBetween(Window.unboundedPreceding, 0)
    columns = (*METRICS, "is_weekend", "height_cm", "bmr", "weight_change_30d_raw")
    days = clean_days.select("user_id", F.unix_date("date").alias(DAY), *columns).withColumns(
        {
            "_week_ago": F.first("weight_kg").over(by_day.rangeBetween(-7, -7)),
            **{f"_before_{name}": F.lag(name).over(by_day) for name in (DAY, *METRICS)},
        }
    )
    follows = f"_before_{DAY} = {DAY} - 1"
    days = days.withColumns({f"_before_{name}": F.expr(f"if({follows}, _before_{name}, NULL)") for name in METRICS})
    return days.withColumns(
        {
            f"_since_{name}": F.max(F.expr(f"if({name} <=> _before_{name}, NULL, {DAY})")).over(so_far)
            for name in METRICS
        }
    )


def people(days: DataFrame) -> DataFrame:
    """Sums of every item for every person.

    Args:
        days: as `days_in_order` makes them.

    Returns:
        One row for each person and item; a sum is empty where the item has none of that name. ``n`` values with their
        sum ``x`` and squares ``xx``, of which ``weekend_n`` and ``weekend_x`` on weekends; ``pairs`` of values with
        their sums and products; how many are ``beyond`` the item's limits, ``round``, ``fine`` (not whole), ``equal``
        to the other; and the highest ``peak`` (length of a run of equal values, size of a change, length of a gap)
        with the day on which it ended.
    """
    asked = _items()
    names = [*asked]
    parts = ({name: asked[name] for name in names[i : i + _AT_ONCE]} for i in range(0, len(names), _AT_ONCE))
    return reduce(DataFrame.unionAll, (_sum_up(days, part) for part in parts))


def _sum_up(days: DataFrame, asked: dict[str, dict[str, str]]) -> DataFrame:
    """All sums of a person in one row, then one row for each item: a row for each day and item takes ten times as long."""
    position = {(item, name): f"_{i}_{name}" for i, (item, sums) in enumerate(asked.items()) for name in sums}
    wide = days.groupBy("user_id").agg(*(F.expr(asked[key[0]][key[1]]).alias(at) for key, at in position.items()))
    structs = (
        f"struct('{item}' AS item, "
        + ", ".join(f"CAST({position.get((item, name), 'NULL')} AS {type_}) AS {name}" for name, type_ in _SUMS.items())
        + ")"
        for item in asked
    )
    return wide.selectExpr("user_id", f"inline(array({', '.join(structs)}))").where("n > 0")


def _items() -> dict[str, dict[str, str]]:
    """The aggregates of each item over the days of one person, by name, in SQL: quicker to plan than as columns."""
    changes = {
        DAY_CHANGE: "weight_kg - _before_weight_kg",
        WEEK_CHANGE: "weight_kg - _week_ago",
        MONTH_CHANGE: "weight_change_30d_raw",
    }
    low, high = PAL_RANGE
    return {
        **{name: _metric(name) for name in METRICS},
        **{link_name(*link): _pairs(*link) for link in LINKS},
        **{name: _change(change, LIMITS_KG[name]) for name, change in changes.items()},
        HEIGHT: _values("height_cm"),
        ENERGY: _pairs("bmr", "calories_burned")
        | {"beyond": f"count_if(NOT calories_burned / bmr BETWEEN {low} AND {high})"},
        LOG: {
            "n": f"count({DAY})",
            "first": f"min({DAY})",
            "last": f"max({DAY})",
            "peak": _peak(f"{DAY} - _before_{DAY} - 1"),
        },
    }


def _values(x: str) -> dict[str, str]:
    x = f"CAST({x} AS double)"
    return {"n": f"count({x})", "x": f"sum({x})", "xx": f"sum({x} * {x})"}


def _pairs(x: str, y: str) -> dict[str, str]:
    x, y = f"if({y} IS NULL, NULL, CAST({x} AS double))", f"if({x} IS NULL, NULL, CAST({y} AS double))"
    return {
        "n": f"count({x})",
        "pairs": f"count({x})",
        "px": f"sum({x})",
        "py": f"sum({y})",
        "pxx": f"sum({x} * {x})",
        "pyy": f"sum({y} * {y})",
        "pxy": f"sum({x} * {y})",
    }


def _peak(size: str) -> str:
    """The largest size, in tenths, and its day."""
    return f"max(CAST(rint(({size}) * 10) AS bigint) * {_PACK} + {DAY})"


def _change(change: str, limit: float) -> dict[str, str]:
    return _values(change) | {"beyond": f"count_if(abs({change}) >= {limit})", "peak": _peak(f"abs({change})")}


def _metric(name: str) -> dict[str, str]:
    return {
        **_pairs(name, f"_before_{name}"),
        **_values(name),
        "equal": f"count_if({name} = _before_{name})",
        "weekend_n": f"count_if(is_weekend AND {name} IS NOT NULL)",
        "weekend_x": f"sum(if(is_weekend, CAST({name} AS double), NULL))",
        "fine": f"count_if({name} != rint({name}))",
        # A row of days without exercise is no fault, any other value that stays is.
        "peak": _peak(f"if({name} = 0, NULL, {DAY} - _since_{name} + 1)"),
        **({"round": f"count_if({name} != 0 AND {name} % {ROUND_TO[name]} = 0)"} if name in ROUND_TO else {}),
    }


def items(people: DataFrame) -> DataFrame:
    """Sums of every item over people, from which `measures` makes numbers with intervals.

    Args:
        people: as `people` makes them.

    Returns:
        One row for each item.
    """
    # A person's own sums of squares and products about the person's own means.
    a = F.col("pxy") - F.col("px") * F.col("py") / F.col("pairs")
    b = F.col("pxx") - F.col("px") * F.col("px") / F.col("pairs")
    c = F.col("pyy") - F.col("py") * F.col("py") / F.col("pairs")
    workday_n = F.col("n") - F.col("weekend_n")
    shift = F.when(
        (F.col("weekend_n") > 0) & (workday_n > 0),
        F.col("weekend_x") / F.col("weekend_n") - (F.col("x") - F.col("weekend_x")) / workday_n,
    )
    spread = F.sqrt(F.greatest(F.col("xx") / F.col("n") - F.pow(F.col("x") / F.col("n"), 2), F.lit(0.0)))
    made = people.withColumns(
        {
            "a": F.when(F.col("pairs") > 1, a),
            "b": F.when(F.col("pairs") > 1, b),
            "c": F.when(F.col("pairs") > 1, c),
            "shift": shift,
            "spread": spread,
            "mean_x": F.col("px") / F.col("pairs"),
            "mean_y": F.col("py") / F.col("pairs"),
        }
    )
    sums = ("n", "x", "xx", "pairs", "px", "py", "equal", "beyond", "round", "fine", "weekend_n")
    products = ("aa", "bb", "cc", "ab", "ac", "bc")
    return made.groupBy("item").agg(
        F.count("*").alias("people"),
        *(F.sum(name).alias(name) for name in sums),
        F.min("first").alias("first"),
        F.max("last").alias("last"),
        F.sum(F.col("n") * F.col("n")).alias("nn"),
        F.sum(F.col("x") * F.col("x") / F.col("n")).alias("x_means"),
        F.count("a").alias("paired_people"),
        *(F.sum(name).alias(name) for name in ("a", "b", "c")),
        *(F.sum(F.col(name[0]) * F.col(name[1])).alias(name) for name in products),
        F.count("shift").alias("shifts"),
        F.sum("shift").alias("shift"),
        F.sum(F.col("shift") * F.col("shift")).alias("shift_squares"),
        F.count_if(F.col("spread") > 2).alias("spread_people"),
        F.count_if(F.col("n") > 1).alias("repeated_people"),
        F.corr("mean_x", "mean_y").alias("between"),
        F.sum(F.col("last") - F.col("first") + 1).alias("span"),
    )


def named(people: DataFrame) -> DataFrame:
    """For each item the people with the highest peaks, those with most round values and those who vary most.

    Returns:
        At most `NAMED` people for each item and list: item, list (``days``, ``peak``, ``round``, ``spread``), user_id, value, day
        on which it ended (days since 1970), n.
    """
    spread = F.sqrt(F.greatest(F.col("xx") / F.col("n") - F.pow(F.col("x") / F.col("n"), 2), F.lit(0.0)))
    day = F.col("peak") % _PACK
    entries = F.array(
        *(
            F.struct(F.lit(name).alias("list"), value.alias("value"), ended.cast("bigint").alias("day"))
            for name, value, ended in (
                ("days", F.when(F.col("item") == "weight_kg", F.col("n").cast("double")), F.lit(None)),
                ("peak", (F.col("peak") - day) / _PACK / 10, day),
                ("round", F.when(F.col("round") > 0, F.col("round") / F.col("n")), F.lit(None)),
                ("spread", F.when(F.col("item") == HEIGHT, spread), F.lit(None)),
            )
        )
    )
    ranked = Window.partitionBy("item", "list").orderBy(F.desc("value"), "user_id")
    return (
        people.where("n >= 2")
        .select("item", "user_id", "n", F.inline(entries).alias("list", "value", "day"))
        .where("value IS NOT NULL AND (list != 'round' OR n >= 7)")
        .withColumn("rank", F.row_number().over(ranked))
        .where(F.col("rank") <= NAMED)
    )


def completeness(people: DataFrame) -> DataFrame:
    """How many people logged which share of the days from their first to their last; shares in steps of 5 %."""
    share = F.col("n") / (F.col("last") - F.col("first") + 1)
    of_log = people.where(F.col("item") == LOG)
    return of_log.groupBy((F.floor(share * 20) / 20).alias("share")).agg(F.count("*").alias("people"))


def _bins(days: DataFrame, *keys: str) -> DataFrame:
    gender = F.when(F.col("gender") == "M", 1).when(F.col("gender") == "F", 0)
    values = {name: gender if name == "gender" else F.col(name) for name in BIN_WIDTH}
    structs = (
        F.struct(
            F.lit(name).alias("item"),
            value.cast("double").alias("x"),
            # The small addition keeps 6.5 out of the bar below, where 0.1 is no number of the machine.
            F.floor(value / BIN_WIDTH[name] + 1e-9).cast("int").alias("bin"),
        )
        for name, value in values.items()
    )
    x = F.col("x")
    return (
        days.select(*keys, F.inline(F.array(*structs)))
        .where("x IS NOT NULL")
        .groupBy(*keys, "item", "bin")
        .agg(F.count(x).alias("n"), F.sum(x).alias("x"), F.sum(x * x).alias("xx"))
    )


def bins_before(logged_days: DataFrame, latest: list[str]) -> DataFrame:
    """Histograms of what was logged, for each of the latest uploads and all earlier ones together (None)."""
    group = F.when(F.col("upload_id").isin(latest), F.col("upload_id")).alias("upload")
    return _bins(logged_days.select(group, *BIN_WIDTH), "upload")


def bins_after(clean_days: DataFrame) -> DataFrame:
    """Histograms of clean days for each weekday (Monday 0)."""
    return _bins(clean_days, "weekday_num")


def people_of_uploads(logged_days: DataFrame) -> DataFrame:
    """How many people each upload has, about, and its first and last day."""
    return logged_days.groupBy("upload_id").agg(
        F.approx_count_distinct("user_id").alias("people"), F.min("date").alias("first"), F.max("date").alias("last")
    )


def copies(clean_days: DataFrame) -> DataFrame:
    """Pairs of people who have days that agree in every metric, whenever these days were.

    Returns:
        At most `NAMED` pairs with at least `COPY_DAYS` such days: user_id, other_id, days, first (a day of the pair).
    """
    # Spark's hash leaves nulls out, so which cells are empty is hashed beside them.
    alike = F.xxhash64(*METRICS, *(F.isnull(name) for name in METRICS))
    cells = sum((F.when(F.col(name) != 0, 1).otherwise(0) for name in METRICS), F.lit(0))
    return (
        clean_days.where(cells >= COPY_CELLS)
        .groupBy(alike.alias("alike"))
        .agg(F.min("user_id").alias("user_id"), F.max("user_id").alias("other_id"), F.min("date").alias("first"))
        .where("user_id != other_id")
        .groupBy("user_id", "other_id")
        .agg(F.count("*").alias("days"), F.min("first").alias("first"))
        .where(F.col("days") >= COPY_DAYS)
        .orderBy(F.desc("days"), "user_id", "other_id")
        .limit(NAMED)
    )


def changing(clean_days: DataFrame) -> DataFrame:
    """One row with ``people``: of how many the gender changes or the age falls or leaps."""
    born = F.col("age") - F.year("date")
    per_person = clean_days.groupBy("user_id").agg(
        (F.min("gender") != F.max("gender")).alias("gender"),
        # On a birthday the difference of age and year moves by one; one that moves by two is not of one person.
        (F.max(born) - F.min(born) > 1).alias("age"),
    )
    return per_person.agg(F.count_if(F.expr("gender OR age")).alias("people"))


def months(monthly_summary: DataFrame) -> DataFrame:
    """Each month's averages over people, and the share of its days that were logged."""
    averages = [name for name in monthly_summary.columns if name.startswith("avg_")]
    return (
        monthly_summary.groupBy("year", "month")
        .agg(
            F.count("*").alias("people"),
            (F.sum("days_logged") / F.sum("days_in_month")).alias("share_logged"),
            *(F.avg(name).alias(name.removeprefix("avg_")) for name in averages),
        )
        .orderBy("year", "month")
    )


def reasons(days: DataFrame) -> DataFrame:
    """How many rows were left out for each reason."""
    return days.select(F.explode("reasons").alias("reason")).groupBy("reason").agg(F.count("*").alias("rows"))


def misfits(quarantine: DataFrame) -> DataFrame:
    """How many cells were quarantined for each column: what stands before the colon of a reason."""
    column = F.substring_index("reason", ":", 1)
    one = quarantine.select(F.explode("reasons").alias("reason")).select(column.alias("reason"))
    return one.groupBy("reason").agg(F.count("*").alias("rows")).orderBy(F.desc("rows"), "reason").limit(NAMED)


def one_person(clean_days: DataFrame, user_id: str, days: int = 366) -> DataFrame:
    """The first days of one person, to be drawn."""
    person = clean_days.where(F.col("user_id") == user_id)
    return person.select("date", *METRICS).orderBy("date").limit(days)
