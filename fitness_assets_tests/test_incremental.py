"""Whatever was uploaded in whatever order: the tables are those that one build of everything gives."""

import itertools
import logging
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fitness_assets.bronze.tables import LOGGED_DAYS, UPLOADS
from fitness_assets.bronze.withdrawal import restore, withdraw
from fitness_assets.engine.layer_step import StepRun, run_step
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.s3 import S3Store
from fitness_assets.lake.staging import Staging
from fitness_assets.layers import steps
from fitness_assets.predictions.tables import MODELS
from fitness_assets.registry import TABLES, publish_group_of, publish_groups_of, table_of
from fitness_assets.schema.months import MONTH
from fitness_assets.settings import Settings
from fitness_assets_tests.archives import zipped
from fitness_assets_tests.conftest import HEADER, content, root_of

SILVER_AND_GOLD = [table.key for table in TABLES if table.layer in ("silver", "gold") and "prediction" not in table.key]
PREDICTED = ["gold/fact_predictions", *(table.key for table in TABLES if table.layer == "predictions")]
GROUPS, GROUP_MONTHS, ROUNDS = 50, 11, 2
"""So many groups of people, each with a time of its own: what happens to one group is a sequence for itself."""
LAYERS = ["bronze", "silver", "gold"]


class Runs:
    """A lake, the uploads that people put, and runs."""

    def __init__(self, spark: Any, root: Path) -> None:
        self.lake = Lake(LocalStore(root), lambda: spark)
        self.raw = root / "raw"
        self.raw.mkdir(parents=True)
        self.puts = 0

    def put(self, rows: Iterable[str], name: str = "") -> Path:
        """Put a file; it is later than all files before."""
        path = self.raw / (name or f"{self.puts + 1:03}.csv")
        path.write_text("\n".join([HEADER, *rows]) + "\n")
        self._is_latest(path)
        return path

    def put_archive(
        self, user: str, weights: Mapping[date, float], steps: Mapping[date, int] | None = None, name: str = "w.zip"
    ) -> None:
        """Put an archive into the folder of a person; it is later than all files before."""
        lines = ["Date,Weight (kg),Comments", *(f"{day} 07:00:00,{weight}," for day, weight in weights.items())]
        totals = ["date,value", *(f"{day},{count}" for day, count in (steps or {}).items())]
        path = self.raw / "people" / user / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._is_latest(zipped(path, {"weight.csv": "\n".join(lines), "aggregates_steps.csv": "\n".join(totals)}))

    def _is_latest(self, path: Path) -> None:
        self.puts += 1
        at = 1_700_000_000 + self.puts
        os.utime(path, (at, at))

    def run(self, names: Sequence[str], rebuild: bool = False) -> dict[str, list[str]]:
        """Run some steps; returns the months that each made anew."""
        made = {}
        for step in steps(Settings(local_root=root_of(self.lake))):
            if step.name in names:
                step_run = StepRun(self.lake, "run", logging.getLogger("run"), is_rebuild=rebuild)
                staging = run_step(step, step_run, publish_groups_of(step.reads))
                if staging.parent != staging.version:
                    made[step.name] = sorted({m for each in staging.metadata.values() for m in each.months_made})
                self.lake.publish(staging)
        return made

    def tables(self, keys: Sequence[str]) -> dict[str, list[tuple]]:
        """What each table holds."""
        return {key: content(self.lake, key) for key in keys}


def row(user: str, day: date, steps: int = 8_000, weight: float = 70.0, stress: int = 4, sleep: float = 7.2) -> str:
    return f"{user},42,F,{day},{steps},71.5,{sleep},2240.0,35.0,{stress},{weight},23.9"


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
@pytest.mark.parametrize("seed", range(4))  # 200 sequences, as each group has its own
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


@pytest.fixture
def runs(spark, tmp_path):
    return Runs(spark, tmp_path / "lake")


