"""Predictions of days that arrive one after another: models that stay, and models that are fitted again."""

import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest

from fitness_assets.predictions.tables import MODELS
from fitness_assets.registry import table_of
from fitness_assets_tests.incremental import ALL_LAYERS, PREDICTED, Runs, assert_as_rebuilt, row


@pytest.fixture
def runs(spark, tmp_path):
    return Runs(spark, tmp_path / "lake")


@pytest.mark.deployment
def test_predictions_of_days_that_arrive_one_by_one_are_those_of_one_build(runs):
    dealt = random.Random(3)

    def days_of(people: Iterable[int], days: Iterable[date]) -> list[str]:
        return [
            row(
                f"p{person}",
                day,
                dealt.randrange(2_000, 15_000),
                60 + person + dealt.randrange(10) / 10,
                dealt.randint(1, 10),
                round(dealt.uniform(5, 9), 1),
            )
            for person in people
            for day in days
        ]

    start = date(2024, 1, 1)
    runs.put(days_of(range(24), [start + timedelta(n) for n in range(332)]))  # until November 27th
    first = runs.run(ALL_LAYERS)
    months = [f"2024-{month:02}" for month in range(1, 12)]
    assert first["predictions"] == months
    fitted = runs.lake.rows(table_of("gold/fact_predictions"))[0]["stress_change_model_version"]
    made = []
    for people, days in (
        (range(24), [date(2024, 11, 28)]),  # the month is not complete yet
        ([30], [date(2024, 11, 28)]),  # somebody new
        ([4], [date(2024, 11, 3)]),  # a late correction in the current month
    ):
        runs.put(days_of(people, days))
        made.append(runs.run(ALL_LAYERS)["predictions"])
    assert made == [["2024-10", "2024-11"]] * 3
    assert {r["stress_change_model_version"] for r in runs.lake.rows(table_of("gold/fact_predictions"))} == {fitted}
    assert_as_rebuilt(runs, ALL_LAYERS, PREDICTED)
    runs.put(days_of(range(24), [date(2024, 11, 30)]))  # a complete month: the models are fitted again
    assert runs.run(ALL_LAYERS)["predictions"] == months
    runs.put(days_of([5], [date(2024, 2, 7)]))  # a late day that the models knew
    runs.run(ALL_LAYERS)
    assert_as_rebuilt(runs, ALL_LAYERS, PREDICTED)


@pytest.mark.deployment
def test_a_version_that_keeps_its_models_compares_the_newest_month_and_says_so_everywhere(runs):
    dealt = random.Random(3)
    start, people = date(2024, 1, 1), [f"p{number}" for number in range(24)]
    logs = {
        (person, day): row(person, day, dealt.randrange(2_000, 15_000), 70 + dealt.randrange(50) / 10)
        for person in people
        for day in (start + timedelta(n) for n in range(330))
    }
    runs.put(logs.values())
    runs.run(ALL_LAYERS)
    assert said_of_the_newest_month(runs) == (False, "2024-11-25")
    newest = [(person, day) for person, day in logs if day > date(2024, 10, 31)]
    changed = [logs[at].replace(",71.5,", ",140.0,") for at in newest]  # the heart rate
    runs.put([*changed, *(row(person, date(2024, 11, 26)) for person in people)], "november.csv")
    assert len(runs.run(ALL_LAYERS)["predictions"]) == 11, "the conclusion stands in every row"
    assert said_of_the_newest_month(runs) == (True, "2024-11-26")
    assert "the values of heart_rate_avg lie outside" in card_of(runs)
    assert_as_rebuilt(runs, ALL_LAYERS, PREDICTED)
    runs.put([*(logs[at] for at in newest)], "november.csv")
    runs.run(ALL_LAYERS)
    assert said_of_the_newest_month(runs)[0] is False
    assert card_of(runs).count("Whether the newest month") == 1


def card_of(runs: Runs) -> str:
    table = table_of("predictions/weight_change_model")
    return runs.lake.store.read_sidecar(table, f"{runs.lake.current(table)}.card.md").decode()


def said_of_the_newest_month(runs: Runs) -> tuple[bool, str]:
    """Whether it is out of range, as the table, every prediction and the card say, and when it ends."""
    model, card = runs.lake.rows(table_of("predictions/weight_change_model")), card_of(runs)
    (drift,) = (r for r in model if r["measure"] == "input_drift")
    conclusions = {r["conclusion"] for r in model}
    conclusions |= {r["weight_change_conclusion"] for r in runs.lake.rows(table_of("gold/fact_predictions"))}
    (conclusion,) = conclusions
    is_out = drift["lower"] > 0.1
    assert ("be careful now" in conclusion) == is_out
    assert card.count(conclusion) == 1
    until = card.partition("days (until ")[2][:10]
    return is_out, until


@pytest.mark.parametrize(
    ("last", "said"),
    [(date(2024, 2, 19), "2024-02-19 are"), (date(2024, 2, 29), "2024-02-29, the last complete month,")],
)
def test_a_card_says_of_a_complete_month_alone_that_it_is_complete(runs, last, said):
    runs.put([row(user, last - timedelta(days)) for user in "ab" for days in range(50)])
    runs.run(ALL_LAYERS)
    runs.put([row("a", last).replace("8000", "8k")])
    runs.run(ALL_LAYERS)
    card = runs.lake.store.read_sidecar(next(iter(MODELS.values())), "000002.card.md").decode()
    assert f"Version 000002 ({datetime.now(UTC).date()}) uses it unchanged: the days until {said}" in card
