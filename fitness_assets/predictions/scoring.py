"""How a fitted predictor answers, and how its answers become ``gold/fact_predictions``, wherever Spark keeps the days.

Here belongs what goes there with each batch, so nothing that only fitting or judging needs: each of Spark's Python
processes imports it anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fitness_assets.predictions.tables import FACT_PREDICTIONS, WEIGHT_LIMIT, Target, probability_of
from fitness_assets.predictions.transforms import FEATURES

if TYPE_CHECKING:
    from fitness_assets.predictions.models import Evaluation


def inputs_of(target: Target, predictor: str | None) -> tuple[str, ...]:
    """What a predictor has to know of a day."""
    match predictor:
        case "model":
            return FEATURES
        case "user_mean":
            return (target.user_mean,)
        case "today_level":
            return (target.level,)
        case "persistence" if target.persistence:
            return (target.persistence,)
    return ()


def answer(target: Target, estimator: Any, days: pd.DataFrame) -> np.ndarray:
    """What an estimator says of some days: probabilities by label, shape (days, labels), or numbers, shape (days,)."""
    inputs: Any = days[list(estimator.feature_names_in_)] if hasattr(estimator, "feature_names_in_") else days
    if not target.classes:
        return np.clip(estimator.predict(inputs), -WEIGHT_LIMIT, WEIGHT_LIMIT)
    probabilities = np.zeros((len(days), len(target.classes)))
    probabilities[:, [target.classes.index(label) for label in estimator.classes_]] = estimator.predict_proba(inputs)
    return probabilities


class Scorer:
    """Answers for batches of days; goes to wherever Spark keeps the days.

    Args:
        evaluations: one for each target.
        version: of the models.
    """

    def __init__(self, evaluations: "Sequence[Evaluation]", version: str) -> None:
        self._who = [(e.target, e.predictor, e.estimators.get(e.predictor), e.offsets) for e in evaluations]
        self.alike: dict[str, str | None] = {
            f"{e.target.name}_{what}": value
            for e in evaluations
            for what, value in (("skill", e.verdict), ("predictor", e.predictor), ("model_version", version))
        }
        """What it says of every day alike, by column; Spark adds it, and need not carry it to and fro."""

    @property
    def inputs(self) -> list[str]:
        """What it has to know of a day."""
        return sorted({name for target, predictor, *_ in self._who for name in inputs_of(target, predictor)})

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """From keys, split, inputs and actuals to ``gold/fact_predictions`` without what is said of all days alike."""
        schema = pa.schema([field for field in FACT_PREDICTIONS.arrow_schema if field.name not in self.alike])
        for batch in batches:
            columns = {name: batch[name] for name in schema.names if name in batch.schema.names}
            days = batch.select(self.inputs).to_pandas().reindex(range(len(batch)))  # also where nothing is asked for
            for target, _, estimator, offsets in self._who:
                if estimator is not None and len(batch):
                    columns |= _columns(target, answer(target, estimator, days), offsets)
            arrays = [columns.get(name, pa.nulls(len(batch))).cast(schema.field(name).type) for name in schema.names]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _columns(target: Target, answers: np.ndarray, offsets: tuple[float, float]) -> Mapping[str, pa.Array]:
    predicted = f"predicted_{target.quantity}"
    if target.classes:
        labels = pa.array(target.classes).take(pa.array(answers.argmax(axis=1)))
        each = {probability_of(target, label): pa.array(answers[:, i]) for i, label in enumerate(target.classes)}
        return {predicted: labels, **each}
    low, high = (np.clip(answers + offset, -WEIGHT_LIMIT, WEIGHT_LIMIT) for offset in offsets)
    ends = {f"{target.quantity}_lower": low, f"{target.quantity}_upper": high}
    return {name: pa.array(values.round(3)) for name, values in {predicted: answers, **ends}.items()}
