"""What happens by itself: files that arrive ask for a run, and people are told how a run ended."""

import json
import logging
import os
import shutil
import socket
from datetime import UTC, datetime
from pathlib import Path

import boto3
import dagster as dg
import pytest
from click.testing import CliRunner

from fitness_assets.aws.glue import register
from fitness_assets.aws.s3 import client
from fitness_assets.bronze.sources import Folder, source_of
from fitness_assets.cli import main
from fitness_assets.definitions import build_defs
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.s3 import S3Store
from fitness_assets.lake.version import CheckResult, LakeError, VersionMetadata
from fitness_assets.orchestration import messages, metrics
from fitness_assets.orchestration.arrivals import DELAYS, State
from fitness_assets.orchestration.sensors import ALL_TABLES_JOB, Listeners, messages_sensor
from fitness_assets.registry import publish_group_of, table_of
from fitness_assets.settings import Settings
from fitness_assets_tests.cloud import Inbox
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, failure_of, job_of, looks, measured, root_of

ARN = "arn:aws:sns:eu-central-1:123456789012:fitness"


@pytest.fixture
def look(graph, instance, lake):
    """One look of the sensor at the folder; its cursor is kept from one to the next."""
    return looks(graph, instance, lake)


def skipped(result: dg.SensorResult) -> str:
    assert not result.run_requests
    assert result.skip_reason
    return str(result.skip_reason.skip_message)


def run(graph: dg.Definitions, instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """What the daemon does with a request, but for predictions, which tell nothing about arrivals."""
    job = graph.resolve_job_def(ALL_TABLES_JOB.name)
    return job.execute_in_process(
        run_config=request.run_config,
        instance=instance,
        tags={"dagster/run_key": str(request.run_key)},
        asset_selection=[dg.AssetKey(["bronze", "uploads"])],
        raise_on_error=False,
    )


def test_files_that_arrive_together_share_a_run_and_enter_once(look, raw, graph, instance, rows):
    assert "all uploads ingested: 0." in skipped(look())
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    (raw / "b'; DROP TABLE.csv").write_text("not,an,upload\n1,2,3\n")
    (raw / "still_copying.csv.part").write_text("half")
    (request,) = look().run_requests
    assert request.run_config["ops"]["bronze"]["config"]["uploads"] == [
        str(raw / "a.csv"),
        str(raw / "b'; DROP TABLE.csv"),
    ]
    assert run(graph, instance, request).success
    assert {row["status"] for row in rows("bronze/uploads")} == {"ingested", "refused"}
    assert "uploads ingested: 1, refused: 1" in skipped(look())

    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW.replace('8120', '9120')}\n")
    (again,) = look().run_requests
    assert again.run_config["ops"]["bronze"]["config"]["uploads"] == [str(raw / "a.csv")]
    assert run(graph, instance, again).success
    assert len(rows("bronze/uploads")) == 3
    assert "uploads ingested: 1, refused: 1" in skipped(look())


def test_a_failed_run_is_tried_again_later(look, raw, instance, graph):
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    (request,) = look().run_requests
    key = {"dagster/run_key": str(request.run_key)}
    lost = instance.create_run_for_job(
        graph.resolve_job_def(ALL_TABLES_JOB.name), tags=key, status=dg.DagsterRunStatus.STARTED
    )
    assert "under way" in skipped(look())
    instance.report_run_failed(lost)
    assert "next try is in 60 s" in skipped(look())


def test_what_a_run_left_out_is_asked_for_again_later(look, raw, graph, instance, rows, monkeypatch):
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    (raw / "locked.csv").write_text(f"{HEADER}\n{GOOD_ROW.replace('17', '18')}\n")
    hash_of = Folder.content_sha256

    def locked(self, found):
        if found.uri == str(raw / "locked.csv"):
            raise PermissionError("no right to read it")
        return hash_of(self, found)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "content_sha256", locked)
        (request,) = look().run_requests
        assert run(graph, instance, request).success
    assert len(rows("bronze/uploads")) == 1
    assert "New uploads wait (1)" in skipped(look())
    monkeypatch.setattr(
        "fitness_assets.orchestration.sensors.time.time", lambda: datetime.now(UTC).timestamp() + DELAYS[0]
    )
    (again,) = look().run_requests
    assert run(graph, instance, again).success
    assert len(rows("bronze/uploads")) == 2
    assert "all uploads ingested: 2." in skipped(look())


