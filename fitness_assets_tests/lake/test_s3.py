"""A lake in a bucket after failures: readers see the old or the new version, and the next process recovers the lake."""

import os
import signal
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from fitness_assets.aws.s3 import Bucket, BucketError, ObjectChangedError
from fitness_assets.lake.garbage import KEEP_SECONDS, KEEP_UNFINISHED_SECONDS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.s3 import S3Store
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.store import as_parquet
from fitness_assets.lake.version import LakeError, VersionConflictError
from fitness_assets.registry import table_of
from fitness_assets_tests.conftest import frame_of, published

DIM_USER, DIM_DATE, LOGGED = table_of("gold/dim_user"), table_of("gold/dim_date"), table_of("bronze/logged_days")
AUDIT = table_of("quality/audit")
TABLES = [DIM_DATE, DIM_USER]  # the last one decides


@pytest.fixture
def lake(bucket) -> Lake:
    """A lake that is looked at without Spark."""

    def no_spark():
        raise AssertionError("Spark was started")

    return Lake(S3Store(bucket, {"gold": "gold tables"}), no_spark)


@pytest.fixture
def spark_lake(bucket, spark) -> Lake:
    return Lake(S3Store(bucket, {}), lambda: spark)


def stage(lake: Lake, tables=TABLES) -> Staging:
    """A version without rows, which needs no Spark."""
    staging = lake.stage(tables, {}, "run")
    for table in tables:
        lake.store.finish(table, staging.version, None)
    staging.commit()
    staging.clean_up()
    return staging


def bucket_of(lake: Lake) -> Bucket:
    assert isinstance(lake.store, S3Store)
    return lake.store.bucket


def seen(lake: Lake) -> list[str]:
    """The versions that readers see, read as they do; fails where a table is not whole."""
    found = []
    for table in TABLES:
        files = published(bucket_of(lake), lake.store.location(table))
        for file in files.values():
            pq.read_metadata(file)
        found.append(next(iter(files)).split("/")[-2])
    return found


def manifest(table) -> str:
    return f"{table.name}/_symlink_format_manifest/manifest"


def times(count, fault, *parts):
    """That fault for so many of the requests that have all these parts."""
    left = iter([fault] * count)
    return lambda request: next(left, None) if all(part in request for part in parts) else None


@pytest.mark.parametrize("fault", [500, 503, "slow", "cut", "lost"])
@pytest.mark.parametrize("request_", ["PUT", "GET", "HEAD", f"PUT {manifest(DIM_USER)}", f"PUT {manifest(DIM_DATE)}"])
def test_a_fault_that_passes_is_not_noticed(lake, cloud, fault, request_):
    lake.publish(stage(lake))
    with cloud.faults(times(2, fault, *request_.split())):
        lake.publish(stage(lake))
    assert seen(lake) == ["000002", "000002"]
    assert lake.versions(DIM_USER) == ["000001", "000002"]


