"""Predictions: features against plain arithmetic, nothing from the future, and what is said of every day."""

import re
import statistics
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fitness_assets.bronze.tables import LOGGED_DAYS
from fitness_assets.engine.rule_checks import broken_rows
from fitness_assets.gold import transforms as gold
from fitness_assets.gold.tables import FACT_DAILY
from fitness_assets.predictions import models, transforms
from fitness_assets.predictions.evaluation import Evaluation
from fitness_assets.predictions.models import answer, evaluate
from fitness_assets.predictions.rounds import last_training_day
from fitness_assets.predictions.scoring import scoring
from fitness_assets.predictions.tables import BASELINES, FACT_PREDICTIONS, TARGETS, probability_of
from fitness_assets.predictions.transforms import ACTUALS, DAY, FEATURES, INPUTS, KEYS
from fitness_assets.silver import transforms as silver
from fitness_assets.silver.tables import QUALITIES, WEEKDAYS
from fitness_assets_tests.conftest import frame_of
from fitness_assets_tests.oracle import good_days
from fitness_assets_tests.tools.planted import Planted, fact_daily, raw_days

GENDERS = {"a": "M", "b": "F", "c": None}
FIRST, CUTS = date(2024, 1, 20), (35, 70, 100)
SPREADS = ("stress_level", "sleep_hours", "weight_kg", "steps")
MEANS = ("sleep_hours", "weight_kg", "heart_rate_avg", "caloric_balance")

Key = tuple[str, int]


class Days(NamedTuple):
    """Gold's days and what was made of them, both by user and days since 1970."""

    fact: dict[Key, dict[str, Any]]
    made: dict[Key, dict[str, Any]]