def test_the_layers_number_their_versions_each_by_itself(look, raw, materialize):
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    assert materialize().success
    assert materialize("key:gold/fact_predictions or key:quality/audit").success, "predictions, but not gold"
    assert "all uploads ingested: 1." in skipped(look())
    (raw / "b.csv").write_text(f"{HEADER}\n{GOOD_ROW.replace('17', '18')}\n")
    (request,) = look().run_requests
    assert request.run_config["ops"]["bronze"]["config"]["uploads"] == [str(raw / "b.csv")]


def test_a_file_whose_name_is_no_utf_8_is_asked_for_and_enters_once(look, raw, graph, instance, rows):
    for name in (b"M\xfcller.csv", b"M\xfcller.txt"):
        Path(os.fsdecode(os.fsencode(raw) + b"/" + name)).write_text(f"{HEADER}\n{GOOD_ROW}\n")
    (request,) = look().run_requests
    request = dg.deserialize_value(dg.serialize_value(request), dg.RunRequest)  # on its way to the daemon
    assert run(graph, instance, request).success
    assert {(Path(row["uri"]).name, row["status"]) for row in rows("bronze/uploads")} == {
        ("M\\xfcller.csv", "ingested"),
        ("M\\xfcller.txt", "refused"),
    }
    assert "uploads ingested: 1, refused: 1" in skipped(look())
    (raw / "b.csv").write_text(f"{HEADER}\n{GOOD_ROW.replace('17', '18')}\n")
    (again,) = look().run_requests
    assert again.run_config["ops"]["bronze"]["config"]["uploads"] == [str(raw / "b.csv")]


def test_a_folder_that_is_not_there_is_a_reason_to_wait(instance, lake, tmp_path):
    graph = build_defs(Settings(local_root=root_of(lake), raw_path=str(tmp_path / "nowhere")), lake=lake)
    context = dg.build_sensor_context(instance=instance, cursor=State(settled="x").to_json(), resources={"lake": lake})
    result = graph.get_repository_def().get_sensor_def("new_uploads")(context)
    assert isinstance(result, dg.SensorResult)
    assert "nowhere" in skipped(result)
    assert result.cursor is None, "what was known stays known"


def write_later(path: Path, text: str) -> None:
    """Write a file that has another time than before."""
    path.write_text(text)
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 10_000_000))


def test_known_bytes_ask_for_no_run_wherever_they_lie(look, raw, graph, instance, rows):
    text = f"{HEADER}\n{GOOD_ROW}\n"
    (raw / "a.csv").write_text(text)
    (raw / "copy.csv").write_text(text)
    (request,) = look().run_requests
    assert run(graph, instance, request).success
    assert "all uploads ingested: 2." in skipped(look())
    write_later(raw / "a.csv", text)  # touched
    assert "all uploads ingested: 2." in skipped(look())
    (raw / "a.csv").rename(raw / "moved.csv")
    assert "all uploads ingested: 2." in skipped(look())
    (raw / "another copy.csv").write_text(text)
    assert "all uploads ingested: 3." in skipped(look())
    (raw / "copy.csv").unlink()
    assert "all uploads ingested: 2." in skipped(look())
    (raw / "b.csv").write_text(text.replace("17", "18"))  # as long as the others
    (request,) = look().run_requests
    assert request.run_config["ops"]["bronze"]["config"]["uploads"] == [str(raw / "b.csv")]


