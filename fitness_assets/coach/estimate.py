"""Estimates a person's weight, habit, adherence and expenditure from noisy weights with gaps; a row for each person.

A Kalman filter follows four numbers: body weight (kg), habitual surplus (kcal a day that a person eats above their
expenditure without a plan), adherence (share of the planned change that they carry out) and the error of the
expenditure that the plan assumes (kcal a day). Weights show only the difference of intake and expenditure. So the prior
alone separates adherence from expenditure, and both estimates stay uncertain. Logged steps show separately which share
of the planned change of steps a person walks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitness_assets.coach import constants as c
from fitness_assets.coach.energy import Floats, Person, total_kcal

WEIGHT, HABIT, ADHERED, ERROR = range(4)
"""Positions in `Filter.mean`."""

_ENOUGH_DEVICE_DAYS = 5
_LOWEST_NOISE, _HIGHEST_NOISE = 0.2, 2.5  # kg
_PRIOR_DAYS = 10  # the assumed spread of weights counts as much as so many differences of days
_KEEPS_HABIT = np.exp(-1 / c.HABIT_DAYS)
_MOST_ADHERENCE = 1.1
_ERROR_DAY_SD = 3.0  # kcal: how much expenditure drifts in a day


@dataclass(frozen=True)
class Expenditure:
    """An estimate of total expenditure before a plan; each attribute has the shape (people,).

    Attributes:
        kcal: expenditure a day.
        sd: its standard deviation.
        by_device: share of the estimate that rests on calories_burned; the rest is the formula.
    """

    kcal: Floats
    sd: Floats
    by_device: Floats


def expenditure_of(person: Person, weight_kg: Floats, steps: Floats, calories: Floats) -> Expenditure:
    """Combine the estimates of the device and of the formula, weighted by their precisions.

    A device that contradicts the formula by more than chance allows counts the less, the more it does.

    Args:
        person: whose expenditure.
        weight_kg: body weight, shape (people,).
        steps: by day, shape (people, days); NaN where not logged.
        calories: ``calories_burned``, the same shape.
    """
    formula = np.log(total_kcal(person, weight_kg, mean_of(steps, 0.0)))
    days = np.isfinite(calories).sum(axis=1)
    device = np.log(np.maximum(mean_of(calories, 1.0), 1.0))
    spread = c.DEVICE_SD**2 + c.DEVICE_DAY_SD**2 / np.maximum(days, 1)
    conflict = np.abs(device - formula) / np.sqrt(spread + c.FORMULA_SD**2)
    spread = spread * np.maximum(conflict / c.OUTLIER, 1) ** 4
    weight = np.where(days >= _ENOUGH_DEVICE_DAYS, c.FORMULA_SD**2 / (c.FORMULA_SD**2 + spread), 0)
    kcal = np.exp(formula + weight * (np.where(weight > 0, device, formula) - formula))
    return Expenditure(kcal, kcal * c.FORMULA_SD * np.sqrt(1 - weight), weight)


def scale_noise(weights: Floats) -> Floats:
    """Spread of each person's weights around their body weight, kg, shape (people,).

    It is taken from differences of successive weights, by their median, so that outliers and slow change hardly count.

    Args:
        weights: by day, shape (people, days); NaN where not logged.
    """
    noise = np.full(len(weights), float(c.SCALE_SD))
    step = np.abs(np.diff(weights, axis=1))
    known = np.isfinite(step).sum(axis=1)
    ordered = np.sort(step, axis=1)  # NaN last
    middle = ordered[np.arange(len(weights)), np.maximum(known - 1, 0) // 2] if step.shape[1] else noise
    own = np.where(known > 0, 1.4826 * middle / np.sqrt(2), noise)
    variance = (known * own**2 + _PRIOR_DAYS * noise**2) / (known + _PRIOR_DAYS)
    return np.clip(np.sqrt(variance), _LOWEST_NOISE, _HIGHEST_NOISE)


def mean_of(values: Floats, otherwise: float) -> Floats:
    """The mean of each row without its NaN; ``otherwise`` for rows of NaN."""
    known = np.isfinite(values)
    days = known.sum(axis=1)
    return np.where(days > 0, np.where(known, values, 0).sum(axis=1) / np.maximum(days, 1), otherwise)


class Filter:
    """A Kalman filter with the state of people on one day; it is linear except for small products.

    Attributes:
        mean: shape (people, 4), in the order of the positions above.
        covariance: shape (people, 4, 4).
    """

    def __init__(self, weight_kg: Floats, noise: Floats, kcal_per_kg: Floats, expenditure: Expenditure) -> None:
        people = len(weight_kg)
        self.mean = np.tile([0.0, 0.0, float(c.ADHERENCE), 0.0], (people, 1))
        self.mean[:, WEIGHT] = weight_kg
        self.covariance = np.zeros((people, 4, 4))
        self.covariance[:, WEIGHT, WEIGHT] = noise**2
        self.covariance[:, HABIT, HABIT] = c.HABIT_SD**2
        self.covariance[:, ADHERED, ADHERED] = c.ADHERENCE_SD**2
        self.covariance[:, ERROR, ERROR] = expenditure.sd**2
        self._noise, self._kcal_per_kg = noise**2, kcal_per_kg
        self._day_noise = (c.INTAKE_DAY_SD * expenditure.kcal / kcal_per_kg) ** 2

    def sd(self, position: int) -> Floats:
        """The standard deviation of one of the four numbers."""
        return np.sqrt(np.maximum(self.covariance[:, position, position], 0))

    def see(self, weights: Floats) -> None:
        """Update the estimates with a day's weights, shape (people,); NaN where not logged. Outliers count little."""
        known = np.isfinite(weights)
        surprise = np.where(known, weights, 0) - self.mean[:, WEIGHT]
        believed = self.covariance[:, WEIGHT, WEIGHT]
        expected = np.sqrt(believed + self._noise)
        noise = self._noise * np.maximum(np.abs(surprise) / (c.OUTLIER * expected), 1) ** 2
        gain = np.where(known, 1 / (believed + noise), 0)[:, None] * self.covariance[:, :, WEIGHT]
        self.mean += gain * surprise[:, None]
        self.covariance -= gain[:, :, None] * self.covariance[:, None, WEIGHT, :]
        self.mean[:, ADHERED] = np.clip(self.mean[:, ADHERED], 0, _MOST_ADHERENCE)

    def pass_day(self, response: Floats | None, counted: Floats | float = 0.0) -> None:
        """Move on to the next day.

        Args:
            response: change of weight on the day with full adherence, kg, shape (people,); None where no plan is on.
            counted: change of weight by steps that were logged, whatever the adherence is; kg, shape (people,).
        """
        _, habit, adhered, error = self.mean.T
        share = adhered if response is not None else np.zeros_like(adhered)
        move: NDArray[np.float64] = np.tile(np.eye(4), (len(self.mean), 1, 1))
        move[:, WEIGHT, HABIT] = (1 - share) / self._kcal_per_kg
        move[:, HABIT, HABIT] = _KEEPS_HABIT
        changed = habit * (1 - share) / self._kcal_per_kg
        if response is not None:
            move[:, WEIGHT, ADHERED] = response - (habit + error) / self._kcal_per_kg
            move[:, WEIGHT, ERROR] = -share / self._kcal_per_kg
            changed = changed + share * (response - error / self._kcal_per_kg)
            self.covariance[:, ADHERED, ADHERED] += c.ADHERENCE_DAY_SD**2
        self.mean[:, WEIGHT] += changed + counted
        self.mean[:, HABIT] *= _KEEPS_HABIT
        self.covariance = move @ self.covariance @ move.transpose(0, 2, 1)
        self.covariance[:, WEIGHT, WEIGHT] += self._day_noise
        self.covariance[:, HABIT, HABIT] += c.HABIT_SD**2 * (1 - _KEEPS_HABIT**2)
        self.covariance[:, ERROR, ERROR] += _ERROR_DAY_SD**2


class Walked:
    """Estimates the share of the planned change of steps that people carry out, from logged steps.

    A Bayesian regression through the origin: the walked change against the planned change of steps. The noise is the
    spread of the person's steps from day to day before the plan.

    Args:
        usual: mean steps before the plan, shape (people,).
        before: steps before the plan, shape (people, days); NaN where not logged.
    """

    def __init__(self, usual: Floats, before: Floats) -> None:
        self._usual = usual
        self._noise = np.maximum(mean_of((before - usual[:, None]) ** 2, 0.0), c.STEPS_DAY_SD**2)
        self._precision = np.full_like(usual, 1 / c.ADHERENCE_SD**2)
        self._sum = c.ADHERENCE * self._precision

    @property
    def share(self) -> Floats:
        """The estimate, shape (people,); below 0 for those who walk less than before, above 1 for more than planned."""
        return self._sum / self._precision

    def see(self, planned: Floats, walked: Floats) -> None:
        """Update the estimate with the steps of a day, shape (people,); NaN where not logged."""
        change = np.where(np.isfinite(walked), planned - self._usual, 0)
        self._precision = self._precision + change**2 / self._noise
        self._sum = self._sum + change * np.nan_to_num(walked - self._usual) / self._noise
