"""Makes and adapts plans for many people at once: what is recommended on each day, and the weight that follows.

All people are aligned by the first day of their plan, which is the column `BEFORE` of every array (people, days). The
weight of a day is the one in the morning, before the day's food.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fitness_assets.coach import constants as c
from fitness_assets.coach.energy import Body, Floats, Person
from fitness_assets.coach.estimate import (
    ADHERED,
    ERROR,
    WEIGHT,
    Expenditure,
    Filter,
    Walked,
    expenditure_of,
    mean_of,
    scale_noise,
)

BEFORE = 60
"""Days before the plan that are looked at; also the column of its first day."""
LONGEST = 365
"""Days of a plan that are followed; an older plan is taken as started so many days before the last logged day."""
HORIZON = 30
"""Days that a plan looks ahead."""
WEEK = 7
INTERVAL = 1.2816
"""Standard deviations on each side of the mean that hold 80 % of a normal distribution."""

_LASTING = 1 - c.FOOD_EFFECT - c.ADAPTATION
"""Share of a change of intake that remains once digestion and expenditure have adapted to it."""


@dataclass(frozen=True)
class Wishes:
    """What people ask for; each attribute has the shape (people,), NaN where nothing is stated.

    Attributes:
        weight_kg: target weight.
        pace_kg: kg a week towards it.
        intake_kcal: a fixed intake instead of a computed one.
        steps: target steps a day.
        exercise_minutes: target minutes a day.
        sleep_hours: target sleep.
        most_steps: recommend no more.
        most_minutes: recommend no more.
        least_kcal: recommend no lower intake.
    """

    weight_kg: Floats
    pace_kg: Floats
    intake_kcal: Floats
    steps: Floats
    exercise_minutes: Floats
    sleep_hours: Floats
    most_steps: Floats
    most_minutes: Floats
    least_kcal: Floats


@dataclass(frozen=True)
class History:
    """What people logged, aligned by the first day of their plan; shape (people, days), NaN where not logged.

    Attributes:
        last: column of each person's last logged day, shape (people,).
    """

    weight_kg: Floats
    steps: Floats
    calories: Floats
    exercise_minutes: Floats
    sleep_hours: Floats
    stress: Floats
    last: NDArray[np.int64]

    @property
    def asof(self) -> NDArray[np.int64]:
        """Column after which the next 30 days are planned."""
        return np.maximum(self.last, BEFORE - 1)


@dataclass(frozen=True)
class Review:
    """A change of one person's plan.

    Attributes:
        person: row of the person.
        column: first day with the new intake.
        before: kcal a day until then.
        after: kcal a day from then on.
        expenditure_before: kcal a day, as estimated when the intake was last set.
        expenditure: as estimated now.
        weights: weights of the week before.
        weight_kg: estimated body weight.
    """

    person: int
    column: int
    before: float
    after: float
    expenditure_before: float
    expenditure: float
    weights: int
    weight_kg: float


@dataclass
class Course:
    """Recommendations and estimates for each day; shape (people, days) unless said otherwise.

    Attributes:
        start_kg: body weight before the plan, shape (people,).
        basal_kcal: basal need, shape (people,).
        floor_kcal: lowest intake that may be recommended, shape (people,).
        pace_kg: change of tissue in kg a week at the first intake and the former steps, shape (people,); negative is
            loss.
        own: expenditure before the plan.
    """

    start_kg: Floats
    basal_kcal: Floats
    floor_kcal: Floats
    pace_kg: Floats
    own: Expenditure
    weight_kg: Floats
    weight_sd: Floats
    expenditure_kcal: Floats
    expenditure_sd: Floats
    adherence: Floats
    adherence_sd: Floats
    steps_adherence: Floats
    intake_kcal: Floats
    steps: Floats
    exercise_minutes: Floats
    sleep_hours: Floats
    reviews: list[Review] = field(default_factory=list, kw_only=True)


class Coach:
    """Simulates people from 60 days before their plan to 30 days after their last logged day.

    Args:
        person: who they are.
        wishes: what they ask for.
        history: what they logged.
        follows: whether weights and steps count that were logged after the start of the plan. Without them the result
            is the forecast of the first day.
    """

    def __init__(self, person: Person, wishes: Wishes, history: History, follows: bool = True) -> None:
        self.person, self.wishes, self.history, self._follows = person, wishes, history, follows
        before = history.weight_kg[:, :BEFORE]
        self._steps_before = mean_of(history.steps[:, :BEFORE], 0.0)
        self._minutes_before = mean_of(history.exercise_minutes[:, :BEFORE], 0.0)
        self._sleep_before = mean_of(history.sleep_hours[:, :BEFORE], np.nan)
        until = None if follows else BEFORE
        self._weights = history.weight_kg[:, :until]
        # Without steps before the plan nobody knows by how much they changed.
        has_steps = np.isfinite(history.steps[:, :BEFORE]).any(axis=1, keepdims=True)
        self._steps = np.where(has_steps, history.steps[:, :until], np.nan)
        self._walked = Walked(self._steps_before, history.steps[:, :BEFORE])
        usual_kg = _median(before)
        self.own = expenditure_of(person, usual_kg, history.steps[:, :BEFORE], history.calories[:, :BEFORE])
        body = Body.in_balance(person, usual_kg, self.own.kcal)
        self._filter = Filter(_median(before, first=WEEK), scale_noise(history.weight_kg), body.kcal_per_kg, self.own)
        for column in range(BEFORE):
            self._filter.see(before[:, column])
            if column < BEFORE - 1:
                self._filter.pass_day(None)
        self._filter.pass_day(None)
        self._start()

    def _start(self) -> None:
        """Set the first recommendations, on the estimates of the morning of the first day."""
        if self._follows:
            self._filter.see(_column(self._weights, BEFORE))
        self.start_kg = self._filter.mean[:, WEIGHT].copy()
        self._body = Body.in_balance(self.person, self.start_kg, self.own.kcal)
        self.basal_kcal = self.person.resting_kcal(self.start_kg)
        self.floor_kcal = lowest_intake(self.person, self.basal_kcal, self.wishes.least_kcal)
        self._base = self._intake(self.own.kcal, self.start_kg)
        self._assumed = self.own.kcal.copy()

    def _pace(self, weight_kg: Floats) -> Floats:
        """Planned change of tissue, kg a week; none where there is no target weight or it is reached."""
        remaining = np.nan_to_num(self.wishes.weight_kg - weight_kg)
        usual = np.where(remaining < 0, c.USUAL_LOSS, c.USUAL_GAIN) * weight_kg
        pace = np.where(np.isnan(self.wishes.pace_kg), usual, self.wishes.pace_kg)
        pace = np.minimum(np.minimum(pace, c.FASTEST_LOSS * weight_kg), np.abs(remaining) * WEEK / HORIZON)
        return np.where(np.abs(remaining) < c.REACHED_KG, 0, np.sign(remaining) * pace)

    def _intake(self, expenditure: Floats, weight_kg: Floats) -> Floats:
        """Intake for the wished pace with the steps from before the plan, within the guardrails."""
        change = np.maximum(self.surplus_of(self._pace(weight_kg)), -c.LARGEST_DEFICIT)
        wanted = np.where(np.isnan(self.wishes.intake_kcal), expenditure + change, self.wishes.intake_kcal)
        return np.maximum(wanted, self.floor_kcal)

    def surplus_of(self, pace_kg: Floats) -> Floats:
        """Surplus (negative: deficit) in kcal a day that changes tissue by so many kg a week."""
        return pace_kg / WEEK * self._body.kcal_per_kg / _LASTING

    def pace_of(self, intake_kcal: Floats) -> Floats:
        """Change of tissue in kg a week at an intake, with the steps from before the plan."""
        return (intake_kcal - self.own.kcal) * WEEK * _LASTING / self._body.kcal_per_kg

    def steps_on(self, day: int) -> Floats:
        """Recommended steps on a day of the plan; the first day is 0. They grow by small steps, week by week."""
        wish = self.wishes
        usual = np.maximum(np.minimum(self._steps_before + 3 * c.STEPS_A_WEEK, c.ENOUGH_STEPS), self._steps_before)
        added_minutes = wish.exercise_minutes - self._minutes_before
        by_minutes = self._steps_before + added_minutes * c.WALKING_STEPS_A_MINUTE
        stated = np.fmax(wish.steps, by_minutes)  # who states both gets both
        target = np.fmax(np.fmin(np.where(np.isnan(stated), usual, stated), wish.most_steps), 0)
        change = np.clip(target - self._steps_before, -np.inf, c.STEPS_A_WEEK * (1 + day // WEEK))
        return np.round(self._steps_before + change, -1)

    def minutes_on(self, steps: Floats) -> Floats:
        """Recommended minutes of exercise: the former ones, and those in which the added steps are walked."""
        minutes = self._minutes_before + (steps - self._steps_before) / c.WALKING_STEPS_A_MINUTE
        return np.fmin(np.clip(np.round(minutes), 0, 600), self.wishes.most_minutes)

    def sleep_on(self, day: int) -> Floats:
        """Recommended hours of sleep; NaN where sleep was not logged and no wish is stated."""
        former, wish = self._sleep_before, self.wishes.sleep_hours
        target = np.where(np.isnan(wish), np.clip(former, c.ENOUGH_SLEEP, c.LONG_SLEEP), wish)
        most = c.SLEEP_A_WEEK * (1 + day // WEEK)
        moved = np.where(np.isnan(former), target, former + np.clip(target - former, -most, most))
        return np.round(moved * 4) / 4

    def added_activity(self, steps: Floats) -> Floats:
        """What steps beyond the former ones add to expenditure, kcal a day for each kg of body weight."""
        return self.person.step_kcal_per_kg() * (steps - self._steps_before)

    def run(self) -> Course:
        """Follow everybody day by day; the plan is reviewed once a week as long as there are logged days."""
        asof, people = self.history.asof, len(self.start_kg)
        days = int(asof.max(initial=BEFORE - 1)) + HORIZON + 1
        course, activity = self._empty(people, days), np.zeros((people, days))
        for column in range(BEFORE, days):
            day = column - BEFORE
            if column > BEFORE:
                self._filter.see(_column(self._weights, column))
            if self._follows and day and day % WEEK == 0:
                course.reviews += self._review(column, column <= asof + 1)
            steps = self.steps_on(day)
            added = self.added_activity(steps)
            fixed = ~np.isnan(self.wishes.intake_kcal)
            intake = np.maximum(self._base + np.where(fixed, 0, added * self.start_kg), self.floor_kcal)
            walked = _column(self._steps, column)
            is_logged = np.isfinite(walked)
            activity[:, column] = np.where(is_logged, self.added_activity(walked), self._walked.share * added)
            week = activity[:, max(column - WEEK + 1, BEFORE) : column + 1]
            self._note(course, column, intake, steps, week.mean(axis=1))
            now = self._body
            share = c.ADHERENCE
            eaten = now.balance_kcal + share * (intake - now.balance_kcal)
            self._body = now.next_day(eaten, activity[:, column])
            counted = np.where(is_logged, -activity[:, column] * now.weight_kg / now.kcal_per_kg, 0)
            self._filter.pass_day((self._body.weight_kg - now.weight_kg - counted) / share, counted)
            self._walked.see(steps, walked)
        return course

    def _empty(self, people: int, days: int) -> Course:
        cells = [np.full((people, days), np.nan) for _ in range(11)]
        return Course(self.start_kg, self.basal_kcal, self.floor_kcal, self.pace_of(self._base), self.own, *cells)

    def _note(self, course: Course, column: int, intake: Floats, steps: Floats, activity: Floats) -> None:
        believed = self._filter
        course.weight_kg[:, column], course.weight_sd[:, column] = believed.mean[:, WEIGHT], believed.sd(WEIGHT)
        course.adherence[:, column], course.adherence_sd[:, column] = believed.mean[:, ADHERED], believed.sd(ADHERED)
        course.steps_adherence[:, column] = self._walked.share
        spent = self._body.maintenance_kcal() + activity * self._body.weight_kg
        course.expenditure_kcal[:, column] = spent + believed.mean[:, ERROR]
        course.expenditure_sd[:, column] = believed.sd(ERROR)
        course.intake_kcal[:, column], course.steps[:, column] = intake, steps
        course.exercise_minutes[:, column] = self.minutes_on(steps)
        course.sleep_hours[:, column] = self.sleep_on(column - BEFORE)

    def _review(self, column: int, is_known: NDArray[np.bool_]) -> Sequence[Review]:
        """Adapt the intake by a small step where a week with weights changed the estimate of expenditure."""
        weights = np.isfinite(self._weights[:, column - WEEK : column]).sum(axis=1)
        weight_kg = self._filter.mean[:, WEIGHT]
        expenditure = self._body.maintenance_kcal() + self._filter.mean[:, ERROR]
        change = self._intake(expenditure, weight_kg) - self._base
        counts = is_known & (weights > 0) & (np.abs(change) >= c.SMALL_CHANGE) & np.isnan(self.wishes.intake_kcal)
        after = self._base + np.where(counts, np.clip(change, -c.INTAKE_CHANGE, c.INTAKE_CHANGE), 0)
        reviews = [
            Review(
                int(i),
                column,
                float(self._base[i]),
                float(after[i]),
                float(self._assumed[i]),
                float(expenditure[i]),
                int(weights[i]),
                float(weight_kg[i]),
            )
            for i in np.flatnonzero(counts)
        ]
        self._base, self._assumed = after, np.where(counts, expenditure, self._assumed)
        return reviews


def lowest_intake(person: Person, basal_kcal: Floats, least_kcal: Floats) -> Floats:
    """The lowest intake that may be recommended: basal need, 1,200 kcal (women) or 1,500 kcal, or what was stated."""
    by_sex = np.where(person.maleness == 0, c.LOWEST_INTAKE_WOMEN, c.LOWEST_INTAKE_MEN)
    return np.fmax(np.maximum(np.ceil(basal_kcal), by_sex), least_kcal)


def _column(values: Floats, column: int) -> Floats:
    """What was logged on a day; NaN after the last one."""
    return values[:, column] if column < values.shape[1] else np.full(len(values), np.nan)


def _median(weights: Floats, first: int | None = None) -> Floats:
    """The median of each row without its NaN, or of its ``first`` values; NaN where there is none."""
    known = np.isfinite(weights)
    if first is not None:
        known &= np.cumsum(known, axis=1) <= first
    count = known.sum(axis=1)
    ordered = np.sort(np.where(known, weights, np.inf), axis=1)
    rows = np.arange(len(weights))
    low, high = (
        ordered[rows, np.maximum(count - 1, 0) // 2],
        ordered[rows, np.minimum(count // 2, weights.shape[1] - 1)],
    )
    return np.where(count > 0, (low + high) / 2, np.nan)