def test_a_look_hashes_for_some_seconds_and_the_next_one_goes_on(look, raw, graph, instance, monkeypatch):
    text = f"{HEADER}\n{GOOD_ROW}\n"
    (raw / "a.csv").write_text(text)
    (request,) = look().run_requests
    assert run(graph, instance, request).success
    for number in range(3):
        (raw / f"copy{number}.csv").write_text(text)
    monkeypatch.setattr("fitness_assets.orchestration.pending._SECONDS", -1.0)
    assert "Comparing uploads with the ledger" in skipped(look())
    monkeypatch.undo()
    assert "all uploads ingested: 4." in skipped(look())


def test_after_the_lake_was_deleted_everything_is_asked_for_again(look, raw, graph, instance, lake):
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    (request,) = look().run_requests
    assert run(graph, instance, request).success
    assert "all uploads ingested: 1." in skipped(look())
    for name in ("bronze", "_versions"):
        shutil.rmtree(root_of(lake) / name)
    (request,) = look().run_requests
    assert request.run_config["ops"]["bronze"]["config"]["uploads"] == [str(raw / "a.csv")]


def test_a_run_that_a_person_cancelled_is_asked_for_again_only_with_something_new(
    look, raw, instance, graph, monkeypatch
):
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    (request,) = look().run_requests
    key = {"dagster/run_key": str(request.run_key)}
    asked = instance.create_run_for_job(
        graph.resolve_job_def(ALL_TABLES_JOB.name), tags=key, status=dg.DagsterRunStatus.STARTED
    )
    instance.report_run_canceled(asked)
    later = datetime.now(UTC).timestamp() + 10 * DELAYS[-1]
    for now in (later, 2 * later):
        monkeypatch.setattr("fitness_assets.orchestration.sensors.time.time", lambda now=now: now)
        assert "a person cancelled their run" in skipped(look())
    (raw / "b.csv").write_text(f"{HEADER}\n{GOOD_ROW.replace('17', '18')}\n")
    assert len(look().run_requests[0].run_config["ops"]["bronze"]["config"]["uploads"]) == 2


def test_a_rollback_of_bronze_stands_until_something_new_arrives(look, raw, graph, instance, lake):
    for name in ("a.csv", "b.csv"):
        (raw / name).write_text(f"{HEADER}\n{GOOD_ROW.replace('17', name)}\n")
        (request,) = look().run_requests
        assert run(graph, instance, request).success
        assert "all uploads ingested" in skipped(look())
    lake.rollback(publish_group_of("bronze/uploads"), "000001")
    for _ in range(2):
        assert "Bronze was rolled back. Uploads that its version lacks wait (1)" in skipped(look())
    (raw / "c.csv").write_text(f"{HEADER}\n{GOOD_ROW.replace('17', 'c')}\n")
    (request,) = look().run_requests
    uploads = request.run_config["ops"]["bronze"]["config"]["uploads"]
    assert uploads == [str(raw / "b.csv"), str(raw / "c.csv")]


