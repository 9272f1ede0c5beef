"""Makes a goal from the fields of the form, and a plan for 30 days from a goal, by the same code as the asset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from fitness_assets.coach.goals import Goal, sentences
from fitness_assets.coach.page.charts import Series
from fitness_assets.coach.page.lake_view import Situation
from fitness_assets.coach.plans import BEFORE
from fitness_assets.coach.rows import Trust, plan_rows
from fitness_assets.coach.tables import GOALS, PLANNED
from fitness_assets.coach.transforms import follow

STATED = tuple(name for name in Goal.model_fields if name not in ("user_id", "start", "pregnant", "stop"))
"""Fields of the form that a goal may state; ``start`` is always the day after the last logged one."""

ABOUT = ("age", "sex", "height_cm", "max_steps", "max_exercise_minutes", "min_intake_kcal", "notes")
"""Fields that describe the person, not the target; they stay when the goal changes."""


@dataclass(frozen=True)
class Forecast:
    """The plan or the refusal that follows from a goal.

    Attributes:
        goal: the goal; None if it cannot be read.
        refusal: why there is no plan; None if there is one.
        plan: rows of ``coach/plans``.
    """

    goal: Goal | None
    refusal: str | None = None
    plan: Sequence[dict[str, Any]] = ()


def goal_of(form: Mapping[str, str], situation: Situation) -> Goal:
    """The goal that a form states.

    Raises:
        ValidationError: naming the field.
    """
    stated: dict[str, Any] = {name: form[name].strip() for name in STATED if form.get(name, "").strip()}
    if not form.get("own_intake"):
        stated.pop("intake_kcal", None)
    if form.get("pregnant"):
        stated["pregnant"] = True
    return Goal.model_validate({"user_id": situation.user_id, "start": situation.start} | stated)


def forecast(form: Mapping[str, str], situation: Situation) -> Forecast:
    """What the goal of a form leads to. Sleep and stress rest on the person's own days."""
    try:
        goal = goal_of(form, situation)
    except ValidationError as error:
        return Forecast(None, " ".join(sentences(error)))
    row = dict.fromkeys(GOALS.arrow_schema.names) | goal.model_dump() | {"goal_id": "page", "status": PLANNED}
    planned = follow([row], [situation.body], [situation.start], situation.history, situation.generated)
    if planned is None:
        return Forecast(goal, row["reason"])
    return Forecast(
        goal, None, plan_rows(planned, Trust(situation.generated, situation.sparse, set(), _nothing)).to_pylist()
    )


def _nothing(*_: Any) -> Any:
    raise AssertionError("the page asks no model")


def forecast_series(plan: Sequence[Mapping[str, Any]], situation: Situation) -> Series:
    """The last 90 days of weight and the next 30 with their interval."""
    first, last = plan[0], plan[-1]
    return Series(
        "Weight: the last 90 days and the next 30",
        f"On {last['date']:%d %B %Y} {kilograms(last)}.",
        logged(situation, "weight_kg"),
        [(row["date"], row["predicted_weight_kg"]) for row in (first, *plan[1:])],
        [(row["date"], row["weight_kg_lower"], row["weight_kg_upper"]) for row in plan],
    )


def progress_series(situation: Situation) -> Series:
    """The weights that were promised, and those that came."""
    rows = situation.progress
    return Series(
        "Weight since the plan started",
        f"Promised for {rows[-1]['date']:%d %B %Y}: {rows[-1]['planned_weight_kg']:.1f} kg; "
        f"estimated: {rows[-1]['estimated_weight_kg']:.1f} kg.",
        [(row["date"], row["logged_weight_kg"]) for row in rows if row["logged_weight_kg"] is not None],
        [(row["date"], row["planned_weight_kg"]) for row in rows],
        [(row["date"], row["planned_weight_lower"], row["planned_weight_upper"]) for row in rows],
    )


def history_series(situation: Situation, column: str, title: str, unit: str) -> Series:
    """The last 90 days of a measure."""
    dots = logged(situation, column)
    text = f"{len(dots)} days were logged"
    if dots:
        mean = np.mean([value for _, value in dots])
        text += f", on average {mean:,.{0 if mean > 1_000 else 1}f} {unit}"
    return Series(title, f"{text}.", dots, unit=unit)


def logged(situation: Situation, column: str) -> list[tuple[Any, float]]:
    """The days of the last 90 that have a measure."""
    return [(row["date"], float(row[column])) for row in situation.days if row[column] is not None]


def kilograms(row: Mapping[str, Any]) -> str:
    """A predicted weight with its interval, in words."""
    low, high = row["weight_kg_lower"], row["weight_kg_upper"]
    return f"{row['predicted_weight_kg']:.1f} kg, four times in five between {low:.1f} and {high:.1f} kg"


def own_mean(situation: Situation, column: str) -> float | None:
    """The mean of a measure over the 60 days before the plan; None without any."""
    values = getattr(situation.history, column)[0, :BEFORE]
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def last_week(situation: Situation) -> list[tuple[str, str, str, str]]:
    """What was planned and logged on average over the last seven days of the plan: name, unit, planned, logged."""
    rows, found = situation.progress[-7:], list[tuple[str, str, str, str]]()
    for name, measure, unit, digits in (
        ("walking", "steps", "steps", 0),
        ("exercise", "exercise_minutes", "min", 0),
        ("sleep", "sleep_hours", "h", 1),
    ):
        planned, logged = (
            [row[f"{kind}_{measure}"] for row in rows if row[f"{kind}_{measure}"] is not None]
            for kind in ("recommended", "logged")
        )
        if planned and logged:
            found.append((name, unit, f"{np.mean(planned):,.{digits}f}", f"{np.mean(logged):,.{digits}f}"))
    return found
