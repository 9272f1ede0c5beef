"""What a version promises: whole, on top of the one it was made from, reversible."""

import os
import shutil
import time
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from fitness_assets.lake.garbage import KEEP_SECONDS, KEEP_UNFINISHED_SECONDS, KEEP_VERSIONS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.version import CheckResult, LakeError, TableMissingError
from fitness_assets.lake.version import VersionConflictError as Conflict
from fitness_assets.registry import table_of
from fitness_assets_tests.conftest import EVERYWHERE, frame_of, path_of, published, root_of

UPLOADS, LOGGED, QUARANTINE = (table_of(f"bronze/{name}") for name in ("uploads", "logged_days", "quarantine"))
DIM_USER, DIM_DATE = table_of("gold/dim_user"), table_of("gold/dim_date")
AUDIT = table_of("quality/audit")


def stage(lake, *user_ids, table=DIM_USER, inputs=None, replaced=None, run_id="run"):
    staging = lake.stage([table], inputs or {}, run_id)
    staging.write(table, frame_of(lake.spark, table, [{"user_id": user_id} for user_id in user_ids]), replaced=replaced)
    staging.commit()
    staging.clean_up()
    return staging


def publish(lake, *user_ids, **more):
    staging = stage(lake, *user_ids, **more)
    lake.publish(staging)
    return staging.version


def point(lake, table, version):
    """What a process does that is killed before it has pointed all tables of a step."""
    with lake.store.publishing([table]) as point:
        point(table, version)


def users(lake, table=DIM_USER):
    """What a reader sees who knows no more than where the table is."""
    if isinstance(lake.store, LocalStore):
        return sorted(pd.read_parquet(path_of(lake, table))["user_id"])
    files = published(lake.store.bucket, lake.store.location(table))
    return sorted(user for file in files.values() for user in pd.read_parquet(file)["user_id"])


def wait(monkeypatch, seconds):
    """Let time pass for the lake."""
    then = time.time() + seconds
    monkeypatch.setattr("fitness_assets.lake.garbage.time", lambda: then)


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_published_folder_holds_parquet_files_alone_and_every_reader_reads_it(lake):
    publish(lake, "a", "b")
    folder = path_of(lake, DIM_USER)
    assert {path.suffix for path in folder.iterdir()} == {".parquet"}
    assert users(lake) == ["a", "b"]
    assert sorted(pl.read_parquet(folder)["user_id"]) == ["a", "b"]
    assert duckdb.execute(f"SELECT count(*) FROM '{folder}/*.parquet'").fetchall() == [(2,)]
    assert lake.spark.read.parquet(str(folder)).count() == 2


@EVERYWHERE
def test_a_staged_version_is_not_seen_before_it_is_published(lake):
    publish(lake, "old")
    staging = stage(lake, "new")
    assert users(lake) == ["old"]
    lake.publish(staging)
    assert users(lake) == ["new"]


@EVERYWHERE
def test_a_table_without_rows_is_a_table(lake):
    staging = lake.stage([DIM_USER], {}, "run")
    staging.write(DIM_USER, None)
    staging.commit()
    lake.publish(staging)
    assert lake.read(DIM_USER).collect() == []
    assert users(lake) == []


@EVERYWHERE
def test_a_frame_stays_bound_to_the_version_that_it_was_read_from(lake):
    first = publish(lake, "old")
    frame = lake.read(DIM_USER)
    publish(lake, "new")
    assert [row["user_id"] for row in frame.collect()] == ["old"]
    assert [row["user_id"] for row in lake.read(DIM_USER, first).collect()] == ["old"]


@EVERYWHERE
def test_a_missing_table_says_what_to_materialize_first(lake):
    with pytest.raises(TableMissingError, match="gold/dim_user does not exist yet: materialize gold/dim_user first"):
        lake.read(DIM_USER)


def test_a_version_without_its_files_says_what_to_do(lake):
    version = publish(lake, "a")
    path_of(lake, DIM_USER, version).rename(root_of(lake) / "gone")
    with pytest.raises(TableMissingError, match="materialize gold/dim_user again"):
        lake.read(DIM_USER)


