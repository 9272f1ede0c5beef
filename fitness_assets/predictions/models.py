"""How a model is fitted, and judged against rules that anybody could apply. Pandas and scikit-learn; no Spark here.

The test is apart in time (an embargo lies between the last day that a training label knows of and the first test day)
and by person (a fold's people are not learned from). The rules are learned in the same way as the model, from one
feature or none, so that the model can win only by what its other features tell.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from fitness_assets.predictions.scoring import linear_part
from fitness_assets.predictions.tables import (
    BASELINES,
    GAP_DAYS,
    MODEL,
    NO_SKILL,
    NOT_ENOUGH_DATA,
    PREDICTORS,
    SKILL,
    WEIGHT_LIMIT,
    Target,
)
from fitness_assets.predictions.transforms import ACTUALS, DAY, FEATURES

FOLDS = 3
MIN_TEST_USERS = 20
"""A bootstrap over fewer people says nothing."""
MIN_TRAIN_ROWS = 200
TRAIN_SHARE = 0.45
"""Share of the labelled days that is learned from; the embargo takes another part."""
RESAMPLES = 2_000
CONFIDENCE = 0.99
"""Of the interval of skill. Three models on each upload: at 95 % noise would show a skill every few uploads."""
INTERVAL = 0.8
"""Of the interval of a predicted number."""
_SEED = 0
_LEAST_PROBABILITY = 1e-6


@dataclass
class Evaluation:
    """A fitted predictor of one target and what its test said.

    Attributes:
        target: what is predicted.
        verdict: whether the model may predict.
        rule: the rule with the least loss, which the model was held against; None if there was not enough data.
        predictor: who predicts: the model or that rule; None if there was not enough data.
        estimators: fitted on every training day: the model, and whoever predicts.
        measures: rows of the model's table, without predictor and verdict for all.
        importance: by feature, how much the loss of the model grows when the feature is shuffled.
        truth: labels or numbers that came true on the test days.
        answers: what each predictor said of these days, by people that it had not learned from.
        offsets: of the interval around a predicted number.
        train_rows: how many days were learned from.
    """

    target: Target
    verdict: str = NOT_ENOUGH_DATA
    rule: str | None = None
    predictor: str | None = None
    estimators: dict[str | None, Any] = field(default_factory=dict)
    measures: list[dict[str, Any]] = field(default_factory=list)
    importance: dict[str, float] = field(default_factory=dict)
    truth: np.ndarray = field(default_factory=lambda: np.empty(0))
    answers: dict[str, np.ndarray] = field(default_factory=dict)
    offsets: tuple[float, float] = (0.0, 0.0)
    train_rows: int = 0

    def measure(self, measure: str, predictor: str = MODEL) -> dict[str, Any]:
        """One row of the table of measures."""
        return next(m for m in self.measures if m["measure"] == measure and m["predictor"] == predictor)


def last_training_day(days: pd.DataFrame) -> int | None:
    """Where the past ends and the embargo begins; None if there is no labelled day.

    A quantile of the labelled days, so that a few days with a wrong year do not move it.
    """
    labelled = days.loc[days[list(ACTUALS)].notna().any(axis="columns"), DAY]
    return None if labelled.empty else int(labelled.quantile(TRAIN_SHARE))


# On these small matrices threads cost more than they give, and their sums would depend on how many there are.
@threadpool_limits.wrap(limits=1, user_api="blas")
def evaluate(target: Target, days: pd.DataFrame, train_until: int | None) -> Evaluation:
    """Judge the model of a target against the rules, then fit who is to predict.

    Args:
        target: what is predicted.
        days: ``user_id``, ``_day``, `INPUTS` and `ACTUALS`, one row for each user and day.
        train_until: the last day that may be learned from.
    """
    labelled: Any = days[days[target.actual].notna()]
    last = -1 if train_until is None else train_until
    past, future = labelled[labelled[DAY] <= last], labelled[labelled[DAY] > last + GAP_DAYS]
    found = Evaluation(target, train_rows=len(past))
    folds = list(_folds(target, past, future))
    if not folds:
        found.measures = [_measure(MODEL, "skill", None, future.iloc[:0])]
        return found

    test: Any = pd.concat([theirs for _, theirs in folds])
    found.truth = test[target.actual].to_numpy()
    for predictor in PREDICTORS:
        fitted = ((_fit(target, predictor, learned), theirs) for learned, theirs in folds)
        found.answers[predictor] = np.concatenate([answer(target, estimator, theirs) for estimator, theirs in fitted])
    losses = {name: _losses(target, found.truth, answers) for name, answers in found.answers.items()}
    found.rule = min(BASELINES, key=lambda name: losses[name].sum())
    skill, lower, upper = _skill(losses[MODEL], losses[found.rule], test["user_id"])
    found.verdict = SKILL if lower is not None and lower > 0 else NO_SKILL
    found.predictor = MODEL if found.verdict == SKILL else found.rule
    found.measures = [
        _measure(MODEL, "skill", skill, test, lower, upper),
        *(
            _measure(name, measure, value, test)
            for name in PREDICTORS
            for measure, value in _measures(target, found.truth, found.answers[name]).items()
        ),
    ]
    found.estimators = {name: _fit(target, name, past) for name in {MODEL, found.predictor}}
    if not target.classes:
        tail = (1 - INTERVAL) / 2
        low, high = np.quantile(found.truth - found.answers[found.predictor], [tail, 1 - tail])
        found.offsets = (min(float(low), 0.0), max(float(high), 0.0))
    found.importance = _importance(target, found.estimators[MODEL], test)
    return found


def answer(target: Target, estimator: Any, days: pd.DataFrame) -> np.ndarray:
    """What an estimator says of some days: probabilities by label, shape (days, labels), or numbers, shape (days,)."""
    inputs: Any = days[list(estimator.feature_names_in_)] if hasattr(estimator, "feature_names_in_") else days
    if not target.classes:
        return np.clip(estimator.predict(inputs), -WEIGHT_LIMIT, WEIGHT_LIMIT)
    return _by_label(target, estimator, estimator.predict_proba(inputs))


def _by_label(target: Target, estimator: Any, probabilities: np.ndarray) -> np.ndarray:
    """Probabilities in the order of the target's labels; 0 for a label that the estimator has not met."""
    found = np.zeros((len(probabilities), len(target.classes)))
    found[:, [target.classes.index(label) for label in estimator.classes_]] = probabilities
    return found


