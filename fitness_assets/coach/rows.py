"""The rows of ``coach/plans`` and ``coach/progress``, as Arrow tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fitness_assets.coach import constants as c
from fitness_assets.coach.energy import Floats
from fitness_assets.coach.own_days import by_model, own_days, quantiles, sleep_classes, stress_classes
from fitness_assets.coach.plans import BEFORE, HORIZON, INTERVAL, Coach, Review
from fitness_assets.coach.tables import MODEL, OWN_DAYS, PHYSIOLOGY, PLANS, PROGRESS
from fitness_assets.coach.transforms import Planned
from fitness_assets.predictions.tables import STRESS_STEP
from fitness_assets.schema.table import Table
from fitness_assets.silver.tables import CATEGORIES_FROM

_ENOUGH_DAYS = 7  # of the last 30 days
_RECENT_DAYS = 14
_RESTS_ON = ("weight_kg", "steps", "exercise_minutes", "sleep_hours", "stress_level")
"""What a plan recommends and predicts."""
_TARGETS = {
    "steps": ("target_steps", "steps"),
    "exercise_minutes": ("target_exercise_minutes", "exercise"),
    "sleep_hours": ("target_sleep_hours", "sleep"),
}
"""The field of a goal for each of these, and its name in a sentence."""

Says = Callable[[str, Planned], Floats]
"""What the model of a target says on the last day of everybody: probabilities, shape (people, labels)."""


@dataclass(frozen=True)
class Trust:
    """What the audit and the models allow the coach to use.

    Attributes:
        generated: metrics that look generated.
        sparse: metrics of which the audit has too little to judge them.
        skilled: targets whose models have skill.
        says: asks a model that has skill.
    """

    generated: set[str]
    sparse: set[str]
    skilled: set[str]
    says: Says


def plan_rows(planned: Planned, trust: Trust) -> pa.Table:
    """The next 30 days of everybody who keeps a plan."""
    kept, course, ahead = planned.kept, planned.course, planned.ahead
    rows = kept[:, None]
    columns = ahead[kept]
    weight, sd = course.weight_kg[rows, columns], course.weight_sd[rows, columns]
    middle = course.intake_kcal[rows, columns]
    low = np.maximum(middle - c.INTAKE_RANGE, course.floor_kcal[kept][:, None])
    sleep, sleep_basis = _sleep(planned, trust)
    stress, stress_basis = _stress(planned, trust)
    doubts = [_doubts(planned, int(i), trust) for i in kept]
    goals = [planned.goals[i] for i in kept]
    target_bmi = planned.bmi(planned.wishes.weight_kg)
    per_person: dict[str, Any] = {
        "user_id": [row["user_id"] for row in goals],
        "goal_id": [row["goal_id"] for row in goals],
        "is_trusted": [doubt is None for doubt in doubts],
        "why_not_trusted": doubts,
        "age": planned.person.age[kept].astype(int).tolist(),
        "sex": [planned.sexes[i] for i in kept],
        "start_weight_kg": np.round(course.start_kg[kept], 2),
        "target_bmi": np.round(target_bmi[kept], 2),
        "pace_kg_per_week": np.round(course.pace_kg[kept], 3),
        "basal_kcal": np.round(course.basal_kcal[kept]),
        "expenditure_kcal": np.round(course.expenditure_kcal[kept, columns[:, 0]]),
        "expenditure_sd_kcal": np.round(course.expenditure_sd[kept, columns[:, 0]]),
        "adherence": np.round(course.adherence[kept, columns[:, 0]], 3),
        "steps_adherence": np.round(course.steps_adherence[kept, columns[:, 0]], 3),
    }
    first = np.array([planned.starts[i] for i in kept], dtype="datetime64[D]") + (columns[:, 0] - BEFORE)
    cells: dict[str, Any] = {name: _repeated(values) for name, values in per_person.items()} | {
        "plan_day": np.tile(np.arange(1, HORIZON + 1), len(kept)),
        "date": (first[:, None] + np.arange(HORIZON)).ravel(),
        "bmi": np.round(planned.bmi(course.weight_kg)[rows, columns], 2).ravel(),
        "recommended_steps": course.steps[rows, columns].ravel(),
        "recommended_exercise_minutes": course.exercise_minutes[rows, columns].ravel(),
        "recommended_sleep_hours": course.sleep_hours[rows, columns].ravel(),
        "intake_low_kcal": np.ceil(low).ravel(),
        "intake_high_kcal": np.ceil(np.maximum(middle, low) + c.INTAKE_RANGE).ravel(),
        **_interval("weight_kg", np.stack([weight - INTERVAL * sd, weight, weight + INTERVAL * sd], axis=-1)),
        **_interval("sleep_hours", sleep[kept]),
        **_interval("stress_level", stress[kept]),
        "weight_basis": np.full(len(kept) * HORIZON, PHYSIOLOGY),
        "sleep_basis": sleep_basis[kept].ravel(),
        "stress_basis": stress_basis[kept].ravel(),
    }
    return arrow(PLANS, cells)


def progress_rows(planned: Planned) -> pa.Table:
    """The days since the start of everybody who keeps a plan; days without a log are among them."""
    promised = Coach(planned.person, planned.wishes, planned.history, follows=False).run()
    course, days = planned.course, planned.history
    person, column = np.nonzero(np.arange(days.weight_kg.shape[1]) <= days.last[:, None])
    counts = (column >= BEFORE) & np.isin(person, planned.kept)
    person, column = person[counts], column[counts]
    at = person, column
    reviews = {(review.person, review.column): _sentence(planned, review) for review in course.reviews}
    first = np.array(planned.starts, dtype="datetime64[D]")
    cells = {
        "user_id": [planned.goals[i]["user_id"] for i in person],
        "goal_id": [planned.goals[i]["goal_id"] for i in person],
        "date": first[person] + (column - BEFORE),
        "plan_day": column - BEFORE + 1,
        "planned_weight_kg": np.round(promised.weight_kg[at], 2),
        "planned_weight_lower": np.round(promised.weight_kg[at] - INTERVAL * promised.weight_sd[at], 2),
        "planned_weight_upper": np.round(promised.weight_kg[at] + INTERVAL * promised.weight_sd[at], 2),
        "logged_weight_kg": days.weight_kg[at],
        "estimated_weight_kg": np.round(course.weight_kg[at], 2),
        "recommended_steps": course.steps[at],
        "logged_steps": days.steps[at],
        "recommended_exercise_minutes": course.exercise_minutes[at],
        "logged_exercise_minutes": days.exercise_minutes[at],
        "recommended_sleep_hours": course.sleep_hours[at],
        "logged_sleep_hours": days.sleep_hours[at],
        "recommended_intake_kcal": np.round(course.intake_kcal[at]),
        "expenditure_kcal": np.round(course.expenditure_kcal[at]),
        "expenditure_sd_kcal": np.round(course.expenditure_sd[at]),
        "adherence": np.round(course.adherence[at], 3),
        "adherence_sd": np.round(course.adherence_sd[at], 3),
        "steps_adherence": np.round(course.steps_adherence[at], 3),
        "adaptation": [reviews.get((int(i), int(j))) for i, j in zip(person, column, strict=True)],
    }
    return arrow(PROGRESS, cells)


def arrow(table: Table, cells: Mapping[str, Any]) -> pa.Table:
    """Columns as an Arrow table of a declaration; NaN becomes empty."""
    schema = table.arrow_schema
    return pa.table([pa.array(cells[field.name], from_pandas=True).cast(field.type) for field in schema], schema)


def _repeated(values: Sequence[Any] | Floats) -> Any:
    """A value of each person for each day."""
    array = pa.array(values, from_pandas=True)
    return array.take(pa.array(np.repeat(np.arange(len(array)), HORIZON)))


def _interval(name: str, found: Floats) -> dict[str, Floats]:
    """The three columns of a prediction from an array whose last axis is lower end, prediction, upper end."""
    low, middle, high = np.round(found.reshape(-1, 3), 2).T
    return {f"{name}_lower": low, f"predicted_{name}": middle, f"{name}_upper": high}


def _sleep(planned: Planned, trust: Trust) -> tuple[Floats, Any]:
    """Quantiles of sleep, shape (people, 30, 3), and what they rest on; a model speaks of the next day only."""
    values = own_days(planned.history.sleep_hours, planned.history.last)
    result, basis = _by_own_days(values)
    if "sleep_quality" in trust.skilled and "sleep_hours" not in trust.generated:
        limits, _ = CATEGORIES_FROM["sleep_hours"]
        weights = by_model(sleep_classes(values, limits), trust.says("sleep_quality", planned))
        _replace(result, basis, 0, quantiles(values, weights))
    return result, basis


def _stress(planned: Planned, trust: Trust) -> tuple[Floats, Any]:
    """The same of stress; the model speaks of the 30th day only."""
    days = planned.history
    values = own_days(days.stress, days.last)
    result, basis = _by_own_days(values)
    if "stress_change" in trust.skilled and "stress_level" not in trust.generated:
        today = days.stress[np.arange(len(values)), np.minimum(days.last, values.shape[1] - 1)]
        weights = by_model(stress_classes(values, today, STRESS_STEP), trust.says("stress_change", planned))
        _replace(result, basis, HORIZON - 1, quantiles(values, weights))
    return result, basis


def _by_own_days(values: Floats) -> tuple[Floats, Any]:
    found = quantiles(values)
    basis = np.array([[OWN_DAYS if known else None] for known in np.isfinite(found[:, 0])], dtype=object)
    return np.repeat(found[:, None, :], HORIZON, axis=1), np.repeat(basis, HORIZON, axis=1)


def _replace(result: Floats, basis: Any, day: int, found: Floats) -> None:
    known = np.isfinite(found[:, 0])
    result[known, day], basis[known, day] = found[known], MODEL


def _doubts(planned: Planned, person: int, trust: Trust) -> str | None:
    """Why the plan of a person cannot be trusted; None if it can."""
    asof, goal = int(planned.history.asof[person]), planned.goals[person]
    until, doubts = slice(max(asof - HORIZON + 1, 0), asof + 1), list[str]()

    def logged(measure: str) -> Any:
        return np.flatnonzero(np.isfinite(getattr(planned.history, measure)[person, until]))

    for metric in _RESTS_ON:
        if metric in trust.generated:
            doubts.append(f"The audit says that {metric} looks generated: it does not behave like that of people.")
    if "weight_kg" in trust.sparse:
        doubts.append("The audit says that there is too little of weight_kg to judge it.")
    weights = logged("weight_kg")
    if len(weights) < _ENOUGH_DAYS:
        doubts.append(f"There are only {len(weights)} weights in the last 30 days; a plan needs {_ENOUGH_DAYS}.")
    elif weights[-1] + 1 < HORIZON - _RECENT_DAYS:
        doubts.append(f"The last weight is more than {_RECENT_DAYS} days old.")
    for measure, (field, name) in _TARGETS.items():
        if goal[field] is not None and (days := len(logged(measure))) < _ENOUGH_DAYS:
            doubts.append(f"Only {days} of the last 30 days have {name}; this goal needs {_ENOUGH_DAYS}.")
    remaining = planned.wishes.weight_kg[person] - planned.course.weight_kg[person, asof + 1]
    if abs(remaining) >= c.REACHED_KG and remaining * (pace := planned.course.pace_kg[person]) < 0:
        way = "rises" if pace > 0 else "falls"
        doubts.append(f"At the stated or lowest intake weight {way}, away from the target: state another intake.")
    return " ".join(doubts) or None


def _sentence(planned: Planned, review: Review) -> str:
    """How a review changed a plan, and what made it."""
    since = planned.day(review.person, review.column - 7)
    way = "up" if review.after > review.before else "down"
    return (
        f"Intake {way} from {review.before:,.0f} to {review.after:,.0f} kcal: {review.weights} weights since {since} "
        f"put the weight at {review.weight_kg:.1f} kg and the expenditure at {review.expenditure:,.0f} kcal "
        f"(before: {review.expenditure_before:,.0f} kcal)."
    )