def test_a_lake_copied_without_its_links_is_refused(lake):
    (root_of(lake) / DIM_USER.key).mkdir(parents=True)
    with pytest.raises(LakeError, match="is a folder, not a link"):
        lake.current(DIM_USER)


@EVERYWHERE
def test_no_job_can_write_the_version_that_it_reads(lake):
    staging = lake.stage([DIM_USER], {}, "run")
    staging.write(DIM_USER, frame_of(lake.spark, DIM_USER, [{}]))
    written = lake.read(DIM_USER, staging.version)
    with pytest.raises(LakeError, match="written already"):
        staging.write(DIM_USER, written)
    assert written.count() == 1


@EVERYWHERE
def test_of_two_versions_made_from_the_same_one_only_the_first_is_published(lake):
    publish(lake, "base")
    mine, theirs = stage(lake, "mine"), stage(lake, "theirs")
    lake.publish(theirs)
    with pytest.raises(Conflict, match="gold/dim_user version 000002 was not published: another run published"):
        lake.publish(mine)
    assert users(lake) == ["theirs"]


@EVERYWHERE
def test_a_version_made_from_older_inputs_never_replaces_one_made_from_newer_ones(lake):
    old = publish(lake, "x", table=LOGGED)
    publish(lake, "made from old", inputs={LOGGED.key: old})
    new = publish(lake, "y", table=LOGGED)
    publish(lake, "made from new", inputs={LOGGED.key: new})
    late = stage(lake, "late", inputs={LOGGED.key: old})
    with pytest.raises(Conflict, match="bronze/logged_days meanwhile"):
        lake.publish(late)


@EVERYWHERE
def test_after_a_rollback_of_the_input_a_version_can_be_made_from_it(lake):
    old = publish(lake, "x", table=LOGGED)
    new = publish(lake, "y", table=LOGGED)
    publish(lake, "made from new", inputs={LOGGED.key: new})
    lake.rollback([LOGGED], old)
    publish(lake, "made from old", inputs={LOGGED.key: old})
    assert users(lake) == ["made from old"]


def test_appending_takes_over_the_files_as_they_are_and_adds_up_the_counts(lake):
    first = publish(lake, "a", table=LOGGED)
    before = {path.name: path.stat().st_ino for path in path_of(lake, LOGGED, first).iterdir()}
    second = publish(lake, "b", "c", table=LOGGED, replaced=())
    after = {path.name: path.stat().st_ino for path in path_of(lake, LOGGED, second).iterdir()}
    assert before.items() < after.items()
    assert users(lake, LOGGED) == ["a", "b", "c"]
    assert lake.metadata(LOGGED, second).rows == 3


@EVERYWHERE
def test_tables_of_one_step_share_a_version_and_the_last_one_decides(lake):
    publish(lake, "a")
    staging = lake.stage([DIM_DATE, DIM_USER], {}, "run")
    for table in (DIM_DATE, DIM_USER):
        staging.write(table, frame_of(lake.spark, table, [{}]))
    staging.commit()
    publish(lake, "meanwhile")
    with pytest.raises(Conflict):
        lake.publish(staging)
    assert lake.current(DIM_DATE) is None


@EVERYWHERE
def test_a_process_killed_between_two_links_leaves_a_lake_that_the_next_one_recovers(lake):
    tables = [LOGGED, UPLOADS]

    def ingest(user_id):
        staging = lake.stage(tables, {}, "run")
        staging.write(LOGGED, frame_of(lake.spark, LOGGED, [{"user_id": user_id}]), replaced=())
        staging.write(UPLOADS, frame_of(lake.spark, UPLOADS, [{"uri": user_id}]), replaced=())
        staging.commit()
        return staging

    lake.publish(ingest("first"))
    killed = ingest("second")
    point(lake, UPLOADS, killed.version)  # what decides was flipped, what follows was not
    assert users(lake, LOGGED) == ["first"]
    assert lake.recover(tables)
    assert not lake.recover(tables)
    assert users(lake, LOGGED) == ["first", "second"]
    lake.publish(ingest("third"))
    assert users(lake, LOGGED) == ["first", "second", "third"]
    assert sorted(row["uri"] for row in lake.rows(UPLOADS)) == ["first", "second", "third"]


