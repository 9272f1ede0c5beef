"""Erasing a person: nothing of theirs is left anywhere, and the tables are those of a lake that never had them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from pyspark.sql import SparkSession

from fitness_assets.aws.s3 import Bucket
from fitness_assets.bronze.erasures import Erasures
from fitness_assets.bronze.pseudonyms import WITHHELD
from fitness_assets.bronze.sources import Source, source_of
from fitness_assets.cli import main
from fitness_assets.coach.assets import find_goals
from fitness_assets.definitions import build_defs
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.s3 import S3Store
from fitness_assets.orchestration import erasure
from fitness_assets.orchestration.observed import uploads_seen
from fitness_assets.predictions.tables import TARGETS
from fitness_assets.privacy import erase
from fitness_assets.privacy.erase import readmit
from fitness_assets.privacy.uploads import Rewritten, replace
from fitness_assets.registry import TABLES, table_of
from fitness_assets.sample import garmin
from fitness_assets.sample.life import lived
from fitness_assets.settings import Settings
from fitness_assets_tests.conftest import failure_of, job_of, versioned_bucket
from fitness_assets_tests.privacy.planted import NEEDLES, PERSON, uploads
from fitness_assets_tests.search import holders, holders_in, versions_of_objects

WHERE = {"uri", "modified_at", "fingerprint", "ingested_at", *(f"{target.name}_model_version" for target in TARGETS)}
"""Columns that depend on where, when and how often tables were made."""


@dataclass
class Place:
    """A lake with its uploads, and Dagster's storage beside it."""

    lake: Lake
    settings: Settings
    put: Callable[[str, bytes], Any]
    folder: Path
    bucket: Bucket | None

    def run(self, job: str = "*", **config: Any) -> dg.ExecuteInProcessResult:
        graph = build_defs(self.settings, lake=self.lake)
        with self.instance() as instance:
            definition = graph.resolve_job_def("erase") if job == "erase" else job_of(graph, job)
            return definition.execute_in_process(config or None, instance=instance, raise_on_error=False)

    def instance(self) -> dg.DagsterInstance:
        """Dagster's storage, in files."""
        (self.folder / "dagster").mkdir(parents=True, exist_ok=True)
        return dg.DagsterInstance.local_temp(str(self.folder / "dagster"))

    def leave_behind(self) -> None:
        """What sensors report, and what is left by killed runs and by runs on other services."""
        there = source_of(self.settings.raw).find()
        with self.instance() as instance:
            instance.report_runless_asset_event(uploads_seen(there, [found.uri for found in there]))
        if self.bucket:
            for key in ("jobs/pipes/message", "bronze/_scratch/killed/rows", "compute-logs/run", "compute-logs/run"):
                self.bucket.put(key, PERSON.encode())
            self.bucket.delete(["compute-logs/run"])
        else:
            scratch = self.settings.local_root / "_versions" / ".staging" / "killed"
            scratch.mkdir(parents=True)
            (scratch / "rows").write_text(PERSON)
            (self.settings.local_root / "raw" / ".killed.erasing").write_text(PERSON)

    def run_without_history(self, select: str = "*") -> bool:
        """A run of which Dagster stores nothing, which is much faster."""
        job = job_of(build_defs(self.settings, lake=self.lake), select)
        return job.execute_in_process(raise_on_error=False).success

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that lead commands to the lake."""
        if not self.bucket:
            return {"FITNESS_LOCAL_ROOT": str(self.settings.local_root)}
        names = ("storage_mode", "s3_bucket", "raw_prefix")
        return {f"FITNESS_{name.upper()}": str(getattr(self.settings, name)) for name in names}

    def erase(self, user_id: str) -> dg.ExecuteInProcessResult:
        journal = Erasures.read(self.lake)
        journal.write(self.lake)
        return self.run("erase", ops={"erase_person": {"config": {"code": journal.code(user_id)}}})

    def holders(self, needles: list[str]) -> dict[str, set[str]]:
        """Where texts are: in files, and in all versions of objects."""
        in_bucket = holders_in(needles, self.bucket) if self.bucket else {}
        return holders(needles, self.folder) | in_bucket

    def tables(self) -> dict[str, list[str]]:
        """The rows of every table, without where and when uploads were put."""
        # The id of a JSON file depends on its path.
        ids = {row["upload_id"]: row["content_sha256"] for row in self.lake.rows(table_of("coach/goals"))}

        def text(row: dict[str, Any]) -> str:
            cells = repr({name: cell for name, cell in row.items() if name not in WHERE})
            for upload_id, content_sha256 in ids.items():
                cells = cells.replace(upload_id, content_sha256)
            return cells

        return {table.key: sorted(map(text, self.lake.rows(table))) for table in TABLES}


ON_DISK = pytest.mark.parametrize("place", ["disk"], indirect=True)


def on_disk(folder: Path, spark: SparkSession) -> Place:
    raw = folder / "lake" / "raw"
    raw.mkdir(parents=True)

    def put(file: str, content: bytes) -> None:
        (raw / file).parent.mkdir(parents=True, exist_ok=True)
        (raw / file).write_bytes(content)

    lake = Lake(LocalStore(raw.parent), lambda: spark)
    return Place(lake, Settings(local_root=raw.parent), put, folder, None)


@pytest.fixture(params=["disk", "bucket"])
def place(request, tmp_path, spark, cloud) -> Callable[[str], Place]:
    def in_bucket(name: str) -> Place:
        bucket = versioned_bucket()

        def put(file: str, content: bytes) -> None:
            bucket.put(f"inbound data/{file}", content)

        settings = Settings(storage_mode="s3", s3_bucket=bucket.name, raw_prefix="inbound data")
        return Place(Lake(S3Store(bucket, settings.prefixes), lambda: spark), settings, put, tmp_path / name, bucket)

    return in_bucket if request.param == "bucket" else lambda name: on_disk(tmp_path / name, spark)


@pytest.fixture(scope="module")
def never(tmp_path_factory, spark) -> dict[str, list[str]]:
    """The tables of a lake that never had the person."""
    lake = on_disk(tmp_path_factory.mktemp("never"), spark)
    for name, content in uploads(with_person=False).items():
        lake.put(name, content)
    lake.put("people/ben/scale.csv", SCALE)
    assert lake.run_without_history()
    return lake.tables()


def archive(folder: Path) -> bytes:
    """What Garmin gives a person."""
    garmin.write(folder / "export.zip", lived(3))
    return (folder / "export.zip").read_bytes()


def interrupted(one: Rewritten, source: Source) -> None:
    """Put rewritten files in place until a process is killed between two goal files."""
    if one.found.uri.endswith("goals/days.csv"):
        raise OSError("killed")
    replace(one, source)


SCALE = b"Date,Weight (kg),Comments\n2024-03-01 07:00:00,70.5,\n"
"""A table that does not say whose it is: the same bytes of two people are two uploads."""


@pytest.mark.deployment
def test_nothing_of_an_erased_person_is_left_and_other_people_are_as_in_a_lake_that_never_had_them(
    place, never, tmp_path, monkeypatch
):
    had, (first, *others) = place("had"), uploads(with_person=True).items()
    had.put(*first)
    assert had.run_without_history("group:bronze"), "an older version"
    for upload in others:
        had.put(*upload)
    goal = {"user_id": PERSON, "start": "2024-03-01", "target_steps": 9_000, "notes": f"{PERSON} wants to walk."}
    had.put("goals/first.json", json.dumps(goal).encode())
    had.put(f"people/{PERSON}/export.zip", archive(tmp_path))
    for person in (PERSON, "ben"):
        had.put(f"people/{person}/scale.csv", SCALE)
    had.put("first.csv~", uploads(with_person=True)["first.csv"])
    had.put(f"people/{PERSON}/.export.zip.crdownload", PERSON.encode())
    assert had.run().success
    assert {row["user_id"] for row in had.lake.rows(table_of("bronze/measurements"))} == {PERSON, "ben"}
    assert [row["user_id"] for row in had.lake.rows(table_of("coach/goals"))].count(PERSON) == 4
    had.leave_behind()
    assert {*had.holders(NEEDLES)} == {*NEEDLES}, "the search finds what is there"

    with monkeypatch.context() as patch:
        patch.setattr(erase, "replace", interrupted)
        assert not had.erase(PERSON).success
    result = had.erase(PERSON)
    assert result.success
    assert had.holders(NEEDLES) == {}
    if had.bucket:
        keys = [key for key, _ in versions_of_objects(had.bucket) if not key.endswith("erasures.json")]
        assert len(keys) == len({*keys}), "older versions of objects and markers of deleted ones are gone"
    assert had.tables() == never
    goals = had.lake.rows(table_of("coach/goals"))
    assert {row["upload_id"] for row in goals} == {each.upload_id for each in find_goals(had.settings.goals, [])[0]}
    assert {(row["user_id"], row["position"]) for row in goals} == {("1", 1), ("2", 2), ("3", 1), ("4", 2)}
    assert {row["user_id"] for row in had.lake.rows(table_of("coach/plans"))} == {"2", "3"}
    (entry,) = Erasures.read(had.lake).erased
    assert entry["uploads"] == (10 if had.bucket else 11), "and the draft of a killed process"
    assert not [found for found in source_of(had.settings.raw).ignored()[0] if found.person]
    assert entry["rows"]["silver/clean_days"] == 7
    assert Erasures.read(had.lake).open == {}

    had.put("again.csv", uploads(with_person=True)["first.csv"])
    assert had.run_without_history("group:bronze")
    assert len(had.lake.rows(table_of("bronze/uploads"))) == 4, "rewritten uploads are known"
    (again,) = [row for row in had.lake.rows(table_of("bronze/uploads")) if row["uri"].endswith("again.csv")]
    assert again["warnings"] == ["rows of erased people that were left out: 6"]
    assert PERSON not in {row["user_id"] for row in had.lake.rows(table_of("bronze/logged_days"))}

    assert readmit(had.lake, entry["code"])
    assert not readmit(had.lake, entry["code"])
    had.put("readmitted.csv", uploads(with_person=True)["first.csv"] + b"\n")
    assert had.run_without_history("group:bronze")
    assert str(had.lake.rows(table_of("bronze/logged_days"))).count(PERSON) == 3, "the others are malformed"


@pytest.mark.deployment
@ON_DISK
def test_somebody_with_goals_alone_and_the_only_person_of_a_lake_can_be_erased(place):
    lonely = place("lonely")
    lonely.put("alone.csv", uploads(with_person=True)["alone.csv"])
    lonely.put("goals/eve.json", json.dumps({"user_id": "eve-planted", "start": "2024-03-01", "stop": True}).encode())
    assert lonely.run().success
    result = lonely.erase("eve-planted")
    assert result.success, failure_of(result)
    assert lonely.holders(["eve-planted"]) == {}
    result = lonely.erase(PERSON)
    assert result.success, failure_of(result)
    assert lonely.holders(NEEDLES) == {}


@ON_DISK
def test_an_archive_of_an_erased_person_is_read_again_after_they_are_readmitted_and_only_then(place, tmp_path):
    lake, content = place("back"), archive(tmp_path)
    lake.put("days.csv", b"user_id,date,steps\n18,2024-01-01,7000\n")
    lake.put("people/ada/export.zip", content)
    assert lake.run_without_history("group:bronze")
    result = lake.erase("ada")
    assert result.success, failure_of(result)

    def people() -> set[str]:
        lake.run_without_history("group:bronze")
        return {row["user_id"] for row in lake.lake.rows(table_of("bronze/measurements"))}

    folder = Path(lake.settings.raw) / "people" / "ada"
    lake.put("people/ada/export.zip", content)
    assert people() == set()
    (folder / "export.zip").rename(folder / "again.zip")
    (folder / "again.zip").touch()
    assert people() == set()
    (entry,) = Erasures.read(lake.lake).erased
    assert readmit(lake.lake, entry["code"])
    assert people() == {"ada"}
    assert [row["status"] for row in lake.lake.rows(table_of("bronze/uploads"))] == ["ingested", "ingested"]


@ON_DISK
def test_rows_of_others_in_the_folder_of_an_erased_person_stay_in_the_tables(place):
    shared = place("shared")
    days = ["ada,2024-01-01,5000", "17,2024-01-01,6000", "17,2024-01-02,many"]
    shared.put("people/ada/days.csv", "\n".join(["user_id,date,steps", *days]).encode())
    shared.put("days.csv", b"user_id,date,steps\n18,2024-01-01,7000\n")
    shared.put("people/ada/gone.csv", b"user_id,date,steps\n17,2024-01-03,6000\n17,2024-01-04,many\n")
    assert shared.run_without_history("group:bronze")
    (Path(shared.settings.raw) / "people" / "ada" / "gone.csv").unlink()
    result = shared.erase("ada")
    assert result.success, failure_of(result)
    assert sorted(row["user_id"] for row in shared.lake.rows(table_of("bronze/logged_days"))) == ["17", "17", "18"]
    assert shared.lake.rows(table_of("bronze/quarantine")) == [], "nobody can tell whose a malformed row is"
    ledger = sorted((row["uri"][-8:], row["rows_read"]) for row in shared.lake.rows(table_of("bronze/uploads")))
    assert ledger == [(WITHHELD[-8:], 1), (WITHHELD[-8:], 1), ("days.csv", 1)]
    assert not (Path(shared.settings.raw) / "people" / "ada").exists()


@pytest.mark.deployment
@ON_DISK
def test_runs_delete_uploads_after_the_days_of_the_setting(place, monkeypatch):
    kept = place("kept")
    kept.put("days.csv", uploads(with_person=True)["first.csv"])
    upload = Path(kept.settings.raw) / "days.csv"
    kept.settings = kept.settings.model_copy(update={"keep_upload_days": 30})

    class InDays(datetime):
        """A clock that is ahead."""

        days = 0

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(cls.days)

    monkeypatch.setattr(erasure, "datetime", InDays)
    assert kept.run_without_history("group:bronze")
    rows = kept.tables()["bronze/logged_days"]
    for InDays.days in (29, 31):
        assert upload.exists()
        assert kept.run_without_history("group:bronze")
    assert not upload.exists()
    assert kept.tables()["bronze/logged_days"] == rows


@ON_DISK
def test_the_command_says_what_would_go_and_changes_nothing(place, monkeypatch):
    lake = place("asked")
    for name, content in uploads(with_person=True).items():
        lake.put(name, content)
    assert lake.run_without_history("group:bronze or group:silver")
    before = lake.tables()
    for name, value in lake.variables.items():
        monkeypatch.setenv(name, value)

    asked = CliRunner().invoke(main, ["erase", PERSON, "--dry-run"])
    assert asked.exit_code == 0, asked.output
    assert "first.csv: 6 rows\n" in asked.output
    assert "alone.csv: deleted\n" in asked.output
    assert "days.csv: 2 goals\n" in asked.output
    assert "table   silver/clean_days: 4 rows\n" in asked.output
    assert f"launch the job erase with the code {Erasures.read(lake.lake).code(PERSON)}" in asked.output
    unknown = CliRunner().invoke(main, ["erase", "nobody"])
    assert unknown.output.startswith("Error: There is nothing of nobody, neither in ")
    refused = CliRunner().invoke(main, ["erase", PERSON], input="n\n")
    assert refused.exit_code == 1
    wrong = lake.run("erase", ops={"erase_person": {"config": {"code": "0123"}}})
    assert "The lake has nothing of a person with the code 0123" in failure_of(wrong)
    assert Erasures.read(lake.lake).open == {}
    assert lake.tables() == before
    assert {*lake.holders(NEEDLES)} == {*NEEDLES}
    not_erased = CliRunner().invoke(main, ["readmit", PERSON])
    assert not_erased.output == f"Error: {PERSON} was not erased.\n"
