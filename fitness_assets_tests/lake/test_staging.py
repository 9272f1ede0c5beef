"""What is kept beside a version, and rows that were made in Python."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from fitness_assets.lake.garbage import KEEP_SECONDS, KEEP_UNFINISHED_SECONDS
from fitness_assets.lake.version import LakeError, VersionMetadata
from fitness_assets_tests.conftest import frame_of, path_of, root_of
from fitness_assets_tests.lake.test_lake import DIM_DATE, DIM_USER, UPLOADS, age, publish, users, wait


def stage(lake, *user_ids):
    """A version with a card and a model beside it, neither committed nor cleaned up."""
    staging = lake.stage([DIM_USER], {}, "run")
    staging.attach(DIM_USER, "md", b"# Card")
    staging.attach(DIM_USER, "skops", b"\0model")
    staging.write(DIM_USER, frame_of(lake.spark, DIM_USER, [{"user_id": user_id} for user_id in user_ids]))
    return staging


def names_beside(lake, table=DIM_USER):
    """Everything that lies beside the versions of a table."""
    return sorted(path.name for path in path_of(lake, table, "").iterdir() if path.is_file())


def attached(lake, version, table=DIM_USER):
    return {name: lake.store.read_sidecar(table, name) for name in lake.attachments(table, version)}


def test_what_is_attached_before_sealing_is_listed_with_its_version_and_stays(lake):
    staging = stage(lake, "a")
    kept = {"000001.md": b"# Card", "000001.skops": b"\0model"}
    assert attached(lake, staging.version) == kept
    staging.commit()
    staging.clean_up()
    lake.publish(staging)
    assert attached(lake, staging.version) == kept
    publish(lake, "b")
    assert attached(lake, "000002") == {}
    assert attached(lake, "000001") == kept


def test_what_is_attached_lies_outside_of_the_folder_that_readers_see(lake):
    staging = stage(lake, "a")
    staging.commit()
    lake.publish(staging)
    assert {path.suffix for path in path_of(lake, DIM_USER).iterdir()} == {".parquet"}
    assert users(lake) == ["a"]
    assert lake.metadata(DIM_USER, staging.version).size_bytes == sum(
        path.stat().st_size for path in path_of(lake, DIM_USER).iterdir()
    )


def test_what_is_attached_is_no_version(lake):
    staging = stage(lake, "a")
    staging.attach(DIM_USER, "card.json", b"not an audit")
    assert lake.versions(DIM_USER) == []
    staging.commit()
    lake.publish(staging)
    assert lake.versions(DIM_USER) == ["000001"]
    assert "000001.card.json" in attached(lake, "000001")
    assert lake.collect_garbage([DIM_USER]) == []
    assert publish(lake, "b") == "000002"


def test_a_number_of_which_only_what_was_attached_is_left_is_not_given_again(lake):
    staging = stage(lake, "a")
    path_of(lake, DIM_USER, staging.version).rename(root_of(lake) / "gone")
    assert publish(lake, "b") == "000002"
    assert attached(lake, "000002") == {}


def test_a_step_that_fails_takes_what_it_attached_along_and_nothing_else(lake):
    good = stage(lake, "good")
    good.commit()
    lake.publish(good)
    before = names_beside(lake)
    failing = stage(lake, "bad")
    assert set(names_beside(lake)) > set(before)
    failing.clean_up()
    assert names_beside(lake) == before
    assert not path_of(lake, DIM_USER, failing.version).exists()


def test_tables_of_one_step_keep_what_is_attached_apart(lake):
    staging = lake.stage([DIM_DATE, DIM_USER], {}, "run")
    staging.attach(DIM_DATE, "md", b"dates")
    assert (attached(lake, staging.version, DIM_DATE), attached(lake, staging.version)) == ({"000001.md": b"dates"}, {})
    staging.clean_up()
    assert names_beside(lake, DIM_DATE) == []


def test_a_version_that_is_removed_takes_what_was_attached_along(lake, monkeypatch):
    for n in range(7):
        staging = stage(lake, str(n))
        staging.commit()
        staging.clean_up()
        lake.publish(staging)
    wait(monkeypatch, KEEP_SECONDS + 60)
    lake.collect_garbage([DIM_USER])
    left = [f"{version:06}" for version in range(3, 8)]
    assert lake.versions(DIM_USER) == left
    assert names_beside(lake) == sorted(f"{version}.{kind}" for version in left for kind in ("json", "md", "skops"))


def test_what_a_killed_run_attached_is_removed_with_what_it_wrote(lake):
    publish(lake, "a")
    killed = stage(lake, "b")
    age(path_of(lake, DIM_USER, killed.version), KEEP_UNFINISHED_SECONDS - 60)
    lake.collect_garbage([DIM_USER])
    assert len(attached(lake, killed.version)) == 2
    age(path_of(lake, DIM_USER, killed.version), KEEP_UNFINISHED_SECONDS + 60)
    lake.collect_garbage([DIM_USER])
    assert names_beside(lake) == ["000001.json"]


def test_an_audit_that_a_killed_run_began_to_write_is_no_version(lake, monkeypatch):
    publish(lake, "a")
    killed = stage(lake, "b")

    def kill(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("fitness_assets.lake.local._flush", kill)
    with pytest.raises(KeyboardInterrupt):
        killed.commit()
    monkeypatch.undo()
    (draft,) = path_of(lake, DIM_USER, "").glob(".*")
    draft.write_text('{"table": ')
    assert lake.versions(DIM_USER) == ["000001"]
    assert publish(lake, "c") == "000003"  # which also collects garbage
    assert users(lake) == ["c"]


def test_rows_made_in_python_are_read_as_others_are_and_a_cell_may_be_left_out(lake):
    staging = lake.stage([UPLOADS], {}, "run")
    example = {column.name: column.example for column in UPLOADS.columns}
    without = {name: value for name, value in example.items() if name != "size_bytes"}
    staging.write_rows(UPLOADS, [example, without])
    with pytest.raises(LakeError, match="written once"):
        staging.write_rows(UPLOADS, [])
    staging.commit()
    lake.publish(staging)
    frame = lake.read(UPLOADS)
    assert frame.schema == UPLOADS.spark_schema
    assert frame.toArrow().to_pylist() == [example, example | {"size_bytes": None}]
    assert staging.metadata[UPLOADS.key].rows == 2
    assert staging.metadata[UPLOADS.key].size_bytes == sum(p.stat().st_size for p in path_of(lake, UPLOADS).iterdir())


def test_rows_made_in_python_are_added_to_those_of_the_parent(lake):
    example = {column.name: column.example for column in UPLOADS.columns}
    for rows in ([example], [], [example | {"upload_id": "another"}]):
        staging = lake.stage([UPLOADS], {}, "run")
        staging.write_rows(UPLOADS, rows, replaced=())
        staging.commit()
        lake.publish(staging)
    assert {row["upload_id"] for row in lake.rows(UPLOADS)} == {example["upload_id"], "another"}
    assert len([*path_of(lake, UPLOADS).iterdir()]) == 2, "no file for no rows"


def test_rows_made_in_python_lie_in_files_like_those_of_spark(lake):
    """In one folder, for a table grows by both; a reader of files knows no other schema than theirs."""
    example = {column.name: column.example for column in UPLOADS.columns}
    by_spark, by_us = (lake.stage([UPLOADS], {}, "run") for _ in range(2))
    by_spark.write(UPLOADS, frame_of(lake.spark, UPLOADS, [example]).coalesce(1))
    by_us.write_rows(UPLOADS, [example])
    schemas = []
    for staging in (by_spark, by_us):
        (file,) = path_of(lake, UPLOADS, staging.version).iterdir()
        columns = pq.ParquetFile(file).schema
        schemas.append(
            [
                (c.path.replace(".item", ".element"), c.physical_type, str(c.logical_type), c.max_definition_level)
                for c in columns
            ]
        )
    assert schemas[0] == schemas[1]
    assert by_spark.scratch.exists()
    by_spark.clean_up()
    assert not by_spark.scratch.exists()


def test_no_rows_made_in_python_are_a_table_too(lake):
    staging = lake.stage([UPLOADS], {}, "run")
    staging.write_rows(UPLOADS, [])
    staging.commit()
    lake.publish(staging)
    assert list(pd.read_parquet(path_of(lake, UPLOADS)).columns) == [column.name for column in UPLOADS.columns]


def test_an_audit_of_an_older_version_is_still_read():
    metadata = VersionMetadata("gold/dim_user", "000001", None, {}, "run", "2026-01-01", rows=3, size_bytes=99)
    older = json.dumps(json.loads(metadata.to_json()) | {"failed_rows": {"required_values": 0}})
    assert VersionMetadata.from_json(older) == metadata