def test_a_table_that_ran_ahead_of_its_step_is_set_back_when_the_step_is_reported_again(lake):
    tables = [DIM_DATE, DIM_USER]

    def made():
        staging = lake.stage(tables, {}, "run")
        for table in tables:
            staging.write(table, frame_of(lake.spark, table, [{}]))
        staging.commit()
        return staging

    lake.publish(made())
    point(lake, DIM_DATE, made().version)
    lake.publish(lake.reopen(tables))
    assert lake.current(DIM_DATE) == lake.current(DIM_USER) == "000001"


@EVERYWHERE
def test_a_version_that_failed_a_blocking_rule_can_be_looked_at_but_not_made_current(lake):
    good = publish(lake, "good")
    staging = lake.stage([DIM_USER], {}, "run")
    staging.write(DIM_USER, frame_of(lake.spark, DIM_USER, [{"user_id": "bad"}]))
    staging.metadata[DIM_USER.key].check_results = [CheckResult("age_range", "blocking", "", 1)]
    staging.commit()
    with pytest.raises(LakeError, match="gold/dim_user age_range"):
        lake.publish(staging)
    with pytest.raises(LakeError, match="failed age_range"):
        lake.rollback([DIM_USER], staging.version)
    assert lake.current(DIM_USER) == good
    assert [row["user_id"] for row in lake.read(DIM_USER, staging.version).collect()] == ["bad"]


@EVERYWHERE
def test_any_kept_version_can_be_made_current_again(lake):
    first = publish(lake, "first")
    publish(lake, "second")
    lake.rollback([DIM_USER], first)
    assert users(lake) == ["first"]
    assert publish(lake, "third") == "000003"


@EVERYWHERE
def test_a_version_that_is_reported_again_does_not_undo_a_rollback(lake):
    first = publish(lake, "first")
    publish(lake, "second")
    reopened = lake.reopen([DIM_USER])
    lake.rollback([DIM_USER], first)
    assert not lake.publish(reopened)
    assert users(lake) == ["first"]


def reported(lake, content):
    staging = lake.stage([AUDIT], {}, "run")
    staging.attach(AUDIT, "report.html", content)
    staging.write(AUDIT, None)
    staging.commit()
    return staging


def report_seen(lake):
    if isinstance(lake.store, LocalStore):
        return path_of(lake, AUDIT).with_name("report.html").read_bytes()
    return lake.store.bucket.get("quality/report.html")


@EVERYWHERE
def test_what_people_open_beside_a_table_follows_its_version(lake):
    for content in (b"first", b"second"):
        lake.publish(reported(lake, content))
        assert report_seen(lake) == content
    lake.rollback([AUDIT], "000001")
    assert report_seen(lake) == b"first"


@EVERYWHERE
def test_what_a_killed_publisher_did_not_show_is_shown_by_the_next_look(lake):
    lake.publish(reported(lake, b"first"))
    point(lake, AUDIT, reported(lake, b"second").version)
    assert report_seen(lake) == b"first"
    assert lake.recover([AUDIT])
    assert report_seen(lake) == b"second"
    assert not lake.recover([AUDIT])


@EVERYWHERE
def test_rolling_back_to_what_is_not_there_says_what_there_is(lake):
    publish(lake, "first")
    with pytest.raises(LakeError, match="has no version 000009; it has 000001"):
        lake.rollback([DIM_USER], "000009")


@EVERYWHERE
def test_only_versions_that_are_beyond_the_last_few_are_removed_an_hour_after_they_were_given_up(lake, monkeypatch):
    versions = [publish(lake, str(n)) for n in range(7)]
    assert lake.versions(DIM_USER) == versions[2:]
    wait(monkeypatch, KEEP_SECONDS - 60)
    assert lake.collect_garbage([DIM_USER]) == []
    assert [row["user_id"] for row in lake.rows(DIM_USER, versions[0])] == ["0"]
    wait(monkeypatch, KEEP_SECONDS + 60)
    assert set(lake.collect_garbage([DIM_USER])) == {*versions[:2]}
    assert lake.versions(DIM_USER) == versions[2:]
    assert {name.split(".")[0] for name in lake.store.names(DIM_USER)} == {*versions[2:]}


