"""One step as a job, heard by Dagster through Pipes: on AWS Glue, on EMR Serverless, or as a process of its own.

This file is also the script that those services are given; the package comes beside it as a wheel. The job makes a
version and has it audited, and says which one; publishing it is left to Dagster (``jobs.py``), so that nothing is
published twice in two ways. Here belongs no Dagster beyond its Pipes, which is all that the job's machine has of it.
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
from fitness_assets.engine.layer_step import ContractError, StepRun, read
from fitness_assets.engine.session import given_spark, start_spark, store_of
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError, VersionConflictError
from fitness_assets.layers import steps
from fitness_assets.registry import publish_group_of
from fitness_assets.settings import Settings

_SECONDS = 2  # between two looks at what there is to say


def main() -> None:
    """Do the work that Dagster asks for, and answer."""
    with _open_pipes() as pipes:
        pipes.report_custom_message(answer(pipes))


def answer(pipes: PipesContext) -> dict[str, Any]:
    """Make one step.

    Returns:
        ``audits`` of the version that was made, or why there is none: a ``conflict`` with another run, after which
        trying again helps, or a ``failure`` that a person has to know of.
    """
    settings = Settings(**pipes.get_extra("settings"))
    step = next(step for step in steps(settings) if step.name == pipes.get_extra("step"))
    start = given_spark if pipes.get_extra("is_spark_given") else partial(start_spark, settings)
    lake = Lake(store_of(settings), cache(start))
    try:
        sources = {table.key: read(lake, table, publish_group_of(table.key)) for table in step.reads}
        step_run = StepRun(lake, pipes.run_id, pipes.log, pipes.get_extra("uploads"), step.reads)
        staging = step.make(step_run, sources)
    except VersionConflictError as conflict:
        return {"conflict": str(conflict)}
    except (ContractError, LakeError, OSError) as error:
        return {"failure": str(error)}
    return {"all_metadata": [metadata.to_json() for metadata in staging.metadata.values()]}


def _open_pipes() -> PipesContext:
    """Find Dagster as it asked to be found: arguments or variables, files or objects of a bucket."""
    arguments = PipesCliArgsParamsLoader()
    params = arguments if arguments.is_dagster_pipes_process() else PipesEnvVarParamsLoader()
    if "bucket" not in params.load_messages_params():
        return open_dagster_pipes(params_loader=params)
    s3 = client("s3")
    writer = PipesS3MessageWriter(s3, interval=_SECONDS)
    return open_dagster_pipes(params_loader=params, context_loader=PipesS3ContextLoader(s3), message_writer=writer)


if __name__ == "__main__":
    main()
