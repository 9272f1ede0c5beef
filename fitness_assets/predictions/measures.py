"""Measures predictions against true values: losses, skill, calibration, coverage and drift.

``models.py`` fits the predictors, and ``evaluation.py`` explains the numbers. Every interval is from a bootstrap over
people.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from fitness_assets.predictions.tables import MODEL, WEIGHT_LIMIT, Target

RESAMPLES = 2_000
CONFIDENCE = 0.99
"""Of every interval. Three models are judged on each upload: at 95 % noise would show skill every few uploads."""
INTERVAL = 0.8
"""Of the interval around a predicted number."""
SEED = 0
_TAILS = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
_LEAST_PROBABILITY = 1e-6
_BINS = 10
_RANGE = (0.005, 0.995)
"""Quantiles of the training days that make a feature's range."""
_MOSTLY_KNOWN = 0.05
"""A feature that was empty on fewer training days than this share should not be empty now."""

Offsets = tuple[float, float]


class BootstrapEstimate(NamedTuple):
    """A number and the ends of its 99 % interval."""

    value: float
    lower: float
    upper: float


class People:
    """The people of some test days, and random draws of these people.

    The days of one person are similar. So the bootstrap draws people with all of their days, not single days: Efron and
    Tibshirani, An Introduction to the Bootstrap (1993), section 8.

    Args:
        users: the person of each day, shape (days,).
    """

    def __init__(self, users: Any) -> None:
        self._codes, found = pd.factorize(np.asarray(users))
        self.count = len(found)
        equal = np.full(self.count, 1 / self.count)
        self._draws = np.random.default_rng(SEED).multinomial(self.count, equal, RESAMPLES)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums of each person's days: shape (days, columns) becomes (people, columns)."""
        return np.column_stack([np.bincount(self._codes, column, self.count) for column in values.T])

    def drawn(self, sums: np.ndarray) -> np.ndarray:
        """The same sums for each draw, shape (draws, columns)."""
        return self._draws @ sums


class Skill(NamedTuple):
    """The share of the best baseline's loss that the model saves, with its interval; None if that loss is zero."""

    baseline: str
    value: float | None
    lower: float | None
    upper: float | None


