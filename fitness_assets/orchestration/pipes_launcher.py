"""Runs layer steps as jobs elsewhere, the Dagster side: Dagster Pipes starts, follows and cancels a job.

A job runs ``pipes_job.py``. It leaves a checked version in the lake and sends the metadata of the version back as a
message. Then this run reports the check results, and its IO manager publishes the version, as for every other step.
Log lines of the job appear in the log of the step.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster_aws.pipes import PipesEMRServerlessClient, PipesGlueClient, PipesS3ContextInjector, PipesS3MessageReader

from fitness_assets.aws.s3 import client
from fitness_assets.bronze.pseudonyms import pseudonyms_of
from fitness_assets.engine.layer_step import LayerStep, StepRun
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import VersionConflictError, VersionMetadata
from fitness_assets.orchestration.step_assets import Launch
from fitness_assets.settings import Settings

PIPES_PREFIX = "jobs/pipes/"
"""Prefix in the bucket of the messages between Dagster and its jobs."""

_COMMAND = [sys.executable, "-m", "fitness_assets.orchestration.pipes_job"]
ENTRY_POINT, _ENVIRONMENT = "jobs/pipes_job.py", "jobs/environment.tar.gz"
_SECONDS = 2
_SENT = {"storage_mode", "local_root", "raw_path", "s3_bucket", "training_rows"}
_SENT |= {f"{layer}_prefix" for layer in ("raw", "bronze", "silver", "gold")}


class _Messages(PipesS3MessageReader):
    """Reads the messages of a job below `PIPES_PREFIX`; Dagster's own reader uses the root of the bucket."""

    @contextmanager
    def get_params(self) -> Iterator[Any]:
        with super().get_params() as params:
            yield {**params, "key_prefix": f"{PIPES_PREFIX}{params['key_prefix']}"}


def launcher(settings: Settings) -> Launch:
    """Make the function that runs a step as a job on the service that ``spark`` names."""
    service, _, name = settings.spark.partition(":")
    sent = settings.model_dump(mode="json", include=_SENT)

    def launch(context: dg.AssetExecutionContext, step: LayerStep, step_run: StepRun) -> Staging:
        extras = {
            "step": step.name,
            "uploads": [*step_run.uploads],
            "is_rebuild": step_run.is_rebuild,
            "settings": sent,
            "is_spark_given": service != "process",
            "pseudonym_key": pseudonyms_of(settings).check,
        }
        try:
            if service == "process":
                done = dg.PipesSubprocessClient().run(context=context, command=_COMMAND, extras=extras)
            elif service == "glue":
                glue = PipesGlueClient(client=client("glue"), **_through_bucket(settings))
                done = glue.run(context=context, start_job_run_params={"JobName": name}, extras=extras)
            else:
                emr = PipesEMRServerlessClient(client=client("emr-serverless"), **_through_bucket(settings))
                done = emr.run(context=context, start_job_run_params=_submission(settings, name), extras=extras)
        except Exception as error:  # of boto3, or of Dagster, which exports no class for a job that failed
            raise dg.Failure(
                f"The job that makes {step.name} on {settings.spark} failed: {error} The log of this step has "
                "its last messages. Published tables stay as they are.",
                allow_retries=False,
            ) from error
        return _version_of(step_run.lake, step, done.get_custom_messages())

    return launch


def _version_of(lake: Lake, step: LayerStep, messages: Sequence[Any]) -> Staging:
    """The version that a job made.

    Raises:
        VersionConflictError: if the job conflicted with another run.
        dagster.Failure: if the job made no version; it says why.
    """
    if not messages:
        raise dg.Failure(f"The job that makes {step.name} ended without an answer.", allow_retries=False)
    if conflict := messages[-1].get("conflict"):
        raise VersionConflictError(conflict)
    if failure := messages[-1].get("failure"):
        raise dg.Failure(failure, allow_retries=False)
    all_metadata = {
        metadata.table: metadata for metadata in map(VersionMetadata.from_json, messages[-1]["all_metadata"])
    }
    return Staging(lake.store, step.tables, all_metadata[step.tables[-1].key].version, all_metadata)


def _through_bucket(settings: Settings) -> dict[str, Any]:
    """Arguments for a Pipes client that exchanges context and messages through objects in the lake's bucket."""
    bucket: dict[str, Any] = {"bucket": settings.lake_bucket, "client": client("s3")}
    return {
        "context_injector": PipesS3ContextInjector(**bucket, key_prefix=PIPES_PREFIX),
        "message_reader": _Messages(**bucket, interval=_SECONDS, include_stdio_in_messages=True),
    }


def _submission(settings: Settings, application: str) -> Any:
    """The request to EMR Serverless: the script, and an archive with its Python environment."""
    bucket = f"s3://{settings.lake_bucket}"
    python = "./environment/bin/python"
    properties = {
        "spark.archives": f"{bucket}/{_ENVIRONMENT}#environment",
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": python,
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": python,
        "spark.executorEnv.PYSPARK_PYTHON": python,
    }
    submit = {
        "entryPoint": f"{bucket}/{ENTRY_POINT}",
        "sparkSubmitParameters": " ".join(f"--conf {name}={value}" for name, value in properties.items()),
    }
    return {
        "applicationId": application,
        "executionRoleArn": settings.emr_role_arn,
        "jobDriver": {"sparkSubmit": submit},
    }