@EVERYWHERE
def test_a_version_that_expired_before_it_was_published_is_not_published(lake):
    late = stage(lake, "late")
    for _ in range(KEEP_VERSIONS):
        stage(lake, "other")
    lake.collect_garbage([DIM_USER])
    with pytest.raises(LakeError, match="gold/dim_user has no version 000001; it has 000002, 000003"):
        lake.publish(late)
    assert lake.current(DIM_USER) is None


@EVERYWHERE
def test_an_old_version_that_was_current_a_moment_ago_stays_for_its_readers(lake, monkeypatch):
    first = publish(lake, "first")
    wait(monkeypatch, 2 * KEEP_SECONDS)
    for n in range(5):
        publish(lake, str(n))
    assert [row["user_id"] for row in lake.rows(DIM_USER, first)] == ["first"]


@EVERYWHERE
def test_a_version_that_is_given_up_cannot_be_made_current_while_its_files_are_removed(lake):
    versions = [publish(lake, str(n)) for n in range(6)]
    assert lake.store.paths(DIM_USER, versions[0])
    with pytest.raises(LakeError, match="has no version 000001; it has 000002, 000003"):
        lake.rollback([DIM_USER], versions[0])
    assert users(lake) == ["5"]


@EVERYWHERE
def test_a_rollback_that_meets_a_publication_leaves_a_table_that_is_there(lake, monkeypatch):
    versions = [publish(lake, str(n)) for n in range(5)]
    late, publishing = stage(lake, "late"), lake.store.publishing
    wait(monkeypatch, 2 * KEEP_SECONDS)

    def in_between(tables):
        monkeypatch.setattr(lake.store, "publishing", publishing)
        lake.publish(late)  # and gives up what the rollback is about to point to
        return publishing(tables)

    monkeypatch.setattr(lake.store, "publishing", in_between)
    with pytest.raises(LakeError, match="has no version 000001"):
        lake.rollback([DIM_USER], versions[0])
    assert users(lake) == ["late"]


def test_good_versions_are_not_pushed_out_by_versions_that_failed(lake, monkeypatch):
    good = publish(lake, "good"), publish(lake, "current")
    for _ in range(6):
        staging = stage(lake, "bad")
        staging.metadata[DIM_USER.key].check_results = [CheckResult("age_range", "blocking", "", 1)]
        staging.commit()
    lake.collect_garbage([DIM_USER])
    wait(monkeypatch, KEEP_SECONDS + 60)
    assert lake.collect_garbage([DIM_USER]) == ["000003"]
    assert set(good) < set(lake.versions(DIM_USER))
    assert len(lake.versions(DIM_USER)) == 7


@EVERYWHERE
def test_what_was_rolled_back_to_can_be_rolled_back_to_again(lake):
    versions = [publish(lake, str(n)) for n in range(5)]
    lake.rollback([DIM_USER], versions[0])
    publish(lake, "bad again")
    lake.rollback([DIM_USER], versions[0])
    assert users(lake) == ["0"]


def test_versions_that_lost_to_another_run_do_not_push_out_those_that_were_current(lake):
    publish(lake, "before")
    winner = stage(lake, "now")
    for _ in range(5):
        stage(lake, "late")
    lake.publish(winner)
    assert lake.versions(DIM_USER)[:2] == ["000001", "000002"]
    assert len(lake.versions(DIM_USER)) == 7


