"""Judging the models: the test's days and people are apart, noise shows no skill, a planted signal is found."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from fitness_assets.predictions import models, transforms
from fitness_assets.predictions.cards import card
from fitness_assets.predictions.models import calibration_error, evaluate, last_training_day
from fitness_assets.predictions.tables import EMBARGO_DAYS, HORIZON_DAYS, MODEL, PREDICTORS, TARGETS, Target
from fitness_assets.predictions.transforms import ACTUALS, DAY, INPUTS
from fitness_assets_tests.tools.planted import Planted, fact_daily, raw_days

STRESS, SLEEP, WEIGHT = TARGETS
SEEDS = (1, 2, 3, 4, 5)
FOUND = {"sleep": (Planted("sleep", 0.5), SLEEP), "weight": (Planted("weight", 2), WEIGHT)}
FOUND |= {"stress": (Planted("stress", 0.8), STRESS)}


def made_days(users: int = 30, days: int = 200, seed: int = 0) -> pd.DataFrame:
    """Features and labels that have nothing to do with each other; 30 days at the end have no label."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(rng.normal(0, 1, (users * days, len(INPUTS))), columns=pd.Index(INPUTS))
    day = np.tile(np.arange(days), users)
    labels = {t.actual: rng.choice(t.classes, len(rows)) if t.classes else rng.normal(0, 1, len(rows)) for t in TARGETS}
    rows = rows.assign(user_id=np.repeat([f"user {n}" for n in range(users)], days), **labels)
    rows["stress_level"], rows["sleep_quality_today"] = rng.integers(1, 11, len(rows)), rng.integers(1, 5, len(rows))
    rows[DAY] = day
    rows.loc[day >= days - 30, list(ACTUALS)] = None
    return rows


def judge(target: Target, days: pd.DataFrame) -> models.Evaluation:
    return evaluate(target, days, last_training_day(days))


@pytest.fixture(scope="module")
def verdicts(spark, tmp_path_factory) -> dict[str, dict[str, models.Evaluation]]:
    """Every model judged on every set of days, by the name of what is planted: one pass of Spark for all of them."""
    noise, found = [Planted("none", 0, seed) for seed in SEEDS], [planted for planted, _ in FOUND.values()]
    raw = [*(raw_days(planted, 30, 240) for planted in noise), *(raw_days(planted, 50, 300) for planted in found)]
    fact = fact_daily(spark, pd.concat(raw), tmp_path_factory.mktemp("planted"))
    features = transforms.features(fact).toArrow().to_pandas()
    of = dict([*features.groupby(features["user_id"].str.rsplit("-", n=1).str[0])])
    judged = {p.name: {t.name: judge(t, of[p.name]) for t in TARGETS} for p in found}
    with pytest.MonkeyPatch.context() as patch:  # half of the time, and nobody asks what noise leans on
        patch.setattr(models, "_importance", lambda *_: {})
        return judged | {p.name: {t.name: judge(t, of[p.name]) for t in TARGETS} for p in noise}


@pytest.mark.parametrize("seed", SEEDS)
def test_independent_noise_shows_no_skill(verdicts, seed):
    found = verdicts[Planted("none", 0, seed).name]
    assert {name: (e.verdict, e.measure("skill")["lower"] > 0) for name, e in found.items()} == {
        target.name: ("no_skill", False) for target in TARGETS
    }
    assert all(e.predictor not in (None, MODEL) for e in found.values())


@pytest.mark.parametrize("kind", FOUND)
def test_a_planted_signal_is_found_by_its_model_and_by_no_other(verdicts, kind):
    planted, target = FOUND[kind]
    found = verdicts[planted.name]
    assert {name: e.verdict for name, e in found.items()} == {
        t.name: "skill" if t is target else "no_skill" for t in TARGETS
    }
    skill = found[target.name].measure("skill")
    assert 0 < skill["lower"] < skill["value"] < skill["upper"] < 1
    assert found[target.name].predictor == MODEL