@pytest.mark.deployment
def test_a_goal_after_a_rollback_of_bronze_and_goals_after_one_of_the_coach(
    look, raw, graph, instance, lake, materialize, rows, monkeypatch
):
    def put_goal(name: str, steps: int) -> None:
        (raw / "goals").mkdir(exist_ok=True)
        (raw / "goals" / name).write_text(json.dumps({"user_id": "17", "start": "2026-01-01", "target_steps": steps}))

    for name in ("a.csv", "b.csv"):
        (raw / name).write_text(f"{HEADER}\n{GOOD_ROW.replace('8120', '9120') if name == 'b.csv' else GOOD_ROW}\n")
        assert materialize("*").success
    look()
    lake.rollback(publish_group_of("bronze/uploads"), "000001")
    put_goal("first.json", 9_000)
    (request,) = look().run_requests
    assert {key.path[0] for key in request.asset_selection} == {"coach"}
    job = graph.resolve_job_def(ALL_TABLES_JOB.name)
    tags = {"dagster/run_key": str(request.run_key)}
    done = job.execute_in_process(
        run_config=request.run_config, instance=instance, asset_selection=request.asset_selection, tags=tags
    )
    assert done.success
    assert [row["target_steps"] for row in rows("coach/goals")] == [9_000]
    assert len(rows("bronze/uploads")) == 1, "what was rolled back stays out"
    assert "Uploads that its version lacks wait (1)" in skipped(look())

    (raw / "b.csv").unlink()
    assert materialize("*").success
    look()
    before = lake.current(table_of("coach/plans"))
    put_goal("second.json", 9_500)
    assert materialize("*").success
    look()
    monkeypatch.setenv("FITNESS_LOCAL_ROOT", str(root_of(lake)))
    said = CliRunner().invoke(main, ["rollback", "coach/plans", before]).output
    assert "Goals that this version lacks (1)" in said
    assert str(raw / "goals" / "second.json") in said
    look = looks(graph, instance, lake)  # without a cursor, so that it compares everything
    for _ in range(2):
        assert "Goals that its version lacks wait (1)" in skipped(look())
    put_goal("third.json", 9_700)
    requests = look().run_requests
    assert requests
    assert not requests[0].asset_selection


class TestInABucket:
    @pytest.fixture
    def tick(self, bucket, lake, instance):
        """One look of the sensor at ``raw/`` of a bucket, with a lake in it; its cursor is kept."""
        there = Lake(S3Store(bucket, {}), lambda: lake.spark)
        graph = build_defs(Settings(storage_mode="s3", s3_bucket=bucket.name), lake=there)
        sensor = graph.get_repository_def().get_sensor_def("new_uploads")
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
        return there, looks(graph, instance, there)

    def test_an_object_asks_for_a_run_and_markers_and_unfinished_ones_do_not(self, bucket, tick):
        for key in ("raw/", "raw/2024/", "raw/a.csv.part", "raw/_temporary/a.csv", "elsewhere/a.csv"):
            bucket.put(key, b"")
        assert "all uploads ingested: 0." in skipped(tick[1]())
        bucket.put("raw/2024/'; DROP.csv", f"{HEADER}\n{GOOD_ROW}\n".encode())
        (request,) = tick[1]().run_requests
        assert request.run_config["ops"]["bronze"]["config"]["uploads"] == [bucket.uri("raw/2024/'; DROP.csv")]

    def test_an_object_that_is_gone_before_the_run_is_asked_for_when_it_is_back(self, bucket, tick, instance):
        lake, look = tick
        graph = build_defs(Settings(storage_mode="s3", s3_bucket=bucket.name), lake=lake)
        for key in ("raw/a.csv", "raw/b.csv"):
            bucket.put(key, f"{HEADER}\n{GOOD_ROW}\n".encode())
        (request,) = look().run_requests
        bucket.delete(["raw/a.csv"])
        assert f"There is no object {bucket.uri('raw/a.csv')}" in failure_of(run(graph, instance, request))
        bucket.put("raw/a.csv", f"{HEADER}\n{GOOD_ROW}\n".encode())
        assert "New uploads wait (2)" in skipped(look())

    def test_known_bytes_that_are_put_back_under_their_name_ask_for_a_run(self, bucket, tick, instance):
        """The ETag is that of the first upload, which the ledger knows; but another one came after it."""
        lake, look = tick
        graph = build_defs(Settings(storage_mode="s3", s3_bucket=bucket.name), lake=lake)
        first, second = (f"{HEADER}\n{GOOD_ROW.replace('8120', steps)}\n".encode() for steps in ("8000", "9100"))
        for content in (first, second, first):
            bucket.put("raw/a.csv", content)
            (request,) = look().run_requests
            assert run(graph, instance, request).success
            assert "all uploads ingested" in skipped(look())
        days = sorted(lake.rows(table_of("bronze/logged_days")), key=lambda row: row["ingested_at"])
        assert [row["steps"] for row in days] == [8000, 9100, 8000]

    def test_a_look_at_what_is_all_ingested_reads_no_object_and_sends_a_heartbeat(self, bucket, tick, cloud):
        for number in range(1_100):
            bucket.put(f"raw/{number}.csv", b"")
        lake, look = tick
        known = [
            {
                "uri": found.uri,
                "fingerprint": found.fingerprint,
                "size_bytes": 0,
                "upload_id": found.uri,
                "status": "ingested",
                "ingested_at": found.modified_at,
            }
            for found in source_of(bucket.uri("raw")).find()
        ]
        lake.rows = lambda table: known if table.key == "bronze/uploads" else []
        assert "all uploads ingested: 1100." in skipped(look())
        before = len(cloud.requests)
        assert "all uploads ingested: 1100." in skipped(look())
        asked = cloud.requests[before:]
        assert len([request for request in asked if "list-type=2" in request]) == 3, "a page of 1,000, the rest, goals"
        assert not [request for request in asked if request.startswith("GET") and "list-type" not in request]
        assert len([request for request in asked if request.startswith("POST")]) == 1, "the heartbeat"

    def test_a_look_publishes_to_the_end_what_a_killed_run_had_begun(self, tick):
        lake, look = tick
        tables = publish_group_of("gold/dim_user")
        for _ in range(2):
            staging = lake.stage(tables, {}, "run")
            for table in tables:
                lake.store.finish(table, staging.version, None)
            staging.commit()
            if lake.current(tables[-1]) is None:
                lake.publish(staging)
        with lake.store.publishing(tables) as point:
            point(tables[-1], "000002")
        assert {lake.current(table) for table in tables} == {"000001", "000002"}
        look()
        assert {lake.current(table) for table in tables} == {"000002"}

    def test_a_bucket_that_does_not_answer_is_a_reason_to_wait_and_no_heartbeat(self, tick, cloud, monkeypatch):
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        before = len(cloud.requests)
        with cloud.faults(lambda request: 503 if request.startswith(("GET", "HEAD")) else None):
            assert "503" in skipped(tick[1]())
        assert not [request for request in cloud.requests[before:] if request.startswith("POST")]


