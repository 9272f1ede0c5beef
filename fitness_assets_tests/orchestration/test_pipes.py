"""Steps as jobs elsewhere: what is asked of AWS, what comes back, and, in whole runs, the same tables as anywhere."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pyspark
import pytest
from moto import settings

from fitness_assets.aws.s3 import Bucket, client
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.definitions import build_defs
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.s3 import S3Store
from fitness_assets.lake.version import VersionConflictError
from fitness_assets.layers import steps
from fitness_assets.orchestration import pipes_job as job
from fitness_assets.orchestration import pipes_launcher as jobs
from fitness_assets.settings import Settings
from fitness_assets_tests.conftest import (
    GOOD_ROW,
    HEADER,
    REFUSED,
    evaluations,
    failure_of,
    job_of,
    new_bucket,
    published,
    put_uploads,
)
from fitness_assets_tests.whole_runs import SECONDS, SPARK_CONF, assert_same, environment, materialize

ROLE = "arn:aws:iam::123456789012:role/jobs"


def other_pyspark(version: str) -> Path:
    """The PySpark of that version that ``.ci/run`` has put beside ours; ours where there is none."""
    folder = Path(os.environ.get("OTHER_PYSPARKS", "nowhere"), version)
    return folder / "pyspark" if folder.is_dir() else Path(pyspark.__file__).parent


class Service:
    """moto's Glue or EMR Serverless, which takes every call; and the job beside it, which moto does not run."""

    def __init__(self, real: Any, run: Callable[[dict[str, Any]], subprocess.Popen]) -> None:
        self._real, self._run = real, run
        self.asked: list[dict[str, Any]] = []
        self.stopped: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def start_job_run(self, **params: Any) -> Any:
        answer = self._real.start_job_run(**params)
        self.asked.append(params)
        self._process = self._run(params)
        return answer

    def get_job_run(self, **params: Any) -> Any:
        answer = self._real.get_job_run(**params)
        is_done = self._process.wait(SECONDS) == 0
        if "JobRun" in answer:
            answer["JobRun"] |= {"JobRunState": "SUCCEEDED"} if is_done else {"JobRunState": "FAILED"}
        else:
            answer["jobRun"]["state"] = "SUCCESS" if is_done else "FAILED"
        return answer

    def get_dashboard_for_job_run(self, **_: Any) -> Any:
        return {"url": "nowhere"}

    def batch_stop_job_run(self, **params: Any) -> Any:
        self.stopped.append(params)
        return {"SuccessfulSubmissions": params["JobRunIds"]}

    def cancel_job_run(self, **params: Any) -> Any:
        self.stopped.append(params)
        return self._real.cancel_job_run(**params)


class NothingFollows(jobs._Messages):
    """Says that a job closed its messages when it ended: Dagster waits ten seconds for those of a job that died."""

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[Any]:
        with super().read_messages(handler) as params:
            try:
                yield params
            finally:
                handler.handle_message({"__dagster_pipes_version": "0.1", "method": "closed", "params": {}})


@pytest.fixture
def dies(monkeypatch) -> None:
    """The job of this test ends before it can say anything."""
    monkeypatch.setattr(jobs, "_Messages", NothingFollows)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch) -> None:
    monkeypatch.setattr(jobs, "_SECONDS", 0)


@pytest.fixture
def bucket(cloud) -> Bucket:
    bucket = new_bucket()
    bucket.put("raw/day.csv", f"{HEADER}\n{GOOD_ROW}\n{GOOD_ROW.replace('8120', '8k')}\n".encode())
    return bucket


@pytest.fixture(params=["glue", "emr-serverless"])
def service(request, cloud, monkeypatch) -> Callable[[Callable[..., Any]], tuple[str, Service]]:
    """Put a job in the place of the service's; gives the setting that names it, and what was asked."""
    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", float("inf"))  # moto misreads EMR's signatures

    def make(run: Callable[[dict[str, Any]], Any]) -> tuple[str, Service]:
        real = client(request.param)
        if request.param == "glue":
            name = "layers"
            real.create_job(
                Name=name, Role=ROLE, Command={"Name": "glueetl", "ScriptLocation": "s3://any/pipes_job.py"}
            )
        else:
            name = real.create_application(name="layers", releaseLabel="emr-8.0.0", type="SPARK")["applicationId"]
        stand_in = Service(real, run)
        monkeypatch.setattr(jobs, "client", lambda of: stand_in if of == request.param else client(of))
        return f"{request.param}:{name}", stand_in

    return make


def settings_of(bucket: Bucket, service_name: str) -> Settings:
    return Settings(storage_mode="s3", s3_bucket=bucket.name, spark=service_name, emr_role_arn=ROLE)


def run_bronze(bucket: Bucket, service_name: str) -> tuple[Lake, Any]:
    """Have Dagster run bronze on a lake in a bucket."""
    lake = Lake(S3Store(bucket, {}), lambda: pytest.fail("no Spark here"))
    graph = build_defs(settings_of(bucket, service_name), lake=lake)
    return lake, job_of(graph, "group:bronze").execute_in_process(raise_on_error=False)


def variables_of(params: dict[str, Any]) -> dict[str, str]:
    """What EMR Serverless would put into the environment of the driver."""
    submitted = params["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]
    return dict(re.findall(r"--conf spark\.emr-serverless\.driverEnv\.(\w+)=(\S+)", submitted))


def arguments_of(params: dict[str, Any]) -> list[str]:
    """What Glue would hand to the script."""
    return [text for pair in params["Arguments"].items() for text in pair]


def says(answer: dict[str, Any]) -> Callable[[dict[str, Any]], subprocess.Popen]:
    """A job that only answers."""
    code = "from fitness_assets.orchestration import pipes_job as job\n"
    code += f"job.answer = lambda pipes: {answer!r}; print('hello'); job.main()"

    def run(params: dict[str, Any]) -> subprocess.Popen:
        if "Arguments" in params:
            return subprocess.Popen([sys.executable, "-c", code, *arguments_of(params)])
        return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **variables_of(params)})

    return run


