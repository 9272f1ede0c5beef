"""Aggregates of clean days over people. The aggregates of two groups of people add up to those of both groups.

``sums.py`` makes the sums of each person, this module adds them up, and ``measures.py`` computes statistics from the
result. The size of the aggregates depends neither on the number of days nor on the number of people.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fitness_assets.quality.sums import COARSE, HEIGHT, HEIGHT_SPREAD_CM, LOG, Array, Days

NAMED = 20
"""The highest number of people that one list names."""

ROWS = 50_000
"""Days that are processed at a time; so many fit into the processor's cache."""

_SUMS = (
    *("n", "x", "xx", "pairs", "px", "py", "equal", "beyond", "beyond_coarse"),
    *("round", *COARSE, "fine", "weekend_n", "span"),
)
LONG_RUN = 30
"""A person's habits do not explain a run of equal values that is longer than this, in days."""
RELATIVE_ROUNDING = 1e-9
"""A difference of two sums of squares is rounding error if its share of the larger sum is at most this."""

Row = dict[str, Any]


@dataclass
class Aggregates:
    """Counts and sums of some days.

    Attributes:
        items: sums over people, by item.
        named: for each item and list (``peak``, ``stretch``, ``round``, ``spread``) the people with the highest values:
            item, list, user_id, value, day on which it ended (days since 1970), n. The value of a ``stretch`` of equal
            days is how surprising it is (`surprise`); its ``run`` is how long. With ``round`` values
            goes the ``spread`` of all that the person has.
        completeness: people by the share of the days from their first to their last that they logged, in steps of 5 %.
        changing: of how many people the gender changes, or the age falls or leaps.
        person: the person with most weights, as `sums.Days.longest` gives it.
    """

    items: dict[str, dict[str, float]] = field(default_factory=dict)
    named: list[Row] = field(default_factory=list)
    completeness: dict[float, int] = field(default_factory=dict)
    changing: int = 0
    person: Row = field(default_factory=dict)

    def add(self, other: "Aggregates") -> None:
        """Add the aggregates of other people."""
        for item, sums in other.items.items():
            mine = self.items.setdefault(item, {})
            mine |= {name: mine.get(name, 0) + value for name, value in sums.items()}
        self.named = _highest([*self.named, *other.named])
        for share, people in other.completeness.items():
            self.completeness[share] = self.completeness.get(share, 0) + people
        self.changing += other.changing
        people = (person for person in (self.person, other.person) if person.get("n"))
        self.person = min(people, key=lambda person: (-person["n"], person["user_id"]), default={})


def aggregate_people(batches: Iterable[pa.RecordBatch]) -> Aggregates:
    """Aggregate clean days.

    Args:
        batches: `sums.INPUTS`, gender as a number, all days of a person together and in order.
    """
    total = Aggregates()
    for days in _whole_people(batches):
        items = {item: _known(sums, days.people) for item, sums in days.items()}
        log = items[LOG]
        shares, people = np.unique(np.floor(log["n"] / log["span"] * 20) / 20, return_counts=True)
        total.add(
            Aggregates(
                {item: _over_people(sums) for item, sums in items.items() if len(sums["n"])},
                [row for item, sums in items.items() for row in _lists(item, sums)],
                dict(zip(shares.tolist(), people.tolist(), strict=True)),
                days.changing(),
                days.longest(),
            )
        )
    return total


def _whole_people(batches: Iterable[pa.RecordBatch]) -> Iterator[Days]:
    """Yield at least `ROWS` days at a time, always all days of a person."""
    kept: list[pa.RecordBatch] = []
    for batch in batches:
        kept.append(batch)
        if sum(map(len, kept)) >= ROWS:
            table = pa.Table.from_batches(kept)
            last = pc.index(table["user_id"], table["user_id"][-1]).as_py()
            if last:
                yield Days(table.slice(0, last))
            kept = table.slice(last).to_batches()
    if any(map(len, kept)):
        yield Days(pa.Table.from_batches(kept))


def _known(sums: Mapping[str, Array], people: pa.Array) -> dict[str, Any]:
    """The sums of people with at least one value, with their ids and the spread of their values."""
    has = sums["n"] > 0
    known = {name: values[has] for name, values in sums.items()} | {"user_id": people.filter(pa.array(has))}
    if "x" in known:
        n, mean = known["n"], known["x"] / known["n"]
        known["spread"] = np.sqrt(np.maximum(known["xx"] / n - mean**2, 0.0))
    return known


