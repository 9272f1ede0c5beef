"""Applies the diagnostics to the collected statistics, and returns their findings.

Thresholds are in ``thresholds.py``, statistics in ``measures.py``, the verdicts that follow in ``verdicts.py``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import log, pi, sqrt
from typing import Any

from fitness_assets.quality import thresholds as t
from fitness_assets.quality.bounds import Diagnostic
from fitness_assets.quality.measures import (
    MIN_DAYS,
    MIN_PAIRS,
    MIN_PEOPLE,
    Collected,
    Estimate,
    Row,
    between_people,
    between_share,
    correlation,
    drift,
    histogram,
    odd_heights,
    share,
    weekend_shift,
)
from fitness_assets.quality.sums import (
    COARSE,
    COARSE_STEPS,
    DAY_CHANGE,
    ENERGY,
    HEIGHT,
    HEIGHT_RANGE_CM,
    HEIGHT_SPREAD_CM,
    LIMITS_KG,
    LINKS,
    LOG,
    MONTH_CHANGE,
    ROUND_TO,
    WEEK_CHANGE,
    link_name,
)
from fitness_assets.quality.tables import FILE, METRICS

SHOWN = 5
"""So many people are named in one finding."""

MIN_RUN = 5
"""Shorter stretches of one value are never named."""
NO_CHANCE = 0.01
"""A stretch is named if fewer than so many like it are to be expected in the whole file."""

_CHANCE_OF_ROUND = {
    "steps": 0.001,
    "heart_rate_avg": 0.1,
    "sleep_hours": 0.1,
    "calories_burned": 0.01,
    "exercise_minutes": 0.1,
    "weight_kg": 0.2,
}
"""Share of round values where last digits are evenly spread; of whole numbers, but for hours of sleep, of tenths.