@pytest.mark.deployment
def test_uploads_one_by_one_give_the_tables_of_a_lake_that_got_them_at_once(spark, tmp_path):
    one_by_one, at_once = (Runs(spark, tmp_path / name) for name in ("one by one", "at once"))
    dealt = random.Random(7)
    for number in range(11):  # more than a month may have files, so that small files are merged
        days = [
            row(f"{user}", date(2024, 2, 1) + timedelta(dealt.randrange(60)), dealt.choice([0, 8_000, 12_000]))
            for user in "abc"
            for _ in range(5)
        ]
        for runs in (one_by_one, at_once):
            runs.put([*days, "d,42,F,2024-02-30,8000,,,,,,,"] if number == 3 else days)
        one_by_one.run(LAYERS)
    at_once.run(LAYERS)
    keys = [f"bronze/{name}" for name in ("logged_days", "quarantine", "uploads")] + SILVER_AND_GOLD
    without_times = {key: one_by_one.lake.rows(table_of(key)) for key in keys}
    for key, rows in without_times.items():
        assert rows_of(rows) == rows_of(at_once.lake.rows(table_of(key))), key
    files = [Path(path).name[:7] for path in one_by_one.lake.store.files(LOGGED_DAYS, "000011")]
    assert max(map(files.count, files)) <= 9


def test_daily_uploads_leave_few_files_of_each_table_of_bronze(spark, tmp_path):
    one_by_one, at_once = (Runs(spark, tmp_path / name) for name in ("one by one", "at once"))
    days = [date(2024, 2, 1) + timedelta(number) for number in range(14)]
    for day in days:
        for runs in (one_by_one, at_once):
            runs.put([row("anna", day), row("anna", day).replace("8000", "8k")])  # the second row is malformed
            runs.put_archive("anna", {day: 70.5}, name=f"{day}.zip")
        one_by_one.run(["bronze"])
    at_once.run(["bronze"])
    for name in ("measurements", "quarantine", "logged_days", "uploads"):
        lakes, table = (one_by_one.lake, at_once.lake), table_of(f"bronze/{name}")
        assert len(lakes[0].store.files(table, "000014")) <= 9, name
        first, second = (rows_of(lake.rows(table)) for lake in lakes)
        assert first == second
        assert len(first) == (2 if name == "uploads" else 1) * len(days)


def rows_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    times = {"ingested_at", "modified_at", "fingerprint", "uri"}
    return sorted(repr({name: cell for name, cell in r.items() if name not in times}) for r in rows)


ALL_LAYERS = [*LAYERS, "predictions"]


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
    assert_as_rebuilt(runs, ALL_LAYERS, PREDICTED)
    runs.put(days_of([5], [date(2024, 2, 7)]))  # a late day that the models knew
    runs.run(ALL_LAYERS)
    assert_as_rebuilt(runs, ALL_LAYERS, PREDICTED)


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


def assert_as_rebuilt(runs: Runs, layers: Sequence[str], keys: Sequence[str]) -> None:
    """One build of everything gives the same, but for the number of the version in which models were fitted."""
    incremental = cells_of(runs, keys)
    runs.run(layers, rebuild=True)
    whole = cells_of(runs, keys)
    for key in keys:
        assert incremental[key] == whole[key], key


def cells_of(runs: Runs, keys: Sequence[str]) -> dict[str, list[str]]:
    return {
        key: sorted(
            repr({name: cell for name, cell in r.items() if not name.endswith("model_version")})
            for r in runs.lake.rows(table_of(key))
        )
        for key in keys
    }


def test_a_run_with_nothing_new_starts_no_engine_and_keeps_every_version(runs):
    runs.put([row("a", date(2024, 2, day)) for day in range(1, 29)])
    every = [*ALL_LAYERS, "quality", "coach"]
    runs.run(every)
    idle = Lake(runs.lake.store, lambda: pytest.fail("an engine is started"))
    runs.lake, busy = idle, runs.lake
    assert runs.run(every) == {}
    runs.lake = busy
    assert all(busy.versions(table) == ["000001"] for table in TABLES)