def _over_people(of: Mapping[str, Array]) -> dict[str, float]:
    """Sums over people, from which `measures` computes estimates with intervals."""
    n = of["n"]
    total = {name: of[name].sum() for name in _SUMS if name in of} | {"people": len(n), "nn": (n * n).sum()}
    if "x" in of:
        total |= {
            "x_means": (of["x"] ** 2 / n).sum(),
            "spread_people": (of["spread"] > HEIGHT_SPREAD_CM).sum(),
            "repeated_people": (n > 1).sum(),
        }
    if "pairs" in of:
        total |= _paired(of)
    if "weekend_n" in of:
        work_n, work_x = n - of["weekend_n"], of["x"] - of["weekend_x"]
        both = (work_n > 0) & (of["weekend_n"] > 0)
        shift = of["weekend_x"][both] / of["weekend_n"][both] - work_x[both] / work_n[both]
        total |= {"shifts": len(shift), "shift": shift.sum(), "shift_squares": (shift**2).sum()}
    return {name: np.asarray(value).item() for name, value in total.items()}


def _paired(of: Mapping[str, Array]) -> dict[str, Any]:
    """Sums over people for correlations of paired values x and y.

    For each person, ``a`` is the sum of products of the deviations from the person's means, ``b`` and ``c`` are the
    sums of squares of x and of y. The result has the sums of ``a``, ``b`` and ``c``, of their products (``ab``), and of
    the people's means and their products (``mx``, ``mxy``).

    If the pairs are consecutive values of one metric, the products are too low on average: of a person's n pairs, k
    share a value with the next pair, which biases ``a`` by -k / n of the variance (after Marriott and Pope, Biometrika
    1954;41:390, who have days without gaps). ``bias`` is the sum of these amounts, as a positive number.
    """
    some = of["pairs"] > 0
    pairs, px, py = of["pairs"][some], of["px"][some], of["py"][some]
    a, b, c = (
        of[both][some] - first * second / pairs
        for both, first, second in (("pxy", px, py), ("pxx", px, px), ("pyy", py, py))
    )
    # If the values do not vary, these sums of squares are rounding errors.
    varies = (b > RELATIVE_ROUNDING * of["pxx"][some]) & (c > RELATIVE_ROUNDING * of["pyy"][some])
    a, b, c = a * varies, b * varies, c * varies
    several = pairs > 1
    own = {"a": a[several], "b": b[several], "c": c[several]}
    if "chained" in of:
        variance = (own["b"] + own["c"]) / 2 / (pairs[several] - 1)
        own["bias"] = variance * of["chained"][some][several] / pairs[several]
    x, y = px / pairs, py / pairs
    means = {"means": x * 0 + 1, "mx": x, "my": y, "mxx": x * x, "myy": y * y, "mxy": x * y}
    products = {one + other: own[one] * own[other] for one, other in ("aa", "bb", "cc", "ab", "ac", "bc")}
    return {"paired_people": several.sum(), **{name: v.sum() for name, v in (own | products | means).items()}}


def _lists(item: str, of: Mapping[str, Any]) -> Iterator[Row]:
    """The people with the highest values of an item, for each of its lists."""
    n, none = of["n"], np.full(len(of["n"]), np.nan)
    lists = {}
    if "equal" in of:
        lists["stretch"] = (surprise(of["peak"], of["pairs"], of["equal"]), of["peak_day"])
    elif "peak" in of:
        lists["peak"] = (of["peak"], of["peak_day"])
    if "round" in of:
        lists["round"] = (np.where((of["round"] > 0) & (n >= 7), of["round"] / n, np.nan), none)
    if item == HEIGHT:
        lists["spread"] = (of["spread"], none)
    for name, (values, days) in lists.items():
        listed = np.flatnonzero(~np.isnan(values) & (n >= 2))
        for at in listed[np.argsort(-values[listed], kind="stable")][:NAMED].tolist():
            yield {
                "item": item,
                "list": name,
                "user_id": of["user_id"][at].as_py(),
                "value": float(values[at]),
                "day": None if np.isnan(days[at]) else int(days[at]),
                "run": int(of["peak"][at]) if name == "stretch" else None,
                "spread": float(of["spread"][at]) if name == "round" else None,
                "n": int(n[at]),
            }


def surprise(run: Array, pairs: Array, equal: Array) -> Array:
    """How surprising a person's longest stretch of one value is: −ln of its probability, by the person's own days.

    If a share p of the days equals the day before, a stretch of k days has the probability p^(k−1). A person with a
    coarse scale, or who always gives the same rating, has a large p. Stretches longer than `LONG_RUN` count as if p was
    at most a half, so that a sensor that hangs for months does not make its own stretch look likely.

    Args:
        run: length of each person's longest stretch; NaN where there is none.
        pairs: days whose day before is known.
        equal: how many of them equal it.
    """
    p = (equal + 1) / (pairs + 2)
    return (run - 1) * -np.log(np.where(run > LONG_RUN, np.minimum(p, 0.5), p))


def _highest(rows: Sequence[Row]) -> list[Row]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (-row["value"], row["user_id"])):
        listed = found.setdefault((row["item"], row["list"]), [])
        if len(listed) < NAMED:
            listed.append(row)
    return [row for listed in found.values() for row in listed]