def _folds(target: Target, past: Any, future: Any) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Past days of some people and future days of the others, in turn; nothing if there is too little of either."""
    users = past["user_id"].drop_duplicates()
    tested = future["user_id"].isin(users)
    if future.loc[tested, "user_id"].nunique() < MIN_TEST_USERS:
        return
    pairs = []
    for _, chosen in KFold(FOLDS, shuffle=True, random_state=_SEED).split(users):
        theirs = users.iloc[chosen]
        pairs.append((past[~past["user_id"].isin(theirs)], future[future["user_id"].isin(theirs)]))
    if all(len(p) >= MIN_TRAIN_ROWS and p[target.actual].nunique() > 1 and len(f) for p, f in pairs):
        yield from pairs


def _fit(target: Target, predictor: str, days: pd.DataFrame) -> Any:
    return _estimator(target, predictor).fit(days[list(_inputs_of(target, predictor))], days[target.actual])


def _inputs_of(target: Target, predictor: str) -> tuple[str, ...]:
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


def _estimator(target: Target, predictor: str) -> Any:
    learner = LogisticRegression(solver="newton-cholesky") if target.classes else Ridge(alpha=10)
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
        case "today_level":
            steps = [level]
        case _:
            impute = SimpleImputer(keep_empty_features=True, add_indicator=True)
            lines = ("lines", make_pipeline(impute, StandardScaler()), list(FEATURES))
            steps = [lines, level, _curve(target.user_mean)]
    return make_pipeline(ColumnTransformer(steps), learner) if steps else unchanged


def _labels(name: str) -> tuple[str, Any, list[str]]:
    """Each value of a feature for itself; where it is empty, that is a value too."""
    return f"{name} by value", OneHotEncoder(handle_unknown="ignore"), [name]


def _curve(name: str) -> tuple[str, Any, list[str]]:
    """A smooth curve of a feature, so that neither a rule nor the model has to take it for a straight line."""
    splines = SplineTransformer(n_knots=4, extrapolation="constant")
    return f"{name} as a curve", make_pipeline(SimpleImputer(keep_empty_features=True), splines), [name]


def _losses(target: Target, truth: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Loss of each day: the negative logarithm of the probability of what came true, or the squared error."""
    if not target.classes:
        return (truth - answers) ** 2
    of_truth = answers[np.arange(len(truth)), _position(target, truth)]
    return -np.log(np.maximum(of_truth, _LEAST_PROBABILITY))


def _position(target: Target, labels: np.ndarray) -> np.ndarray:
    """Where each label stands among the target's."""
    return pd.Index(target.classes).get_indexer(labels)


