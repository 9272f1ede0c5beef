"""A lake whose uploads arrive one after another: runs of some steps, and what has to hold after them."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from fitness_assets.engine.layer_step import StepRun, run_step
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.layers import steps
from fitness_assets.registry import TABLES, publish_groups_of, table_of
from fitness_assets.settings import Settings
from fitness_assets_tests.archives import zipped
from fitness_assets_tests.conftest import HEADER, content, root_of

SILVER_AND_GOLD = [table.key for table in TABLES if table.layer in ("silver", "gold") and "prediction" not in table.key]
PREDICTED = ["gold/fact_predictions", *(table.key for table in TABLES if table.layer == "predictions")]
LAYERS = ["bronze", "silver", "gold"]
ALL_LAYERS = [*LAYERS, "predictions"]


class Runs:
    """A lake, the uploads that people put, and runs."""

    def __init__(self, spark: Any, root: Path) -> None:
        self.lake = Lake(LocalStore(root), lambda: spark)
        self.raw = root / "raw"
        self.raw.mkdir(parents=True)
        self.puts = 0

    def put(self, rows: Iterable[str], name: str = "") -> Path:
        """Put a file; it is later than all files before."""
        path = self.raw / (name or f"{self.puts + 1:03}.csv")
        path.write_text("\n".join([HEADER, *rows]) + "\n")
        self._is_latest(path)
        return path

    def put_archive(
        self, user: str, weights: Mapping[date, float], steps: Mapping[date, int] | None = None, name: str = "w.zip"
    ) -> None:
        """Put an archive into the folder of a person; it is later than all files before."""
        lines = ["Date,Weight (kg),Comments", *(f"{day} 07:00:00,{weight}," for day, weight in weights.items())]
        totals = ["date,value", *(f"{day},{count}" for day, count in (steps or {}).items())]
        path = self.raw / "people" / user / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._is_latest(zipped(path, {"weight.csv": "\n".join(lines), "aggregates_steps.csv": "\n".join(totals)}))

    def _is_latest(self, path: Path) -> None:
        self.puts += 1
        at = 1_700_000_000 + self.puts
        os.utime(path, (at, at))

    def run(self, names: Sequence[str], rebuild: bool = False) -> dict[str, list[str]]:
        """Run some steps; returns the months that each made anew."""
        made = {}
        for step in steps(Settings(local_root=root_of(self.lake))):
            if step.name in names:
                step_run = StepRun(self.lake, "run", logging.getLogger("run"), is_rebuild=rebuild)
                staging = run_step(step, step_run, publish_groups_of(step.reads))
                if staging.parent != staging.version:
                    made[step.name] = sorted({m for each in staging.metadata.values() for m in each.months_made})
                self.lake.publish(staging)
        return made

    def tables(self, keys: Sequence[str]) -> dict[str, list[tuple]]:
        """What each table holds."""
        return {key: content(self.lake, key) for key in keys}


def row(user: str, day: date, steps: int = 8_000, weight: float = 70.0, stress: int = 4, sleep: float = 7.2) -> str:
    return f"{user},42,F,{day},{steps},71.5,{sleep},2240.0,35.0,{stress},{weight},23.9"


def assert_as_rebuilt(runs: Runs, layers: Sequence[str], keys: Sequence[str]) -> None:
    """One build of everything gives the same, but for the number of the version in which models were fitted."""
    incremental = cells_of(runs, keys)
    runs.run(layers, rebuild=True)
    whole = cells_of(runs, keys)
    for key in keys:
        assert incremental[key] == whole[key], key


def cells_of(runs: Runs, keys: Sequence[str]) -> dict[str, list[str]]:
    return {
        key: sorted(
            repr({name: cell for name, cell in r.items() if not name.endswith("model_version")})
            for r in runs.lake.rows(table_of(key))
        )
        for key in keys
    }