@pytest.fixture
def inbox(cloud) -> Inbox:
    return Inbox("fitness")


class Telling:
    """The sensor that sends messages, tick by tick."""

    def __init__(self, instance: dg.DagsterInstance, lake: Lake, topic: str | None, bucket: str | None = None) -> None:
        self.instance, self.lake, self.sensor = instance, lake, messages_sensor(Listeners(topic, bucket, client))
        self.cursor = None
        self.tick()  # says nothing of earlier runs

    def tick(self) -> str:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources={"lake": self.lake})
        result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return skipped(result)


@pytest.fixture
def telling(instance, lake, inbox) -> Telling:
    return Telling(instance, lake, inbox.arn)


def test_people_are_told_what_a_run_ingested_and_what_it_refused(inbox, raw, telling, materialize):
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n{GOOD_ROW.replace('8120', '8k')}\n")
    (raw / "line\nbreak.csv").write_text("not,an,upload\n1,2,3\n")
    materialize("group:bronze or group:silver")
    telling.tick()
    (message,) = inbox.read()
    assert message["Subject"] == "fitness-assets: uploads ingested: 1, refused: 1, checks to look at: 1"
    assert "a.csv: 2 rows read, 1 quarantined" in message["Message"]
    assert "line?break.csv: refused, because no header was found" in message["Message"]
    assert "Check that fails: bronze/uploads no_refused_uploads: 1 failure in 2 rows." in message["Message"]
    assert "Of 1 logged days in all, 1 are clean and 0 rejected." in message["Message"]


