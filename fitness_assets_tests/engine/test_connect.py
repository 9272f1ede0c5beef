"""The whole graph on a Spark Connect server: the same tables, also where the server dies in the middle."""

import sys
from collections.abc import Callable, Iterator

import pytest

from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.silver.tables import CLEAN_DAYS
from fitness_assets_tests.conftest import put_uploads
from fitness_assets_tests.whole_runs import (
    SECONDS,
    Server,
    assert_same,
    environment,
    free_port,
    listens,
    materialize,
    wait_for,
)

pytestmark = pytest.mark.deployment


@pytest.fixture
def server(tmp_path_factory) -> Iterator[tuple[Server, Callable[[], bool], str]]:
    """A Spark Connect server of its own, whether it listens, and its URL."""
    port = free_port()
    command = [sys.executable, "-m", "fitness_assets", "spark-server", "--port", str(port)]
    server = Server(command, tmp_path_factory.mktemp("server"), environment())
    server.start(lambda: listens(port))
    yield server, lambda: listens(port), f"sc://127.0.0.1:{port}"
    server.kill()


def test_a_connect_server_that_dies_is_one_sentence_and_after_it_every_table_is_that_of_an_embedded_run(
    server, sample, reference, tmp_path
):
    """The first run, with a process for each step, loses its server in the middle."""
    lake = Lake(LocalStore(tmp_path / "data"), pytest.fail)
    put_uploads(tmp_path / "data", sample)
    spark, is_ready, url = server
    # No Java for the client: it needs none.
    client = {"FITNESS_SPARK": url, "FITNESS_SPARK_CONF": "", "JAVA_HOME": "/nowhere"}
    run, log = materialize(tmp_path, **client, FITNESS_EXECUTOR="multiprocess")
    wait_for(lambda: "silver: writing version" in log.read_text(), run, log)
    spark.kill()
    assert run.wait(SECONDS) != 0
    assert "The Spark Connect server of FITNESS_SPARK cannot be reached" in log.read_text()
    assert_same(lake, {key: rows for key, rows in reference().items() if key.startswith("bronze/")})
    assert lake.current(CLEAN_DAYS) is None

    spark.start(is_ready)
    run, log = materialize(tmp_path, **client)
    assert run.wait(SECONDS) == 0, log.read_text()[-3000:]
    assert_same(lake, reference())
