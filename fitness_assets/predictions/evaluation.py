"""The result of the test of one model, and the sentence that says what may be concluded from it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fitness_assets.predictions.drift import Drift, Learned, Ranges, concluded
from fitness_assets.predictions.tables import MODEL, NOT_ENOUGH_DATA, SKILL, Target


@dataclass
class Evaluation:
    """A fitted predictor of one target and the result of its test.

    Attributes:
        target: what is predicted.
        verdict: whether the model may predict.
        missing: what is missing if there is not enough data; else empty.
        rule: the baseline with the least loss; None if there was not enough data.
        predictor: the predictor that is used: the model or that baseline; None if there was not enough data.
        estimators: the model and the predictor that is used, fitted on every training day.
        measures: rows of the model's table, without the columns that are the same in every row.
        importance: by feature, how much the loss of the model grows when the feature is shuffled.
        learned: what later versions compare the newest outcomes with; None if there was not enough data.
        ranges: what later versions compare the newest features with; empty if there was not enough data.
        drift: how far the newest month is from the training days; None if there was not enough data.
        truth: labels or numbers that came true on the test days.
        answers: the predictions of each predictor for these days; it had not learned from their people.
        offsets: of the interval around a predicted number.
        train_rows: how many days were learned from.
    """

    target: Target
    verdict: str = NOT_ENOUGH_DATA
    missing: str = ""
    rule: str | None = None
    predictor: str | None = None
    estimators: dict[str | None, Any] = field(default_factory=dict)
    measures: list[dict[str, Any]] = field(default_factory=list)
    importance: dict[str, float] = field(default_factory=dict)
    learned: Learned | None = None
    ranges: Ranges = field(default_factory=dict)
    drift: Drift | None = None
    truth: np.ndarray = field(default_factory=lambda: np.empty(0))
    answers: dict[str, np.ndarray] = field(default_factory=dict)
    offsets: tuple[float, float] = (0.0, 0.0)
    train_rows: int = 0

    def measure(self, measure: str, predictor: str = MODEL) -> dict[str, Any]:
        """One row of the table of measures."""
        return next(m for m in self.measures if m["measure"] == measure and m["predictor"] == predictor)

    @property
    def conclusion(self) -> str:
        """One sentence for people: what may be concluded from these predictions."""
        return concluded(self.finding, self.drift)

    @property
    def finding(self) -> str:
        """The same as long as the newest days are like those learned from, without its full stop."""
        what = self.target.short
        if self.verdict == NOT_ENOUGH_DATA:
            return f"Nothing can be predicted about {what}: {self.missing}"
        skill = self.measure("skill")
        if skill["value"] is None:
            return f"Predictions of {what} come from the simple rule {self.rule}, which was never wrong in the test"
        by = f"{skill['value']:+.1%}, 99 % interval {skill['lower']:+.1%} to {skill['upper']:+.1%}"
        if self.verdict == SKILL:
            return (
                f"Predictions of {what} may be used as a hint: on people and days that the model had not learned from, "
                f"its loss was lower than that of the best simple rule, {self.rule} ({by})"
            )
        return (
            f"Conclude nothing about a person from predictions of {what}: the model was not reliably better than "
            f"the simple rule {self.rule} ({by}), so that rule predicts"
        )
