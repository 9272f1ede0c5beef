"""Spark and Sail give every cell the same value, and every row the same reasons."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow.dataset import dataset

from fitness_assets.bronze.readers.cells import BLANKS
from fitness_assets.bronze.readers.csv import read_rows, tell_dialect
from fitness_assets.bronze.readers.numbers import NumberStyles
from fitness_assets.bronze.row_files import RowFiles
from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, RAW_COLUMNS
from fitness_assets_tests.bronze.test_transforms import CELLS, ROWS, cell_line, line
from fitness_assets_tests.conftest import NEEDS_JAVA
from fitness_assets_tests.whole_runs import environment

pytestmark = NEEDS_JAVA

ENGINES = ("sail", "spark")
_NAMES = [column.name for column in RAW_COLUMNS]


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, subprocess.Popen[str]]]:
    started = {
        engine: subprocess.Popen(
            [sys.executable, "-m", "fitness_assets_tests.bronze.typing_process", engine],
            cwd=Path(__file__).parents[2],
            env=environment(),  # a session that another test opened on a server leaves variables behind
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for engine in ENGINES
    }
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


def typed(process: subprocess.Popen[str], engine: str, rows: Path) -> list[list[dict[str, Any]]]:
    """What an engine makes of rows: logged days and malformed rows, in their order."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{rows}\n")
    process.stdin.flush()
    answers = iter(process.stdout.readline, "")
    assert "done\n" in answers, f"{engine} ended"
    found = []
    for name, table in (("logged", LOGGED_DAYS), ("malformed", QUARANTINE)):
        folder = rows.with_name(f"{rows.stem}-{engine}-{name}")
        schema = table.arrow_schema
        read = dataset(folder, format="parquet", schema=schema).to_table() if any(folder.glob("*.parquet")) else None
        found.append(sorted(read.to_pylist() if read else [], key=lambda row: row["row_number"]))
    return found


def assert_alike(engines: dict[str, subprocess.Popen[str]], folder: Path, texts: list[str]) -> None:
    """Read a file of these rows, and compare what the engines make of it."""
    path = folder / "upload.csv"
    path.write_text("\n".join([",".join([*_NAMES, "a", "b"]), *texts]) + "\n", newline="", encoding="utf-8")
    files = RowFiles(folder / "rows")
    files.keep(
        files.draft("u", datetime(2024, 9, 7, tzinfo=UTC), read_rows(path, tell_dialect(path), NumberStyles(",")))
    )
    for rows in files.close():
        by_sail, by_spark = (typed(engines[engine], engine, rows) for engine in ENGINES)
        assert repr(by_sail) == repr(by_spark)
        assert sum(map(len, by_sail)) == pq.read_metadata(rows).num_rows


def test_every_cell_of_the_tests_of_one_engine_is_typed_alike(engines, tmp_path):
    assert_alike(engines, tmp_path, [*(cell_line(*case.values[:2]) for case in CELLS), *ROWS.values()])


digits = st.text("0123456789", max_size=25)
numbers = st.one_of(
    st.integers(-(2**40), 2**40).map(str),
    st.floats().map(repr),
    st.floats(-1e5, 1e5).map(lambda number: f"{number:.3f}"),
    st.tuples(st.sampled_from(["", "+", "-"]), digits, st.sampled_from(["", "."]), digits, digits).map(
        lambda parts: "".join(parts[:4]) + (f"e{parts[4][:3]}" if parts[4] else "")
    ),
    st.text("0123456789.+-eE", max_size=12),
    st.text("0123456789.,+-eEdDfFxXnaNinf_ " + BLANKS[:12], max_size=8),
)
days = st.one_of(
    st.dates().map(str),
    st.text("0123456789-/", max_size=11),
    st.tuples(st.integers(0, 10_000), st.integers(0, 14), st.integers(0, 33)).map(
        lambda d: "{}-{:02}-{:02}".format(*d)
    ),
)
anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='\0"\r\n'), max_size=12)
cells = {"user_id": anything, "gender": st.sampled_from(["M", "f", "Male", "x", ""]), "date": days}


@settings(
    max_examples=6,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large],
)
@given(
    st.lists(
        st.fixed_dictionaries({}, optional={name: cells.get(name, numbers) for name in _NAMES}),
        min_size=50,
        max_size=200,
    )
)
def test_odd_cells_are_typed_alike(engines, tmp_path_factory, rows):
    assert_alike(engines, tmp_path_factory.mktemp("odd"), [line("", "", **row) for row in rows])
