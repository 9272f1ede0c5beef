"""Runs after further uploads: which months they make anew, and that the tables are those of one build."""

import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from fitness_assets.bronze.tables import LOGGED_DAYS, UPLOADS
from fitness_assets.bronze.withdrawal import restore, withdraw
from fitness_assets.engine.layer_step import StepRun, run_step
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.s3 import S3Store
from fitness_assets.layers import steps
from fitness_assets.registry import TABLES, publish_group_of, publish_groups_of, table_of
from fitness_assets.schema.months import MONTH
from fitness_assets.settings import Settings
from fitness_assets_tests.conftest import HEADER, content, root_of
from fitness_assets_tests.incremental import ALL_LAYERS, LAYERS, SILVER_AND_GOLD, Runs, assert_as_rebuilt, row


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


@pytest.mark.deployment
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


@pytest.mark.deployment
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


@pytest.mark.deployment
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
    monkeypatch.setattr("fitness_assets_tests.incremental.steps", lambda _: [changed])
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
