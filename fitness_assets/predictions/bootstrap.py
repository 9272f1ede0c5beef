"""Bootstrap over people: random draws of people, and the 99 % intervals that follow from them."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

RESAMPLES = 2_000
CONFIDENCE = 0.99
"""Of every interval. Three models are judged on each upload: at 95 % noise would show skill every few uploads."""
SEED = 0
TAILS = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2


class BootstrapEstimate(NamedTuple):
    """A number and the ends of its 99 % interval."""

    value: float
    lower: float
    upper: float


class People:
    """The people of some days, and random draws of these people.

    The days of one person are similar. So the bootstrap draws people with all of their days, not single days: Efron and
    Tibshirani, An Introduction to the Bootstrap (1993), section 8.

    Args:
        users: the person of each day, shape (days,).
    """

    def __init__(self, users: Any) -> None:
        self._codes, found = pd.factorize(np.asarray(users))
        self.count = len(found)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums of each person's days: shape (days, columns) becomes (people, columns)."""
        return np.column_stack([np.bincount(self._codes, column, self.count) for column in values.T])

    def drawn(self, sums: np.ndarray) -> np.ndarray:
        """The same sums for each draw, shape (draws, columns)."""
        return _draws(self.count).astype(float) @ sums


@lru_cache(maxsize=2)  # drawing takes longer than what the draws are used for
def _draws(people: int) -> np.ndarray:
    """How often each person is drawn, shape (draws, people)."""
    return np.random.default_rng(SEED).multinomial(people, np.full(people, 1 / people), RESAMPLES).astype(np.int16)


def ends(drawn: np.ndarray) -> tuple[float, float]:
    """The ends of the interval, from one value for each draw."""
    lower, upper = np.quantile(drawn, TAILS)
    return float(lower), float(upper)


def of_distance(value: float, drawn: np.ndarray) -> BootstrapEstimate:
    """A distance, 0 or above. That of a draw is too large on average; its interval is moved back by that much."""
    return BootstrapEstimate(value, *ends(np.maximum(drawn - drawn.mean() + value, 0.0)))
