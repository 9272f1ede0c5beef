"""Testing the models: days and people are apart, noise shows no skill, a planted signal is found, intervals hold."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from fitness_assets.predictions import measures, models
from fitness_assets.predictions.bootstrap import People
from fitness_assets.predictions.cards import card
from fitness_assets.predictions.models import evaluate
from fitness_assets.predictions.rounds import ROUNDS, last_training_day, rounds_of
from fitness_assets.predictions.tables import (
    COVERAGE,
    EMBARGO_DAYS,
    GAP_DAYS,
    HORIZON_DAYS,
    INPUT_DRIFT,
    MODEL,
    OUTCOME_DRIFT,
    PREDICTORS,
    TARGETS,
    Target,
)
from fitness_assets.predictions.transforms import ACTUALS, DAY, INPUTS
from fitness_assets_tests.tools.planted import Planted, features, features_of, realistic_days

STRESS, SLEEP, WEIGHT = TARGETS
NOISE, MORE_NOISE = (
    [Planted("none", 0, seed, seed % 2 == 1) for seed in seeds] for seeds in (range(1, 5), range(5, 11))
)
FOUND = {
    "sleep": (Planted("sleep", 0.3), SLEEP),
    "weight": (Planted("weight", 1), WEIGHT),
    "stress": (Planted("stress", 0.5), STRESS),
    "sleep of new people": (Planted("sleep", 0.3, 0, True), SLEEP),
    "weight of new people": (Planted("weight", 1, 0, True), WEIGHT),
    "stress of new people": (Planted("stress", 0.5, 0, True), STRESS),
}


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


def cohort(logs: list[tuple[int, int]]) -> pd.DataFrame:
    """The same, of people who each log from some day on for so many days."""
    parts = [
        made_days(1, length, seed).assign(user_id=f"user {seed}", **{DAY: np.arange(first, first + length)})
        for seed, (first, length) in enumerate(logs)
    ]
    return pd.concat(parts, ignore_index=True)


def judge(target: Target, days: pd.DataFrame) -> models.Evaluation:
    return evaluate(target, days, last_training_day(days))


@pytest.fixture(scope="module")
def verdicts(spark) -> dict[str, dict[str, models.Evaluation]]:
    """Every model tested on every set of days, by the name of what is planted."""
    noise = features(spark, NOISE, 40, 220)
    found = features(spark, [planted for planted, _ in FOUND.values() if not planted.rounds], 40, 300)
    found |= features(spark, [planted for planted, _ in FOUND.values() if planted.rounds], 60, 340)
    judged = {p.name: {t.name: judge(t, days) for t in TARGETS} for p, days in found.items()}
    with pytest.MonkeyPatch.context() as patch:  # half of the time, and nobody asks what the models rely on
        patch.setattr(models, "_importance", lambda *_: {})
        return judged | {p.name: {t.name: judge(t, days) for t in TARGETS} for p, days in noise.items()}


@pytest.mark.parametrize("planted", NOISE, ids=lambda planted: planted.name)
def test_independent_noise_shows_no_skill(verdicts, planted):
    assert_no_skill(verdicts[planted.name])


@pytest.mark.deployment
@pytest.mark.parametrize("planted", MORE_NOISE, ids=lambda planted: planted.name)
def test_more_noise_shows_no_skill(spark, planted):
    (days,) = features(spark, [planted], 40, 220).values()
    assert_no_skill({target.name: judge(target, days) for target in TARGETS})


def assert_no_skill(found: dict[str, models.Evaluation]) -> None:
    assert {name: (e.verdict, e.measure("skill")["lower"] > 0) for name, e in found.items()} == {
        target.name: ("no_skill", False) for target in TARGETS
    }
    assert all(e.predictor not in (None, MODEL) for e in found.values())
    assert all(e.conclusion.startswith("Conclude nothing about a person") for e in found.values())
    assert all("be careful" not in e.conclusion for e in found.values())


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
    assert f"Predictions of {target.short} may be used as a hint" in found[target.name].conclusion


def test_a_model_has_skill_on_the_realistic_sample(spark):
    assert judge(SLEEP, features_of(spark, realistic_days(40, 240, 1))).verdict == "skill"


def test_what_was_planted_is_among_the_first_that_the_model_leans_on(verdicts):
    first = {kind: [*verdicts[planted.name][target.name].importance][:5] for kind, (planted, target) in FOUND.items()}
    assert {"stress_level", "stress_to_usual"} & set(first["sleep"])
    assert {"ra30_calories", "mean30_caloric_balance"} & set(first["weight"])
    assert {"stress_change_30d", "ra30_stress"} & set(first["stress"])


def test_four_of_five_numbers_lie_in_their_interval_with_and_without_a_past(verdicts):
    weights = [(planted, verdicts[planted.name]["weight_change"]) for planted in NOISE]
    whole = [e.measure(COVERAGE, e.predictor) for _, e in weights]
    assert np.mean([row["value"] for row in whole]) == pytest.approx(0.8, abs=0.03)
    assert all(row["lower"] < row["value"] < row["upper"] for row in whole)
    new = [e.measure(f"{COVERAGE}_new_people", e.predictor) for planted, e in weights if planted.rounds]
    assert np.mean([row["value"] for row in new]) == pytest.approx(0.8, abs=0.03)
    for planted, _ in FOUND.values():
        e = verdicts[planted.name]["weight_change"]
        measured = {m["measure"]: m for m in e.measures if m["predictor"] == e.predictor}
        assert (f"{COVERAGE}_new_people" in measured) == planted.rounds, "else everybody has earlier days"
        quarters = [row for name, row in measured.items() if name.startswith(f"{COVERAGE}_q")]
        assert len(quarters) > 1
        assert sum(row["test_rows"] for row in quarters) == measured[COVERAGE]["test_rows"]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(31, 200)), min_size=4, max_size=30))
def test_in_every_round_nobody_is_learned_from_and_tested(logs):
    days = cohort(logs)
    labelled, until = days.dropna(subset=list(ACTUALS)), last_training_day(days)
    assert until is not None
    past, future = labelled[labelled[DAY] <= until], labelled[labelled[DAY] > until + GAP_DAYS]
    rounds = rounds_of(past, future)
    for learned, calibrating, tested in rounds:
        groups = [set(part["user_id"]) for part in (learned, calibrating, tested)]
        assert sum(map(len, groups)) == len(set.union(*groups))
        assert all(learned[DAY] <= until)
        # The last day that a label knows of lies before what a mean of a test day looks back on.
        assert all(part[DAY].min() - EMBARGO_DAYS > until + HORIZON_DAYS for part in (calibrating, tested) if len(part))
    for at in (1, 2):  # everybody with later days calibrates once and is tested once
        assert pd.concat([of[at] for of in rounds]).sort_index().equals(future.sort_index())
    without_later_days = {*past["user_id"]} - {*future["user_id"]}
    assert all(without_later_days <= {*of.learned["user_id"]} for of in rounds)
    sizes = [of.tested["user_id"].nunique() for of in rounds]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_test_learns_from_its_rounds_and_whoever_predicts_from_all_earlier_days(monkeypatch, target):
    learned, asked = [], []
    fit, answer = models._fit, models.answer

    def spy_on_fit(target: Target, predictor: str, days: pd.DataFrame) -> Any:
        learned.append(days)
        return fit(target, predictor, days)

    def spy_on_answer(target: Target, estimator: Any, days: pd.DataFrame) -> np.ndarray:
        asked.append(days)
        return answer(target, estimator, days)

    monkeypatch.setattr(models, "_fit", spy_on_fit)
    monkeypatch.setattr(models, "answer", spy_on_answer)
    days = made_days()
    until = last_training_day(days)
    judged = evaluate(target, days, until)
    in_rounds = ROUNDS * len(PREDICTORS)
    for past, theirs in zip(learned[:in_rounds], asked[:in_rounds], strict=True):
        assert not set(past["user_id"]) & set(theirs["user_id"])
        assert past[DAY].max() + HORIZON_DAYS < theirs[DAY].min() - EMBARGO_DAYS
    calibrating = asked[in_rounds:]
    assert len(calibrating) == (0 if target.classes else 2 * ROUNDS)  # of the model, and of whoever predicts
    for n, theirs in enumerate(calibrating):
        past, tested = learned[n % ROUNDS], asked[n % ROUNDS]
        assert not set(theirs["user_id"]) & (set(past["user_id"]) | set(tested["user_id"]))
    assert {(len(past), past[DAY].max()) for past in learned[in_rounds:]} == {(judged.train_rows, until)}


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


def test_earlier_and_later_days_share_the_time():
    days = made_days()  # 170 labelled days: 110 of them for both sides, and 60 between
    assert last_training_day(days) == 54
    assert last_training_day(days.assign(**dict.fromkeys(ACTUALS))) is None


def test_a_few_days_with_a_wrong_year_do_not_move_the_past():
    days = made_days()
    days.loc[days.index[:3], DAY] += 365 * 70
    assert last_training_day(days) in (54, 55)


COHORTS = {
    # What people log, from which day on and for how long, and whether that is enough for a verdict.
    "everybody all the time": ([(0, 200)] * 24, True),
    "two rounds of other people": ([(0, 60)] * 24 + [(240, 60)] * 24, True),
    "a small round, then a large one": ([(0, 60)] * 24 + [(240, 60)] * 90, True),
    "people who join late": ([(5 * person, 200 - 2 * person) for person in range(60)], True),
    "one long log among short ones": ([(0, 1_200)] + [(500 + 3 * person, 100) for person in range(60)], True),
    "one long log among short ones at one time": ([(0, 1_200)] + [(500, 80)] * 40, False),
    "too few in the second round": ([(0, 60)] * 24 + [(240, 60)] * 19, False),
    "too few in the first round": ([(0, 60)] * 19 + [(240, 60)] * 24, False),
}


@pytest.mark.parametrize("name", COHORTS)
def test_a_cohort_that_changes_gets_its_verdict(name):
    logs, is_enough = COHORTS[name]
    days = cohort(logs)
    found = judge(WEIGHT, days)
    assert found.verdict == ("no_skill" if is_enough else "not_enough_data")
    if is_enough:
        assert found.measure("skill")["test_users"] >= 20
    else:
        assert "of 20 people have" in found.conclusion


def test_people_who_are_new_are_tested_too():
    days = cohort([(0, 200)] * 24 + [(120, 80)] * 24)
    found = judge(WEIGHT, days)
    assert found.measure("skill")["test_users"] == 48
    assert found.measure(f"{COVERAGE}_new_people")["test_users"] == 24


def skill_of(model: np.ndarray, users: pd.Series, **baselines: np.ndarray) -> measures.Skill:
    return measures.skill({MODEL: model, **baselines}, People(users))


def test_skill_is_the_share_of_the_loss_that_is_saved():
    loss, users = np.arange(1.0, 41), pd.Series(np.repeat(np.arange(20), 2))
    assert skill_of(0.9 * loss, users, one=loss)[1:] == pytest.approx((0.1, 0.1, 0.1))
    assert skill_of(1.2 * loss, users, one=loss)[1:] == pytest.approx((-0.2, -0.2, -0.2))
    assert skill_of(loss, users, one=0 * loss) == ("one", None, None, None)
    assert skill_of(loss, users, one=2 * loss, two=1.5 * loss, three=1.8 * loss).baseline == "two"


def test_the_bootstrap_draws_people_and_not_days():
    rng = np.random.default_rng(1)
    model, baseline, users = rng.uniform(0.5, 1.4, 30), np.ones(30), pd.Series(range(30))
    _, skill, lower, upper = skill_of(model, users, one=baseline)
    assert skill == pytest.approx(1 - model.mean())
    assert skill is not None
    assert lower is not None
    assert upper is not None
    assert lower < skill < upper
    # The mean of 30 people: its 99 % interval is some 2.58 standard errors to each side.
    assert upper - lower == pytest.approx(2 * 2.58 * model.std() / math.sqrt(30), rel=0.15)
    # A hundred days like these of the same people tell no more.
    many = skill_of(model.repeat(100), pd.Series(users.repeat(100)), one=baseline.repeat(100))
    assert many[1:] == pytest.approx((skill, lower, upper))


def test_the_interval_of_skill_accounts_for_the_choice_of_the_baseline():
    """Of several baselines that are equally good, one is the best by chance; each draw chooses anew."""
    rng = np.random.default_rng(1)
    users, loss = pd.Series(range(40)), {f"baseline {n}": rng.uniform(0.5, 1.5, 40) for n in range(6)}
    chosen = skill_of(np.full(40, 0.95), users, **loss)
    alone = skill_of(np.full(40, 0.95), users, **{chosen.baseline: loss[chosen.baseline]})
    assert chosen.value == alone.value
    assert chosen.lower is not None
    assert alone.lower is not None
    assert chosen.lower < alone.lower


def test_losses_by_hand():
    answers = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.0, 0.5, 0.5]])
    truth = np.array(["less_stress", "more_stress", "less_stress"])
    expected = [-math.log(0.5), -math.log(0.7), -math.log(1e-6)]
    assert measures.losses(STRESS, truth, answers) == pytest.approx(expected)
    assert measures.losses(WEIGHT, np.array([1.0, -2.0]), np.array([0.5, 1.0])) == pytest.approx([0.25, 9.0])


def test_measures_by_hand():
    answers = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    found = measures.numbers(STRESS, np.array(["less_stress", "more_stress", "no_changes"]), answers)
    assert found["log_loss"] == pytest.approx(-(math.log(0.5) + math.log(0.7) + math.log(0.3)) / 3)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx(2 / 3)
    # less_stress: precision 1/2, recall 1; more_stress: both 1; no_changes: never said.
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert measures.numbers(WEIGHT, np.array([1.0, -2.0]), np.array([0.0, 1.0])) == pytest.approx(
        {"mean_absolute_error_kg": 2.0, "root_mean_squared_error_kg": math.sqrt(5), "mean_error_kg": -1.0}
    )


def _said(label: str, probability: float) -> list[float]:
    """Probabilities of which that of one label is the highest."""
    rest = (1 - probability) / 2
    return [probability if of == label else rest for of in STRESS.classes]


def test_calibration_error_by_hand():
    truth = np.array(["less_stress", "more_stress", "less_stress", "less_stress", "less_stress"])
    answers = np.array([_said("less_stress", said) for said in (0.95, 0.95, 0.55, 0.55, 1.0)])
    found = measures.calibration(STRESS, truth, answers, People(np.arange(5)))
    # 0.9 to 1: two right where 2.9 were said; 0.5 to 0.6: two right where 1.1 were said.
    assert found.value == pytest.approx((0.9 + 0.9) / 5)
    assert 0 <= found.lower <= found.upper


def test_the_interval_of_the_calibration_error_holds_what_is_true():
    rng, held = np.random.default_rng(3), 0
    for _ in range(100):
        comes = np.where(rng.random(2_000) < 0.6, "less_stress", "more_stress")
        answers = np.array([_said("less_stress", 0.8)]).repeat(2_000, axis=0)
        found = measures.calibration(STRESS, comes, answers, People(np.arange(2_000) // 50))
        held += found.lower <= 0.2 <= found.upper
    assert held >= 95


def test_an_interval_reaches_as_far_as_the_calibrating_people_were_off():
    residuals = np.arange(-50, 51) / 10
    assert measures.offsets(residuals) == pytest.approx((-4, 4))
    assert measures.offsets(residuals + 9) == pytest.approx((0, 13)), "the number itself lies inside"
    truth, said = np.array([-5.0, 1.0, 5.0]), np.array([-4.0, 0.0, 4.5])
    assert measures.is_covered(truth, said, (-2, 0.9)).tolist() == [True, False, True]


def test_a_baseline_that_is_never_wrong_leaves_no_skill_and_no_made_up_number():
    days = made_days()
    days.loc[days[DAY] > 90, WEIGHT.actual] = days[WEIGHT.actual].where(days[WEIGHT.actual].isna(), 0.0)
    found = judge(WEIGHT, days)
    skill = found.measure("skill")
    assert (found.verdict, found.rule, found.predictor) == ("no_skill", "persistence", "persistence")
    assert (skill["value"], skill["lower"], skill["upper"]) == (None, None, None)
    assert "never wrong" in card(found, "000001", {}, "")


def _heavier(days: pd.DataFrame) -> None:
    days.loc[days[DAY] > 170, "weight_kg"] += 5


def _no_longer_measured(days: pd.DataFrame) -> None:
    days.loc[days[DAY] > 170, "heart_rate_avg"] = np.nan


def _one_person_else(days: pd.DataFrame) -> None:
    days.loc[(days[DAY] > 170) & (days["user_id"] == "user 3"), "weight_kg"] += 5


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        (_heavier, "weight_kg"),
        (_no_longer_measured, "heart_rate_avg"),
        (_one_person_else, None),
        (lambda _: None, None),
    ],
    ids=["heavier", "no longer measured", "one person", "nothing"],
)
def test_a_newest_month_out_of_range_is_said(change, feature):
    days = made_days()
    change(days)
    found = judge(STRESS, days)
    drift = found.measure(INPUT_DRIFT)
    assert 0 <= drift["lower"] <= drift["value"] <= drift["upper"] <= 1
    assert (drift["lower"] > 0.1) == (feature is not None)
    assert ("be careful now: much of the newest month lies outside" in found.conclusion) == (feature is not None)
    if feature:
        assert f" of the values of {feature} lie outside the range" in card(found, "000001", {}, "")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize("other", [False, True])
def test_newest_outcomes_that_differ_are_said(target, other):
    days = made_days()
    if other:
        newest = (days[DAY] > 135) & days[target.actual].notna()
        days.loc[newest, target.actual] = target.classes[0] if target.classes else 4.0
    found = judge(target, days)
    assert (found.measure(OUTCOME_DRIFT)["lower"] > 0.1) == other
    assert ("the newest month's outcomes differ" in found.conclusion) == other


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
    "one person in the past": lambda: cohort([(0, 300), *[(240, 60)] * 29]),
    "one day for each": lambda: made_days(users=300).drop_duplicates("user_id"),
    "fewer people than groups": lambda: made_days(users=2),
    "too few people": lambda: made_days(users=19),
    "too short": lambda: made_days(days=85),
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
        assert found.conclusion.startswith(f"Nothing can be predicted about {target.short}: ")
        shown = card(found, "000001", {"gold/fact_daily": "000002"}, "")
        assert "not_enough_data" in shown
        assert "How it was tested" not in shown


@pytest.mark.parametrize(
    ("case", "missing"),
    [
        ("no day", "no day has a known outcome (stress_level was not logged"),
        ("no label", "no day has a known outcome (stress_level was not logged"),
        ("one label", "all days to learn from have the same outcome"),
        ("too few people", "19 of 20 people have earlier days to learn from and 19 of 20 people have later days"),
        ("too short", "0 of 20 people have later days to be tested on (more than 60 days after those learned from)"),
    ],
)
def test_what_is_missing_is_named(case, missing):
    days = TOO_LITTLE[case]().reset_index(drop=True)
    assert missing in judge(STRESS, days).conclusion


def test_twenty_people_are_enough():
    assert {judge(target, made_days(users=20)).verdict for target in TARGETS} == {"no_skill"}