def test_only_months_that_a_day_has_a_part_in_are_made_anew(runs):
    runs.put([row("a", date(2024, month, 15)) for month in range(1, 13)])
    runs.run(LAYERS)
    before = {key: files_of(runs, key) for key in ("silver/clean_days", "gold/fact_daily", "gold/dim_activity")}
    runs.put([row("a", date(2024, 6, 20))])
    assert runs.run(LAYERS) == {"bronze": ["2024-06"], "silver": ["2024-06", "2024-07"], "gold": ["2024-06", "2024-07"]}
    for key, files in before.items():
        kept = {name[:7] for name in files & files_of(runs, key)}
        changed = {"2024-06"} if key == "gold/dim_activity" else {"2024-06", "2024-07"}  # it has no 30-day features
        assert kept == {f"2024-{month:02}" for month in range(1, 13)} - changed


def test_an_archive_makes_only_the_months_anew_that_it_has_a_part_in(runs):
    runs.put([row("anna", date(2024, month, 15)) for month in range(1, 13)])
    runs.run(LAYERS)
    runs.put_archive("anna", {date(2024, 3, 15): 71.5, date(2024, 3, 16): 71.6})
    march = ["2024-03", "2024-04"]
    assert runs.run(LAYERS) == {"bronze": [], "silver": march, "gold": march[:1]}  # rows of April stay the same
    runs.put([row("anna", date(2024, 6, 20))])
    assert runs.run(LAYERS) == {"bronze": ["2024-06"], "silver": ["2024-06", "2024-07"], "gold": ["2024-06", "2024-07"]}
    runs.put([row("anna", date(2024, 3, 15), steps=7_000)])
    assert runs.run(LAYERS) == {"bronze": march[:1], "silver": march, "gold": march[:1]}
    runs.put_archive("anna", {date(2024, 9, 15): 72.5}, name="newer.zip")  # rows of March name her newest upload
    assert runs.run(LAYERS) == {"bronze": [], "silver": [*march, "2024-09", "2024-10"], "gold": ["2024-03", "2024-09"]}
    runs.put_archive("ben", {date(2024, 12, 15): 80.5})
    assert runs.run(LAYERS) == {"bronze": [], "silver": ["2024-12"], "gold": []}  # without steps there is no clean day
    assert_as_rebuilt(runs, LAYERS, SILVER_AND_GOLD)


def test_withdrawing_and_restoring_an_upload_makes_only_its_months_anew(runs):
    runs.put([row("anna", date(2024, month, 15)) for month in range(1, 13)])
    runs.put([row("anna", date(2024, 3, 15), steps=9_000)])
    runs.put_archive("anna", {date(2024, 6, 15): 71.5})
    runs.run(LAYERS)
    before = runs.tables(SILVER_AND_GOLD)
    ids = {row["uri"]: row["upload_id"] for row in runs.lake.rows(UPLOADS)}
    for name, months in (("002.csv", ["2024-03", "2024-04"]), (".zip", ["2024-06", "2024-07"])):
        (upload,) = (upload for uri, upload in ids.items() if uri.endswith(name))
        withdraw(runs.lake, upload, "a test")
        assert runs.run(LAYERS) == {"silver": months, "gold": months[:1]}
        assert runs.tables(SILVER_AND_GOLD) != before
        assert_as_rebuilt(runs, LAYERS, SILVER_AND_GOLD)
        restore(runs.lake, upload)
        assert runs.run(LAYERS) == {"silver": months, "gold": months[:1]}
        assert runs.tables(SILVER_AND_GOLD) == before


def test_days_of_a_changed_month_whose_rows_stay_the_same_are_stored_once(runs):
    days, made = [date(2024, 3, day) for day in range(1, 25)], []
    for new in (days[:21], *([day] for day in days[21:])):
        runs.put([row(user, day, stress=day.day % 9 + 1) for user in "ab" for day in new])
        runs.run(LAYERS)
        made.append({key: files_of(runs, key) for key in ("silver/clean_days", "gold/fact_daily")})
    for key in made[0]:
        first, second, third, fourth = (files[key] for files in made)
        assert [name[:8] for name in sorted(first)] == ["2024-03."], "a month that is made at once has one file"
        assert [name[:10] for name in sorted(second)] == ["2024-03.1.", "2024-03.2.", "2024-03.3."]
        assert [name[:10] for name in sorted(second & third & fourth)] == ["2024-03.1.", "2024-03.2."]
        assert len(third) == len(fourth) == 3
        assert len(content(runs.lake, key)) == runs.lake.metadata(table_of(key), "000004").rows == 2 * len(days)


