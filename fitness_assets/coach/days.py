"""Reads the logged days of people with a goal, aligned by the first day of their plan."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fitness_assets.coach.plans import BEFORE, LONGEST, History
from fitness_assets.gold.tables import DAY_OF_KEY
from fitness_assets.predictions.tables import FACT_PREDICTIONS, SKILL, STRESS_CHANGES, TARGETS, probability_of
from fitness_assets.quality.tables import VERDICT
from fitness_assets.silver.tables import QUALITIES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEASURES = ("weight_kg", "steps", "calories_burned", "exercise_minutes", "sleep_hours", "stress_level")
_PEOPLE = "coach_people"
"""Name of a temporary view: user_id, row, start."""


@dataclass(frozen=True)
class Body:
    """What gold knows of a person; None where it does not.

    Attributes:
        age: on the latest day that has one.
        sex: F or M.
        height_cm: average.
        last: the last logged day.
    """

    age: int | None
    sex: str | None
    height_cm: float | None
    last: date


def bodies(tables: "DuckDBPyConnection", people: Sequence[str]) -> dict[str, Body]:
    """What gold knows of some people, by user_id; those who never logged a day are missing."""
    with _open(tables, [(user_id, date.min) for user_id in people]):
        found = tables.sql(
            f"""
            SELECT user_id, dim_user.age, dim_user.gender, avg_height_cm, max({DAY_OF_KEY})
            FROM {_PEOPLE} JOIN dim_user USING (user_id) JOIN fact_daily USING (user_id) GROUP BY ALL
            """
        ).fetchall()
    return {user_id: Body(age, sex, height, last) for user_id, age, sex, height, last in found}


def first_day(start: date, last: date) -> date:
    """The first day of a plan as it is followed; of a very old plan, a later one."""
    return max(start, last - timedelta(LONGEST))


def history(tables: "DuckDBPyConnection", people: Sequence[tuple[str, date]], last: Sequence[date]) -> History:
    """The logged days of people from 60 days before their plan on.

    Args:
        tables: a connection with ``fact_daily``.
        people: user_id and first day of the plan.
        last: the last logged day of each.
    """
    columns = np.array(
        [(day - start).days + BEFORE for (_, start), day in zip(people, last, strict=True)], dtype=np.int64
    )
    shape = (len(people), max(BEFORE, int(columns.max(initial=0)) + 1))
    cells = [np.full(shape, np.nan) for _ in MEASURES]
    with _open(tables, people):
        found = tables.sql(
            f"""
            SELECT row, {DAY_OF_KEY} - start + {BEFORE} AS at, {", ".join(MEASURES)}
            FROM fact_daily JOIN {_PEOPLE} USING (user_id)
            WHERE {DAY_OF_KEY} - start >= -{BEFORE}
            """
        ).fetchnumpy()
    for values, name in zip(cells, MEASURES, strict=True):
        logged: Any = found[name]
        values[found["row"], found["at"]] = np.ma.filled(np.ma.masked_array(logged, dtype=float), np.nan)
    weights, steps, calories, minutes, sleep, stress = cells
    return History(np.where(weights > 0, weights, np.nan), steps, calories, minutes, sleep, stress, columns)


def metrics_with(tables: "DuckDBPyConnection", verdict: str) -> set[str]:
    """The metrics to which the audit gives a verdict."""
    found = tables.execute("SELECT scope FROM audit WHERE name = ? AND verdict = ?", [VERDICT, verdict]).fetchall()
    return {scope for (scope,) in found}


def has_skill(tables: "DuckDBPyConnection", target: str) -> bool:
    """Whether the model of a target was better than every baseline."""
    found = tables.sql(f"SELECT verdict FROM {target}_model WHERE measure = 'skill'").fetchall()
    return [verdict for (verdict,) in found] == [SKILL]


def conclusion(tables: "DuckDBPyConnection", target: str) -> str:
    """What may be concluded from the model of a target, in one sentence."""
    found = tables.sql(f"SELECT conclusion FROM {target}_model WHERE measure = 'skill'").fetchall()
    return "".join(said for (said,) in found)


def probabilities(tables: "DuckDBPyConnection", target: str, people: Sequence[tuple[str, date]]) -> NDArray[np.float64]:
    """Probabilities that a model gives on the last day of people, shape (people, labels); NaN where it gives none.

    Args:
        tables: a connection with ``fact_predictions``.
        target: name of the target.
        people: user_id and last logged day.
    """
    labels: Mapping[str, Sequence[str]] = {"stress_change": STRESS_CHANGES, "sleep_quality": QUALITIES}
    found_target = next(each for each in TARGETS if each.name == target)
    names = [probability_of(found_target, label) for label in labels[target]]
    result = np.full((len(people), len(names)), np.nan)
    with _open(tables, people):
        found = tables.sql(
            f"SELECT row, {', '.join(names)} FROM {FACT_PREDICTIONS.name} JOIN {_PEOPLE} USING (user_id) "
            f"WHERE {DAY_OF_KEY} = start"
        ).fetchall()
    for row, *values in found:
        result[row] = [np.nan if value is None else value for value in values]
    return result


@contextmanager
def _open(tables: "DuckDBPyConnection", people: Sequence[tuple[str, date]]) -> Iterator[None]:
    """Open people, each with a date, as the view `_PEOPLE` while a query runs."""
    rows = {
        "user_id": pa.array([user_id for user_id, _ in people], pa.string()),
        "row": pa.array(range(len(people)), pa.int64()),
        "start": pa.array([day for _, day in people], pa.date32()),
    }
    tables.register(_PEOPLE, pa.table(rows))
    try:
        yield
    finally:
        tables.unregister(_PEOPLE)
