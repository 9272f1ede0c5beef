"""Translates fitted predictors into Spark SQL, so that the engine scores every day without Python.

A predictor is additive: it is a sum of one term for each input. A term is a line, a number for each value of the input,
or a spline of cubic pieces. ``models.py`` fits and evaluates the models.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from scipy.interpolate import PPoly
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from fitness_assets.predictions.evaluation import Evaluation
from fitness_assets.predictions.stored_scoring import Scoring
from fitness_assets.predictions.tables import WEIGHT_LIMIT, Target, probability_of

Array = np.ndarray[Any, Any]


def scoring(
    evaluations: Sequence[Evaluation], version: str, train_until: int | None = None, learned_until: str = ""
) -> Scoring:
    """How every day is scored by fitted predictors.

    Args:
        evaluations: one for each target.
        version: of the models.
        train_until: as of `Scoring`.
        learned_until: as of `Scoring`.
    """
    # One step after the other, so that the engine works out once what the next step asks for several times.
    steps = [
        {name: sql for of_target in step for name, sql in of_target.items()}
        for step in zip_longest(*map(_answer, evaluations), fillvalue={})
    ]
    constants = {
        f"{e.target.name}_{what}": value
        for e in evaluations
        for what, value in (
            ("skill", e.verdict),
            ("conclusion", e.conclusion),
            ("predictor", e.predictor),
            ("model_version", version),
        )
    }
    learned = {e.target.name: e.learned for e in evaluations if e.learned}
    ranges = next((e.ranges for e in evaluations if e.ranges), {})  # the training days are the same for all targets
    return Scoring(steps, constants, version, train_until, learned_until, learned, ranges)


def linear_part(estimator: Any) -> tuple[Array, Array]:
    """The linear part of a pipeline: the weights, shape (outputs, columns), and the intercepts, shape (outputs,).

    A classifier has one output for each of its labels, and its probabilities are their softmax.
    """
    learner = estimator[-1]
    weights, intercepts = np.atleast_2d(learner.coef_), np.atleast_1d(learner.intercept_)
    if is_classifier(learner) and len(weights) == 1:  # of two labels: by how much the second one is ahead
        return np.vstack([0 * weights, weights]), np.append(0.0, intercepts)
    return weights, intercepts


def _answer(evaluation: Evaluation) -> list[dict[str, str]]:
    """Columns by name as SQL, in steps; each step may ask for columns of the steps before."""
    target, estimator = evaluation.target, evaluation.estimators.get(evaluation.predictor)
    if estimator is None:
        return []
    return _label(target, estimator) if target.classes else _number(target, estimator, evaluation.offsets)


def _label(target: Target, estimator: Any) -> list[dict[str, str]]:
    probabilities = [probability_of(target, label) for label in estimator.classes_]
    if isinstance(estimator, DummyClassifier):
        steps = [dict(zip(probabilities, map(_literal, estimator.class_prior_), strict=True))]
    else:
        sums, powers = ([f"_{what}_{name}" for name in probabilities] for what in ("sum", "power"))
        all_powers = " + ".join(powers)
        steps = [
            dict(zip(sums, _sums(estimator), strict=True)),
            {power: f"exp({one} - greatest({', '.join(sums)}))" for power, one in zip(powers, sums, strict=True)},
            {name: _rounded(f"{power} / ({all_powers})", 9) for name, power in zip(probabilities, powers, strict=True)},
        ]
    every = [probability_of(target, label) for label in target.classes]
    steps[0] |= {name: "0D" for name in every if name not in probabilities}
    labels = ", ".join(f"'{label}'" for label in target.classes)
    first = f"array_position(array({', '.join(every)}), greatest({', '.join(every)}))"
    return [*steps, {f"predicted_{target.quantity}": f"element_at(array({labels}), CAST({first} AS INT))"}]


def _number(target: Target, estimator: Any, offsets: tuple[float, float]) -> list[dict[str, str]]:
    is_constant = isinstance(estimator, DummyRegressor)
    (number,) = [_literal(estimator.constant_.item())] if is_constant else _sums(estimator)
    answer, limit = f"_answer_{target.quantity}", _literal(WEIGHT_LIMIT)

    def within(sql: str) -> str:
        return f"greatest(-{limit}, least({limit}, {sql}))"

    shifted = {"lower": offsets[0], "upper": offsets[1]}
    columns = {f"{target.quantity}_{end}": within(f"{answer} + {_literal(by)}") for end, by in shifted.items()}
    columns |= {f"predicted_{target.quantity}": answer}
    return [{answer: within(number)}, {name: _rounded(sql, 3) for name, sql in columns.items()}]


def _rounded(sql: str, digits: int) -> str:
    """A number with so many decimals: engines may differ in the last digit of `exp`."""
    return f"floor(({sql}) * {10**digits}D + 0.5D) / {10**digits}D"


def _sums(estimator: Any) -> list[str]:
    """The sum of terms for each output of a pipeline."""
    columns = estimator[0]
    weights, intercepts = linear_part(estimator)
    sums = []
    for of_output, intercept in zip(weights, intercepts, strict=True):
        terms = [_literal(intercept)]
        for name, fitted, names in columns.transformers_:
            if name != "remainder":
                scale = (columns.transformer_weights or {}).get(name, 1.0)
                terms += _terms(fitted, names, scale * of_output[columns.output_indices_[name]])
        sums.append(" + ".join(terms))
    return sums


def _terms(fitted: Any, names: Sequence[str], weights: Array) -> list[str]:
    """The terms that one column transformer adds to an output."""
    if isinstance(fitted, OneHotEncoder):
        return [_by_value(names[0], fitted.categories_[0], weights)]
    imputer, last = fitted[0], fitted[-1]
    if isinstance(last, SplineTransformer):
        return [_curve(f"coalesce({names[0]}, {_literal(imputer.statistics_[0])})", last.bsplines_[0], weights)]
    slopes = weights / last.scale_
    known = zip(names, imputer.statistics_, slopes, strict=False)
    missing = zip(imputer.indicator_.features_, slopes[len(names) :], strict=True)
    return [
        _literal(-slopes @ last.mean_),
        *(f"coalesce({name}, {_literal(usual)}) * {_literal(slope)}" for name, usual, slope in known),
        *(f"if({names[at]} IS NULL, {_literal(slope)}, 0D)" for at, slope in missing),
    ]


def _by_value(name: str, values: Array, weights: Array) -> str:
    """A number for each value of an input, 0 for one that was not learned."""
    cases = (
        f"WHEN {name} IS NULL THEN {_literal(weight)}"
        if np.isnan(value)
        else f"WHEN {name} = {_literal(value)} THEN {_literal(weight)}"
        for value, weight in zip(values, weights, strict=True)
    )
    return f"CASE {' '.join(cases)} ELSE 0D END"


def _curve(x: str, splines: Any, weights: Array) -> str:
    """A spline as its cubic pieces; it is constant beyond its ends."""
    knots, degree = splines.t, splines.k
    start, end = knots[degree], knots[-degree - 1]
    if start == end:  # the input never varied
        return _literal((splines(start) @ weights).item())
    pieces = PPoly.from_spline((knots, splines.c @ weights, degree))
    inside = f"greatest({_literal(start)}, least({_literal(end)}, {x}))"
    polynomials = []
    for at in range(degree, len(knots) - degree - 1):
        beyond = f"({inside} - {_literal(knots[at])})"
        polynomial, *others = map(_literal, pieces.c[:, at])
        for coefficient in others:
            polynomial = f"({polynomial} * {beyond} + {coefficient})"
        polynomials.append(polynomial)
    *earlier, last = polynomials
    bounded = zip(knots[degree + 1 :], earlier, strict=False)
    cases = (f"WHEN {x} < {_literal(bound)} THEN {polynomial}" for bound, polynomial in bounded)
    return f"CASE {' '.join(cases)} ELSE {last} END"


def _literal(number: float) -> str:
    return f"({float(number)!r}D)"
