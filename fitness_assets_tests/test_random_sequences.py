"""Whatever was uploaded in whatever order: silver and gold are those that one build of everything gives."""

import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.bronze.withdrawal import restore, withdraw
from fitness_assets.lake.staging import Staging
from fitness_assets.registry import publish_group_of
from fitness_assets_tests.incremental import LAYERS, SILVER_AND_GOLD, Runs, assert_as_rebuilt, row

GROUPS, GROUP_MONTHS, ROUNDS = 100, 4, 2
"""So many groups of people, each with a time of its own: what happens to one group is a sequence for itself."""


class Group:
    """Two people with 40 days, so that a day has neighbours in the same month and in the next one."""

    def __init__(self, runs: Runs, number: int, dealt: random.Random) -> None:
        self.runs, self.number, self.dealt = runs, number, dealt
        months = number * GROUP_MONTHS
        first = date(1990 + months // 12, months % 12 + 1, 15)
        self.days = [(f"{number}-{user}", first + timedelta(days)) for user in "ab" for days in range(40)]
        self.put(40)

    def put(self, count: int) -> None:
        """Upload some days: early or late ones, and some again."""
        rows = [
            row(
                user,
                day,
                self.dealt.choice([0, -5, 4_000, 8_000, 12_000, 60_000]),
                self.dealt.choice([60.0, 70.5, 300.0]),
                self.dealt.randint(1, 10),
            )
            for user, day in sorted(self.dealt.sample(self.days, count))
        ]
        self.runs.put(rows, f"{self.number}-{self.runs.puts}.csv")

    def happen(self, what: str) -> None:
        """One thing that these people do, or a person does to their uploads."""
        path = self.dealt.choice(sorted(self.runs.raw.glob(f"{self.number}-*.csv")) or [None])
        if what == "upload":
            self.put(self.dealt.randint(1, 3))
        elif what == "archive":
            user = f"{self.number}-{self.dealt.choice('ab')}"
            days = sorted(day for of, day in self.dealt.sample(self.days, 8) if of == user)
            steps = {day: self.dealt.choice([0, 5_000, 60_000]) for day in days[1:]}
            name = f"{self.number}-{self.runs.puts}.zip"
            self.runs.put_archive(user, {day: self.dealt.choice([61.0, 71.5]) for day in days}, steps, name)
        elif what == "source order":
            path = self.runs.raw / "people" / f"{self.number}-a" / "profile.toml"
            path.parent.mkdir(parents=True, exist_ok=True)
            order = ["withings", "csv"] if self.dealt.random() < 0.5 else ["csv", "withings"]
            path.write_text(f"height_cm = {self.dealt.choice([168, 169])}\nsources = {order}\n")
        elif path and what == "repeat":
            lines = path.read_text().splitlines()[1:]
            self.runs.put([*lines, *lines[:1]], f"{self.number}-{self.runs.puts}.csv")
        elif path and what == "correct":
            lines = path.read_text().splitlines()[1:]
            self.runs.put([line.replace(",8000,", ",9000,") for line in lines[: len(lines) // 2 + 1]], path.name)
        elif path and what == "delete" and len([*self.runs.raw.glob("*.csv")]) > 1:
            path.unlink()
        elif what in ("withdraw", "restore"):
            known = [
                upload["upload_id"]
                for upload in self.runs.lake.rows(UPLOADS)
                if Path(upload["uri"]).name.startswith(f"{self.number}-")
                and (upload["status"] == "withdrawn") == (what == "restore")
            ]
            if known:
                change = withdraw if what == "withdraw" else restore
                change(self.runs.lake, self.dealt.choice(sorted(known)), *(["a test"] if what == "withdraw" else []))


OF_PEOPLE = ["upload", "upload", "archive", "source order", "repeat", "correct", "delete", "withdraw", "restore"]
OF_MACHINES = ["stop early", "fail", "kill", "roll back", "nothing"]


class BrokenError(Exception):
    """A machine failed."""


def happen(runs: Runs, what: str, dealt: random.Random) -> None:
    """One thing that machines do between two runs, or that a person does to the whole lake."""
    if what == "stop early":  # as if the process was killed between two steps
        runs.run(LAYERS[: dealt.randint(1, 2)])
    elif what in ("fail", "kill"):
        # Files get their names by `replace`: metadata of a version, and the links to it when it is published.
        owner, name, calls = dealt.choice([(Staging, "write", 12), (Staging, "commit", 3), (Path, "replace", 32)])
        with pytest.MonkeyPatch.context() as patch, suppress(BrokenError):
            patch.setattr(owner, name, broken(getattr(owner, name), dealt.randrange(calls)))
            if what == "kill":  # nobody cleans up
                patch.setattr(Staging, "clean_up", lambda _: None)
            runs.run(LAYERS)
    elif what == "roll back":
        group = publish_group_of(dealt.choice(["bronze/uploads", "silver/clean_days", "gold/fact_daily"]))
        versions = runs.lake.versions(group[-1])
        if len(versions) > 1:
            runs.lake.rollback(group, versions[-2])


def broken(method: Callable, after: int) -> Callable:
    """A method that fails after so many calls."""
    calls = itertools.count()

    def call(*args: Any, **more: Any) -> Any:
        if next(calls) == after:
            raise BrokenError
        return method(*args, **more)

    return call


@pytest.mark.deployment  # minutes long
@pytest.mark.parametrize("seed", range(2))  # 200 sequences, as each group has its own
def test_any_sequence_of_uploads_gives_the_tables_of_one_build(spark, tmp_path, seed):
    dealt = random.Random(seed)
    runs = Runs(spark, tmp_path / "lake")
    groups = [Group(runs, number, dealt) for number in range(GROUPS)]
    runs.run(LAYERS)
    for number in range(ROUNDS):
        for group in groups:
            for what in dealt.choices(OF_PEOPLE, k=dealt.randint(1, 2)):
                group.happen(what)
        happen(runs, OF_MACHINES[(seed * ROUNDS + number) % len(OF_MACHINES)], dealt)
        runs.run(LAYERS)
    assert_as_rebuilt(runs, LAYERS, SILVER_AND_GOLD)