def test_people_are_told_which_step_failed_and_why(inbox, raw, telling, materialize):
    result = materialize("group:silver")
    assert "materialize bronze/logged_days first" in failure_of(result)
    telling.tick()
    (message,) = inbox.read()
    assert message["Subject"] == "fitness-assets: failed in silver"
    assert "materialize bronze/logged_days first" in message["Message"]
    assert f"/runs/{result.run_id}" in message["Message"]


def test_people_are_told_the_error_that_nobody_foresaw(inbox, raw, telling, materialize, monkeypatch):
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    monkeypatch.setattr("fitness_assets.bronze.assets.tell_dialect", lambda *_: 1 / 0)
    materialize("group:bronze")
    telling.tick()
    (message,) = inbox.read()
    assert "bronze: ZeroDivisionError: division by zero\n" in message["Message"]


class TestMessagesWhileS3Fails:
    @pytest.fixture
    def told(self, bucket, inbox, instance, spark, monkeypatch):
        """A run on a lake in a bucket, and the sensor that is to tell of it."""
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        there = Lake(S3Store(bucket, {}), lambda: spark)
        graph = build_defs(Settings(storage_mode="s3", s3_bucket=bucket.name), lake=there)
        telling = Telling(instance, there, inbox.arn, bucket.name)
        bucket.put("raw/a.csv", f"{HEADER}\n{GOOD_ROW}\n".encode())

        def run_bronze() -> bool:
            job = job_of(graph, "group:bronze")
            return job.execute_in_process(instance=instance, raise_on_error=False).success

        return telling, run_bronze

    def test_what_cannot_be_read_is_left_out_and_the_message_is_sent(self, told, cloud, bucket, inbox):
        telling, run_bronze = told
        assert run_bronze()
        with cloud.faults(lambda request: 503 if bucket.name in request else None):
            telling.tick()
        (message,) = inbox.read()
        assert message["Subject"].startswith("fitness-assets: uploads ingested: 0")
        assert "not complete, because the lake could not be read: s3://" in message["Message"]
        telling.tick()
        assert inbox.read() == []

    def test_a_run_that_s3_broke_is_a_failure_in_the_metrics(self, told, cloud, bucket, inbox):
        telling, run_bronze = told
        with cloud.faults(lambda request: 503 if bucket.name in request else None):
            assert not run_bronze()
            telling.tick()
        assert measured(bucket.name, "RunFailures") == [1.0]
        assert [message["Subject"] for message in inbox.read()] == ["fitness-assets: failed in bronze"]

    def test_what_could_not_be_sent_is_sent_by_the_next_tick_once(self, told, cloud, bucket, inbox):
        telling, run_bronze = told
        assert run_bronze()
        with cloud.faults(lambda request: 503 if request.startswith("POST") else None):
            assert telling.tick() == "Runs told of: 0. To be sent again: 1."
        assert inbox.read() == []
        for _ in range(3):
            telling.tick()
        assert len(inbox.read()) == 1
        assert measured(bucket.name, "RunFailures") == [0.0]

    def test_metrics_that_are_refused_hold_up_no_message(self, told, monkeypatch, inbox):
        telling, run_bronze = told
        monkeypatch.setattr(metrics, "put", lambda *_: False)
        for _ in range(2):
            assert run_bronze()
            telling.tick()
            telling.tick()
        assert len(inbox.read()) == 2, "one for each run"

    def test_after_a_day_what_cannot_be_sent_holds_up_nothing(self, told, monkeypatch, inbox):
        telling, run_bronze = told
        assert run_bronze()
        monkeypatch.setattr(messages, "send", lambda *_: False)
        assert "again: 1" in telling.tick()
        later = datetime.now(UTC).timestamp() + 86_500
        monkeypatch.setattr("fitness_assets.orchestration.sensors.time.time", lambda: later)
        assert telling.tick() == "Runs told of: 1."


