"""Read many damaged archives of each kind: `python -m fitness_assets_tests.tools.fuzz_archives --mutations 300`."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from fitness_assets.sample import EXPORTS
from fitness_assets.sample.life import lived
from fitness_assets_tests.archives import zipped
from fitness_assets_tests.bronze.test_archives import survives
from fitness_assets_tests.web_tables import TABLES


@click.command(help=__doc__)
@click.option("--mutations", default=300, show_default=True, help="Of each kind.")
@click.option("--seed", default=1_000, show_default=True, help="Of the first mutation.")
def main(mutations: int, seed: int) -> None:
    """Print how many mutations of each kind were read, and how many were refused."""
    with TemporaryDirectory() as folder:
        good, bad = Path(folder) / "good.zip", Path(folder) / "bad.zip"
        for kind in (*EXPORTS, *TABLES):
            if kind in EXPORTS:
                EXPORTS[kind](good, lived(3))
            else:
                zipped(good, TABLES[kind])
            data = good.read_bytes()
            outcomes = Counter(survives(bad, data, seed + number) for number in range(mutations))
            click.echo(f"{kind}: {', '.join(f'{count} {outcome}' for outcome, count in sorted(outcomes.items()))}")


if __name__ == "__main__":
    main()
