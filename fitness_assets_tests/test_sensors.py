"""What happens by itself: files that arrive ask for a run, and people are told how a run ended."""

import logging
import socket

import boto3
import dagster as dg
import pytest

from fitness_assets import messages
from fitness_assets.arrivals import State
from fitness_assets.aws import client
from fitness_assets.definitions import build_defs
from fitness_assets.lake import Lake
from fitness_assets.sensors import JOB, Listeners, message_sensors
from fitness_assets.settings import Settings
from fitness_assets_tests.cloud import Inbox
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, failure_of, root_of

ARN = "arn:aws:sns:eu-central-1:123456789012:fitness"


@pytest.fixture
def look(graph, instance, lake):
    """One look of the sensor at the folder; its cursor is kept from one to the next."""
    sensor, cursor = graph.get_repository_def().get_sensor_def("new_uploads"), None

    def tick() -> dg.SensorResult:
        nonlocal cursor
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"lake": lake})
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor or cursor
        return result

    return tick


def skipped(result: dg.SensorResult) -> str:
    assert not result.run_requests
    assert result.skip_reason
    return str(result.skip_reason.skip_message)


def run(graph: dg.Definitions, instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """What the daemon does with a request, but for predictions, which tell nothing about arrivals."""
    job = graph.resolve_job_def(JOB.name)
    return job.execute_in_process(
        run_config=request.run_config,
        instance=instance,
        tags={"dagster/run_key": str(request.run_key)},
        asset_selection=[dg.AssetKey(["bronze", "uploads"])],
        raise_on_error=False,
    )


def test_files_that_arrive_together_share_a_run_and_enter_once(look, raw, graph, instance, rows):
    assert "0 uploads" in skipped(look())
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
    assert "2 uploads, all taken in" in skipped(look())

    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW.replace('8120', '9120')}\n")
    (again,) = look().run_requests
    assert again.run_config["ops"]["bronze"]["config"]["uploads"] == [str(raw / "a.csv")]
    assert run(graph, instance, again).success
    assert len(rows("bronze/uploads")) == 3
    assert "all taken in" in skipped(look())


def test_a_failed_run_is_tried_again_later(look, raw, instance, graph):
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    (request,) = look().run_requests
    key = {"dagster/run_key": str(request.run_key)}
    lost = instance.create_run_for_job(graph.resolve_job_def(JOB.name), tags=key, status=dg.DagsterRunStatus.STARTED)
    assert "under way" in skipped(look())
    instance.report_run_failed(lost)
    assert "next try is in 60 s" in skipped(look())


def test_a_folder_that_is_not_there_is_a_reason_to_wait(instance, lake, tmp_path):
    graph = build_defs(Settings(local_root=root_of(lake), raw_path=str(tmp_path / "nowhere")), lake=lake)
    context = dg.build_sensor_context(instance=instance, cursor=State(settled="x").to_json(), resources={"lake": lake})
    result = graph.get_repository_def().get_sensor_def("new_uploads")(context)
    assert isinstance(result, dg.SensorResult)
    assert "nowhere" in skipped(result)
    assert result.cursor is None, "what was known stays known"


@pytest.fixture
def inbox(cloud) -> Inbox:
    return Inbox("fitness")


def ended(result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance, topic: str, lake: Lake) -> None:
    """Have the sensors see the end of a run."""
    success, failure = message_sensors(Listeners(topic, None, client))
    sensor, kind = (success, "RUN_SUCCESS") if result.success else (failure, "RUN_FAILURE")
    event = next(e for e in result.all_events if e.event_type_value == ("PIPELINE" + kind[3:]))
    context = dg.build_run_status_sensor_context(
        sensor.name, event, instance, result.dagster_run, resources={"lake": lake}
    )
    sensor(context if result.success else context.for_run_failure())


def test_people_are_told_what_a_run_took_in_and_what_it_refused(inbox, raw, lake, materialize, instance):
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n{GOOD_ROW.replace('8120', '8k')}\n")
    (raw / "line\nbreak.csv").write_text("not,an,upload\n1,2,3\n")
    ended(materialize("group:bronze or group:silver"), instance, inbox.arn, lake)
    (message,) = inbox.read()
    assert message["Subject"] == "fitness-assets: 1 uploads ingested, 1 refused, 1 checks to look at"
    assert "a.csv: 2 rows read, 1 quarantined" in message["Message"]
    assert "line?break.csv: refused, because no header was found" in message["Message"]
    assert "bronze/uploads no_refused_uploads: 1 times" in message["Message"]
    assert "Of 1 logged days in all, 1 are clean and 0 rejected." in message["Message"]


def test_people_are_told_which_step_failed_and_why(inbox, raw, lake, materialize, instance):
    result = materialize("group:silver")
    assert "materialize bronze/logged_days first" in failure_of(result)
    ended(result, instance, inbox.arn, lake)
    (message,) = inbox.read()
    assert message["Subject"] == "fitness-assets: failed in silver"
    assert "materialize bronze/logged_days first" in message["Message"]
    assert f"/runs/{result.run_id}" in message["Message"]


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
    assert not sent
    assert "the whole text" in caplog.text
    assert ("was not sent" in caplog.text) == (arn is not None)
