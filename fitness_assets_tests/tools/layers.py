"""Measure each layer, cold and warm: `python -m fitness_assets_tests.tools.layers FILE FOLDER`.

The whole graph runs twice in one process, each time on an empty lake. In the second run the engine is warm.
"""

import json
from pathlib import Path

import click
import dagster as dg

from fitness_assets.definitions import build_defs
from fitness_assets.settings import Settings


@click.command(help=__doc__)
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def main(file: Path, folder: Path) -> None:
    """Print the seconds of each layer, one line of JSON for each run."""
    for turn in ("cold", "warm"):
        job = build_defs(Settings(local_root=folder / turn, raw_path=str(file))).resolve_job_def("all_tables")
        with dg.DagsterInstance.ephemeral() as instance:
            events = job.execute_in_process(instance=instance).all_events
        done = [event for event in events if event.is_step_success]
        click.echo(json.dumps({event.step_key: event.step_success_data.duration_ms / 1000 for event in done}))


if __name__ == "__main__":
    main(prog_name="python -m fitness_assets_tests.tools.layers")