@pytest.mark.parametrize("count", range(5))
def test_a_collection_that_is_killed_leaves_no_version_half_listed(lake, monkeypatch, count):
    tables = [DIM_DATE, DIM_USER]
    for _ in range(6):
        staging = lake.stage(tables, {}, "run")
        for table in tables:
            staging.attach(table, "skops", b"model")
            staging.write(table, None)
        staging.commit()
        lake.publish(staging)
    unlink, left = Path.unlink, iter(range(count))

    def killed(path, *args):
        if path.name.startswith("000001.") and next(left, None) is None:
            raise KeyboardInterrupt
        unlink(path, *args)

    wait(monkeypatch, KEEP_SECONDS + 60)
    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        lake.collect_garbage(tables)
    for version in lake.versions(DIM_USER):
        assert [lake.attachments(table, version) for table in tables] == [[f"{version}.skops"]] * 2
        assert lake.metadata(DIM_DATE, version)


def test_versions_that_failed_in_one_table_do_not_push_out_good_ones_of_the_others(lake):
    tables = [DIM_DATE, DIM_USER]

    def made(failed):
        staging = lake.stage(tables, {}, "run")
        for table in tables:
            staging.write(table, None)
        staging.metadata[DIM_DATE.key].check_results = [CheckResult("weekday", "blocking", "", failed)]
        staging.commit()
        return staging

    for failed in (0, 0, 1, 1, 1, 1, 1, 1):
        staging = made(failed)
        if not failed:
            lake.publish(staging)
    lake.collect_garbage(tables)
    lake.rollback(tables, "000001")
    assert lake.current(DIM_DATE) == lake.current(DIM_USER) == "000001"


def test_what_a_killed_run_left_behind_is_removed_after_a_day(lake):
    publish(lake, "a")
    staging = lake.stage([DIM_USER], {}, "killed")
    staging.scratch.mkdir(parents=True)
    left = [staging.scratch, path_of(lake, DIM_USER, staging.version)]
    assert lake.collect_garbage([DIM_USER]) == []
    for path in left:
        age(path, KEEP_UNFINISHED_SECONDS + 60)
    assert set(lake.collect_garbage([DIM_USER])) == {path.name for path in left}
    assert not any(path.exists() for path in left)
    assert users(lake) == ["a"]


def test_a_copy_that_somebody_made_of_a_version_holds_nobody_up(lake):
    path = path_of(lake, DIM_USER, publish(lake, "a"))
    shutil.copytree(path, path.with_name(f"{path.name} copy"))
    assert publish(lake, "b") == "000002"


def test_two_runs_may_remove_the_same_leftovers_at_once(lake, monkeypatch):
    staging = lake.stage([DIM_USER], {}, "killed")
    staging.scratch.mkdir(parents=True)
    age(staging.scratch, KEEP_UNFINISHED_SECONDS + 60)
    remove = shutil.rmtree

    def twice(path, **more):
        remove(path)
        remove(path, **more)

    monkeypatch.setattr(shutil, "rmtree", twice)
    assert lake.collect_garbage([DIM_USER]) == [staging.scratch.name]


@EVERYWHERE
def test_a_step_that_fails_leaves_nothing_behind(lake):
    staging = lake.stage([DIM_USER], {}, "run")
    staging.clean_up()
    assert lake.store.names(DIM_USER) == {}


def test_a_reader_during_many_publications_sees_one_version_or_the_other(lake):
    """Readers that resolve the link once, as the README says, never fail and never see a mixture."""
    publish(lake, *["0"] * 50)
    seen = set()
    for n in range(1, 6):
        folder = path_of(lake, DIM_USER).resolve()
        staging = stage(lake, *[str(n)] * 50)
        lake.publish(staging)
        found = pd.read_parquet(folder)["user_id"]
        assert len(found) == 50
        assert found.nunique() == 1
        seen.add(found[0])
    assert seen == {"0", "1", "2", "3", "4"}


@EVERYWHERE
def test_the_lake_does_not_need_spark_to_say_what_it_holds(lake):
    publish(lake, "a")

    def no_spark():
        raise AssertionError("Spark was started")

    other = Lake(lake.store, no_spark)
    version = other.current(DIM_USER)
    assert version == "000001"
    assert other.versions(DIM_USER) == [version]
    assert other.metadata(DIM_USER, version).rows == 1
    assert other.preview(DIM_USER, version)[0]["user_id"] == "a"