def test_what_was_planted_is_among_the_first_that_the_model_leans_on(verdicts):
    first = {kind: [*verdicts[planted.name][target.name].importance][:5] for kind, (planted, target) in FOUND.items()}
    assert {"stress_level", "stress_to_usual"} & set(first["sleep"])
    assert {"ra30_calories", "mean30_caloric_balance"} & set(first["weight"])
    assert {"stress_change_30d", "ra30_stress"} & set(first["stress"])


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_test_days_and_people_are_apart_from_those_learned_from(monkeypatch, target):
    learned, tested = [], []
    fit, answer = models._fit, models.answer

    def spy_on_fit(target: Target, predictor: str, days: pd.DataFrame) -> Any:
        learned.append(days)
        return fit(target, predictor, days)

    def spy_on_answer(target: Target, estimator: Any, days: pd.DataFrame) -> np.ndarray:
        if "user_id" in days:  # not when one feature was shuffled to see what it is good for
            tested.append(days)
        return answer(target, estimator, days)

    monkeypatch.setattr(models, "_fit", spy_on_fit)
    monkeypatch.setattr(models, "answer", spy_on_answer)
    days = made_days()
    until = last_training_day(days)
    assert until is not None
    judged = evaluate(target, days, until)
    assert len(tested) == models.FOLDS * len(PREDICTORS)
    for past, theirs in zip(learned, tested, strict=False):
        last_known = past[DAY].max() + HORIZON_DAYS  # the last day that a label knows of
        assert past[DAY].max() <= until
        assert theirs[DAY].min() - EMBARGO_DAYS > last_known
        assert not set(past["user_id"]) & set(theirs["user_id"])
    # Whoever predicts is fitted on everybody, but on no later day.
    assert {(len(past), past[DAY].max()) for past in learned[len(tested) :]} == {(judged.train_rows, until)}
    # Everybody is tested once, by each predictor on the same days.
    for n in range(len(PREDICTORS)):
        of_predictor = pd.concat(tested[n * models.FOLDS : (n + 1) * models.FOLDS])
        assert not of_predictor.duplicated(["user_id", DAY]).any()
        assert set(of_predictor["user_id"]) == set(days["user_id"])


def test_a_model_is_the_same_on_any_number_of_cores(monkeypatch):
    """Threads would add numbers up in an order of their own."""
    threads, fit = set(), models._fit

    def spy(target: Target, predictor: str, days: pd.DataFrame) -> Any:
        threads.update(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        return fit(target, predictor, days)

    monkeypatch.setattr(models, "_fit", spy)
    with threadpool_limits(2, user_api="blas"):
        judge(WEIGHT, made_days())
    assert threads == {1}


def test_horizon_and_embargo_are_as_long_as_the_windows():
    assert (HORIZON_DAYS, EMBARGO_DAYS) == (30, 30)


def test_a_few_days_with_a_wrong_year_do_not_move_the_past():
    days = made_days()
    until = last_training_day(days)
    assert until is not None
    assert until == int(0.45 * (days[DAY].max() - 30))
    days.loc[days.index[:3], DAY] += 365 * 70
    assert last_training_day(days) in (until, until + 1)
    assert last_training_day(days.assign(**dict.fromkeys(ACTUALS))) is None


def test_skill_is_the_share_of_the_loss_that_is_saved():
    loss, users = np.arange(1.0, 41), pd.Series(np.repeat(np.arange(20), 2))
    assert models._skill(0.9 * loss, loss, users) == pytest.approx((0.1, 0.1, 0.1))
    assert models._skill(1.2 * loss, loss, users) == pytest.approx((-0.2, -0.2, -0.2))
    assert models._skill(loss, 0 * loss, users) == (None, None, None)


def test_the_bootstrap_draws_people_and_not_days():
    rng = np.random.default_rng(1)
    model, rule, users = rng.uniform(0.5, 1.4, 30), np.ones(30), pd.Series(range(30))
    skill, lower, upper = models._skill(model, rule, users)
    assert skill == pytest.approx(1 - model.mean())
    assert skill is not None
    assert lower is not None
    assert upper is not None
    assert lower < skill < upper
    # The mean of 30 people: its 99 % interval is some 2.58 standard errors to each side.
    assert upper - lower == pytest.approx(2 * 2.58 * model.std() / math.sqrt(30), rel=0.15)
    # A hundred days like these of the same people tell no more.
    many = models._skill(model.repeat(100), rule.repeat(100), pd.Series(users.repeat(100)))
    assert many == pytest.approx((skill, lower, upper))


def test_losses_by_hand():
    answers = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.0, 0.5, 0.5]])
    truth = np.array(["less_stress", "more_stress", "less_stress"])
    expected = [-math.log(0.5), -math.log(0.7), -math.log(1e-6)]
    assert models._losses(STRESS, truth, answers) == pytest.approx(expected)
    assert models._losses(WEIGHT, np.array([1.0, -2.0]), np.array([0.5, 1.0])) == pytest.approx([0.25, 9.0])


