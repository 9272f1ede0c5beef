"""Sums of items for each person, made with NumPy where the days are.

An *item* is a metric (beside its value one calendar day earlier), a link between two metrics of one day, or a quantity
that follows from them. Together they take some 250 sums: more than Spark compiles into one aggregate, and several
aggregates take ten times as long as one pass over columns.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from fitness_assets.quality.tables import METRICS

DAY = "_day"
"""Days since 1970-01-01."""

INPUTS = ("user_id", DAY, *METRICS, "height_cm", "bmr", "weight_change_30d_raw")

LINKS = (
    ("stress_level", "sleep_hours"),
    ("stress_level", "steps"),
    ("stress_level", "exercise_minutes"),
    ("stress_level", "heart_rate_avg"),
    ("sleep_hours", "steps"),
    ("heart_rate_avg", "exercise_minutes"),
    ("calories_burned", "steps"),
    ("exercise_minutes", "steps"),
)
"""Pairs of metrics of one day."""

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
HEIGHT_SPREAD_CM = 2.0
"""A height whose standard deviation is above this is not that of one adult."""
PAL_RANGE = (1.0, 4.0)
"""Energy spent in a day as a multiple of the basal metabolic rate: what a day of a living body can be."""

_COUNTS = ("n", "weekend_n", "pairs", "equal", "beyond", "round", "fine", "first", "last", "peak_day")
_NUMBERS = ("x", "xx", "weekend_x", "px", "py", "pxx", "pyy", "pxy", "peak")
SCHEMA = f"user_id STRING, item STRING, {', '.join(f'{c} BIGINT' for c in _COUNTS)}, " + ", ".join(
    f"{name} DOUBLE" for name in _NUMBERS
)
"""Of what `sum_people` makes. A sum is empty where the item has none of that name.

``n`` values with their sum ``x`` and squares ``xx``, of which ``weekend_n`` and ``weekend_x`` on weekends; ``pairs``
of values with their sums and products; how many are ``beyond`` the item's limits, ``round``, ``fine`` (not whole),
``equal`` to the other; and the highest ``peak`` (length of a run of equal values, size of a change, length of a gap)
with its day.
"""

_ARROW = pa.schema(
    [("user_id", pa.string()), ("item", pa.string())]
    + [(name, pa.int64()) for name in _COUNTS]
    + [(name, pa.float64()) for name in _NUMBERS]
)

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

BINS_SCHEMA = "key STRING, item STRING, bin BIGINT, n BIGINT, x DOUBLE, xx DOUBLE"
"""Of what `sum_bins` makes: days in each bar, their sum and their squares."""

Array = np.ndarray[Any, Any]


def link_name(first: str, second: str) -> str:
    """The name of a link in tables and charts."""
    return f"{first} ~ {second}"


def sum_people(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Sum up every item for every person of one partition.

    Args:
        batches: `INPUTS`, all days of a person together and in order.

    Yields:
        One row for each person and item that has a value, as `SCHEMA` says.
    """
    filled = [batch for batch in batches if batch.num_rows]
    if not filled:
        return
    days = _Days(pa.Table.from_batches(filled))
    for item, sums in days.items():
        columns = {"user_id": days.people, "item": pa.repeat(item, len(days.people)), **sums}
        empty = pa.nulls(len(days.people))
        arrays = [pa.array(columns[f.name]) if f.name in columns else empty for f in _ARROW]
        rows = pa.table([array.cast(f.type) for array, f in zip(arrays, _ARROW, strict=True)], schema=_ARROW)
        yield from rows.filter(pa.array(sums["n"] > 0)).combine_chunks().to_batches()


