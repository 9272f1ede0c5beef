"""Measures how the newest month differs from the days that a model learned from. Each version measures it again.

This module needs no scikit-learn, because a version that keeps its models does not load it.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fitness_assets.engine.duckdb_reader import Opened, reader
from fitness_assets.gold.tables import DAY_OF_KEY, FACT_DAILY
from fitness_assets.lake.lake import Lake
from fitness_assets.predictions.bootstrap import TAILS, BootstrapEstimate, People, of_distance
from fitness_assets.predictions.tables import (
    INPUT_DRIFT,
    INPUT_DRIFT_LIMIT,
    MODEL,
    OUTCOME_DRIFT,
    OUTCOME_DRIFT_LIMIT,
    STRESS_CHANGES,
    STRESS_STEP,
    Target,
    measure_row,
)
from fitness_assets.predictions.transforms import DAY, LEVELS
from fitness_assets.schema.months import OTHER, WHOLE, first_day, month_of

NEWEST_DAYS = 30
"""The newest month, which is compared with the training days."""
HEADING = "\n## Whether the newest month is like the days learned from\n"
_RANGE = (0.005, 0.995)
"""Quantiles of the training days that make a feature's range."""
_MOSTLY_KNOWN = 0.05
"""A feature that was empty on fewer training days than this share should not be empty now."""
_ROWS = 3_000
"""About so many of the newest days are compared: all that some people have."""
_WRONG_DATES = 0.001
"""This share of the days, those with the latest dates, may have a wrong date."""
_EPOCH = date(1970, 1, 1)
_CAME_TRUE = {
    "actual_stress_change": f"CASE WHEN stress_change_30d <= -{STRESS_STEP} THEN '{STRESS_CHANGES[0]}'"
    f" WHEN stress_change_30d < {STRESS_STEP} THEN '{STRESS_CHANGES[1]}'"
    f" WHEN stress_change_30d IS NOT NULL THEN '{STRESS_CHANGES[2]}' END",
    "actual_sleep_quality": "sleep_quality",
    "actual_weight_change_30d": "weight_change_30d",
}
"""What came true on a day of ``gold/fact_daily``: the outcome of the day before, or of the day 30 days before."""


@dataclass(frozen=True)
class Learned:
    """The conclusion of a fitted model, and the outcomes that its training days lead to expect.

    Attributes:
        finding: what may be concluded as long as the newest days are like these; a sentence without its full stop.
        outcomes: the share of each label, or the ends of the range in which 99 % of the numbers lie.
    """

    finding: str
    outcomes: list[float]


class Furthest(NamedTuple):
    """The feature whose newest values lie furthest outside its range, and the share of them that does."""

    feature: str
    outside: BootstrapEstimate


@dataclass(frozen=True)
class Drift:
    """The distance of the newest month from the training days.

    Attributes:
        inputs: the feature that is furthest from its range.
        outcomes: how much the newest known outcomes differ; None: nothing came true in the newest month.
        measures: rows of the model's table, without the columns that are the same in every row.
        until: the newest day (days since 1970-01-01).
    """

    inputs: Furthest
    outcomes: BootstrapEstimate | None
    measures: list[dict[str, Any]]
    until: int


Ranges = dict[str, tuple[float, float, bool]]
"""Of each of `LEVELS`: the ends of the range in which 99 % of the values lie, and whether it was hardly ever empty."""


def ranges(days: Any) -> Ranges:
    """What training days, with `LEVELS`, lead to expect of their features."""
    levels = days[list(LEVELS)]
    low, high = levels.quantile(list(_RANGE)).to_numpy(dtype=float).tolist()
    known = (levels.isna().mean() < _MOSTLY_KNOWN).tolist()
    return dict(zip(LEVELS, zip(low, high, known, strict=True), strict=True))


def expected_outcomes(target: Target, outcomes: Any) -> list[float]:
    """What the known outcomes of training days lead to expect: see `Learned`."""
    if target.classes:
        return outcomes.value_counts(normalize=True).reindex(target.classes, fill_value=0).tolist()
    return outcomes.round(2).quantile(list(_RANGE)).tolist()  # rounded as in gold/fact_daily


def input_drift(learned: Ranges, newest: pd.DataFrame) -> Furthest:
    """Which feature of the newest month lies furthest outside its range, and how far.

    A value that is empty now, and was hardly ever empty before, counts as outside.

    Args:
        learned: the ranges of the training days.
        newest: the newest days: ``user_id`` and `LEVELS`.
    """
    low, high, known = np.array([learned[name] for name in LEVELS], dtype=float).T
    now = newest[list(LEVELS)].to_numpy(dtype=float)
    shares = _shares((now < low) | (now > high) | (np.isnan(now) & (known > 0)), newest["user_id"])
    return max((Furthest(*each) for each in zip(LEVELS, shares, strict=True)), key=lambda each: each.outside.lower)


def compare(target: Target, learned: Learned, inputs: Furthest, newest: pd.DataFrame, outcomes: pd.DataFrame) -> Drift:
    """Compare the newest month with what was learned.

    Args:
        target: what is predicted.
        learned: what its training days lead to expect.
        inputs: as of `input_drift`.
        newest: the newest days: ``user_id`` and `DAY`.
        outcomes: the newest days with a known outcome: ``user_id`` and the target's outcome.
    """
    moved = _outcome_drift(target, learned.outcomes, outcomes) if len(outcomes) else None
    share, *ends = inputs.outside
    value, *moved_ends = moved or (None, None, None)
    rows = [
        measure_row(MODEL, INPUT_DRIFT, share, newest["user_id"], ends),
        measure_row(MODEL, OUTCOME_DRIFT, value, outcomes["user_id"], moved_ends),
    ]
    return Drift(inputs, moved, rows, int(newest[DAY].max()))