def test_the_job_needs_no_more_of_dagster_than_its_pipes():
    code = "import sys; sys.modules |= {'dagster': None, 'dagster_pyspark': None}\n"
    code += "import fitness_assets.orchestration.pipes_job"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_failure_of_the_job_is_its_sentence(service, bucket, capfd):
    service_name, asked = service(says({"failure": "There is no upload in the moon."}))
    lake, result = run_bronze(bucket, service_name)
    assert not result.success
    assert "There is no upload in the moon." in failure_of(result)
    assert lake.current(UPLOADS) is None
    assert len(asked.asked) == 1
    assert "hello" in capfd.readouterr().out, "what the job prints comes back"
    left = {found.key for found in bucket.list("") if not found.key.startswith("raw/")}
    assert all(key.startswith(jobs.PIPES_PREFIX) for key in left), "messages lie below a prefix of their own"


def test_a_job_that_met_another_run_is_asked_again():
    step = next(step for step in steps(Settings()) if step.name == "bronze")
    with pytest.raises(VersionConflictError, match="another run published"):
        jobs._version_of(
            Lake(LocalStore(Path()), pytest.fail), step, [{"conflict": "another run published meanwhile."}]
        )
    with pytest.raises(dg.Failure, match="ended without an answer"):
        jobs._version_of(Lake(LocalStore(Path()), pytest.fail), step, [])


def test_a_job_that_dies_is_a_sentence_that_names_it(service, bucket, dies):
    service_name, _ = service(lambda params: subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]))
    _, result = run_bronze(bucket, service_name)
    assert f"The job that makes bronze on {service_name} failed" in failure_of(result)


def test_a_job_that_does_not_exist_is_a_sentence_that_names_it(cloud, bucket, dies):
    _, result = run_bronze(bucket, "glue:nobody")
    assert "The job that makes bronze on glue:nobody failed" in failure_of(result)


def test_cancelling_a_run_cancels_its_job(service, bucket, dies, monkeypatch):
    service_name, asked = service(lambda params: None)

    # The client for Glue looks once before it waits.
    looks = iter([{"JobRun": {}}] if service_name.startswith("glue") else [])

    def interrupted(**_: Any) -> Any:
        for found in looks:
            return found
        raise dg.DagsterExecutionInterruptedError

    monkeypatch.setattr(asked, "get_job_run", interrupted, raising=False)
    _, result = run_bronze(bucket, service_name)
    assert not result.success
    assert len(asked.stopped) == 1


def test_emr_serverless_is_given_script_environment_and_role(cloud, bucket):
    submission = jobs._submission(settings_of(bucket, "emr-serverless:app"), "app")
    assert submission["applicationId"] == "app"
    assert submission["executionRoleArn"] == ROLE
    submit = submission["jobDriver"]["sparkSubmit"]
    assert submit["entryPoint"] == f"s3://{bucket.name}/jobs/{Path(job.__file__).name}"
    assert f"s3://{bucket.name}/jobs/environment.tar.gz#environment" in submit["sparkSubmitParameters"]


@pytest.mark.deployment
def test_jobs_in_processes_of_their_own_make_the_same_tables(sample, reference, tmp_path):
    put_uploads(tmp_path / "data", sample)
    run, log = materialize(tmp_path, FITNESS_SPARK="process", PYTHONPATH=str(other_pyspark("4.0").parent))
    assert run.wait(SECONDS) == 0, log.read_text()[-3000:]
    assert "learning from" in log.read_text(), "what a job has to say stands in the log of its step"
    assert_same(Lake(LocalStore(tmp_path / "data"), pytest.fail), reference())


@pytest.mark.deployment
def test_jobs_on_the_spark_of_a_service_make_the_same_tables(service, sample, reference, bucket, tmp_path):
    """The script under spark-submit, as Glue (4.1) and EMR Serverless (4.0) start it, with the lake on S3."""

    def run(params: dict[str, Any]) -> subprocess.Popen:
        on_glue = "Arguments" in params
        home = other_pyspark("4.1" if on_glue else "4.0")
        code = (
            "import json; from fitness_assets.aws.s3 import Bucket; print(json.dumps(Bucket('a').spark_properties()))"
        )
        variables = environment(PYTHONPATH=str(home.parent), PYSPARK_PYTHON=sys.executable)
        found = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, check=True)
        properties = json.loads(found.stdout) | Settings(spark_conf=SPARK_CONF).spark_properties
        options = [text for name, value in properties.items() for text in ("--conf", f"{name}={value}")]
        command = [str(home / "bin" / "spark-submit"), *options, job.__file__]
        if on_glue:
            command += arguments_of(params)
        else:
            variables |= {name: value for name, value in variables_of(params).items() if name.startswith("DAGSTER")}
        return subprocess.Popen(command, env=variables | {"SPARK_HOME": str(home)}, cwd=tmp_path)

    bucket.put("raw/day.csv", REFUSED)
    bucket.upload(sample, "raw/sample.csv")
    service_name, asked = service(run)
    lake, result = run_bronze(bucket, service_name)
    assert result.success, failure_of(result)
    assert len(asked.asked) == 1
    assert_same(lake, {key: rows for key, rows in reference().items() if key.startswith("bronze/")})
    assert not evaluations(result)["bronze/uploads", "no_refused_uploads"].passed, "counted by the job"
    assert published(bucket, lake.store.location(UPLOADS))
