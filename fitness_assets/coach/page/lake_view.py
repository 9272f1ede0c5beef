"""What the page shows of the lake: people, one person's days, plan and progress. It reads published tables only."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from fitness_assets.coach.days import Body, bodies, conclusion, history, metrics_with
from fitness_assets.coach.plans import History
from fitness_assets.coach.tables import GOALS, PLANNED, PLANS, PROGRESS, REFUSED, SLEEP, STRESS
from fitness_assets.engine.duckdb_reader import Opened, reader
from fitness_assets.gold.tables import DAY_OF_KEY, DIM_USER, FACT_DAILY
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError
from fitness_assets.quality.tables import AUDIT, LOOKS_GENERATED, NOT_ENOUGH_DATA
from fitness_assets.schema.table import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAYS_SHOWN = 90

Row = dict[str, Any]


@dataclass(frozen=True)
class Situation:
    """What is known of one person.

    Attributes:
        user_id: the person.
        body: age, sex, height, last logged day.
        start: the day after the last logged one.
        history: aligned by that day.
        days: the last 90 days that were logged, as rows of ``gold/fact_daily`` with ``date``.
        generated: metrics that look generated.
        sparse: metrics of which the audit has too little to judge them.
        conclusions: what may be concluded from the models of sleep and stress, a sentence each.
        goal: the goal that was read last; None if there is none.
        plan: rows of ``coach/plans``.
        progress: rows of ``coach/progress``.
    """

    user_id: str
    body: Body
    start: date
    history: History
    days: Sequence[Row]
    generated: set[str]
    sparse: set[str]
    conclusions: Sequence[str]
    goal: Row | None
    plan: Sequence[Row]
    progress: Sequence[Row]


class LakeView:
    """Reads what the page shows; keeps the situation of the person who was looked at last.

    Args:
        lake: the lake.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._last: tuple[Any, Situation] | None = None

    def people(self, beginning: str = "", most: int = 200) -> list[str]:
        """The ids of people who logged days, sorted; those that begin with some text."""
        with self._open(DIM_USER) as tables:
            query = "SELECT user_id FROM dim_user WHERE starts_with(user_id, ?) ORDER BY user_id LIMIT ?"
            return [user_id for (user_id,) in tables.execute(query, [beginning, most]).fetchall()]

    def situation(self, user_id: str) -> Situation | None:
        """What is known of a person; None if nobody with that id logged a day."""
        every = (DIM_USER, FACT_DAILY, SLEEP, STRESS, AUDIT, GOALS, PLANS, PROGRESS)
        key = user_id, *(self._lake.current(table) for table in every)
        if self._last and self._last[0] == key:
            return self._last[1]
        with self._open(*every) as tables:
            body = bodies(tables, [user_id]).get(user_id)
            if body is None:
                return None
            start = body.last + timedelta(1)
            goals = _rows(tables, "goals WHERE user_id = ? AND status != 'superseded' ORDER BY ingested_at", user_id)
            found = Situation(
                user_id,
                body,
                start,
                history(tables, [(user_id, start)], [body.last]),
                _days(tables, user_id, body.last),
                metrics_with(tables, LOOKS_GENERATED),
                metrics_with(tables, NOT_ENOUGH_DATA),
                [conclusion(tables, target) for target in ("sleep_quality", "stress_change")],
                next((row for row in reversed(goals) if row["refusal"] != "unreadable"), None),
                _rows(tables, "plans WHERE user_id = ? ORDER BY plan_day", user_id),
                _rows(tables, "progress WHERE user_id = ? ORDER BY date", user_id),
            )
        self._last = key, found
        return found

    @contextmanager
    def _open(self, *tables: Table) -> Iterator["DuckDBPyConnection"]:
        versions = list[Opened]()
        for table in tables:
            version = self._lake.current(table)
            if version is None:
                raise LakeError(f"{table.key} does not exist yet: materialize all tables first.")
            versions.append(Opened(table, version))
        with reader(self._lake.store, versions) as connection:
            yield connection


def state_of(situation: Situation) -> str:
    """What became of the goal: planned, refused, stopped, or none."""
    status = situation.goal["status"] if situation.goal else "none"
    return status if status in (PLANNED, REFUSED) else "none"


def _days(tables: "DuckDBPyConnection", user_id: str, last: date) -> list[Row]:
    found = tables.execute(
        f"SELECT {DAY_OF_KEY} AS date, weight_kg, steps, sleep_hours, stress_level FROM fact_daily "
        f"WHERE user_id = ? AND {DAY_OF_KEY} > ? ORDER BY date",
        [user_id, last - timedelta(DAYS_SHOWN)],
    )
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _rows(tables: "DuckDBPyConnection", of: str, user_id: str) -> list[Row]:
    found = tables.execute(f"SELECT * FROM {of}", [user_id])
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
