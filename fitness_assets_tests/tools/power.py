"""What the models find in simulated days, and how often they find what is not there; docs/models.md keeps the figures.

`python -m fitness_assets_tests.tools.power noise` takes about 10 minutes, `signals` about 20, `cohorts` about 1.
"""

import sys
from collections.abc import Iterator
from datetime import timedelta

import pandas as pd

from fitness_assets.engine.session import start_spark
from fitness_assets.predictions import models
from fitness_assets.predictions.evaluation import Evaluation
from fitness_assets.predictions.models import evaluate
from fitness_assets.predictions.rounds import last_training_day
from fitness_assets.predictions.tables import COVERAGE, INPUT_DRIFT, SKILL, TARGETS
from fitness_assets.predictions.transforms import ACTUALS, DAY
from fitness_assets.settings import Settings
from fitness_assets_tests.tools.planted import Planted, features, features_of, realistic_days

SEEDS = 6
STRENGTHS = {"sleep": (0.1, 0.2, 0.3), "weight": (0.1, 0.25, 0.5, 1.0), "stress": (0.2, 0.3, 0.5)}
COHORTS = {
    "25 people, 180 days": (False, 25, 180),
    "25 people, 365 days": (False, 25, 365),
    "55 people, 365 days": (False, 55, 365),
    "two rounds of 25 people, 182 days each": (True, 50, 365),
    "two rounds of 55 people, 182 days each": (True, 110, 365),
    "two rounds of 110 people, 182 days each": (True, 220, 365),
}


def noise(seeds: int) -> Iterator[tuple[Planted, dict[str, Evaluation]]]:
    """Every model on independent noise; in every other seed the later people are new."""
    spark = start_spark(Settings())
    for first in range(0, seeds, 10):
        some = [Planted("none", 0, seed, bool(seed % 2)) for seed in range(first, min(first + 10, seeds))]
        for planted, days in features(spark, some, 50, 240).items():
            until = last_training_day(days)
            yield planted, {target.name: evaluate(target, days, until) for target in TARGETS}
    spark.stop()


def cohorts(seeds: int) -> Iterator[tuple[bool, dict[str, Evaluation]]]:
    """Every model on simulated cohorts whose weights drift slowly, and whether all later people are new.

    50 people log 300 days; in every other cohort 40 people log the first 150 days, and 40 others the next 150 days.
    """
    spark = start_spark(Settings())
    for seed in range(1, seeds + 1):
        rounds = bool(seed % 2)
        raw = realistic_days(80 if rounds else 50, 300, seed)
        if rounds:
            is_late_user = raw["user_id"].isin(raw["user_id"].unique().tolist()[40:])
            is_late_day = raw["date"] >= raw["date"].min() + timedelta(150)
            raw = raw.loc[is_late_user == is_late_day].reset_index(drop=True)
        days = features_of(spark, raw)
        until = last_training_day(days)
        yield rounds, {target.name: evaluate(target, days, until) for target in TARGETS}
    spark.stop()


def signals() -> pd.DataFrame:
    """How often each planted signal is found, by cohort: one row for each seed."""
    spark = start_spark(Settings())
    rows = []
    for kind, strengths in STRENGTHS.items():
        for strength in strengths:
            for rounds in (False, True):
                planted = [Planted(kind, strength, seed, rounds) for seed in range(1, SEEDS + 1)]
                made = features(spark, planted, max(people for r, people, _ in COHORTS.values() if r == rounds), 365)
                for of, days in made.items():
                    for cohort, (in_rounds, people, length) in COHORTS.items():
                        if in_rounds == rounds:
                            found = _judge(of, _part(days, people, length, rounds))
                            rows.append((kind, strength, cohort, found.verdict == SKILL))
                print(kind, strength, rounds, file=sys.stderr, flush=True)  # noqa: T201
    spark.stop()
    return pd.DataFrame(rows, columns=pd.Index(["kind", "strength", "cohort", "found"]))


def _part(days: pd.DataFrame, people: int, length: int, rounds: bool) -> pd.DataFrame:
    """The same simulation as if fewer people had logged, and not as long; in rounds, as many of each round."""
    users = days["user_id"].unique().tolist()
    chosen = [*users[: people // 2], *users[-(people // 2) :]] if rounds else users[:people]
    first = days[DAY].min()
    part = days.loc[days["user_id"].isin(chosen) & (days[DAY] < first + length)].reset_index(drop=True)
    part.loc[part[DAY] >= first + length - 30, list(ACTUALS)] = None
    return part


def _judge(planted: Planted, days: pd.DataFrame) -> Evaluation:
    return evaluate(planted.target, days, last_training_day(days))


def main() -> None:
    """Print what was asked for."""
    models._importance = lambda *_: {}  # takes time, and nobody asks here
    if sys.argv[1:] == ["signals"]:
        table = signals().groupby(["kind", "strength", "cohort"], sort=False)["found"].sum().unstack()
        print(table.astype(str).add(f" of {SEEDS}").to_markdown())  # noqa: T201
        return
    if sys.argv[1:] == ["cohorts"]:
        rows = []
        for rounds, found in cohorts(20):
            weight = found["weight_change"]
            coverage = weight.measure(COVERAGE, weight.predictor or "")["value"]
            warnings = sum("be careful now" in e.conclusion for e in found.values())
            rows.append((rounds, coverage, warnings, max(e.measure(INPUT_DRIFT)["value"] for e in found.values())))
            print(rows[-1], file=sys.stderr, flush=True)  # noqa: T201
        names = pd.Index(["later people are new", "coverage", "warnings", "input drift"])
        print(pd.DataFrame(rows, columns=names).groupby("later people are new").describe().T.to_markdown())  # noqa: T201
        return
    verdicts, covered = [], []
    for planted, found in noise(100):
        verdicts += [(planted.name, name, e.verdict, e.measure("skill")["value"]) for name, e in found.items()]
        weight = found["weight_change"]
        part = f"{COVERAGE}_new_people" if planted.rounds else COVERAGE
        covered.append((planted.rounds, weight.measure(part, weight.predictor or "")["value"]))
        print(planted.name, file=sys.stderr, flush=True)  # noqa: T201
    of = pd.DataFrame(verdicts, columns=pd.Index(["cohort", "model", "verdict", "skill"]))
    print(of.groupby("model")["verdict"].value_counts(), of[of["verdict"] == SKILL], sep="\n")  # noqa: T201
    coverage = pd.DataFrame(covered, columns=pd.Index(["later people are new", "coverage"]))
    print(coverage.groupby("later people are new")["coverage"].describe())  # noqa: T201


if __name__ == "__main__":
    main()