@pytest.mark.parametrize("fault", [500, 503, "cut"])
@pytest.mark.parametrize(("stuck", "expected"), [(DIM_USER, ["000001"] * 2), (DIM_DATE, ["000001", "000002"])])
def test_a_fault_that_stays_while_publishing_leaves_whole_tables_and_the_next_look_recovers_them(
    lake, cloud, monkeypatch, fault, stuck, expected
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    lake.publish(stage(lake))
    staging = stage(lake)
    with (
        cloud.faults(times(99, fault, "PUT", manifest(stuck))),
        pytest.raises(BucketError, match=r"^s3://.*manifest: "),
    ):
        lake.publish(staging)
    assert seen(lake) == expected
    lake.recover(TABLES)
    assert len(set(seen(lake))) == 1
    lake.publish(stage(lake))
    assert seen(lake) == ["000003", "000003"]


def test_of_two_that_publish_in_the_same_moment_one_is_told(lake, cloud):
    lake.publish(stage(lake))
    mine, theirs = stage(lake), stage(lake)
    done = []

    def in_between(request):
        if not done and request.startswith("PUT") and manifest(DIM_USER) in request:
            done.append(request)
            lake.publish(theirs)  # after mine has looked what is there, and before its manifest is
        return

    with cloud.faults(in_between), pytest.raises(VersionConflictError, match="gold/dim_user version 000002 was not"):
        lake.publish(mine)
    assert done
    assert seen(lake) == ["000003", "000003"]


def test_a_publisher_that_slept_between_two_tables_undoes_nothing(lake, cloud):
    lake.publish(stage(lake))
    mine = stage(lake)
    done = []

    def in_between(request):
        if not done and request.startswith("PUT") and manifest(DIM_DATE) in request:
            done.append(request)
            lake.publish(stage(lake))  # mine has published what decides, and not yet what follows
        return

    with cloud.faults(in_between), pytest.raises(VersionConflictError):
        lake.publish(mine)
    assert done
    assert seen(lake) == ["000003", "000003"]


def test_a_slow_publisher_does_not_show_its_report_over_a_newer_one(lake, cloud):
    def reported(content):
        staging = lake.stage([AUDIT], {}, "run")
        staging.attach(AUDIT, "report.html", content)
        lake.store.finish(AUDIT, staging.version, None)
        staging.commit()
        return staging

    lake.publish(reported(b"first"))
    mine, done = reported(b"mine"), []

    def in_between(request):
        if not done and request.startswith("PUT") and request.endswith("/quality/report.html"):
            done.append(request)
            lake.publish(reported(b"newer"))
        return

    with cloud.faults(in_between):
        lake.publish(mine)
    assert done
    assert bucket_of(lake).get("quality/report.html") == b"newer"
    assert not lake.recover([AUDIT])


def test_of_two_that_begin_in_the_same_moment_each_has_a_number_of_its_own(lake, cloud):
    others = []

    def in_between(request):
        if not others and request.startswith("PUT") and "_claims/000001" in request:
            others.append("")
            others[0] = lake.store.claim(TABLES)
        return

    with cloud.faults(in_between):
        mine = lake.store.claim(TABLES)
    assert sorted([mine, *others]) == ["000001", "000002"]


def test_a_number_that_s3_could_not_decide_on_is_asked_for_again(lake, monkeypatch):
    put, refused = Bucket.put_if_unchanged, iter([ObjectChangedError("409 ConditionalRequestConflict")])

    def conflict(*args, **more):
        if error := next(refused, None):
            raise error
        return put(*args, **more)

    monkeypatch.setattr(Bucket, "put_if_unchanged", conflict)
    assert lake.store.claim(TABLES) == "000001"


@pytest.mark.parametrize("key", ["_versions/", "_versions/000001_$folder$", "_versions/000001 copy/a", "_claims/"])
def test_what_other_tools_leave_in_the_bucket_holds_nobody_up(lake, key):
    lake.publish(stage(lake))
    bucket_of(lake).put(f"gold tables/{DIM_USER.name}/{key}", b"")
    lake.publish(stage(lake))
    assert seen(lake) == ["000002", "000002"]
    assert lake.collect_garbage(TABLES) == []


CHILD = """
import sys
from fitness_assets.aws.s3 import Bucket
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.s3 import S3Store
from fitness_assets_tests.lake.test_s3 import stage
lake = Lake(S3Store(Bucket(sys.argv[1]), {"gold": "gold tables"}), lambda: None)
print("ready", flush=True)
lake.publish(stage(lake))
"""


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("_versions/000002.json", ["000001", "000001"]),
        (manifest(DIM_USER), ["000001", "000001"]),
        (manifest(DIM_DATE), ["000001", "000002"]),
    ],
    ids=["while the audit is stored", "between staging and publishing", "between two tables"],
)
def test_a_killed_process_leaves_whole_tables_and_the_next_look_recovers_them(lake, cloud, root, moment, expected):
    lake.publish(stage(lake))
    variables = os.environ | {"PYTHONPATH": str(root)}
    child = subprocess.Popen([sys.executable, "-c", CHILD, bucket_of(lake).name], env=variables)

    def kill(request):
        if request.startswith("PUT") and moment in request and child.poll() is None:
            child.kill()
            child.wait()
            return "cut"
        return None

    with cloud.faults(kill):
        assert child.wait(60) == -signal.SIGKILL
    assert seen(lake) == expected
    lake.recover(TABLES)
    assert len(set(seen(lake))) == 1
    staging = stage(lake)
    lake.publish(staging)
    assert seen(lake) == [staging.version] * 2


def test_files_that_a_later_version_took_over_stay_when_the_one_that_wrote_them_goes(spark_lake, monkeypatch):
    def ingest(user_id):
        staging = spark_lake.stage([LOGGED], {}, "run")
        staging.write(LOGGED, frame_of(spark_lake.spark, LOGGED, [{"user_id": user_id}]), replaced=())
        staging.commit()
        staging.clean_up()
        spark_lake.publish(staging)

    for number in range(7):
        ingest(str(number))
    later = spark_lake.store.names(LOGGED)["000007"] + KEEP_SECONDS + 60
    monkeypatch.setattr("fitness_assets.lake.garbage.time", lambda: later)
    assert spark_lake.collect_garbage([LOGGED]) == ["000001", "000002"]
    assert spark_lake.versions(LOGGED) == ["000003", "000004", "000005", "000006", "000007"]
    assert sorted(row["user_id"] for row in spark_lake.rows(LOGGED)) == list("0123456")
    assert sorted(row["user_id"] for row in spark_lake.read(LOGGED, "000003").collect()) == list("012")


