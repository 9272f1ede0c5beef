"""Stores fitted predictors as Spark SQL and constants, so that later runs score new days without fitting.

``scoring.py`` makes the SQL from fitted models. Reading it needs no scikit-learn.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.lake.lake import Lake
from fitness_assets.predictions.drift import Learned, Ranges
from fitness_assets.predictions.tables import FACT_PREDICTIONS

NAME = "scoring.json"
"""The sidecar file of ``gold/fact_predictions`` that holds it."""


@dataclass(frozen=True)
class Scoring:
    """How every day is scored.

    Attributes:
        steps: columns by name as SQL, in steps; each step may use columns of the steps before.
        constants: columns that are the same for every day.
        version: the version of the tables in which the models were fitted.
        train_until: the last day that was learned from (days since 1970-01-01); None if nothing was learned.
        learned_until: the last day that the models know (``2024-09-30``); empty if there is none.
        learned: by target, what the newest outcomes are compared with; without those that nobody predicts.
        ranges: what the newest features are compared with.
    """

    steps: Sequence[dict[str, str]]
    constants: dict[str, str | None]
    version: str
    train_until: int | None = None
    learned_until: str = ""
    learned: dict[str, Learned] = field(default_factory=dict)
    ranges: Ranges = field(default_factory=dict)

    def score(self, days: DataFrame) -> DataFrame:
        """Add the columns of ``gold/fact_predictions`` for every target that has a predictor.

        Args:
            days: as `transforms.features` makes them. The engine skips columns that no predictor uses.
        """
        for step in self.steps:
            days = days.withColumns({name: F.expr(sql) for name, sql in step.items()})
        return days.withColumns({name: F.lit(value).cast("string") for name, value in self.constants.items()})

    def to_json(self) -> str:
        """The scoring as text."""
        return json.dumps(asdict(self), indent=1)


def stored_scoring(lake: Lake, version: str) -> Scoring:
    """The scoring that a version of the predictions was made with.

    Raises:
        FileNotFoundError: if the version has none.
    """
    stored = json.loads(lake.store.read_sidecar(FACT_PREDICTIONS, f"{version}.{NAME}"))
    learned = {name: Learned(**each) for name, each in stored.pop("learned", {}).items()}
    return Scoring(**stored, learned=learned)
