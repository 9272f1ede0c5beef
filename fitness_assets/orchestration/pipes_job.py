"""Runs one layer step as a job that Dagster follows through Pipes: on AWS Glue, on EMR Serverless, or as a process.

Glue and EMR Serverless run this file as their script; the package is beside it as a wheel. The job makes and checks a
version and sends its metadata; Dagster publishes the version (``pipes_launcher.py``). The machine of a job has only
``dagster_pipes`` installed, so this module must not import ``dagster``.
"""

from functools import cache, partial
from typing import Any

from dagster_pipes import (
    PipesCliArgsParamsLoader,
    PipesContext,
    PipesEnvVarParamsLoader,
    PipesS3ContextLoader,
    PipesS3MessageWriter,
    open_dagster_pipes,
)

from fitness_assets.aws.s3 import client
from fitness_assets.bronze.pseudonyms import pseudonyms_of
from fitness_assets.engine.layer_step import ContractError, StepRun, run_step
from fitness_assets.engine.session import given_spark, start_spark, store_of
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError, VersionConflictError
from fitness_assets.layers import steps
from fitness_assets.registry import publish_groups_of
from fitness_assets.settings import Settings

_SECONDS = 2  # between two uploads of messages


def main() -> None:
    """Run the step that Dagster asks for, and answer."""
    with _open_pipes() as pipes:
        pipes.report_custom_message(answer(pipes))


def answer(pipes: PipesContext) -> dict[str, Any]:
    """Run one step.

    Returns:
        One entry: ``all_metadata`` of the version; or ``conflict``, the sentence about a conflict with another run,
        which a retry solves; or ``failure``, a sentence that says what a person has to do.
    """
    settings = Settings(**pipes.get_extra("settings"))
    step = next(step for step in steps(settings) if step.name == pipes.get_extra("step"))
    start = given_spark if pipes.get_extra("is_spark_given") else partial(start_spark, settings)
    lake = Lake(store_of(settings), cache(start))
    if pseudonyms_of(settings).check != pipes.get_extra("pseudonym_key"):
        return {"failure": "FITNESS_PSEUDONYM_KEY of the job is not that of Dagster: set the same key for both."}
    try:
        asked = (pipes.get_extra("uploads"), pipes.get_extra("is_rebuild"))
        staging = run_step(step, StepRun(lake, pipes.run_id, pipes.log, *asked), publish_groups_of(step.reads))
    except VersionConflictError as conflict:
        return {"conflict": str(conflict)}
    except (ContractError, LakeError, OSError) as error:
        return {"failure": str(error)}
    return {"all_metadata": [metadata.to_json() for metadata in staging.metadata.values()]}


def _open_pipes() -> PipesContext:
    """Connect to Dagster. Its parameters are command line arguments or variables; they name files or S3 objects."""
    arguments = PipesCliArgsParamsLoader()
    params = arguments if arguments.is_dagster_pipes_process() else PipesEnvVarParamsLoader()
    if "bucket" not in params.load_messages_params():
        return open_dagster_pipes(params_loader=params)
    s3 = client("s3")
    writer = PipesS3MessageWriter(s3, interval=_SECONDS)
    return open_dagster_pipes(params_loader=params, context_loader=PipesS3ContextLoader(s3), message_writer=writer)


if __name__ == "__main__":
    main()
