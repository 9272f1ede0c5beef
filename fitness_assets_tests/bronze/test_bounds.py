"""What odd files may cost: time of the CPU and memory, each file read in a process of its own."""

import gzip
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fitness_assets.bronze.readers.csv import read_rows, tell_dialect
from fitness_assets.bronze.readers.numbers import NumberStyles
from fitness_assets.bronze.row_files import RowFiles
from fitness_assets_tests.conftest import GOOD_ROW, HEADER

pytestmark = pytest.mark.deployment

MIB = 1 << 20
READ = """
import resource, sys
from pathlib import Path
from fitness_assets.bronze.readers.csv import read_rows, tell_dialect
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.numbers import NumberStyles
path = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF)
try:
    tables = read_rows(path, tell_dialect(path), NumberStyles(","))
    print(sum(len(table) for table in tables), "rows")
except RefusedError as refused:
    print(refused)
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, (after.ru_maxrss - before.ru_maxrss) / 1024)
"""


def long_line(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(2_048):
            file.write(b"x" * MIB)


def blank_lines(path: Path) -> None:
    """Two gigabytes of them, as parts of a gzip file that are packed once."""
    part = gzip.compress(b"\n" * 16 * MIB)
    path.write_bytes(gzip.compress(f"{HEADER}\n".encode()) + part * 128)


def tiny_rows(path: Path) -> None:
    path.write_text(f"{HEADER}\n" + "1\n" * 1_000_000)


@pytest.mark.parametrize(
    ("write", "said", "seconds", "mib"),
    [
        (long_line, "the file is not CSV text: it has no line end within a million characters", 2, 100),
        (blank_lines, "the gzip file expands to more than 200 times its size: it is no log", 20, 100),
        (tiny_rows, "1000000 rows", 60, 1_500),
    ],
    ids=["a line of 2 GB", "2 GB of blank lines", "a million tiny rows"],
)
def test_an_odd_file_ends_in_bounded_time_and_memory_with_a_reason(tmp_path, write, said, seconds, mib):
    path = tmp_path / "odd.csv"
    write(path)
    run = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    path.unlink()
    told, costs = run.stdout.strip().split("\n")
    cpu, memory = map(float, costs.split())
    assert told == said
    assert cpu < seconds, f"{cpu:.1f} s of CPU"
    assert memory < mib, f"{memory:.0f} MiB"


def cpu_seconds(do: Callable[[], None]) -> float:
    began = time.process_time()
    do()
    return time.process_time() - began


def test_300_files_with_300_headers_take_at_most_half_as_long_again_as_with_one(tmp_path):
    def read(folder: str, walk: Callable[[int], str]) -> Callable[[], None]:
        (tmp_path / folder).mkdir()
        paths = []
        for number in range(300):
            paths.append(tmp_path / folder / f"{number}.csv")
            paths[-1].write_text(f"{HEADER},{walk(number)}\n" + f"{GOOD_ROW},5\n" * 20)

        def all_of_them() -> None:
            rows = RowFiles(tmp_path / folder / f"rows {time.monotonic_ns()}")
            for path in paths:
                tables = read_rows(path, tell_dialect(path), NumberStyles(","))
                rows.keep(rows.draft(path.stem, datetime(2024, 9, 7, tzinfo=UTC), tables))
            rows.close()

        return all_of_them

    one, many = read("one", lambda _: "walk"), read("many", lambda number: f"walk {number}")
    one()  # imports, caches
    ratios = sorted(cpu_seconds(many) / cpu_seconds(one) for _ in range(3))
    assert ratios[1] < 1.5, ratios