def day_number(date_key: int) -> int:
    return (date(date_key // 10_000, date_key // 100 % 100, date_key % 100) - date(1970, 1, 1)).days


def logged_days() -> list[dict[str, Any]]:
    """Days with gaps and empty cells of three users; and of user a again, each time with another future."""
    days = good_days(GENDERS, FIRST, 130, seed=11, gaps=0.1, empty=0.1)
    days = [row | {"gender": GENDERS[row["user_id"]]} for row in days]
    other = good_days(["a"], FIRST, 130, seed=12, gaps=0.1, empty=0.1)
    for cut in CUTS:
        last = FIRST + timedelta(cut)
        known = [row for row in days if row["user_id"] == "a" and row["date"] <= last]
        future = [row | {"gender": "M"} for row in other if row["date"] > last]
        days += [row | {"user_id": f"a until {cut}"} for row in known + future]
    return days


@pytest.fixture(scope="module")
def gappy(spark) -> Days:
    logged = frame_of(spark, LOGGED_DAYS, [row | {"row_number": i} for i, row in enumerate(logged_days())])
    fact = gold.fact_daily(silver.clean_days(silver.judge(logged))).persist()
    made = [row.asDict() for row in transforms.features(fact).collect()]
    return Days(
        {(row["user_id"], day_number(row["date_key"])): row.asDict() for row in fact.collect()},
        {(row["user_id"], row[DAY]): row for row in made},
    )


def expected_features(fact: dict[Key, dict[str, Any]], key: Key) -> dict[str, Any]:
    """Every feature of one day, looked up day by day in gold."""
    user, today = key

    def values(name: str, days: range) -> list[Any]:
        found = [fact[user, day][name] for day in days if (user, day) in fact]
        return [value for value in found if value is not None]

    def minus(first: float | None, second: float | None) -> float | None:
        return None if first is None or second is None else first - second

    def mean(known: list[Any]) -> float | None:
        return statistics.fmean(known) if known else None

    def spread(known: list[Any]) -> float | None:
        return statistics.pstdev(known) if known else None

    row, last_30, so_far = fact[key], range(today - 29, today + 1), range(today - 500, today + 1)
    weekday = WEEKDAYS[(date(1970, 1, 1) + timedelta(today)).weekday()]
    quality, gender = row["sleep_quality"], row["gender"]
    return {
        **{name: row[name] for name in transforms.LEVELS},
        **{f"mean30_{name}": mean(values(name, last_30)) for name in MEANS},
        **{f"spread30_{name}": spread(values(name, last_30)) for name in SPREADS},
        **{f"days30_{name}": len(values(name, last_30)) for name in SPREADS},
        "stress_to_usual": minus(mean(values("stress_level", so_far)), row["stress_level"]),
        "usual_sleep_hours": mean(values("sleep_hours", so_far)),
        "weight_to_usual": minus(mean(values("weight_kg", so_far)), row["weight_kg"]),
        "is_male": None if gender is None else float(gender == "M"),
        **{f"is_{name.lower()}": float(name == weekday) for name in WEEKDAYS[1:]},
        "sleep_quality_today": None if quality is None else QUALITIES.index(quality) + 1,
    }


def test_every_input_has_an_expectation_of_its_own(gappy):
    assert set(expected_features(gappy.fact, next(iter(gappy.fact)))) == set(INPUTS)
    assert not set(FEATURES) & set(ACTUALS)


@pytest.mark.parametrize("name", INPUTS)
def test_features_go_by_calendar_days(gappy, name):
    assert gappy.made.keys() == gappy.fact.keys()
    pairs = {key: (row[name], expected_features(gappy.fact, key)[name]) for key, row in gappy.made.items()}
    assert any(expected is not None for _, expected in pairs.values())
    wrong = {
        key: (actual, expected)
        for key, (actual, expected) in pairs.items()
        if (actual is None) != (expected is None)
        or (expected is not None and actual != pytest.approx(expected, rel=1e-6, abs=1e-4))
    }
    assert wrong == {}


def test_targets_are_those_of_the_calendar_day_ahead(gappy):
    def ahead(key: Key, days: int, name: str) -> Any:
        return gappy.fact.get((key[0], key[1] + days), {}).get(name)

    changes, clamped = set(), set()
    for key, row in gappy.made.items():
        stress, then = gappy.fact[key]["stress_level"], ahead(key, 30, "stress_level")
        change = None if None in (stress, then) else then - stress
        label = None
        if change is not None:
            label = "less_stress" if change <= -3 else "more_stress" if change >= 3 else "no_changes"
            changes.add(change)
        weight, later = gappy.fact[key]["weight_kg"], ahead(key, 30, "weight_kg")
        kg = None if None in (weight, later) else min(5.0, max(-5.0, later - weight))
        clamped.add(kg)
        expected = (label, ahead(key, 1, "sleep_quality"), None if kg is None else pytest.approx(kg, abs=1e-9))
        assert tuple(row[name] for name in ACTUALS) == expected, key
        assert kg is None or row["actual_weight_change_30d"] == round(row["actual_weight_change_30d"], 3)
    assert {-3, -2, 2, 3} <= changes, "both sides of both steps are among the made-up days"
    assert {-5.0, 5.0, None} <= clamped


@pytest.mark.parametrize("cut", CUTS)
def test_no_input_knows_of_a_later_day(gappy, cut):
    last = (FIRST - date(1970, 1, 1)).days + cut
    ours = {day: row for (user, day), row in gappy.made.items() if user == "a"}
    theirs = {day: row for (user, day), row in gappy.made.items() if user == f"a until {cut}"}
    past = [day for day in ours if day <= last]
    assert set(past) == {day for day in theirs if day <= last}
    assert [[ours[day][name] for name in INPUTS] for day in past] == [
        [theirs[d][name] for name in INPUTS] for d in past
    ]
    # What comes after is another future: the targets of the last days say so.
    assert any(ours[day][name] != theirs[day][name] for day in past for name in ACTUALS)


def test_features_that_no_model_uses_are_not_computed(spark, capsys):
    days = transforms.features(frame_of(spark, FACT_DAILY, [{}]))
    nobody = [Evaluation(target) for target in TARGETS]
    transforms.fact_predictions(scoring(nobody, "000007").score(days), None).explain()
    plan = capsys.readouterr().out
    assert "lead(" in plan
    assert not {"sum(", "avg(", "count("} & {*re.findall(r"\w+\(", plan)}


def test_a_sample_is_of_whole_people_and_about_as_large_as_asked_for(spark, tmp_path):
    fact = fact_daily(spark, raw_days(Planted(), 300, 4), tmp_path)
    assert transforms.sampled_features(fact, 1_200, 300, 1_200).count() == 1_200
    counts = transforms.sampled_features(fact, 1_200, 300, 400).groupBy("user_id").count().toPandas()
    assert set(counts["count"]) == {4}
    assert 70 < len(counts) < 130


def test_of_logs_so_long_that_few_people_would_be_left_there_are_some_days_of_more_people(spark, tmp_path):
    fact = fact_daily(spark, raw_days(Planted(), 100, 60), tmp_path)
    sample = transforms.sampled_features(fact, 6_000, 100, 1_000).toPandas()
    assert 35 < sample["user_id"].nunique() < 65
    assert 800 < len(sample) < 1_200
    days = sample.set_index(list(KEYS))
    whole = transforms.features(fact).toPandas().set_index(list(KEYS))
    assert days.sort_index().equals(whole.loc[days.index].sort_index()), "windows must see the days left out"
    few = transforms.sampled_features(fact, 6_000, 20, 1_000).groupBy("user_id").count()
    assert few.count() == 100, "of fewer people than wanted there are all"


# What is done to thirty people's days without any signal, and which targets can be predicted then.
SCORED: dict[str, tuple[Callable[[Any], Any], set[str]]] = {
    "as they are": (lambda days: days, {"stress_change", "sleep_quality", "weight_change"}),
    "no stress": (lambda days: days.drop(columns="stress_level"), {"sleep_quality", "weight_change"}),
    "nothing but steps": (lambda days: days[["user_id", "date", "steps"]], set()),
    "always the same": (lambda days: days.assign(stress_level=5, sleep_hours=7.0, weight_kg=70.0), set()),
    "gaps only": (lambda days: days[(days.groupby("user_id").cumcount() % 45) == 0], set()),
    "nobody": (lambda days: days.iloc[:0], set()),
}


class Scored(NamedTuple):
    """One set of days: judged, and scored day by day."""

    facts: int
    evaluations: dict[str, Any]
    until: int | None
    rows: pd.DataFrame


@pytest.fixture(scope="module")
def scored(spark, tmp_path_factory) -> dict[str, Scored]:
    base = raw_days(Planted(), 30, 170)
    sets = {name: change(base) for name, (change, _) in SCORED.items()}
    sets["planted"] = raw_days(Planted("sleep", 0.7), 40, 200)
    named = [rows.assign(user_id=name + "/" + rows["user_id"]) for name, rows in sets.items() if len(rows)]
    raw = pd.concat(named, ignore_index=True).convert_dtypes()
    fact = fact_daily(spark, raw, tmp_path_factory.mktemp("scored")).persist()
    made = transforms.features(fact).toArrow().to_pandas()
    done = {}
    for name in sets:
        days = made[made["user_id"].str.startswith(f"{name}/")].reset_index(drop=True)
        until = last_training_day(days)
        with pytest.MonkeyPatch.context() as patch:  # nobody asks what the models rely on
            patch.setattr(models, "_importance", lambda *_: {})
            judged = {target.name: evaluate(target, days, until) for target in TARGETS}
        who = [*judged.values()]
        asked = transforms.features(fact.where(fact["user_id"].startswith(f"{name}/")))
        rows = transforms.fact_predictions(scoring(who, "000007").score(asked), until).toArrow().to_pandas()
        done[name] = Scored(len(days), judged, until, rows)
    return done


def test_no_rule_of_the_table_is_broken(scored):
    schema = FACT_PREDICTIONS.arrow_schema
    every = pa.concat_tables([pa.Table.from_pandas(of.rows, schema, preserve_index=False) for of in scored.values()])
    with duckdb.connect() as reader:
        reader.register(FACT_PREDICTIONS.name, every)
        found = broken_rows(reader, FACT_PREDICTIONS)
    assert len(found) > 10
    assert {name: failed for name, (failed, _) in found.items() if failed} == {}


@pytest.mark.parametrize("name", [*SCORED, "planted"])
def test_every_day_is_scored_once(scored, name):
    of = scored[name]
    assert len(of.rows) == of.facts == len(of.rows.drop_duplicates(["user_id", "date_key"]))
    assert list(of.rows.columns) == [column.name for column in FACT_PREDICTIONS.columns]
    assert not of.facts or set(of.rows["stress_change_model_version"]) == {"000007"}


@pytest.mark.parametrize("name", SCORED)
def test_nobody_predicts_where_there_is_not_enough_data_and_a_rule_where_there_is_no_skill(scored, name):
    of, enough = scored[name], SCORED[name][1]
    for target in TARGETS:
        verdict = "no_skill" if target.name in enough else "not_enough_data"
        assert of.evaluations[target.name].verdict == verdict, target.name
        if not of.facts:
            continue
        assert set(of.rows[f"{target.name}_skill"]) == {verdict}
        assert set(of.rows[f"{target.name}_conclusion"]) == {of.evaluations[target.name].conclusion}
        who, predicted = of.rows[f"{target.name}_predictor"], of.rows[f"predicted_{target.quantity}"]
        others = [
            column for column in of.rows if re.match(f"probability_{target.name}_|{target.quantity}_(low|upp)", column)
        ]
        assert len(others) == (len(target.classes) or 2)
        if target.name in enough:
            assert who.nunique(dropna=False) == 1
            assert who.iloc[0] in BASELINES
            assert predicted.notna().all()
        else:
            assert who.isna().all()
            assert predicted.isna().all()
            assert of.rows[others].isna().all(axis=None)


@pytest.mark.parametrize("name", [*SCORED, "planted"])
def test_probabilities_add_up_and_the_most_probable_label_is_predicted(scored, name):
    for target in (target for target in TARGETS if target.classes):
        rows = scored[name].rows.dropna(subset=[f"predicted_{target.quantity}"])
        each = rows[[probability_of(target, label) for label in target.classes]].to_numpy(dtype=float)
        assert each.sum(axis=1) == pytest.approx(1)
        said = np.array(target.classes)[each.argmax(axis=1)] if len(rows) else []
        assert list(rows[f"predicted_{target.quantity}"]) == list(said)


@pytest.mark.parametrize("name", [*SCORED, "planted"])
def test_the_split_says_what_was_held_out(scored, name):
    of = scored[name]
    for row in of.rows[["date_key", "split", *ACTUALS]].itertuples():
        if all(pd.isna(getattr(row, actual)) for actual in ACTUALS):
            expected = "unlabelled"
        else:
            assert of.until is not None
            expected = "test" if day_number(row.date_key) > of.until + 60 else "train"
        assert row.split == expected
    if name in ("as they are", "planted"):
        assert set(of.rows["split"]) == {"train", "test", "unlabelled"}


def test_a_model_with_skill_predicts_itself(scored):
    of = scored["planted"]
    assert {t.name: of.evaluations[t.name].verdict for t in TARGETS} == {
        "stress_change": "no_skill",
        "sleep_quality": "skill",
        "weight_change": "no_skill",
    }
    assert set(of.rows["sleep_quality_predictor"]) == {"model"}
    assert of.rows["predicted_sleep_quality"].notna().all()
    held_out = of.rows[of.rows["split"] == "test"].dropna(subset=["actual_sleep_quality"])
    usual = held_out["actual_sleep_quality"].value_counts(normalize=True).iloc[0]
    assert (held_out["predicted_sleep_quality"] == held_out["actual_sleep_quality"]).mean() > usual + 0.03


def test_the_published_interval_of_a_number_holds_four_of_five(scored):
    rows = scored["as they are"].rows
    held_out = rows[rows["split"] == "test"].dropna(subset=["actual_weight_change_30d"])
    inside = held_out["actual_weight_change_30d"].between(
        held_out["weight_change_30d_lower"], held_out["weight_change_30d_upper"]
    )
    assert inside.mean() == pytest.approx(0.8, abs=0.03)


def test_no_prediction_knows_of_a_later_day(scored, gappy):
    judged = scored["planted"].evaluations
    every = {f"{t.name} {who}": (t, judged[t.name], who) for t in TARGETS for who in judged[t.name].estimators}
    assert sum(who == "model" for *_, who in every.values()) == len(TARGETS)
    made = pd.DataFrame([*gappy.made.values()])
    made[list(INPUTS)] = made[list(INPUTS)].astype(float)
    for target, of, who in every.values():
        said = dict(
            zip(zip(made["user_id"], made[DAY], strict=True), answer(target, of.estimators[who], made), strict=True)
        )
        for cut in CUTS:
            last = (FIRST - date(1970, 1, 1)).days + cut
            past = [day for user, day in said if user == "a" and day <= last]
            assert all(np.array_equal(said["a", day], said[f"a until {cut}", day]) for day in past)
