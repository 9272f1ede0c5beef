"""Measures predictions against true values: losses, skill, calibration and coverage.

``models.py`` fits the predictors, and ``evaluation.py`` explains the numbers. Every interval is from a bootstrap over
people.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from fitness_assets.predictions.bootstrap import BootstrapEstimate, People, ends, of_distance
from fitness_assets.predictions.tables import MODEL, WEIGHT_LIMIT, Target

INTERVAL = 0.8
"""Of the interval around a predicted number."""
_LEAST_PROBABILITY = 1e-6
_BINS = 10

Offsets = tuple[float, float]


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
    lower, upper = ends(1 - drawn[:, 0] / np.maximum(drawn[:, 1:].min(axis=1), 1e-12))
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

    return of_distance(float(error(sums.sum(axis=0))), error(people.drawn(sums)))


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
    return BootstrapEstimate(float(covered[part].mean()), *ends(drawn[:, 0] / drawn[:, 1]))


def _position(target: Target, labels: np.ndarray) -> np.ndarray:
    """The position of each label among the labels of the target."""
    return pd.Index(target.classes).get_indexer(labels)
