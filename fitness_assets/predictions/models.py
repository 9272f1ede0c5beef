"""Fits models and tests them against simple baselines, with pandas and scikit-learn; no Spark here.

The test uses people and days that the predictors have not seen. People with later days are split into four groups. In
each of four rounds the predictors learn from the earlier days of two groups and of the people without later days. A
third group calibrates the interval of predicted numbers. The later days of the fourth group are predicted and compared
with the true values. An embargo separates earlier from later days. The baselines learn from the same days as the model,
but from one feature or none. So the model wins only if its other features help.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from fitness_assets.predictions import drift, measures
from fitness_assets.predictions.bootstrap import SEED, People
from fitness_assets.predictions.evaluation import Evaluation
from fitness_assets.predictions.rounds import Round, missing, rounds_of
from fitness_assets.predictions.scoring import linear_part
from fitness_assets.predictions.tables import (
    COVERAGE,
    GAP_DAYS,
    MODEL,
    NO_SKILL,
    PREDICTORS,
    SKILL,
    WEIGHT_LIMIT,
    Target,
    measure_row,
)
from fitness_assets.predictions.transforms import DAY, FEATURES

LINES_WEIGHT = 0.04
"""The model's lines are scaled down, so that the penalty weighs 625 times as much on them as on the baselines' parts.

Some 50 features that say nothing then cost little, and a weak signal among them shows; chosen on planted signals.
"""


# On these small matrices threads cost more than they give, and their sums would depend on how many there are.
@threadpool_limits.wrap(limits=1, user_api="blas")
def evaluate(
    target: Target, days: pd.DataFrame, train_until: int | None, newest: pd.DataFrame | None = None
) -> Evaluation:
    """Test the model of a target against the baselines, then fit the predictor that won.

    Args:
        target: what is predicted.
        days: ``user_id``, ``_day``, `INPUTS` and `ACTUALS`, one row for each user and day.
        train_until: the last day that may be learned from.
        newest: the newest month, as of `drift.newest_days`; None: ``days`` ends with it.
    """
    labelled: Any = days[days[target.actual].notna()]
    last = -1 if train_until is None else train_until
    past, future = labelled[labelled[DAY] <= last], labelled[labelled[DAY] > last + GAP_DAYS]
    found = Evaluation(target, train_rows=len(past))
    rounds = rounds_of(past, future)
    found.missing = missing(target, past, future, rounds)
    if found.missing:
        found.measures = [measure_row(MODEL, "skill", None, ())]
        return found

    tested: Any = pd.concat([each.tested for each in rounds])
    found.truth = tested[target.actual].to_numpy()
    users = tested["user_id"]
    people = People(users)
    fitted = {name: [_fit(target, name, each.learned) for each in rounds] for name in PREDICTORS}
    for name, estimators in fitted.items():
        answers = [answer(target, of, each.tested) for of, each in zip(estimators, rounds, strict=True)]
        found.answers[name] = np.concatenate(answers)
    losses = {name: measures.losses(target, found.truth, answers) for name, answers in found.answers.items()}
    skill = measures.skill(losses, people)
    found.rule = skill.baseline
    found.verdict = SKILL if skill.lower is not None and skill.lower > 0 else NO_SKILL
    found.predictor = MODEL if found.verdict == SKILL else found.rule
    found.measures = [measure_row(MODEL, "skill", skill.value, users, (skill.lower, skill.upper))]
    for name, answers in found.answers.items():
        values = measures.numbers(target, found.truth, answers)
        found.measures += [measure_row(name, measure, value, users) for measure, value in values.items()]
        if target.classes:
            error, *ends = measures.calibration(target, found.truth, answers, people)
            found.measures.append(measure_row(name, "calibration_error", error, users, ends))
        elif name in (MODEL, found.predictor):
            residuals = [_residuals(target, of, each) for of, each in zip(fitted[name], rounds, strict=True)]
            if name == found.predictor:
                found.offsets = measures.offsets(np.concatenate(residuals))
            covered = _covered(target, answers, residuals, rounds)
            is_new = ~users.isin(past["user_id"])
            found.measures += _coverage(name, covered, tested, is_new, people)
    found.learned = drift.Learned(found.finding, drift.expected_outcomes(target, past[target.actual]))
    found.ranges = drift.ranges(days[days[DAY] <= last])
    now = drift.newest_month(days) if newest is None else newest
    outcomes = drift.newest_month(labelled) if newest is None else newest.dropna(subset=target.actual)
    found.drift = drift.compare(target, found.learned, drift.input_drift(found.ranges, now), now, outcomes)
    found.measures += found.drift.measures
    found.estimators = {name: _fit(target, name, past) for name in {MODEL, found.predictor}}
    found.importance = _importance(target, found.estimators[MODEL], tested)
    return found


def answer(target: Target, estimator: Any, days: pd.DataFrame) -> np.ndarray:
    """Predictions of an estimator for some days: probabilities by label, shape (days, labels), or numbers (days,)."""
    inputs: Any = days[list(estimator.feature_names_in_)] if hasattr(estimator, "feature_names_in_") else days
    if not target.classes:
        return np.clip(estimator.predict(inputs), -WEIGHT_LIMIT, WEIGHT_LIMIT)
    return _by_label(target, estimator, estimator.predict_proba(inputs))


def _by_label(target: Target, estimator: Any, probabilities: np.ndarray) -> np.ndarray:
    """Probabilities in the order of the target's labels; 0 for a label that the estimator has not met."""
    found = np.zeros((len(probabilities), len(target.classes)))
    found[:, [target.classes.index(label) for label in estimator.classes_]] = probabilities
    return found