Where another metric is logged in tenths, a tenth of that; where nearly all values are multiples of a coarse step, the
share of round values among the multiples of the largest such step.
"""
_NEARLY_ALL = 0.95
_HIGHEST = sqrt(2 * pi)
"""Of values with a standard deviation s, in steps much smaller than that, at most step / (s · this) are alike."""


@dataclass(frozen=True)
class Finding:
    """The result of one diagnostic for one metric, or for the file.

    Attributes:
        diagnostic: what was asked.
        scope: of what, as the table says it.
        metric: the metric whose verdict it counts for; None for the file.
        found: the value with its interval; None if there was too little.
        text: who and when, for a person.
    """

    diagnostic: Diagnostic
    scope: str
    metric: str | None
    found: Estimate | None
    text: str = ""

    @property
    def verdict(self) -> str:
        """The verdict."""
        return self.diagnostic.judge(self.found)


def diagnose(collected: Collected) -> list[Finding]:
    """Apply every diagnostic."""
    return [*_of_file(collected), *(finding for name in METRICS for finding in _of_metric(collected, name))]


def _of_file(c: Collected) -> Iterator[Finding]:
    read = sum(row["rows_read"] for row in c.uploads)
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in c.quarantine_reasons.items())
    quarantined = sum(row["rows_quarantined"] for row in c.uploads)
    text = f"{quarantined:,} of {read:,} rows" + (f": {reasons}" if reasons else "")
    yield Finding(t.QUARANTINED, FILE, None, share(quarantined, read), text + ".")
    typed = read - quarantined
    for reason, count in sorted(c.rejected.items(), key=lambda item: (-item[1], item[0])):
        yield Finding(t.REJECTED, reason, None, share(count, typed), f"{count:,} of {typed:,} rows.")
    logs = c.items.get(LOG)
    yield Finding(
        t.COMPLETE, FILE, None, share(c.days, logs["span"]) if logs else None, f"{c.people:,} people, {c.days:,} days."
    )
    gaps = _named(c, LOG, "peak", above=t.LONG_GAP_DAYS)
    longest = max((row["value"] for row in _list(c, LOG, "peak")), default=None)
    yield Finding(t.GAP, FILE, None, _exact(longest), _people(gaps, lambda r: f"{r['value']:.0f} days until {_day(r)}"))
    yield Finding(
        t.COPIED,
        FILE,
        None,
        _exact(len(c.copies)) if c.people else None,
        _shorten([f"{r['user_id']} and {r['other_id']}: {r['days']} days, the first {r['first']}" for r in c.copies]),
    )
    yield Finding(t.IDENTITY, FILE, None, _exact(c.changing) if c.people else None, f"{c.changing:,} of {c.people:,}.")


def _of_metric(c: Collected, name: str) -> Iterator[Finding]:
    item = c.items.get(name)
    day_to_day = {"sleep_hours": t.SLEEP_DAY_TO_DAY, "weight_kg": t.WEIGHT_DAY_TO_DAY}.get(name, t.DAY_TO_DAY)
    if name != "bmi":  # it follows weight, and is asked whether it does
        yield Finding(t.BETWEEN, name, name, between_share(item))
        yield Finding(day_to_day, name, name, correlation(item, lagged=True))
    if name not in ("bmi", "heart_rate_avg"):  # nobody has shown that hearts have weekends
        yield Finding(t.WEEKEND, name, name, weekend_shift(item))
    yield Finding(t.EMPTY, name, name, share(c.days - item["n"], c.days) if item else None)
    yield from _rounding(c, name, item)
    if name != "bmi":
        yield _flat(c, name, item)
    yield from _own[name](c) if name in _own else ()
    for link in LINKS:
        if link[0] == name:
            yield Finding(_link(link), link_name(*link), name, correlation(c.items.get(link_name(*link))))
    yield from _change(c, name)


def _link(link: tuple[str, str]) -> Diagnostic:
    if link[1] == "steps" and link[0] in ("calories_burned", "exercise_minutes"):
        return t.MOVEMENT_LINK
    return t.STRESS_LINK if "stress_level" in link else t.OTHER_LINK


def _rounding(c: Collected, name: str, item: Row | None) -> Iterator[Finding]:
    """Whether values are rounded by hand; the share by chance follows from the precision of each kind of source."""
    if name not in ROUND_TO or not item:
        return
    chances = {kind: (counts["n"], _chance_of_round(name, counts)) for kind, counts in c.kinds(name).items()}
    chance = sum(n * of_kind for n, of_kind in chances.values()) / max(sum(n for n, _ in chances.values()), 1)
    ratio = share(item["round"], item["n"], MIN_PAIRS)
    unit = f"{(ratio.value if ratio else 0):.1%} are multiples of {ROUND_TO[name]:,}; chance gives {chance:.1%}."
    times = ratio and _exact(ratio.value / chance)
    yield Finding(t.ROUND, name, name, times, unit)
    largest = max((of_kind for _, of_kind in chances.values()), default=0.0)
    step = max((_coarse_step(name, counts) for counts in c.kinds(name).values()), default=0.0)
    above = max(0.5, 3 * largest) - 1e-9
    # Whose weight stays near 80 kg is often at 80 kg on a scale that shows whole kilograms.
    rounding = [r for r in _named(c, name, "round", above) if r["value"] * _HIGHEST * r["spread"] >= 3 * step]
    text = _people(rounding, lambda r: f"{r['value']:.0%} of {r['n']} days")
    yield Finding(t.ROUND_PEOPLE, name, name, _exact(len(rounding)), text)


def _chance_of_round(name: str, counts: Row) -> float:
    """The expected share of round values by chance for one kind of source."""
    if step := _coarse_step(name, counts):
        return step / ROUND_TO[name]
    chance = _CHANCE_OF_ROUND[name]
    return chance / 10 if name != "sleep_hours" and counts["fine"] > counts["n"] / 2 else chance


def _coarse_step(name: str, counts: Row) -> float:
    """The largest coarse step of which nearly all values are multiples; 0 if they are of none."""
    steps = zip(COARSE_STEPS.get(name, ()), COARSE, strict=False)
    return max((step for step, count in steps if counts.get(count, 0) > _NEARLY_ALL * counts["n"]), default=0)


def _flat(c: Collected, name: str, item: Row | None) -> Finding:
    if not item or not item["pairs"]:
        return Finding(t.FLAT, name, name, None)
    named = _named(c, name, "stretch", above=log(item["pairs"] / NO_CHANCE))
    runs = [row for row in named if row["run"] >= MIN_RUN]
    longest = max((row["run"] for row in _list(c, name, "stretch")), default=0)
    text = _people(runs, lambda r: f"{r['run']} days from {_day(r, back=r['run'] - 1)} to {_day(r)}")
    return Finding(t.FLAT, name, name, _exact(len(runs)), text or f"Longest: {longest} days.")


def _stress(c: Collected) -> Iterator[Finding]:
    bars = histogram(c.after, "stress_level")
    total = sum(bars.values())
    entropy = -sum(n / total * log(n / total) for n in bars.values()) / log(10) if total >= 2_000 else None
    yield Finding(t.EVEN_SCALE, "stress_level", "stress_level", _exact(entropy))


def _weight(c: Collected) -> Iterator[Finding]:
    yield from _units(c)
    largest = COARSE_STEPS["weight_kg"][-1]
    # Rounding adds up to one step to a change.
    is_coarse = any(_coarse_step("weight_kg", counts) == largest for counts in c.kinds("weight_kg").values())
    for change, diagnostic in (
        (DAY_CHANGE, t.WEIGHT_DAY),
        (WEEK_CHANGE, t.WEIGHT_WEEK),
        (MONTH_CHANGE, t.WEIGHT_MONTH),
    ):
        item, limit = c.items.get(change), LIMITS_KG[change] + is_coarse * largest
        beyond = item["beyond_coarse" if is_coarse else "beyond"] if item else 0
        found = share(beyond, item["n"], MIN_PAIRS) if item else None
        text = f"{beyond:,} of {item['n']:,} changes are {limit:g} kg or more." if item else ""
        yield Finding(diagnostic, "weight_kg", "weight_kg", found, text)
    leap = max((row["value"] for row in _list(c, DAY_CHANGE, "peak")), default=None)
    jumps = _named(c, DAY_CHANGE, "peak", above=t.LEAP_KG)
    text = _people(jumps, lambda r: f"{r['value']:.1f} kg on {_day(r)}")
    yield Finding(t.SCALE_JUMP, "weight_kg", "weight_kg", _exact(leap), text)


def _units(c: Collected) -> Iterator[Finding]:
    """Whether weights of an upload are in another unit than kg, by the heights that they imply."""
    heights = {upload: found for upload, found in odd_heights(c).items() if found[2] >= MIN_DAYS}
    if not heights:
        yield Finding(t.UNITS, "weight_kg", "weight_kg", None)
        return
    odd = {upload: found for upload, found in heights.items() if found[0] > t.ODD_HEIGHTS}
    entries = [
        f"{upload}: {ratio:.0%} of {days:,} days imply a height around {height:.0f} cm, as if weights were in "
        f"{'pounds' if height > sum(HEIGHT_RANGE_CM) / 2 else 'stone'}, or BMI in another unit"
        for upload, (ratio, height, days) in sorted(odd.items(), key=lambda item: -item[1][0])
    ]
    yield Finding(
        t.UNITS, "weight_kg", "weight_kg", _exact(max(ratio for ratio, *_ in heights.values())), _shorten(entries)
    )


def _bmi(c: Collected) -> Iterator[Finding]:
    item = c.items.get(HEIGHT)
    found = share(item["spread_people"], item["repeated_people"]) if item else None
    moving = _named(c, HEIGHT, "spread", above=HEIGHT_SPREAD_CM)
    yield Finding(
        t.HEIGHT_CONSTANT, "bmi", "bmi", found, _people(moving, lambda r: f"standard deviation {r['value']:.1f} cm")
    )


def _calories(c: Collected) -> Iterator[Finding]:
    item = c.items.get(ENERGY)
    yield Finding(t.BODY_LINK, "calories_burned", "calories_burned", between_people(item))
    text = f"{item['beyond']:,} of {item['n']:,} days." if item else ""
    found = share(item["beyond"], item["n"], MIN_PAIRS) if item else None
    yield Finding(t.ENERGY_RANGE, "calories_burned", "calories_burned", found, text)


_own = {"stress_level": _stress, "weight_kg": _weight, "bmi": _bmi, "calories_burned": _calories}


def _change(c: Collected, name: str) -> Iterator[Finding]:
    moved = drift(c, name)
    if moved:
        upload, value = max(moved.items(), key=lambda one: abs(one[1]))
        uri = next(row["uri"] for row in c.uploads if row["upload_id"] == upload)
        yield Finding(t.DRIFT, name, name, _exact(abs(value)), f"Largest in {uri}: {value:+.2f}.")
    enough = [row for row in c.months if row["people"] >= MIN_PEOPLE and row["share_logged"] > 0.5]
    months = [row for row in enough if row[name] is not None]
    if len(months) > 1:
        mean = sum(row[name] for row in months) / len(months)
        row = max(months, key=lambda row: abs(row[name] - mean))
        text = f"{row['year']}-{row['month']:02}: {row[name]:,.1f} against {mean:,.1f}."
        yield Finding(t.MONTHS, name, name, _exact(abs(row[name] / mean - 1) if mean else None), text)


def _exact(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(float(value), float(value), float(value))


def _list(c: Collected, item: str, which: str) -> list[Row]:
    return [row for row in c.named if row["item"] == item and row["list"] == which]


def _named(c: Collected, item: str, which: str, above: float) -> list[Row]:
    rows = [row for row in _list(c, item, which) if row["value"] > above]
    return sorted(rows, key=lambda row: (-row["value"], row["user_id"]))


def _people(rows: Sequence[Row], say: Any) -> str:
    return _shorten([f"user {row['user_id']}: {say(row)}" for row in rows])


def _shorten(entries: Sequence[str]) -> str:
    more = f"; {len(entries) - SHOWN} or more others" if len(entries) > SHOWN else ""
    return "; ".join(entries[:SHOWN]) + more + "." if entries else ""


def _day(row: Row, back: float = 0) -> str:
    return (date(1970, 1, 1) + timedelta(int(row["day"] - back))).isoformat()
