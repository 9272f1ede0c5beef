"""Scoring: what Spark works out of a fitted predictor is what the predictor itself says."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fitness_assets.predictions import measures, models
from fitness_assets.predictions.evaluation import Evaluation
from fitness_assets.predictions.models import answer
from fitness_assets.predictions.scoring import scoring
from fitness_assets.predictions.tables import PREDICTORS, TARGETS, Target, probability_of
from fitness_assets.predictions.transforms import FEATURES, INPUTS
from fitness_assets_tests.predictions.test_models import made_days

STRESS, SLEEP, WEIGHT = TARGETS


def learned_from() -> pd.DataFrame:
    """Days with empty cells, one feature that never varies and one that was never measured."""
    days = made_days(users=20, days=100).dropna()
    random = np.random.default_rng(5)
    for name in ("steps", "stress_level", "sleep_hours", "weight_to_usual", "usual_sleep_hours"):
        days.loc[random.random(len(days)) < 0.1, name] = np.nan
    return days.assign(ra30_days=30.0, mean30_weight_kg=np.nan)


def asked() -> pd.DataFrame:
    """Other days: more cells are empty, and values lie far beyond those that were learned from."""
    days = learned_from().head(600).reset_index(drop=True)
    random = np.random.default_rng(6)
    for name in INPUTS:
        days.loc[random.random(len(days)) < 0.05, name] = np.nan
    days.loc[::7, list(FEATURES)] *= 40
    days.loc[::11, ["stress_level", "sleep_quality_today"]] = 77.0
    return days


def said(spark: Any, days: pd.DataFrame, found: list[Evaluation]) -> pd.DataFrame:
    """What Spark says of some days, in their order."""
    frame = pa.Table.from_pandas(days[list(INPUTS)].assign(at=range(len(days))), preserve_index=False)
    return scoring(found, "000007").score(spark.createDataFrame(frame)).toArrow().to_pandas().sort_values("at")


def fitted(target: Target, who: str, days: pd.DataFrame) -> Evaluation:
    return Evaluation(target, predictor=who, estimators={who: models._fit(target, who, days)}, offsets=(-1.5, 2.25))


def assert_same(said: pd.DataFrame, of: Evaluation, days: pd.DataFrame) -> None:
    target = of.target
    expected = answer(target, of.estimators[of.predictor], days)
    if target.classes:
        columns = [probability_of(target, label) for label in target.classes]
        assert said[columns].to_numpy() == pytest.approx(expected, abs=1e-9)
        two = np.sort(expected, axis=1)[:, -2:]
        is_clear = two[:, 1] - two[:, 0] > 1e-9  # of equal ones the first is taken, and the last digit may decide
        labels = np.array(target.classes)[expected.argmax(axis=1)]
        assert said.loc[is_clear, f"predicted_{target.quantity}"].to_list() == labels[is_clear].tolist()
        return
    for name, by in (("predicted_{}", 0.0), ("{}_lower", -1.5), ("{}_upper", 2.25)):
        numbers = said[name.format(target.quantity)].to_numpy()
        assert numbers == pytest.approx(np.clip(expected + by, -5, 5), abs=5.001e-4)
        assert numbers == pytest.approx(numbers.round(3), abs=1e-12)


@pytest.mark.parametrize("who", PREDICTORS)
def test_spark_says_what_the_predictor_says(spark, who):
    learned, days = learned_from(), asked()
    found = [fitted(target, who, learned) for target in TARGETS]
    rows = said(spark, days, found)
    for of in found:
        assert_same(rows, of, days)
        assert set(rows[f"{of.target.name}_predictor"]) == {who}
        assert set(rows[f"{of.target.name}_model_version"]) == {"000007"}


@pytest.mark.parametrize("who", ["model", "today_and_mean"])
def test_of_two_labels_the_third_has_no_probability(spark, who):
    learned, days = learned_from(), asked()
    of = fitted(STRESS, who, learned.query("actual_stress_change != 'no_changes'"))
    rows = said(spark, days, [of])
    assert_same(rows, of, days)
    assert set(rows[probability_of(STRESS, "no_changes")]) == {0.0}
    assert set(rows["predicted_stress_change"]) == {"less_stress", "more_stress"}


def test_an_input_that_never_varied_says_nothing(spark):
    learned = learned_from().assign(weight_to_usual=2.0)
    found = [fitted(WEIGHT, who, learned) for who in ("user_mean", "model")]
    for of in found:
        assert_same(said(spark, asked(), [of]), of, asked())


def test_where_nobody_predicts_only_that_is_said(spark):
    rows = said(spark, asked(), [Evaluation(target) for target in TARGETS])
    assert [name for name in rows if name.startswith(("predicted", "probability"))] == []
    assert set(rows["weight_change_skill"]) == {"not_enough_data"}
    assert set(rows["weight_change_predictor"]) == {None}
    (conclusion,) = set(rows["weight_change_conclusion"])
    assert conclusion.startswith("Nothing can be predicted about weight changes")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_importance_is_what_shuffling_a_feature_costs(target):
    days = learned_from()
    model = models._fit(target, "model", days)
    found = models._importance(target, model, days)
    shuffled, random = days.sample(len(days), random_state=0), np.random.default_rng(0)
    truth = shuffled[target.actual].to_numpy()

    def loss(of: pd.DataFrame) -> float:
        return measures.losses(target, truth, answer(target, model, of)).mean()

    expected = {}
    for name in FEATURES:
        order = random.permutation(len(shuffled))
        expected[name] = loss(shuffled.assign(**{name: shuffled[name].to_numpy()[order]})) - loss(shuffled)
    assert found == pytest.approx(expected, abs=1e-9)
    assert [*found.values()] == sorted(found.values(), reverse=True)
