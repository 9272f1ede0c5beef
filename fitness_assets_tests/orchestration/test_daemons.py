"""What only the real daemon can show: two daemons on one bucket, and runs that died with their machine."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from fitness_assets.definitions import build_defs
from fitness_assets.orchestration.sensors import ALL_TABLES_JOB
from fitness_assets.settings import Settings
from fitness_assets_tests.whole_runs import Server, environment

pytestmark = pytest.mark.deployment


def test_two_daemons_on_one_bucket_do_everything_once(root):
    command = [sys.executable, "-m", "fitness_assets_tests.tools.two_daemons", "--minutes", "0.2"]
    run = subprocess.run(command, cwd=root, env=environment(), capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr[-3000:]}"
    assert run.stdout.endswith(": everything once, then rest\n")


def test_a_run_that_died_with_its_machine_fails_after_the_time_that_a_run_may_take(root, tmp_path):
    """Else every later run would wait for it for ever."""
    config = yaml.safe_load((root / "dagster.yaml").read_text())
    assert config["run_monitoring"]["max_runtime_seconds"] == 4 * 3_600
    config["run_monitoring"] |= {"max_runtime_seconds": 1, "poll_interval_seconds": 1}
    del config["storage"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    job = build_defs(Settings(local_root=tmp_path / "lake")).resolve_job_def(ALL_TABLES_JOB.name)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        dead = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTING)
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", ALL_TABLES_JOB.name), dead.run_id)

        def record() -> dg.RunRecord:
            (found,) = instance.get_run_records()
            return found

        assert record().dagster_run.status == dg.DagsterRunStatus.STARTED
        command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "fitness_assets.definitions"]
        daemon = Server(command, tmp_path, environment(DAGSTER_HOME=str(tmp_path)))
        try:
            daemon.start(lambda: record().end_time)
        finally:
            daemon.kill()
        assert record().dagster_run.status == dg.DagsterRunStatus.FAILURE
