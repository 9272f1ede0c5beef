import os
import subprocess
import sys
from pathlib import Path

import pytest

from fitness_assets.engine import memory, sail
from fitness_assets.engine.memory import memory_bytes
from fitness_assets.engine.sail import sail_variables, start_sail
from fitness_assets.settings import Settings


class Server:
    """Remembers the variables that Sail would read when it starts."""

    listening_address = ("127.0.0.1", 4711)

    def __init__(self, ip, port):
        self.asked, self.seen, self.stopped = (ip, port), dict(os.environ), False
        Server.last = self

    def start(self, background):
        assert background

    def stop(self):
        self.stopped = True


@pytest.fixture
def at_exit(monkeypatch):
    functions = []
    monkeypatch.setattr("pysail.spark.SparkConnectServer", Server)
    monkeypatch.setattr(sail.atexit, "register", functions.append)
    return functions


def test_the_server_listens_on_a_free_port_of_loopback_and_ends_with_the_process(tmp_path, at_exit):
    assert start_sail(Settings(local_root=tmp_path / "lake")) == "sc://127.0.0.1:4711"
    assert Server.last.asked == ("127.0.0.1", 0)
    (spill,) = (tmp_path / "lake" / "_versions" / ".staging").iterdir()
    (stop,) = at_exit
    stop()
    assert Server.last.stopped
    assert not spill.exists()


def test_sail_spills_beside_the_lake_and_no_child_process_inherits_its_variables(tmp_path, at_exit):
    before = dict(os.environ)
    start_sail(Settings(local_root=tmp_path / "lake"))
    (spill,) = (tmp_path / "lake" / "_versions" / ".staging").iterdir()
    assert Server.last.seen["SAIL_RUNTIME__TEMPORARY_FILES__PATHS"] == f'["{spill}"]'
    assert dict(os.environ) == before


def test_a_variable_of_the_users_own_wins(tmp_path, at_exit, monkeypatch):
    monkeypatch.setenv("SAIL_PARQUET__COMPRESSION", "zstd(9)")
    start_sail(Settings(local_root=tmp_path / "lake"))
    assert Server.last.seen["SAIL_PARQUET__COMPRESSION"] == "zstd(9)"
    assert os.environ["SAIL_PARQUET__COMPRESSION"] == "zstd(9)"


@pytest.mark.parametrize(("endpoint", "allowed"), [("http://127.0.0.1:9000", "true"), ("https://s3.example", None)])
def test_only_an_endpoint_without_tls_is_allowed_to_have_none(at_exit, monkeypatch, endpoint, allowed):
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    start_sail(Settings(storage_mode="s3", s3_bucket="lake"))
    assert os.environ.get("AWS_ALLOW_HTTP") == allowed
    monkeypatch.setenv("AWS_ALLOW_HTTP", "")  # so that it is gone after the test
    at_exit[0]()


@pytest.mark.parametrize(
    ("text", "limit"), [("1000000\n", 1_000_000), ("max\n", None), (str(1 << 62), None), (None, None)]
)
def test_memory_is_that_of_the_container_if_it_has_a_limit(tmp_path, monkeypatch, text, limit):
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if text is not None:
        (tmp_path / "memory.max").write_text(text)
    monkeypatch.setattr(memory, "_CONTAINER_LIMITS", (tmp_path / "memory.max", Path("/nowhere")))
    assert memory_bytes() == (limit or machine)


def test_the_memory_pool_leaves_room_for_the_rest_of_the_process():
    variables = sail_variables(Path("/spill"))
    assert variables["SAIL_RUNTIME__MEMORY_POOL__TYPE"] == "fair"
    assert int(variables["SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE"]) < memory_bytes() / 2


_STUCK = """
import time
from pathlib import Path
from fitness_assets.engine.session import start_spark
from fitness_assets.settings import Settings
session = start_spark(Settings(local_root=Path("lake")))
session.client.execute_command = lambda *_: time.sleep(600)  # as after an interrupt in the middle of a request
"""


def test_a_process_ends_even_if_the_server_answers_no_more(tmp_path):
    assert subprocess.run([sys.executable, "-c", _STUCK], cwd=tmp_path, timeout=60, check=False).returncode == 0
