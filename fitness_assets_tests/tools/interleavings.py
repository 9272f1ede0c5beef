"""Try many orders of events on the sensor and on the lake: `python -m fitness_assets_tests.tools.interleavings`.

CI tries some orders with the same state machines. Not a test: 10,000 orders of each take half an hour. It prints the
shortest failing order that it finds, and ends with status 1.
"""

import click
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from fitness_assets_tests.lake.test_lake_states import OnDisk
from fitness_assets_tests.orchestration.test_arrivals import Arrivals


@click.command(help=__doc__)
@click.option("--times", default=10_000, show_default=True, help="How many orders of events.")
@click.option("--steps", default=30, show_default=True, help="Events of each order, at most.")
def main(times: int, steps: int) -> None:
    """Run the state machines."""
    for machine in (Arrivals, OnDisk):
        run_state_machine_as_test(
            machine, settings=settings(max_examples=times, stateful_step_count=steps, database=None)
        )
        click.echo(f"{machine.__name__}: {times:,} orders of at most {steps} events, all as promised")


if __name__ == "__main__":
    main()