def test_a_message_on_thousands_of_uploads_says_as_much_as_is_sent(inbox, caplog):
    row = {"status": "ingested", "rows_read": 365, "rows_quarantined": 0}
    uploads = [row | {"uri": f"s3://lake/raw/{'ü' * 100}/{number}.csv"} for number in range(3_500)]
    uploads.append({"status": "refused", "refusal": "the file is empty", "uri": "empty.csv"})
    message = messages.success(messages.RunOutput("run", [], uploads))
    assert messages.send(message, inbox.arn, lambda: client("sns"), logging.getLogger("x")), caplog.text
    first, *shown, more, where = message.text.split("\n")
    assert first == "empty.csv: refused, because the file is empty"
    assert all(line.endswith(".csv: 365 rows read, 0 quarantined") for line in shown)
    assert more == f"{3_500 - len(shown):,} more uploads: see bronze/uploads"
    assert "/runs/run" in where
    steps = [(f"step {number}", "x" * 300_000) for number in range(9)]
    assert messages.send(messages.failure("run", steps), inbox.arn, lambda: client("sns"), logging.getLogger("x"))


def test_what_cloudwatch_is_told_of_a_run_that_a_blocking_rule_stopped():
    check_results = [
        CheckResult("a", "blocking", "", 2),
        CheckResult("b", "warning", "", 1),
        CheckResult("c", "warning", "", 0),
    ]
    version_metadata = VersionMetadata(
        "silver/rejected_days", "000001", None, {}, "run", "now", rows=7, check_results=check_results
    )
    uploads = [{"rows_read": 10, "rows_quarantined": 1}, {"rows_read": 5, "rows_quarantined": 0}]
    values = {
        (metric.name, metric.severity): metric.value
        for metric in metrics.of_run(messages.RunOutput("run", [version_metadata], uploads), 12.5, failed=True)
    }
    assert values == {
        ("RowsIn", None): 15,
        ("RowsQuarantined", None): 1,
        ("RowsRejected", None): 7,
        ("CheckFailures", "blocking"): 1,
        ("CheckFailures", "error"): 0,
        ("CheckFailures", "warning"): 1,
        ("RunSeconds", None): 12.5,
        ("RunFailures", None): 1,
    }


def test_metrics_that_cannot_be_sent_are_logged_and_fail_nothing(cloud, caplog, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with cloud.faults(lambda request: 500):
        assert not metrics.put([metrics.HEARTBEAT], "bucket", lambda: client("cloudwatch"), logging.getLogger("x"))
    assert "Metrics were not sent to CloudWatch" in caplog.text


def test_glue_is_told_to_keep_no_earlier_entries(bucket, monkeypatch):
    """The AWS of the tests keeps versions whatever it is told, so the request is looked at."""
    glue, asked = client("glue"), []
    glue.create_database(DatabaseInput={"Name": "versions"})
    glue.meta.events.register("provide-client-params.glue.UpdateTable", lambda params, **_: asked.append(params))
    table = publish_group_of("gold/dim_user")[0]
    for _ in range(3):
        register([table], S3Store(bucket, {}), "versions", lambda: glue)
    assert [request["SkipArchive"] for request in asked] == [True, True, True]


def test_tables_that_glue_does_not_take_are_published_all_the_same_and_a_sentence_says_so(bucket):
    table = publish_group_of("gold/dim_user")[0]
    with pytest.raises(LakeError, match=r"^gold/dim_user are published, but not in the Glue database nowhere: "):
        register([table], S3Store(bucket, {}), "nowhere", lambda: client("glue"))


@pytest.mark.parametrize("arn", [None, ARN])
def test_what_cannot_be_sent_is_logged_and_fails_nothing(arn, caplog, monkeypatch):
    with socket.socket() as nobody:  # bound, but nobody listens
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        caplog.set_level(logging.INFO)
        message = messages.Message("subject", "the whole text")
        sent = messages.send(
            message, arn, lambda: boto3.client("sns", region_name="eu-central-1"), logging.getLogger("x")
        )
    assert sent == (arn is None), "what is only logged is done"
    assert "the whole text" in caplog.text
    assert ("was not sent" in caplog.text) == (arn is not None)