def losses(target: Target, truth: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Loss of each day: the negative logarithm of the probability of what came true, or the squared error."""
    if not target.classes:
        return (truth - answers) ** 2
    of_truth = answers[np.arange(len(truth)), _position(target, truth)]
    return -np.log(np.maximum(of_truth, _LEAST_PROBABILITY))


def skill(by_predictor: dict[str, np.ndarray], people: People) -> Skill:
    """1 − loss of the model / loss of the best baseline.

    Which baseline is the best is not known beforehand: each draw of the bootstrap chooses it anew, so the interval
    accounts for that choice.

    Args:
        by_predictor: loss of each test day, by predictor.
        people: who these days are from.
    """
    baselines = [name for name in by_predictor if name != MODEL]
    sums = people.sums(np.column_stack([by_predictor[name] for name in (MODEL, *baselines)]))
    model, *others = sums.sum(axis=0)
    least = min(others)
    best = baselines[others.index(least)]
    if not least > 0:  # nothing can be better than a baseline that is never wrong
        return Skill(best, None, None, None)
    drawn = people.drawn(sums)
    lower, upper = _ends(1 - drawn[:, 0] / np.maximum(drawn[:, 1:].min(axis=1), 1e-12))
    return Skill(best, float(1 - model / least), lower, upper)


def numbers(target: Target, truth: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """The measures of one predictor besides skill; values without an interval."""
    if not target.classes:
        error = truth - answers
        return {
            "mean_absolute_error_kg": float(np.abs(error).mean()),
            "root_mean_squared_error_kg": float(np.sqrt((error**2).mean())),
            "mean_error_kg": float(error.mean()),
        }
    came, said = _position(target, truth), answers.argmax(axis=1)  # numbers are compared many times faster than texts
    return {
        "log_loss": float(losses(target, truth, answers).mean()),
        "accuracy": accuracy_score(came, said),
        "balanced_accuracy": balanced_accuracy_score(came, said),
        "macro_f1": f1_score(came, said, average="macro"),
    }


def calibration(target: Target, truth: np.ndarray, answers: np.ndarray, people: People) -> BootstrapEstimate:
    """Expected calibration error over ten equal bins: Naeini, Cooper and Hauskrecht, AAAI 2015."""
    is_right, said = _position(target, truth) == answers.argmax(axis=1), answers.max(axis=1)
    gaps = np.zeros((len(truth), _BINS + 1))
    gaps[np.arange(len(truth)), tenth(said)] = is_right - said
    gaps[:, _BINS] = 1
    sums = people.sums(gaps)

    def error(of: np.ndarray) -> np.ndarray:
        return np.abs(of[..., :_BINS]).sum(axis=-1) / of[..., _BINS]

    return _of_distance(float(error(sums.sum(axis=0))), error(people.drawn(sums)))


def tenth(probability: np.ndarray) -> np.ndarray:
    """Which of ten equal bins, 0 to 9, each probability falls into."""
    return np.minimum((probability * _BINS).astype(int), _BINS - 1)


def offsets(residuals: np.ndarray) -> Offsets:
    """How far below and above a predicted number its interval reaches, from residuals of calibration days.

    Split conformal prediction: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, J Am Stat Assoc 2018;113:1094. Each end
    is a quantile of its own, and the number itself always lies inside.
    """
    tail = (1 - INTERVAL) / 2
    low, high = np.quantile(residuals, [tail, 1 - tail])
    return min(float(low), 0.0), max(float(high), 0.0)


def is_covered(truth: np.ndarray, answers: np.ndarray, by: Offsets) -> np.ndarray:
    """Whether each number that came true lies in the interval around its answer; all are clamped alike."""
    low, high = (np.clip(answers + offset, -WEIGHT_LIMIT, WEIGHT_LIMIT) for offset in by)
    return (low <= truth) & (truth <= high)


def coverage(covered: np.ndarray, part: np.ndarray, people: People) -> BootstrapEstimate:
    """The share of a part of the test days whose number lies in its interval.

    Args:
        covered: whether it does, shape (days,).
        part: which days are asked about, shape (days,).
        people: who all these days are from.
    """
    sums = people.sums(np.column_stack([covered & part, part]))
    drawn = people.drawn(sums)
    drawn = drawn[drawn[:, 1] > 0]  # a draw may have nobody of a small part
    return BootstrapEstimate(float(covered[part].mean()), *_ends(drawn[:, 0] / drawn[:, 1]))


def input_drift(learned: pd.DataFrame, newest: pd.DataFrame, users: Any) -> dict[str, BootstrapEstimate]:
    """By column, the share of the newest values outside the range in which 99 % of the learned ones lie.

    A value that is empty now, and was hardly ever empty before, counts as outside.

    Args:
        learned: columns of numbers, of the training days.
        newest: the same columns, of the newest days.
        users: who the newest days are from.
    """
    known, now = learned.to_numpy(dtype=float), newest.to_numpy(dtype=float)
    never_empty = np.isnan(known).mean(axis=0) < _MOSTLY_KNOWN
    low, high = learned.quantile(list(_RANGE)).to_numpy(dtype=float)
    outside = (now < low) | (now > high) | (np.isnan(now) & never_empty)
    return dict(zip(learned.columns, _shares(outside, users), strict=True))


def outcome_drift(target: Target, learned: pd.Series, newest: pd.Series, users: Any) -> BootstrapEstimate:
    """The distance of the newest outcomes from the learned ones: 0 if they are equal, 1 if they have nothing in common.

    Of labels, the share that would have to change its label (total variation distance); of numbers, `input_drift`.
    """
    if not target.classes:
        (share,) = input_drift(learned.to_frame(), newest.to_frame(), users).values()
        return share
    before = learned.value_counts(normalize=True).reindex(target.classes, fill_value=0).to_numpy()
    is_label = newest.to_numpy()[:, np.newaxis] == np.array(target.classes)
    people = People(users)
    sums = people.sums(is_label)

    def distance(of: np.ndarray) -> np.ndarray:
        return np.abs(of / of.sum(axis=-1, keepdims=True) - before).sum(axis=-1) / 2

    return _of_distance(float(distance(sums.sum(axis=0))), distance(people.drawn(sums)))


def _shares(holds: np.ndarray, users: Any) -> list[BootstrapEstimate]:
    """By column, the share of days for which ``holds`` is true; its shape is (days, columns)."""
    people = People(users)
    drawn = people.drawn(people.sums(np.column_stack([holds, np.ones(len(holds))])))
    ends = np.quantile(drawn[:, :-1] / drawn[:, -1:], _TAILS, axis=0).tolist()
    return [BootstrapEstimate(*each) for each in zip(holds.mean(axis=0).tolist(), *ends, strict=True)]


def _of_distance(value: float, drawn: np.ndarray) -> BootstrapEstimate:
    """A distance, 0 or above. That of a draw is too large on average; its interval is moved back by that much."""
    return BootstrapEstimate(value, *_ends(np.maximum(drawn - drawn.mean() + value, 0.0)))


def _position(target: Target, labels: np.ndarray) -> np.ndarray:
    """The position of each label among the labels of the target."""
    return pd.Index(target.classes).get_indexer(labels)


def _ends(drawn: np.ndarray) -> tuple[float, float]:
    lower, upper = np.quantile(drawn, _TAILS)
    return float(lower), float(upper)
