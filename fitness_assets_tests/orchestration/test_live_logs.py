"""A run of another process is followed live, as the UI does: every event within two seconds, the failure too."""

import os
import subprocess
import sys
import time
from uuid import uuid4

import dagster as dg

SECONDS = 2.0
FAILING_RUN = """
import sys, time
import dagster as dg

@dg.op
def work():
    time.sleep(3)
    raise dg.Failure("the reason")

@dg.job
def failing():
    work()

with dg.DagsterInstance.get() as instance:
    failing.execute_in_process(instance=instance, run_id=sys.argv[1], raise_on_error=False)
"""


def test_every_event_of_a_run_of_another_process_arrives_within_two_seconds(root, tmp_path, monkeypatch):
    (tmp_path / "dagster.yaml").write_text((root / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    run_id, delays = str(uuid4()), dict[str, float]()
    with dg.DagsterInstance.get() as instance:

        def arrive(event: dg.EventLogEntry, _: str) -> None:
            delays.setdefault(event.message, time.time() - event.timestamp)

        instance.watch_event_logs(run_id, None, arrive)
        run = subprocess.Popen([sys.executable, "-c", FAILING_RUN, run_id], cwd=tmp_path, env=os.environ)
        assert run.wait(120) == 0
        kept = [event.message for event in instance.all_logs(run_id)]
        deadline = time.monotonic() + SECONDS
        while {*kept} > {*delays} and time.monotonic() < deadline:
            time.sleep(0.05)
    assert {*kept} == {*delays}
    assert any("STEP_FAILURE" in message or "failed" in message for message in kept)
    assert max(delays.values()) < SECONDS