def files_of(runs: Runs, key: str) -> set[str]:
    return {path.name for path in (root_of(runs.lake) / key).iterdir()}


def test_everything_is_made_anew_when_the_code_changed_or_bronze_was_rolled_back(runs, monkeypatch):
    for month in (1, 6):
        runs.put([row("a", date(2024, month, 15))])
        runs.run(LAYERS)
    why = [runs.lake.metadata(table_of("silver/clean_days"), version) for version in ("000001", "000002")]
    assert [metadata.made_because for metadata in why] == [
        "first version",
        "new input: bronze/logged_days version 000002, bronze/measurements version 000002",
    ]
    runs.lake.rollback(publish_group_of("bronze/uploads"), "000001")
    runs.run(["silver"])
    metadata = runs.lake.metadata(table_of("silver/clean_days"), "000003")
    assert metadata.made_because == "bronze/logged_days was rolled back to version 000001: everything is made anew"
    assert metadata.months_made == ["2024-01"]
    (silver,) = (step for step in steps(Settings(local_root=root_of(runs.lake))) if step.name == "silver")
    changed = replace(silver, code_version="another")
    monkeypatch.setattr("fitness_assets_tests.test_incremental.steps", lambda _: [changed])
    assert runs.run(["silver"]) == {"silver": ["2024-01"]}
    assert "the code" in runs.lake.metadata(table_of("silver/clean_days"), "000004").made_because


@pytest.mark.deployment
def test_a_day_on_s3_neither_reads_nor_writes_a_file_of_an_unchanged_month(spark, cloud, bucket):
    lake = Lake(S3Store(bucket, {}), lambda: spark)
    settings = Settings(storage_mode="s3", s3_bucket=bucket.name)
    by_month = [step for step in steps(settings) if any(table.by_month for table in step.tables)]

    def put_and_run(name: str, days: Iterable[date]) -> list[str]:
        lines = [row(user, day, stress=day.day % 9 + 1) for user in "ab" for day in days]
        bucket.put(f"raw/{name}.csv", "\n".join([HEADER, *lines, ""]).encode())
        before = len(cloud.requests)
        for step in by_month:
            lake.publish(run_step(step, StepRun(lake, name, logging.getLogger("run")), publish_groups_of(step.reads)))
        return cloud.requests[before:]

    first = put_and_run("year", [date(2024, 1, 1) + timedelta(n) for n in range(332)])
    second = put_and_run("day", [date(2024, 11, 28)])
    for month in range(1, 9):  # features of November look back on October, predictions of October on September
        name = f"{MONTH}=2024-{month:02}/"
        assert any(request.startswith("PUT") and name in request for request in first)
        assert not [request for request in second if name in request]
    written = [request for request in second if request.startswith("PUT") and f"{MONTH}=" in request]
    assert {request.partition(f"{MONTH}=")[2][:7] for request in written} == {"2024-10", "2024-11"}
    # A file of each third of the month for each table that is by month, and as many for the predictions of October.
    assert len(written) <= 3 * (sum(table.by_month for table in TABLES) + 1)
    put_and_run("next day", [date(2024, 11, 29)])
    for third, count in (("1", 1), ("2", 1), ("3", 2)):  # the rows of the 1st to the 20th stayed the same
        for key in ("silver/clean_days", "gold/fact_daily"):
            stored = [found.key for found in bucket.list(key) if f"{MONTH}=2024-11.{third}/" in found.key]
            assert len(stored) == count, stored
    idle = put_and_run("next day", [date(2024, 11, 29)])
    assert not [request for request in idle if request.startswith("PUT") and request.endswith(".parquet")]
    # Two thirds are the engine's: it asks for the size of each file whenever it plans a query.
    assert len(second) < 1_200
    assert len(idle) < 300
