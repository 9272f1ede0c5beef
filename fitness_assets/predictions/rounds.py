"""Splits days and people into those that a model learns from and those that test it (``models.py``)."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fitness_assets.predictions.bootstrap import SEED
from fitness_assets.predictions.tables import GAP_DAYS, Target
from fitness_assets.predictions.transforms import ACTUALS, DAY

ROUNDS = 4
MIN_PEOPLE = 20
"""So many people must have earlier days, and so many later ones. docs/models.md says what can be found with them."""
MIN_TRAIN_ROWS = 200


class Round(NamedTuple):
    """One round of the test: whose days the predictors learn from, and which days calibrate and test them."""

    learned: pd.DataFrame
    calibrating: pd.DataFrame
    tested: pd.DataFrame


def last_training_day(days: pd.DataFrame) -> int | None:
    """The last training day, after which the embargo begins; None if there is no labelled day.

    The day for which the share of the days up to it, times the share of the days after the embargo, is largest. Each
    person counts the same, however many days they have, so neither one long log nor a few wrong years move it.
    """
    labelled = days.loc[days[list(ACTUALS)].notna().any(axis="columns"), ["user_id", DAY]]
    if labelled.empty:
        return None
    weight = 1 / labelled.groupby("user_id")[DAY].transform("size")
    of_day = weight.groupby(labelled[DAY]).sum()
    day, earlier = of_day.index.to_numpy(), of_day.cumsum().to_numpy() / of_day.sum()
    later = 1 - earlier[np.searchsorted(day, day + GAP_DAYS, side="right") - 1]
    return int(day[np.argmax(earlier * later)])


def rounds_of(past: Any, future: Any) -> list[Round]:
    """Every round: each person is tested in one, calibrates in another one and is learned from in the other two.

    People are dealt to the groups at random. Those without later days are learned from in every round.
    """
    users = future["user_id"].drop_duplicates().sample(frac=1, random_state=SEED)
    group = dict(zip(users, np.arange(len(users)) % ROUNDS, strict=True))
    of_past, of_future = past["user_id"].map(group), future["user_id"].map(group)
    return [
        Round(
            past[(of_past != tests) & (of_past != calibrates)],
            future[of_future == calibrates],
            future[of_future == tests],
        )
        for tests in range(ROUNDS)
        for calibrates in [(tests + 1) % ROUNDS]
    ]


def missing(target: Target, past: Any, future: Any, rounds: list[Round]) -> str:
    """What is missing for a test, for people; empty if nothing is."""
    earlier, later = past["user_id"].nunique(), future["user_id"].nunique()
    if not earlier and not later:
        return f"no day has a known outcome ({target.source} was not logged, or not that many days later)"
    few = [
        f"{people} of {MIN_PEOPLE} people have {what}"
        for people, what in (
            (earlier, "earlier days to learn from"),
            (later, f"later days to be tested on (more than {GAP_DAYS} days after those learned from)"),
        )
        if people < MIN_PEOPLE
    ]
    if few:
        return " and ".join(few)
    rows = min(len(each.learned) for each in rounds)
    if rows < MIN_TRAIN_ROWS:
        return f"a round of the test has {rows} of {MIN_TRAIN_ROWS} days to learn from"
    if any(each.learned[target.actual].nunique() < 2 for each in rounds):
        return "all days to learn from have the same outcome"
    return ""