def sum_bins(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Histograms of each batch, for each key.

    Args:
        batches: a column ``key`` and those of `BIN_WIDTH`, gender as a number.

    Yields:
        Rows as `BINS_SCHEMA` says; bars of other batches are added to them later.
    """
    for batch in batches:
        keys = batch["key"].dictionary_encode()
        codes = keys.indices.fill_null(len(keys.dictionary)).to_numpy(zero_copy_only=False)
        names = pa.concat_arrays([keys.dictionary, pa.nulls(1, pa.string())])
        for item, width in BIN_WIDTH.items():
            x = batch[item].cast(pa.float64()).to_numpy(zero_copy_only=False)
            known = ~np.isnan(x)
            if not known.any():
                continue
            # The small addition keeps 6.5 out of the bar below, where 0.1 is no number of the machine.
            bars = np.stack([codes[known], np.floor(x[known] / width + 1e-9).astype(np.int64)])
            found, at = np.unique(bars, axis=1, return_inverse=True)
            sums = [np.bincount(at.ravel(), weights) for weights in (None, x[known], x[known] ** 2)]
            columns = [names.take(pa.array(found[0])), pa.repeat(item, found.shape[1]), pa.array(found[1])]
            yield pa.record_batch([*columns, *map(pa.array, sums)], names=["key", "item", "bin", "n", "x", "xx"])


class _Days:
    """The days of one partition as columns; an empty cell is NaN."""

    def __init__(self, table: pa.Table) -> None:
        ids = table["user_id"].combine_chunks()
        new = np.ones(len(ids), dtype=bool)
        codes = ids.dictionary_encode().indices.to_numpy()
        new[1:] = codes[1:] != codes[:-1]
        self.starts = np.flatnonzero(new)
        self.people = ids.take(pa.array(self.starts))
        self.columns = {
            name: table[name].cast(pa.float64()).to_numpy() for name in table.column_names if name != "user_id"
        }
        self.day = self.columns[DAY]
        self.weekend = (self.day + 3) % 7 >= 5  # 1970-01-01 was a Thursday
        self.gap = np.where(new, np.nan, self.day - np.roll(self.day, 1)) - 1
        self.follows = self.gap == 0
        self.position = np.arange(len(ids))
        self.key = np.cumsum(new) * 1_000_000.0 + self.day

    def items(self) -> Iterator[tuple[str, dict[str, Array]]]:
        """The sums of every item, an array with one entry for each person."""
        of, weight = self.columns, self.columns["weight_kg"]
        for name in METRICS:
            yield name, self._metric(name)
        for link in LINKS:
            yield link_name(*link), self._pairs(of[link[0]], of[link[1]])
        changes = {
            DAY_CHANGE: weight - self._yesterday(weight),
            WEEK_CHANGE: weight - self._earlier(weight, 7),
            MONTH_CHANGE: of["weight_change_30d_raw"],
        }
        for name, change in changes.items():
            size = np.abs(change)
            yield name, {**self._values(change), "beyond": self._count(size >= LIMITS_KG[name]), **self._peak(size)}
        yield HEIGHT, self._values(of["height_cm"])
        pal = of["calories_burned"] / of["bmr"]
        strange = (pal < PAL_RANGE[0]) | (pal > PAL_RANGE[1])
        yield ENERGY, {**self._pairs(of["bmr"], of["calories_burned"]), "beyond": self._count(strange)}
        first, last = np.minimum.reduceat(self.day, self.starts), np.maximum.reduceat(self.day, self.starts)
        yield LOG, {"n": self._count(self.day == self.day), "first": first, "last": last, **self._peak(self.gap)}

    def _metric(self, name: str) -> dict[str, Array]:
        x = self.columns[name]
        before = self._yesterday(x)
        began = np.maximum.accumulate(np.where(x == before, 0, self.position))
        # A row of days without exercise is no fault, any other value that stays is.
        run = np.where((x == 0) | np.isnan(x), np.nan, self.position - began + 1)
        found = {
            **self._pairs(x, before),
            **self._values(x),
            "equal": self._count(x == before),
            "weekend_n": self._count(self.weekend & ~np.isnan(x)),
            "weekend_x": self._sum(np.where(self.weekend, x, np.nan)),
            "fine": self._count(~np.isnan(x) & (x != np.rint(x))),
            **self._peak(run),
        }
        if name in ROUND_TO:
            found["round"] = self._count((x != 0) & (x % ROUND_TO[name] == 0))
        return found

    def _yesterday(self, x: Array) -> Array:
        return np.where(self.follows, np.roll(x, 1), np.nan)

    def _earlier(self, x: Array, days: int) -> Array:
        """The value so many calendar days earlier of the same person, or NaN."""
        at = np.searchsorted(self.key, self.key - days)
        return np.where(self.key[at] == self.key - days, x[at], np.nan)

    def _values(self, x: Array) -> dict[str, Array]:
        return {"n": self._count(~np.isnan(x)), "x": self._sum(x), "xx": self._sum(x * x)}

    def _pairs(self, x: Array, y: Array) -> dict[str, Array]:
        x, y = np.where(np.isnan(y), np.nan, x), np.where(np.isnan(x), np.nan, y)
        count = self._count(~np.isnan(x))
        sums = {"px": x, "py": y, "pxx": x * x, "pyy": y * y, "pxy": x * y}
        return {"n": count, "pairs": count, **{name: self._sum(values) for name, values in sums.items()}}

    def _sum(self, values: Array) -> Array:
        return np.add.reduceat(np.nan_to_num(values), self.starts)

    def _count(self, holds: Array) -> Array:
        return np.add.reduceat(holds.astype(np.int64), self.starts)

    def _peak(self, size: Array) -> dict[str, Array]:
        """Each person's largest value and its first day; null for who has none."""
        filled = np.where(np.isnan(size), -np.inf, size)
        peak = np.maximum.reduceat(filled, self.starts)
        lengths = np.diff(np.append(self.starts, len(filled)))
        day = np.minimum.reduceat(np.where(filled == np.repeat(peak, lengths), self.day, np.inf), self.starts)
        none = np.isinf(peak)
        return {"peak": pa.array(peak, mask=none), "peak_day": pa.array(np.where(none, 0, day), mask=none)}
