"""Computes plans and progress from goals and logged days, for all people at once."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fitness_assets.coach.days import Body, bodies, first_day, history
from fitness_assets.coach.energy import Floats, Person
from fitness_assets.coach.guardrails import Candidate, refusal
from fitness_assets.coach.plans import BEFORE, HORIZON, WEEK, Coach, Course, History, Wishes
from fitness_assets.coach.tables import PLANNED, REFUSED, STOPPED, SUPERSEDED, UNREADABLE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = dict[str, Any]

_PLAUSIBLE_HEIGHT = (120.0, 230.0)  # cm
_STATED = {
    "weight_kg": "target_weight_kg",
    "pace_kg": "pace_kg_per_week",
    "intake_kcal": "intake_kcal",
    "steps": "target_steps",
    "exercise_minutes": "target_exercise_minutes",
    "sleep_hours": "target_sleep_hours",
    "most_steps": "max_steps",
    "most_minutes": "max_exercise_minutes",
    "least_kcal": "min_intake_kcal",
}


@dataclass(frozen=True)
class Planned:
    """People with a plan; sequences and arrays have an item for each.

    Attributes:
        goals: their rows of the ledger.
        starts: first day of the plan as it is followed.
        sexes: F, M or None.
        person: for the model.
        wishes: what they ask for.
        history: what they logged.
        coach: who followed them.
        course: what came of it.
        kept: positions of those whom no guardrail refuses; only these have a plan.
    """

    goals: Sequence[Row]
    starts: Sequence[date]
    sexes: Sequence[str | None]
    person: Person
    wishes: Wishes
    history: History
    coach: Coach
    course: Course
    kept: NDArray[np.int64]

    def day(self, person: int, column: int) -> date:
        """The day of a column."""
        return self.starts[person] + timedelta(int(column) - BEFORE)

    def bmi(self, weight_kg: Floats) -> Floats:
        """Body mass index at weights of the shape (people,) or (people, days)."""
        return (weight_kg.T / (self.person.height_cm / 100) ** 2).T

    @property
    def ahead(self) -> NDArray[np.int64]:
        """Columns of the next 30 days, shape (people, 30)."""
        return self.history.asof[:, None] + 1 + np.arange(HORIZON)


def settle(ledger: Sequence[Row]) -> list[Row]:
    """Decide which goal of each person counts: the last one that could be read.

    Args:
        ledger: rows of ``coach/goals``; their status and the columns that depend on it are set again.
    """
    latest: dict[str, str] = {}
    ordered = sorted(ledger, key=lambda row: (row["ingested_at"], row["position"]))
    for row in ordered:
        if row["refusal"] != UNREADABLE:
            latest[row["user_id"]] = row["goal_id"]
    settled = []
    for row in ordered:
        if row["refusal"] != UNREADABLE:
            is_latest = latest[row["user_id"]] == row["goal_id"]
            status = (STOPPED if row["stop"] else PLANNED) if is_latest else SUPERSEDED
            row = {**row, "status": status, "refusal": None, "reason": None}
        settled.append(row)
    return settled


def plan(tables: "DuckDBPyConnection", goals: Sequence[Row], generated: set[str]) -> Planned | None:
    """Plan for everybody whose goal counts; a goal that cannot be planned gets its status and the reason.

    Args:
        tables: a connection with ``dim_user`` and ``fact_daily``.
        goals: rows as `settle` returned them; those that are refused are changed.
        generated: metrics that look generated; calories_burned among them is not used.

    Returns:
        The people with a plan; None if nobody has one.
    """
    wanted = [row for row in goals if row["status"] == PLANNED]
    if not wanted:
        return None
    known = bodies(tables, [row["user_id"] for row in wanted])
    for row in wanted:
        if row["user_id"] not in known:
            _refuse(row, "unknown_person", "Nobody with this user_id has logged a day: check how it is written.")
    wanted = [row for row in wanted if row["user_id"] in known]
    everybody = [known[row["user_id"]] for row in wanted]
    starts = [first_day(row["start"], body.last) for row, body in zip(wanted, everybody, strict=True)]
    people = [(row["user_id"], start) for row, start in zip(wanted, starts, strict=True)]
    return follow(wanted, everybody, starts, history(tables, people, [body.last for body in everybody]), generated)


def follow(
    goals: Sequence[Row], everybody: Sequence[Body], starts: Sequence[date], days: History, generated: set[str]
) -> Planned | None:
    """Plan for people whose days were read; all arguments except ``generated`` have one item per person.

    A goal that a guardrail refuses gets its status and the reason.
    """
    weights = np.isfinite(days.weight_kg[:, :BEFORE]).sum(axis=1)
    first = [_candidate(row, body, n > 0) for row, body, n in zip(goals, everybody, weights, strict=True)]
    passing = _passing(goals, first)
    if not passing:
        return None
    goals, everybody = [goals[i] for i in passing], [everybody[i] for i in passing]
    starts, first = [starts[i] for i in passing], [first[i] for i in passing]
    days = History(*(getattr(days, each.name)[passing] for each in fields(days)))
    if "calories_burned" in generated:
        days = replace(days, calories=np.full_like(days.calories, np.nan))
    sexes = [row["sex"] or body.sex for row, body in zip(goals, everybody, strict=True)]
    person = Person(
        np.array([who.height_cm for who in first], float),
        np.array([who.age for who in first], float),
        np.array([{"F": 0.0, "M": 1.0}.get(sex or "", 0.5) for sex in sexes]),
    )
    stated = {name: [row[column] for row in goals] for name, column in _STATED.items()}
    wishes = Wishes(**{name: np.array(values, float) for name, values in stated.items()})  # None becomes NaN
    coach = Coach(person, wishes, days)
    planned = Planned(goals, starts, sexes, person, wishes, days, coach, coach.run(), np.arange(len(goals)))
    kept = _passing(goals, _weighed(planned, first))
    return replace(planned, kept=np.array(kept, dtype=np.int64)) if kept else None


def _refuse(row: Row, name: str, sentence: str) -> None:
    row.update(status=REFUSED, refusal=name, reason=sentence)


def _passing(goals: Sequence[Row], candidates: Sequence[Candidate]) -> list[int]:
    """Refuse goals by the guardrails; returns the positions of all others."""
    passing = []
    for position, (row, candidate) in enumerate(zip(goals, candidates, strict=True)):
        if found := refusal(candidate):
            _refuse(row, *found)
        else:
            passing.append(position)
    return passing


def _candidate(row: Row, body: Body, weighed: bool) -> Candidate:
    """The candidate before anything is computed."""
    height = row["height_cm"] or body.height_cm
    low, high = _PLAUSIBLE_HEIGHT
    ages = [age for age in (row["age"], body.age) if age is not None]
    plausible = height if height is not None and low <= height <= high else None
    return Candidate(min(ages) if ages else None, bool(row["pregnant"]), plausible, weighed=weighed)


def _weighed(planned: Planned, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates once weight and expenditure are estimated."""
    coach, wishes = planned.coach, planned.wishes
    weights = planned.course.weight_kg[np.arange(len(candidates))[:, None], planned.ahead]
    now = weights[:, 0]
    falls = (1 - weights[:, -1] / now) * WEEK / (HORIZON - 1)
    needed = coach.own.kcal + coach.surplus_of(-np.nan_to_num(wishes.pace_kg))
    floor_pace, intake_pace = coach.pace_of(coach.floor_kcal), coach.pace_of(np.nan_to_num(wishes.intake_kcal))
    lowest = weights.min(axis=1)
    arrays = (now, coach.floor_kcal, needed, -floor_pace, -intake_pace, falls, lowest)
    numbers = zip(*(array.tolist() for array in arrays), strict=True)
    return [
        replace(
            who,
            weight_kg=weight,
            target_kg=row["target_weight_kg"],
            pace_kg=row["pace_kg_per_week"],
            intake_kcal=row["intake_kcal"],
            lowest_kcal=floor,
            needed_kcal=None if row["pace_kg_per_week"] is None else need,
            fastest_kg=fastest,
            deficit_kg=deficit,
            falls=fall,
            lowest_weight_kg=least,
        )
        for row, who, (weight, floor, need, fastest, deficit, fall, least) in zip(
            planned.goals, candidates, numbers, strict=True
        )
    ]
