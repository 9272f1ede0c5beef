"""Lakes for the page, without an engine."""

from collections.abc import Sequence
from typing import Any

from fitness_assets.coach.rows import Trust, plan_rows, progress_rows
from fitness_assets.coach.tables import GOALS, PLANS, PROGRESS, SLEEP, STRESS
from fitness_assets.coach.transforms import plan, settle
from fitness_assets.engine.duckdb_reader import Opened, reader
from fitness_assets.gold.tables import DIM_USER, FACT_DAILY
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.s3 import S3Store
from fitness_assets.quality.tables import AUDIT
from fitness_assets.schema.table import Table
from fitness_assets_tests.conftest import arrow_of


def a_lake(store: LocalStore | S3Store, people: Sequence[Any], goals: Sequence[dict[str, Any]] = ()) -> Lake:
    """A lake with people, as `test_transforms.a_person` makes them, and with plans for goals."""
    lake = Lake(store, lambda: None)  # type: ignore[arg-type, return-value]
    days = [day for _, rows in people for day in rows]
    publish(lake, {DIM_USER: arrow_of(DIM_USER, [user for user, _ in people]), FACT_DAILY: arrow_of(FACT_DAILY, days)})
    publish(lake, {AUDIT: arrow_of(AUDIT, [{}])})
    said = [{"measure": "skill", "conclusion": "The model says nothing."}]
    publish(lake, {model: arrow_of(model, said) for model in (SLEEP, STRESS)})
    ledger = settle(goals)
    with reader(lake.store, [Opened(table, "000001") for table in (DIM_USER, FACT_DAILY)]) as tables:
        planned = plan(tables, ledger, set())
        trust = Trust(set(), set(), set(), lambda *_: None)  # type: ignore[arg-type, return-value]
        rows: list[Any] = [progress_rows(planned), plan_rows(planned, trust)] if planned else [[], []]
    publish(lake, {GOALS: ledger, PROGRESS: rows[0], PLANS: rows[1]})
    return lake


def publish(lake: Lake, tables: dict[Table, Any]) -> None:
    """Publish rows as the current version of tables."""
    staging = lake.stage([*tables], {}, "run")
    for table, rows in tables.items():
        staging.write_rows(table, rows)
        for name in table.artifacts:
            staging.attach(table, name, b"")
    staging.commit()
    lake.publish(staging)
