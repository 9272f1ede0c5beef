"""What the template makes for jobs on Glue or EMR Serverless, and what is put into the bucket for them."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fitness_assets.orchestration import pipes_job as job
from fitness_assets.orchestration import pipes_launcher as jobs
from fitness_assets_tests.test_deploy import Stack, deploy, no_value_is_none  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")


@pytest.fixture(scope="module")
def glue(cloud, root) -> Stack:
    return deploy(root, SparkJobs="glue")


@pytest.fixture(scope="module")
def emr(cloud, root) -> Stack:
    return deploy(root, SparkJobs="emr-serverless")


def rights(document: Any) -> dict[str, set[str]]:
    """What may be done, and to what, by the statements of a policy."""
    found: dict[str, set[str]] = {}
    for part in document["Statement"]:
        actions, places = ([it] if isinstance(it, str) else it for it in (part["Action"], part["Resource"]))
        for action in actions:
            found.setdefault(action, set()).update(places)
    return found


def test_without_jobs_there_is_no_role_for_them(cloud, root, tmp_path):
    plain = deploy(root)
    assert not any(
        plain.wanted(name) for name in ("JobRole", "JobsPolicy", "GluePolicy", "EmrPolicy", "GlueJob", "EmrApplication")
    )
    settings = plain.settings(tmp_path)
    assert settings.spark == "sail"
    assert settings.emr_role_arn is None


def test_the_glue_job_runs_our_script_and_the_settings_name_it(glue, tmp_path):
    assert glue.wanted("GlueJob")
    assert not glue.wanted("EmrApplication")
    made = glue.properties("GlueJob")
    assert made["Command"]["ScriptLocation"] == f"s3://{glue.bucket}/{jobs.ENTRY_POINT}"
    assert {key for key in made["DefaultArguments"] if "s3://" in made["DefaultArguments"][key]} == {
        "--extra-py-files",
        "--additional-python-modules",
    }
    assert glue.settings(tmp_path).spark == f"glue:{made['Name']}"
    (job_arn,) = rights(glue.properties("GluePolicy")["PolicyDocument"])["glue:BatchStopJobRun"]
    assert job_arn.endswith(f":job/{made['Name']}")
    assert not glue.wanted("EmrPolicy")


def test_emr_serverless_is_given_a_role_that_only_it_may_take(emr):
    settings = dict(line.split("=", 1) for line in emr.outputs["Settings"].splitlines())
    assert settings["FITNESS_SPARK"].startswith("emr-serverless:")  # the tests' AWS makes no application
    allowed = rights(emr.properties("EmrPolicy")["PolicyDocument"])
    assert allowed["iam:PassRole"] == {settings["FITNESS_EMR_ROLE_ARN"]}
    assert allowed["emr-serverless:CancelJobRun"]
    (who,) = emr.properties("JobRole")["AssumeRolePolicyDocument"]["Statement"]
    assert who["Principal"]["Service"] == "emr-serverless.amazonaws.com"


def test_a_job_may_not_change_uploads_nor_its_own_code(glue):
    (policy,) = glue.properties("JobRole")["Policies"]
    allowed = rights(policy["PolicyDocument"])
    written = allowed["s3:PutObject"] | allowed["s3:DeleteObject"]
    assert f"arn:aws:s3:::{glue.bucket}/gold/*" in written
    assert not any(place.endswith(("/raw/*", "/jobs/*", f"{glue.bucket}/*")) for place in written)
    assert f"arn:aws:s3:::{glue.bucket}/jobs/*" in allowed["s3:GetObject"]


def test_a_job_is_given_what_the_project_needs_but_spark_and_dagster(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    needed = {need.replace("pandera[pyspark]", "pandera") for need in project}
    lines = (root / "deploy" / "job-requirements.txt").read_text().splitlines()
    given = {line for line in lines if not line.startswith("#")}
    (dagster,) = (need for need in needed if need.startswith("dagster=="))
    assert given - needed == {dagster.replace("dagster", "dagster-pipes")}
    assert {re.split(r"[=<>\[-]", need)[0] for need in needed - given} == {
        "pyspark",
        "pysail",
        "dagster",
        "starlette",
        "uvicorn",
    }


def test_the_wheel_has_all_that_a_job_runs(root, tmp_path):
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(root)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    package = tmp_path / "fitness_assets.zip"
    wheel.rename(package)
    with zipfile.ZipFile(package) as files:
        assert files.read("fitness_assets/orchestration/pipes_job.py") == Path(job.__file__).read_bytes()
    code = "import fitness_assets.orchestration.pipes_job as job; from importlib.resources import files\n"
    code += "print(job.__file__)\n"
    code += "assert (files('fitness_assets.quality') / 'report.html.j2').read_text()\n"
    variables = {**os.environ, "PYTHONPATH": str(package)}
    done = subprocess.run([sys.executable, "-c", code], env=variables, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith(str(package)), done.stderr
    assert done.returncode == 0, done.stderr
