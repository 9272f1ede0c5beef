"""Erasing a person: nothing of theirs is left anywhere, and the tables are those of a lake that never had them."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from fitness_assets.aws.s3 import Bucket
from fitness_assets.bronze.erasures import Erasures
from fitness_assets.definitions import build_defs
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.s3 import S3Store
from fitness_assets.predictions.tables import TARGETS
from fitness_assets.registry import TABLES, table_of
from fitness_assets.sample import rows as sample_rows
from fitness_assets.settings import Settings
from fitness_assets_tests.conftest import HEADER, job_of, new_bucket
from fitness_assets_tests.search import contents, holders, matches

PERSON = "ada-planted-1815"
WHERE = {"uri", "modified_at", "fingerprint", "ingested_at", *(f"{target.name}_model_version" for target in TARGETS)}
"""Columns that depend on where, when and how often tables were made."""


def planted(day: int) -> tuple[str, str, str]:
    """Steps, heart rate and weight of a day of the person; nobody else has these values."""
    return f"{43_211 + day}", f"{61.7771 + day}", f"{91.3337 + day / 10}"


DISTINCTIVE = [value for day in range(1, 5) for value in planted(day)]


def uploads(with_person: bool) -> dict[str, bytes]:
    """Files with days of six people and, perhaps, of one more: first, last, in the middle, malformed, alone."""
    people = [[",".join(cells) for cells in user] for user in sample_rows(6, 40, 3)]
    lines = [line for user in people for line in user]
    theirs = [
        f"{PERSON},36,F,2023-01-{day:02},{steps},{heart_rate},7.1,2222,35,4,{weight},23.9"
        for day in range(1, 5)
        for steps, heart_rate, weight in [planted(day)]
    ]
    malformed = [
        f"{PERSON},36,F,2023-01-09,8k,{theirs[0].split(',')[5]},7,2222,35,4,70,23",
        f"{PERSON},36",
        f"42,{PERSON},x",
    ]
    bad = "6,36,F,2023-01-09,8k,70,7,2222,35,4,70,23"
    if not with_person:
        theirs, malformed = [], []
    first = [*theirs[:1], *lines[:70], *theirs[1:2], bad, *malformed, *lines[70:140], *theirs[2:3]]
    second = [*theirs[3:], *lines[140:]]
    files = {"first.csv": ("\n".join([HEADER, *first]) + "\n").encode(), "second.csv.gz": packed([HEADER, *second])}
    if with_person:
        files["alone.csv"] = "\n".join([HEADER, *theirs]).encode()
    return files


def packed(lines: list[str]) -> bytes:
    content = BytesIO()
    with gzip.GzipFile("", "wb", fileobj=content, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return content.getvalue()


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
        (self.folder / "dagster").mkdir(parents=True, exist_ok=True)
        with dg.DagsterInstance.local_temp(str(self.folder / "dagster")) as instance:
            definition = graph.resolve_job_def("erase") if job == "erase" else job_of(graph, job)
            return definition.execute_in_process(config or None, instance=instance, raise_on_error=False)

    def run_without_history(self) -> bool:
        """A run of which Dagster stores nothing, which is much faster."""
        return job_of(build_defs(self.settings, lake=self.lake), "*").execute_in_process(raise_on_error=False).success

    def erase(self, user_id: str) -> dg.ExecuteInProcessResult:
        journal = Erasures.read(self.lake)
        journal.write(self.lake)
        return self.run("erase", ops={"erase": {"config": {"code": journal.code(user_id)}}})

    def holders(self, needles: list[str]) -> dict[str, set[str]]:
        """Where texts are: in files, and in all versions of objects."""
        found = holders(needles, self.folder)
        for page in (
            self.bucket.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket.name)
            if self.bucket
            else ()
        ):
            assert not page.get("DeleteMarkers") or needles != [PERSON, *DISTINCTIVE]
            for version in page.get("Versions", []):
                named = {"Bucket": self.bucket.name, "Key": version["Key"], "VersionId": version["VersionId"]}
                content = self.bucket.client.get_object(**named)["Body"].read()
                for needle in matches(needles, [version["Key"].encode(), *contents(version["Key"], content)]):
                    found.setdefault(needle, set()).add(version["Key"])
        return found

    def tables(self) -> dict[str, list[str]]:
        """The rows of every table, without where and when uploads were put."""
        return {
            table.key: sorted(repr({n: c for n, c in row.items() if n not in WHERE}) for row in self.lake.rows(table))
            for table in TABLES
        }


@pytest.fixture(params=["disk", "bucket"])
def place(request, tmp_path, spark, cloud) -> Callable[[str], Place]:
    def on_disk(name: str) -> Place:
        raw = tmp_path / name / "lake" / "raw"
        raw.mkdir(parents=True)

        def put(file: str, content: bytes) -> None:
            (raw / file).write_bytes(content)

        lake = Lake(LocalStore(raw.parent), lambda: spark)
        return Place(lake, Settings(local_root=raw.parent), put, tmp_path / name, None)

    def in_bucket(name: str) -> Place:
        bucket = new_bucket()
        bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})

        def put(file: str, content: bytes) -> None:
            bucket.put(f"inbound data/{file}", content)

        settings = Settings(storage_mode="s3", s3_bucket=bucket.name, raw_prefix="inbound data")
        return Place(Lake(S3Store(bucket, settings.prefixes), lambda: spark), settings, put, tmp_path / name, bucket)

    return on_disk if request.param == "disk" else in_bucket


def test_nothing_of_an_erased_person_is_left_and_other_people_are_as_in_a_lake_that_never_had_them(place):
    never = place("never")
    for name, content in uploads(with_person=False).items():
        never.put(name, content)
    assert never.run_without_history()

    had, (first, *others) = place("had"), uploads(with_person=True).items()
    had.put(*first)
    assert had.run_without_history(), "an older version"
    for upload in others:
        had.put(*upload)
    assert had.run().success
    needles = [PERSON, *DISTINCTIVE]
    assert {*had.holders(needles)} == {*needles}, "the search finds what is there"

    result = had.erase(PERSON)
    assert result.success
    assert had.holders(needles) == {}
    assert had.tables() == never.tables()
    (entry,) = Erasures.read(had.lake).erased
    assert entry["uploads"] == 3
    assert entry["rows"]["silver/clean_days"] == 4
    assert Erasures.read(had.lake).open == {}

    had.put("again.csv", uploads(with_person=True)["first.csv"])
    assert had.run_without_history()
    assert len(had.lake.rows(table_of("bronze/uploads"))) == 3, "rewritten uploads are known"
    (again,) = [row for row in had.lake.rows(table_of("bronze/uploads")) if row["uri"].endswith("again.csv")]
    assert again["warnings"] == ["rows of erased people that were left out: 6"]
    assert PERSON not in {row["user_id"] for row in had.lake.rows(table_of("bronze/logged_days"))}