def _residuals(target: Target, estimator: Any, of: Round) -> np.ndarray:
    """True minus predicted values, for people who are neither learned from nor tested."""
    return of.calibrating[target.actual].to_numpy() - answer(target, estimator, of.calibrating)


def _covered(target: Target, answers: np.ndarray, residuals: list[np.ndarray], rounds: list[Round]) -> np.ndarray:
    """Whether what came true on each test day lies in its interval, which the calibrating people of its round give."""
    ends = np.cumsum([len(each.tested) for each in rounds])
    parts = zip(rounds, np.split(answers, ends[:-1]), residuals, strict=True)
    return np.concatenate(
        [
            measures.is_covered(each.tested[target.actual].to_numpy(), said, measures.offsets(of))
            for each, said, of in parts
        ]
    )


def _coverage(
    name: str, covered: np.ndarray, tested: pd.DataFrame, is_new: pd.Series, people: People
) -> list[dict[str, Any]]:
    """Rows on how many numbers lie in their interval: of all, of people without earlier days, of each quarter."""
    quarter = pd.to_datetime(tested[DAY], unit="D").dt.quarter
    parts = {COVERAGE: is_new | True, f"{COVERAGE}_new_people": is_new}
    parts |= {f"{COVERAGE}_q{number}": quarter == number for number in range(1, 5)}
    rows = []
    for measure, part in parts.items():
        if part.any():
            share, *ends = measures.coverage(covered, part.to_numpy(), people)
            rows.append(measure_row(name, measure, share, tested.loc[part, "user_id"], ends))
    return rows


def _fit(target: Target, predictor: str, days: pd.DataFrame) -> Any:
    """A predictor that has learned from some days."""
    return _estimator(target, predictor).fit(days[list(_inputs_of(target, predictor))], days[target.actual])


def _inputs_of(target: Target, predictor: str) -> tuple[str, ...]:
    """The features of a day that a predictor needs."""
    match predictor:
        case "model":
            return FEATURES
        case "user_mean":
            return (target.user_mean,)
        case "today_and_mean":
            return (target.level, target.user_mean)
        case "persistence" if target.persistence:
            return (target.persistence,)
    return ()


def _estimator(target: Target, predictor: str) -> Any:
    learner = LogisticRegression(solver="newton-cholesky", tol=1e-3) if target.classes else Ridge(alpha=10)
    constant = DummyClassifier(strategy="prior") if target.classes else DummyRegressor()
    unchanged = constant if target.classes else DummyRegressor(strategy="constant", constant=0.0)
    level = _labels(target.level) if target.level_is_whole else _curve(target.level)
    match predictor:
        case "constant":
            return constant
        case "persistence":
            steps = [_labels(target.persistence)] if target.persistence else []
        case "user_mean":
            steps = [_curve(target.user_mean)]
        case "today_and_mean":
            steps = [level, _curve(target.user_mean)]
        case _:
            impute = SimpleImputer(keep_empty_features=True, add_indicator=True)
            lines = ("lines", make_pipeline(impute, StandardScaler()), list(FEATURES))
            steps = [lines, level, _curve(target.user_mean)]
    return (
        make_pipeline(ColumnTransformer(steps, transformer_weights={"lines": LINES_WEIGHT}), learner)
        if steps
        else unchanged
    )


def _labels(name: str) -> tuple[str, Any, list[str]]:
    """One-hot encoding of a feature; an empty cell is a value, too."""
    return f"{name} by value", OneHotEncoder(handle_unknown="ignore"), [name]


def _curve(name: str) -> tuple[str, Any, list[str]]:
    """A spline of a feature, so that neither a baseline nor the model has to be linear in it."""
    splines = SplineTransformer(n_knots=4, extrapolation="constant")
    return f"{name} as a curve", make_pipeline(SimpleImputer(keep_empty_features=True), splines), [name]


def _importance(target: Target, model: Any, test: pd.DataFrame) -> dict[str, float]:
    """By how much the loss grows when one feature is shuffled; on at most 4,000 test days.

    Permutation importance: Breiman, Machine Learning 2001;45:5. The model is a sum of what each feature adds, so only
    what that feature adds is shuffled.
    """
    days = test.sample(min(len(test), 4_000), random_state=SEED)
    truth, columns = days[target.actual].to_numpy(), model[0]
    weights, intercepts = linear_part(model)
    made = columns.transform(days[list(FEATURES)])

    def loss(sums: np.ndarray) -> float:
        if not target.classes:
            return measures.losses(target, truth, np.clip(sums[:, 0], -WEIGHT_LIMIT, WEIGHT_LIMIT)).mean()
        return measures.losses(target, truth, _by_label(target, model, softmax(sums, axis=1))).mean()

    whole, random, of_column = (made @ weights.T + intercepts, np.random.default_rng(SEED), np.array(_made_of(columns)))
    before, grown = loss(whole), {}
    for feature in FEATURES:
        own = of_column == feature
        adds = made[:, own] @ weights[:, own].T
        grown[feature] = float(loss(whole - adds + adds[random.permutation(len(adds))]) - before)
    return dict(sorted(grown.items(), key=lambda item: item[1], reverse=True))


def _made_of(columns: Any) -> list[str]:
    """The feature that each column of a fitted transformer comes from."""
    found: list[str] = []
    for name, fitted, features in columns.transformers_:
        of = columns.output_indices_[name]
        if len(features) == 1:
            found += features * (of.stop - of.start)
        elif of.stop > of.start:
            found += [*features, *(features[at] for at in fitted[0].indicator_.features_)]
    return found
