"""Tables as DuckDB reads them: what does not fit into memory has a folder to go to, and what goes wrong is said."""

from pathlib import Path

import pyarrow as pa
import pytest

from fitness_assets.engine import duckdb_reader as module
from fitness_assets.engine.duckdb_reader import reader
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.version import LakeError

MANY = {"gold/dim_user": pa.table({"user_id": [f"somebody with a long name, number {n}" for n in range(500_000)]})}
LAST = "somebody with a long name, number 99999"


def sort(folder: Path) -> tuple[str, int]:
    """Sort 500,000 names; returns the last one, and how many files that takes meanwhile."""
    with reader(LocalStore(folder), [], MANY) as tables:
        tables.execute("SET threads = 1")
        names = tables.sql("SELECT user_id FROM dim_user ORDER BY user_id DESC").to_arrow_reader(1_000)
        last = names.read_next_batch()["user_id"][0].as_py()
        ((kept,),) = tables.cursor().sql("SELECT current_setting('temp_directory')").fetchall()
        files = len([*Path(kept).iterdir()])
    assert not Path(kept).exists()
    return last, files


def test_what_does_not_fit_into_memory_goes_to_a_folder(tmp_path, monkeypatch):
    assert sort(tmp_path) == (LAST, 0)
    monkeypatch.setitem(module._CONFIG, "memory_limit", "30MB")
    last, files = sort(tmp_path)
    assert last == LAST
    assert files > 0


def test_where_there_is_no_room_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(module._CONFIG, "memory_limit", "30MB")
    monkeypatch.setitem(module._CONFIG, "max_temp_directory_size", "1MB")
    with pytest.raises(LakeError, match=r"^DuckDB could not read the tables: .*set TMPDIR to another folder\.$"):
        sort(tmp_path)
