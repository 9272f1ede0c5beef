"""Measure each reader of archives alone: `python -m fitness_assets_tests.tools.reader_rates --days 60`.

It makes a sample archive of each kind, reads it without a lake, and prints a table: records, bytes of the archive,
seconds, records a second, and MiB of unpacked text or database a second. Reading is what bronze does before it writes.
"""

import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from fitness_assets.bronze.archives import ReadArchive
from fitness_assets.bronze.sources import Folder
from fitness_assets.sample import EXPORTS, web_tables
from fitness_assets.sample.life import lived


@click.command(help=__doc__)
@click.option("--days", default=60, show_default=True, type=click.IntRange(1), help="Days of each archive.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1), help="The fastest one counts.")
def main(days: int, repeats: int) -> None:
    """Write, read, print."""
    lived_days = lived(days)
    click.echo("| kind | records | archive | unpacked | seconds | records/s | MiB/s |\n|---|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "people" / "anna" / "export.zip"
        path.parent.mkdir(parents=True)
        for write in (EXPORTS | web_tables.WRITERS).values():
            write(path, lived_days)
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(info.file_size for info in archive.infolist()) / 2**20
            (found,) = Folder(Path(folder)).find()
            seconds, reader = min(
                (_read(ReadArchive(found, found.person), path) for _ in range(repeats)), key=lambda read: read[0]
            )
            seen, packed = reader.counter.seen, path.stat().st_size / 2**20
            click.echo(
                f"| {reader.kind} | {seen:,} | {packed:.2f} MiB | {unpacked:.1f} MiB | {seconds:.2f} |"
                f" {seen / seconds:,.0f} | {unpacked / seconds:.1f} |"
            )


def _read(reader: ReadArchive, path: Path) -> tuple[float, ReadArchive]:
    """Seconds that reading takes, and the reader, which knows what it saw."""
    started = time.perf_counter()
    for _ in reader.tables(path, path.parent / "scratch"):
        pass
    return time.perf_counter() - started, reader


if __name__ == "__main__":
    main()
