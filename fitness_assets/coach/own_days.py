"""Forecasts sleep and stress from a person's own days, weighted by a model if one has skill.

Without a model with skill, the forecast is the distribution of the person's last 90 days, whatever the plan. A model
with skill predicts the probability of each class of days, and these probabilities weight the person's days.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fitness_assets.coach.energy import Floats

DAYS = 90
"""How many days count."""
ENOUGH = 14
"""Fewer logged days say nothing."""
QUANTILES = (0.1, 0.5, 0.9)
"""Lower end of the 80 % interval, prediction, upper end."""


def own_days(values: Floats, last: NDArray[np.int64]) -> Floats:
    """The last 90 days of each person; NaN elsewhere and for people with too few days.

    Args:
        values: by day, shape (people, columns).
        last: column of the last day of each person.
    """
    column = np.arange(values.shape[1])
    counts = (column <= last[:, None]) & (column > last[:, None] - DAYS)
    kept = np.where(counts, values, np.nan)
    return np.where((np.isfinite(kept).sum(axis=1) >= ENOUGH)[:, None], kept, np.nan)


def quantiles(values: Floats, weights: Floats | None = None) -> Floats:
    """Weighted quantiles of each row, shape (people, 3) by `QUANTILES`; NaN where there are no values.

    Args:
        values: shape (people, days); NaN counts as missing.
        weights: the same shape, not negative; None: all alike.
    """
    weight = np.where(np.isfinite(values), 1.0 if weights is None else weights, 0)
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    passed = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    total = passed[:, -1:]
    result = np.full((len(values), len(QUANTILES)), np.nan)
    known = total[:, 0] > 0
    for position, quantile in enumerate(QUANTILES):
        first = np.argmax(passed >= quantile * total - 1e-9, axis=1)
        result[known, position] = ordered[np.arange(len(values)), first][known]
    return result


def by_model(classes: NDArray[np.int64], probabilities: Floats) -> Floats:
    """Weights of a person's days by what a model says of the classes of days, shape (people, days).

    A class that none of the person's days has gets no weight; the others share it.

    Args:
        classes: class of each day, shape (people, days); -1 for days that do not count.
        probabilities: of each class, shape (people, classes); NaN where the model says nothing.
    """
    weights = np.zeros(classes.shape)
    for label in range(probabilities.shape[1]):
        days = classes == label
        count = days.sum(axis=1, keepdims=True)
        weights += days * np.nan_to_num(probabilities[:, label : label + 1]) / np.maximum(count, 1)
    return weights


def sleep_classes(hours: Floats, limits: Sequence[float]) -> NDArray[np.int64]:
    """The class of sleep quality of each day, from the limits between them; -1 where not logged."""
    return np.where(np.isfinite(hours), np.searchsorted(limits, np.nan_to_num(hours), side="right"), -1)


def stress_classes(levels: Floats, today: Floats, step: float) -> NDArray[np.int64]:
    """Whether each level is lower (0), about the same (1) or higher (2) than today's; -1 where not logged."""
    change = levels - today[:, None]
    return np.where(np.isfinite(change), 1 + (change >= step).astype(int) - (change <= -step).astype(int), -1)