def test_old_versions_that_cannot_be_removed_hold_up_no_publication(lake, cloud, monkeypatch, caplog):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for _ in range(6):
        lake.publish(stage(lake))
    later = lake.store.names(DIM_USER)["000006"] + KEEP_SECONDS + 60
    monkeypatch.setattr("fitness_assets.lake.garbage.time", lambda: later)
    staging = stage(lake)
    with cloud.faults(times(99, 503, "POST")):
        assert lake.publish(staging)
    assert seen(lake) == ["000007", "000007"]
    assert "gold/dim_user: old versions could not be removed: s3://" in caplog.text
    assert set(lake.collect_garbage(TABLES)) == {"000001", "000002"}


def test_old_versions_go_with_all_that_belongs_to_them(lake, monkeypatch):
    for _ in range(7):
        staging = lake.stage(TABLES, {}, "run")
        for table in TABLES:
            staging.attach(table, "card.md", b"# Card")
            lake.store.finish(table, staging.version, None)
        staging.commit()
        lake.publish(staging)
    later = lake.store.names(DIM_USER)["000007"] + KEEP_SECONDS + 60
    monkeypatch.setattr("fitness_assets.lake.garbage.time", lambda: later)
    assert set(lake.collect_garbage(TABLES)) == {"000001", "000002"}
    left = {found.key for found in bucket_of(lake).list("")}
    assert not [key for key in left if "000001" in key or "000002" in key]
    assert len([key for key in left if "card.md" in key]) == 2 * 5


def test_what_a_killed_run_left_in_the_bucket_is_removed_after_a_day(lake, monkeypatch, tmp_path):
    lake.publish(stage(lake))
    killed = lake.stage(TABLES, {}, "killed")
    killed.scratch.mkdir(parents=True)
    (killed.scratch / "rows").write_text("on their way")
    uri = killed.share(killed.scratch / "rows")
    assert bucket_of(lake).get(bucket_of(lake).key(uri)) == b"on their way"
    lake.store.finish(DIM_USER, killed.version, None)
    assert lake.collect_garbage(TABLES) == []
    later = lake.store.names(DIM_USER)[killed.version] + KEEP_UNFINISHED_SECONDS + 60
    monkeypatch.setattr("fitness_assets.lake.garbage.time", lambda: later)
    assert set(lake.collect_garbage(TABLES)) == {killed.scratch.name, killed.version}
    left = [found.key for found in bucket_of(lake).list("") if killed.version in found.key]
    assert left == [f"gold tables/{DIM_USER.name}/_claims/{killed.version}"], "its number stays reserved"
    assert seen(lake) == ["000001", "000001"]


def test_a_manifest_from_elsewhere_is_refused_with_a_sentence(lake):
    bucket_of(lake).put(f"gold tables/{manifest(DIM_USER)}", b"s3://elsewhere/a.parquet\n")
    with pytest.raises(LakeError, match="does not say its version: a lake cannot be copied"):
        lake.current(DIM_USER)


def late_file(lake: Lake, table, target: str) -> None:
    """Write a file as a task does that ends after its run."""
    bucket = bucket_of(lake)
    bucket.put(f"{bucket.key(target)}/part-late.parquet", as_parquet(table.arrow_schema.empty_table()))


def test_a_version_number_is_not_used_again_after_a_clean_up(lake):
    failed = lake.stage(TABLES, {}, "failed")
    failed.clean_up()
    assert lake.stage(TABLES, {}, "next").version > failed.version
    lake.publish(stage(lake))
    for _ in range(3):
        lake.stage(TABLES, {}, "failed").clean_up()
    assert lake.stage(TABLES, {}, "next").version == "000007"


def test_a_late_file_of_one_writer_is_in_no_version_of_another_writer(lake):
    failed = lake.stage([DIM_USER], {}, "failed")
    target = lake.store.target(DIM_USER, failed.version, failed.scratch)
    failed.clean_up()
    late_file(lake, DIM_USER, target)
    other = lake.stage([DIM_USER], {}, "next")
    lake.store.finish(DIM_USER, other.version, lake.store.target(DIM_USER, other.version, other.scratch))
    assert not [path for path in lake.store.paths(DIM_USER, other.version) if "late" in path]


def test_a_version_lists_nothing_that_its_writer_did_not_write(lake):
    staging = lake.stage([DIM_USER], {}, "run")
    mine, other = (lake.store.target(DIM_USER, staging.version, staging.scratch) for _ in range(2))
    late_file(lake, DIM_USER, other)
    lake.store.finish(DIM_USER, staging.version, mine)
    (path,) = lake.store.paths(DIM_USER, staging.version)
    assert "late" not in path


def test_the_mark_of_an_expired_version_is_removed_last(lake, cloud, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for _ in range(6):
        lake.publish(stage(lake))
    later = lake.store.names(DIM_USER)["000006"] + KEEP_SECONDS + 60
    monkeypatch.setattr("fitness_assets.lake.garbage.time", lambda: later)
    deletes = iter([None, None, None, None, 503])
    with (
        cloud.faults(lambda request: next(deletes, 503) if request.startswith("POST") else None),
        pytest.raises(BucketError),
    ):
        lake.collect_garbage(TABLES)
    assert "000001" not in lake.versions(DIM_USER)
