"""Sail: a Spark Connect server in Rust that runs inside this process and needs no Java.

The server listens on a free port of the loopback interface and ends with the process. Sail has no authentication, so
another user of this machine could connect to it while a run lasts (see ``docs/spark.md``).
"""

import atexit
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from fitness_assets.engine.memory import memory_bytes
from fitness_assets.lake.scratch import new_folder
from fitness_assets.settings import Settings

_POOL_SHARE = 0.4
"""Share of the memory that queries may use before they spill to disk; Python, DuckDB and buffers use the rest."""

_S3_SIGNS = re.compile(
    r"Generic S3 error|non-2xx status code|Connection (?:refused|reset)|error sending request|error decoding response"
)
"""What Sail's errors say when S3 does not answer, or refuses a request."""


def s3_failure(error: Exception) -> str | None:
    """What S3 or the network said, on one line, if an error of Sail comes from there; None for any other error.

    Sail sends a failing request again, ten times or for three minutes, before it raises the error.
    """
    text = " ".join(str(error).split())
    return text[:400] if _S3_SIGNS.search(text) else None


def start_sail(settings: Settings) -> str:
    """Start a server in this process.

    Returns:
        The URL for a Spark Connect client.
    """
    spill = _spill_folder(settings)
    with _variables(sail_variables(spill)):  # Sail reads them when it is loaded and when the server is made
        from pysail.spark import SparkConnectServer  # 170 MB, which commands without an engine do not load

        server = SparkConnectServer("127.0.0.1", 0)
        server.start(background=True)
    if settings.lake_bucket and os.environ.get("AWS_ENDPOINT_URL", "").startswith("http:"):
        os.environ.setdefault("AWS_ALLOW_HTTP", "true")  # Sail refuses an endpoint without TLS otherwise

    def stop() -> None:
        server.stop()
        rmtree(spill, ignore_errors=True)

    atexit.register(stop)
    _, port = server.listening_address or ("", 0)
    return f"sc://127.0.0.1:{port}"


def sail_variables(spill: Path) -> dict[str, str]:
    """Sail's configuration as environment variables; a variable that the user has set wins.

    Args:
        spill: the folder for data that exceeds the memory pool.
    """
    return {
        "RUST_LOG": "error",
        # The allocator takes memory when it is needed and returns it at once; otherwise a run takes 1.4 times as much.
        "MIMALLOC_ARENA_EAGER_COMMIT": "0",
        "MIMALLOC_ALLOW_THP": "0",
        "MIMALLOC_PURGE_DELAY": "0",
        "SAIL_RUNTIME__MEMORY_POOL__TYPE": "fair",
        "SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE": str(int(memory_bytes() * _POOL_SHARE)),
        "SAIL_RUNTIME__TEMPORARY_FILES__PATHS": f'["{spill}"]',
        "SAIL_PARQUET__COMPRESSION": "snappy",  # as Spark does; its default, zstd, takes longer to write
    }


def _spill_folder(settings: Settings) -> Path:
    """A folder on the disk of a local lake, where the lake's garbage collection finds it after a crash."""
    if settings.lake_bucket:
        return new_folder()
    staging = settings.local_root.absolute() / "_versions" / ".staging"
    staging.mkdir(parents=True, exist_ok=True)
    return Path(mkdtemp(prefix="sail-", dir=staging))


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables that are not set yet, for a moment: child processes must not inherit them."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