def newest_month(days: Any) -> Any:
    """The last days; the last one in 1,000 is not among them where its date is wrong."""
    until = days[DAY].quantile(1 - _WRONG_DATES, interpolation="lower")
    return days[(days[DAY] > until - NEWEST_DAYS) & (days[DAY] <= until)]


def newest_days(lake: Lake, version: str) -> pd.DataFrame:
    """The newest month of ``gold/fact_daily``: all days of some random people; DuckDB reads the last files alone.

    Args:
        lake: where it is.
        version: of the table.

    Returns:
        ``user_id``, `DAY`, `LEVELS`, and as the outcome of each target what came true on the day.
    """
    parts = lake.metadata(FACT_DAILY, version).parts
    rows = {month: count for month, (count, _) in parts.items() if month not in (OTHER, WHOLE)}
    later = ceil((sum(rows.values()) - 1) * _WRONG_DATES)
    from_newest = sorted(rows, reverse=True)
    counts = zip(from_newest, accumulate(rows[month] for month in from_newest), strict=True)
    last = next((month for month, count in counts if count > later), None)
    first = month_of(first_day(last) - timedelta(NEWEST_DAYS)) if last else ""
    months = {month for month in rows if month >= first}
    levels = ", ".join(f"CAST({name} AS DOUBLE) AS {name}" for name in LEVELS)
    came_true = ", ".join(f"{sql} AS {name}" for name, sql in _CAME_TRUE.items())
    day = f"{DAY_OF_KEY} - DATE '1970-01-01'"
    with reader(lake.store, [Opened(FACT_DAILY, version, months)]) as tables:  # three queries: half the time of one
        until = f"SELECT {day}, date_key FROM fact_daily ORDER BY date_key DESC LIMIT 1 OFFSET {later}"
        ((newest, until_key),) = tables.execute(until).fetchall() or [(0, 0)]
        from_key = int(f"{_EPOCH + timedelta(newest - NEWEST_DAYS + 1):%Y%m%d}")
        is_newest = f"date_key BETWEEN {from_key} AND {until_key}"
        ((count,),) = tables.execute(f"SELECT count(*) FROM fact_daily WHERE {is_newest}").fetchall()
        return tables.execute(
            f"SELECT user_id, {day} AS {DAY}, {levels}, {came_true} FROM fact_daily WHERE {is_newest} "
            f"AND md5_number_lower(user_id) % {_ROWS} * {count} < {_ROWS**2} ORDER BY user_id, {DAY}"
        ).df()


def concluded(finding: str, drift: Drift | None) -> str:
    """One sentence for people: what may be concluded, and whether the newest month is too different for that."""
    parts = []
    if drift and drift.inputs.outside.lower > INPUT_DRIFT_LIMIT:
        parts.append("much of the newest month lies outside the range learned from (the model's card says what)")
    if drift and drift.outcomes and drift.outcomes.lower > OUTCOME_DRIFT_LIMIT:
        parts.append("the newest month's outcomes differ from those learned from")
    return f"{finding}{'; be careful now: ' if parts else ''}{' and '.join(parts)}."


def section(drift: Drift) -> str:
    """What a card says of the newest month; it begins with `HEADING`."""
    until = _EPOCH + timedelta(drift.until)
    said = (
        f"Of the newest {NEWEST_DAYS} days (until {until}), {share_text(drift.inputs.outside)} of the values of "
        f"{drift.inputs.feature} lie outside the range of 99 % of the training days; no other column of "
        f"{FACT_DAILY.key} that the model uses is further off. "
    )
    said += (
        f"Of the newest known outcomes, {share_text(drift.outcomes)} differ from what the training days lead to expect."
        if drift.outcomes
        else "No outcome became known in these days."
    )
    return f"{HEADING}\n{said}\n"


def share_text(share: BootstrapEstimate) -> str:
    """A share with its interval."""
    return f"{share.value:.1%} ({share.lower:.1%} to {share.upper:.1%})"


def _outcome_drift(target: Target, expected: list[float], outcomes: pd.DataFrame) -> BootstrapEstimate:
    """How far the newest outcomes are from the expected ones: 0 is alike, 1 has nothing in common.

    Of labels, the share that would have to change its label (total variation distance); of numbers, the share outside.
    """
    came = outcomes[target.actual].to_numpy()
    if not target.classes:
        low, high = expected
        numbers = came.astype(float).round(2)
        (share,) = _shares(((numbers < low) | (numbers > high))[:, np.newaxis], outcomes["user_id"])
        return share
    people = People(outcomes["user_id"])
    sums = people.sums(came[:, np.newaxis] == np.array(target.classes))

    def distance(of: np.ndarray) -> np.ndarray:
        return np.abs(of / of.sum(axis=-1, keepdims=True) - np.array(expected)).sum(axis=-1) / 2

    return of_distance(float(distance(sums.sum(axis=0))), distance(people.drawn(sums)))


def _shares(holds: np.ndarray, users: Any) -> list[BootstrapEstimate]:
    """By column, the share of days of which something holds; shape (days, columns)."""
    people = People(users)
    drawn = people.drawn(people.sums(np.column_stack([holds, np.ones(len(holds))])))
    both = np.quantile(drawn[:, :-1] / drawn[:, -1:], TAILS, axis=0).tolist()
    return [BootstrapEstimate(*each) for each in zip(holds.mean(axis=0).tolist(), *both, strict=True)]
