"""Sums of items for each person, made with NumPy where the days are.

An *item* is a metric (beside its value one calendar day earlier), a link between two metrics of one day, or a quantity
that follows from them. Together they take some 250 sums: more than Spark compiles into one aggregate, and several
aggregates take ten times as long as one pass over columns.

This module has the sums of each person; ``aggregates.py`` adds them up.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from fitness_assets.quality.tables import METRICS

DAY = "_day"
"""Days since 1970-01-01."""

INPUTS = ("user_id", DAY, "age", "gender", *METRICS, "height_cm", "bmr", "weight_change_30d_raw")

SHOWN_DAYS = 366
"""Of one person, to be drawn."""

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

COARSE_STEPS = {
    "steps": (10, 50, 100),
    "sleep_hours": (0.25, 0.5, 1),
    "calories_burned": (5, 10),
    "exercise_minutes": (5,),
    "weight_kg": (0.5, 1),
}
"""Steps to which some vendors and scales round everything, whoever measures; each is a multiple of those before it."""
COARSE = ("coarse_1", "coarse_2", "coarse_3")
"""The counts of multiples of a metric's first, second and third coarse step."""

DAY_CHANGE, WEEK_CHANGE, MONTH_CHANGE = "weight change in a day", "weight change in a week", "weight change in 30 days"
LIMITS_KG = {DAY_CHANGE: 2.0, WEEK_CHANGE: 4.0, MONTH_CHANGE: 5.0}
HEIGHT, ENERGY, LOG = "height_cm", "calories_burned ~ bmr", "log"
HEIGHT_SPREAD_CM = 2.0
"""A height whose standard deviation is above this is not that of one adult."""
HEIGHT_RANGE_CM = (120.0, 230.0)
"""Few adults are shorter or taller; multiples of the width of the histogram's bars."""
PAL_RANGE = (1.0, 4.0)
"""Energy spent in a day as a multiple of the basal metabolic rate: what a day of a living body can be."""

Array = np.ndarray[Any, Any]


def link_name(first: str, second: str) -> str:
    """The name of a link in tables and charts."""
    return f"{first} ~ {second}"


class Days:
    """The days of some people as columns; an empty cell is NaN.

    Args:
        table: `INPUTS`, gender as a number, all days of a person together and in order.
    """

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
        self.key = np.cumsum(new) * 10_000_000.0 + self.day
        self.lengths = np.diff(np.append(self.starts, len(ids)))

    def items(self) -> Iterator[tuple[str, dict[str, Array]]]:
        """The sums of every item, an array with one entry for each person.

        ``n`` values with their sum ``x`` and squares ``xx``, of which ``weekend_n`` and ``weekend_x`` on weekends;
        ``pairs`` of values with their sums and products, of which so many are ``chained`` (share a day with the next
        pair); how many are ``beyond`` the item's limits (``beyond_coarse``: by the largest coarse step), ``round``,
        multiples of coarse steps (`COARSE`), ``fine`` (not whole), ``equal`` to the other; and the highest ``peak``
        (length of a run of equal values, size of a change, length of a gap; NaN where there is
        none) with its day.
        """
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
            beyond = {"beyond": self._count(size >= LIMITS_KG[name])}
            beyond["beyond_coarse"] = self._count(size >= LIMITS_KG[name] + COARSE_STEPS["weight_kg"][-1])
            yield name, {**self._values(change), **beyond, **self._peak(size)}
        yield HEIGHT, self._values(of["height_cm"])
        pal = of["calories_burned"] / of["bmr"]
        strange = (pal < PAL_RANGE[0]) | (pal > PAL_RANGE[1])
        yield ENERGY, {**self._pairs(of["bmr"], of["calories_burned"]), "beyond": self._count(strange)}
        yield LOG, {"n": self.lengths, "span": self._range(self.day) + 1, **self._peak(self.gap)}

    def changing(self) -> int:
        """Of how many people the gender changes, or the age falls or leaps; an age that stays is that of a profile."""
        year = self.day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
        # On a birthday the difference of age and year moves by one; one that moves by two is not of one person.
        age = self.columns["age"]
        is_older = (self._range(age) > 0) & (self._range(age - year) > 1)
        is_other = (self._range(self.columns["gender"]) > 0) | is_older
        return int(is_other.sum())

    def longest(self) -> dict[str, Any]:
        """The person with most weights: user_id, so many (n), and the first days, by column."""
        n = self._count(~np.isnan(self.columns["weight_kg"]))
        at = int(n.argmax())
        shown = slice(self.starts[at], self.starts[at] + min(self.lengths[at], SHOWN_DAYS))
        columns = {name: self.columns[name][shown].tolist() for name in (DAY, *METRICS)}
        return {"user_id": self.people[at].as_py(), "n": int(n[at]), **columns}

    def _metric(self, name: str) -> dict[str, Array]:
        x = self.columns[name]
        before = self._yesterday(x)
        began = np.maximum.accumulate(np.where(x == before, 0, self.position))
        # A row of days without exercise is no fault, any other value that stays is.
        run = np.where((x == 0) | np.isnan(x), np.nan, self.position - began + 1)
        paired = ~np.isnan(x) & ~np.isnan(before)
        found = {
            **self._pairs(x, before),
            "chained": self._count(paired & np.roll(paired, -1)),
            **self._values(x),
            "equal": self._count(x == before),
            "weekend_n": self._count(self.weekend & ~np.isnan(x)),
            "weekend_x": self._sum(np.where(self.weekend, x, np.nan)),
            "fine": self._count(~np.isnan(x) & (x != np.rint(x))),
            **self._peak(run),
        }
        if name in ROUND_TO:
            found["round"] = self._count((x != 0) & (x % ROUND_TO[name] == 0))
        steps = COARSE_STEPS.get(name, ())
        return found | {count: self._count(x % step == 0) for count, step in zip(COARSE, steps, strict=False)}

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
        return np.add.reduceat(np.where(np.isnan(values), 0.0, values), self.starts)

    def _count(self, holds: Array) -> Array:
        return np.add.reduceat(holds.astype(np.int64), self.starts)

    def _peak(self, size: Array) -> dict[str, Array]:
        """Each person's largest value and its first day."""
        filled = np.where(np.isnan(size), -np.inf, size)
        peak = np.maximum.reduceat(filled, self.starts)
        day = np.minimum.reduceat(np.where(filled == np.repeat(peak, self.lengths), self.day, np.inf), self.starts)
        return {"peak": np.where(np.isinf(peak), np.nan, peak), "peak_day": day}

    def _range(self, x: Array) -> Array:
        """How far apart a person's lowest and highest values are; NaN for who has none."""
        return np.fmax.reduceat(x, self.starts) - np.fmin.reduceat(x, self.starts)
