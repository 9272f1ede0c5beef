"""Layer steps as jobs elsewhere, the Dagster side: started, heard and cancelled through Dagster Pipes.

``pipes_job.py`` is what such a job runs. A job leaves a checked version in the lake and sends the version's metadata
back as a message. From there the version takes the same way as every other: it is reported, and the IO manager
publishes it. The log of a job arrives in the log of the step.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from botocore.exceptions import BotoCoreError, ClientError
from dagster._core.errors import DagsterPipesExecutionError
from dagster_aws.pipes import PipesEMRServerlessClient, PipesGlueClient, PipesS3ContextInjector, PipesS3MessageReader

from fitness_assets.aws.s3 import client
from fitness_assets.engine.layer_step import LayerStep
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import VersionConflictError, VersionMetadata
from fitness_assets.orchestration.io_manager import Launch
from fitness_assets.settings import Settings

PIPES_PREFIX = "jobs/pipes/"
"""Where in the bucket Dagster and its jobs leave messages for each other."""

_COMMAND = [sys.executable, "-m", "fitness_assets.orchestration.pipes_job"]
ENTRY_POINT, _ENVIRONMENT = "jobs/pipes_job.py", "jobs/environment.tar.gz"
_SECONDS = 2
_SENT = {"storage_mode", "local_root", "raw_path", "s3_bucket", "training_rows"}
_SENT |= {f"{layer}_prefix" for layer in ("raw", "bronze", "silver", "gold")}


class _Messages(PipesS3MessageReader):
    """What a job says, below a prefix of our own; Dagster would leave it at the root of the bucket."""

    @contextmanager
    def get_params(self) -> Iterator[Any]:
        with super().get_params() as params:
            yield {**params, "key_prefix": f"{PIPES_PREFIX}{params['key_prefix']}"}


class _EMRServerless(PipesEMRServerlessClient):
    def _read_messages(self, context: Any, session: Any, response: Any) -> None:
        """Nothing to do: Dagster would warn that nothing can be heard, but all of it comes through the bucket."""


def launcher(settings: Settings) -> Launch:
    """What has steps made where ``spark_jobs`` says."""
    service, _, name = (settings.spark_jobs or "").partition(":")
    sent = settings.model_dump(mode="json", include=_SENT)

    def launch(context: dg.AssetExecutionContext, lake: Lake, step: LayerStep, uploads: Sequence[str]) -> Staging:
        asked = {"step": step.name, "uploads": [*uploads], "settings": sent, "is_spark_given": service != "process"}
        try:
            if service == "process":
                done = dg.PipesSubprocessClient().run(context=context, command=_COMMAND, extras=asked)
            elif service == "glue":
                glue = PipesGlueClient(client=client("glue"), **_through(settings))
                done = glue.run(context=context, start_job_run_params={"JobName": name}, extras=asked)
            else:
                emr = _EMRServerless(client=client("emr-serverless"), **_through(settings))
                done = emr.run(context=context, start_job_run_params=_submission(settings, name), extras=asked)
        except (BotoCoreError, ClientError, DagsterPipesExecutionError, RuntimeError) as error:
            raise dg.Failure(
                f"The job that makes {step.name} on {settings.spark_jobs} failed: {error} What it said last stands in "
                "the log of this step. Tables that were published stay as they are.",
                allow_retries=False,
            ) from error
        return _made(lake, step, done.get_custom_messages())

    return launch


def _made(lake: Lake, step: LayerStep, messages: Sequence[Any]) -> Staging:
    """The version that a job made.

    Raises:
        VersionConflictError: if the job met another run.
        dagster.Failure: if it made none, saying why.
    """
    if not messages:
        raise dg.Failure(f"The job that makes {step.name} ended without a word.", allow_retries=False)
    if conflict := messages[-1].get("conflict"):
        raise VersionConflictError(conflict)
    if failure := messages[-1].get("failure"):
        raise dg.Failure(failure, allow_retries=False)
    all_metadata = {
        metadata.table: metadata for metadata in map(VersionMetadata.from_json, messages[-1]["all_metadata"])
    }
    return Staging(lake.store, step.tables, all_metadata[step.tables[-1].key].version, all_metadata)


def _through(settings: Settings) -> dict[str, Any]:
    """Context and messages as objects of the lake's bucket."""
    where: dict[str, Any] = {"bucket": settings.lake_bucket, "client": client("s3")}
    return {
        "context_injector": PipesS3ContextInjector(**where, key_prefix=PIPES_PREFIX),
        "message_reader": _Messages(**where, interval=_SECONDS, include_stdio_in_messages=True),
    }


def _submission(settings: Settings, application: str) -> Any:
    """What EMR Serverless is asked to run: the script, with a packed Python environment beside it."""
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