def test_measures_by_hand():
    answers = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    measures = models._measures(STRESS, np.array(["less_stress", "more_stress", "no_changes"]), answers)
    assert measures["log_loss"] == pytest.approx(-(math.log(0.5) + math.log(0.7) + math.log(0.3)) / 3)
    assert measures["accuracy"] == pytest.approx(2 / 3)
    assert measures["balanced_accuracy"] == pytest.approx(2 / 3)
    # less_stress: precision 1/2, recall 1; more_stress: both 1; no_changes: never said.
    assert measures["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert models._measures(WEIGHT, np.array([1.0, -2.0]), np.array([0.0, 1.0])) == pytest.approx(
        {"mean_absolute_error_kg": 2.0, "root_mean_squared_error_kg": math.sqrt(5), "mean_error_kg": -1.0}
    )


def test_calibration_error_by_hand():
    is_right, said = np.array([True, False, True, True, True]), np.array([0.95, 0.95, 0.55, 0.55, 1.0])
    # 0.9 to 1: two right where 2.9 were said; 0.5 to 0.6: two right where 1.1 were said.
    assert calibration_error(is_right, said) == pytest.approx((0.9 + 0.9) / 5)
    assert calibration_error(np.array([True, False]), np.array([0.5, 0.5])) == 0


def test_a_rule_that_is_never_wrong_leaves_no_skill_and_no_made_up_number():
    days = made_days()
    days.loc[days[DAY] > 90, WEIGHT.actual] = days[WEIGHT.actual].where(days[WEIGHT.actual].isna(), 0.0)
    found = judge(WEIGHT, days)
    assert (found.verdict, found.predictor) == ("no_skill", "persistence")
    assert [found.measure("skill")[name] for name in ("value", "lower", "upper")] == [None] * 3
    assert "never wrong" in card(found, "000001", {})


def test_a_label_that_is_new_in_the_test_costs_much_and_breaks_nothing():
    days = made_days()
    days.loc[(days[DAY] <= 90) & (days[SLEEP.actual] == "excellent"), SLEEP.actual] = "good"
    found = judge(SLEEP, days)
    assert found.verdict == "no_skill"
    assert found.answers[MODEL][:, SLEEP.classes.index("excellent")].max() == 0
    assert found.measure("log_loss", "constant")["value"] > 3


@pytest.mark.parametrize("value", [None, 7.0], ids=["empty", "constant"])
def test_features_that_say_nothing_break_nothing(value):
    days = made_days()
    days[list(INPUTS)] = np.nan if value is None else value
    assert {judge(target, days).verdict for target in TARGETS} == {"no_skill"}


def _one_label(days: pd.DataFrame) -> pd.DataFrame:
    one = {t.actual: days[t.actual].mask(days[t.actual].notna(), t.classes[0] if t.classes else 0.5) for t in TARGETS}
    return days.assign(**one)


TOO_LITTLE = {
    "no day": lambda: made_days().iloc[:0],
    "no label": lambda: made_days().assign(**dict.fromkeys(ACTUALS)),
    "one label": lambda: _one_label(made_days()),
    "no labels in the past": lambda: made_days().query(f"{DAY} > 70 or user_id == 'user 1'"),
    "one day for each": lambda: made_days(users=300).drop_duplicates("user_id"),
    "fewer people than folds": lambda: made_days(users=2),
    "too few people": lambda: made_days(users=19),
    "too short": lambda: made_days(days=95),
    "other people later": lambda: made_days().query(f"({DAY} <= 75) == (user_id < 'user 2')"),
}


@pytest.mark.parametrize("case", TOO_LITTLE)
def test_too_little_data_is_said_and_nothing_is_made_up(case):
    days = TOO_LITTLE[case]().reset_index(drop=True)
    until = last_training_day(days)
    for target in TARGETS:
        found = evaluate(target, days, until)
        assert (found.verdict, found.predictor, found.estimators) == ("not_enough_data", None, {})
        (skill,) = found.measures
        assert (skill["measure"], skill["value"], skill["lower"], skill["upper"]) == ("skill", None, None, None)
        assert (skill["test_rows"], skill["test_users"]) == (0, 0)
        shown = card(found, "000001", {"gold/fact_daily": "000002"})
        assert "not_enough_data" in shown
        assert "tested on" not in shown


def test_twenty_people_are_enough():
    assert {judge(target, made_days(users=20)).verdict for target in TARGETS} == {"no_skill"}