def _skill(model: np.ndarray, rule: np.ndarray, users: pd.Series) -> tuple[float | None, float | None, float | None]:
    """1 − loss of the model / loss of the rule, and its interval by a bootstrap over people.

    Days of one person are alike, so people are drawn with all of their days, never days: Efron and Tibshirani, An
    Introduction to the Bootstrap (1993), section 8.
    """
    per_user = pd.DataFrame({"model": model, "rule": rule}).groupby(users.to_numpy()).sum().to_numpy()
    if not per_user[:, 1].sum() > 0:  # a rule that is never wrong cannot be improved on
        return None, None, None
    count = len(per_user)
    weights = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    drawn = weights @ per_user
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(1 - drawn[:, 0] / np.maximum(drawn[:, 1], 1e-12), [tail, 1 - tail])
    total = per_user.sum(axis=0)
    return float(1 - total[0] / total[1]), float(lower), float(upper)


def _measures(target: Target, truth: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    if not target.classes:
        error = truth - answers
        return {
            "mean_absolute_error_kg": float(np.abs(error).mean()),
            "root_mean_squared_error_kg": float(np.sqrt((error**2).mean())),
            "mean_error_kg": float(error.mean()),
        }
    came, said = _position(target, truth), answers.argmax(axis=1)  # numbers are compared many times faster than texts
    return {
        "log_loss": float(_losses(target, truth, answers).mean()),
        "accuracy": accuracy_score(came, said),
        "balanced_accuracy": balanced_accuracy_score(came, said),
        "macro_f1": f1_score(came, said, average="macro"),
        "calibration_error": calibration_error(came == said, answers.max(axis=1)),
    }


def calibration_error(is_right: np.ndarray, confidence: np.ndarray) -> float:
    """Expected calibration error over ten equal bins: Naeini, Cooper and Hauskrecht, AAAI 2015."""
    bins = pd.DataFrame({"right": is_right, "said": confidence, "bin": tenth(confidence)})
    groups: Any = bins.groupby("bin")
    gap = groups["right"].sum() - groups["said"].sum()
    return float(gap.abs().sum() / len(bins))


def tenth(probability: np.ndarray) -> np.ndarray:
    """Which of ten equal bins, 0 to 9, each probability falls into."""
    return np.minimum((probability * 10).astype(int), 9)


def _measure(
    predictor: str,
    measure: str,
    value: float | None,
    test: pd.DataFrame,
    lower: float | None = None,
    upper: float | None = None,
) -> dict[str, Any]:
    ends = {"value": value, "lower": lower, "upper": upper}
    return {
        "predictor": predictor,
        "measure": measure,
        **ends,
        "test_rows": len(test),
        "test_users": test["user_id"].nunique(),
    }


def _importance(target: Target, model: Any, test: pd.DataFrame) -> dict[str, float]:
    """By how much the loss grows when one feature is shuffled; on at most 4,000 test days.

    Permutation importance: Breiman, Machine Learning 2001;45:5. The model is a sum of what each feature adds, so what
    one adds is shuffled, and the others are worked out once.
    """
    days = test.sample(min(len(test), 4_000), random_state=_SEED)
    truth, columns = days[target.actual].to_numpy(), model[0]
    weights, intercepts = linear_part(model)
    made = columns.transform(days[list(FEATURES)])

    def loss(sums: np.ndarray) -> float:
        if not target.classes:
            return _losses(target, truth, np.clip(sums[:, 0], -WEIGHT_LIMIT, WEIGHT_LIMIT)).mean()
        return _losses(target, truth, _by_label(target, model, softmax(sums, axis=1))).mean()

    whole, random, of_column = made @ weights.T + intercepts, np.random.default_rng(_SEED), np.array(_made_of(columns))
    before, grown = loss(whole), {}
    for feature in FEATURES:
        own = of_column == feature
        adds = made[:, own] @ weights[:, own].T
        grown[feature] = float(loss(whole - adds + adds[random.permutation(len(adds))]) - before)
    return dict(sorted(grown.items(), key=lambda item: item[1], reverse=True))


def _made_of(columns: Any) -> list[str]:
    """The feature that each column of a fitted transformer is made of."""
    found: list[str] = []
    for name, fitted, features in columns.transformers_:
        of = columns.output_indices_[name]
        if len(features) == 1:
            found += features * (of.stop - of.start)
        elif of.stop > of.start:
            found += [*features, *(features[at] for at in fitted[0].indicator_.features_)]
    return found
