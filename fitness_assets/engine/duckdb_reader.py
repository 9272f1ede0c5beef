"""Opens tables of the lake in DuckDB, for queries with small results. Spark would need seconds to plan them.

The queries are in other modules: rules in ``rule_checks.py``, malformed rows in ``bronze``, diagnostics in ``quality``.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from fitness_assets.engine.memory import memory_bytes
from fitness_assets.lake.store import Store
from fitness_assets.lake.version import LakeError
from fitness_assets.schema.rules import table_name
from fitness_assets.schema.table import Table

if TYPE_CHECKING:
    import duckdb

_SHARE_OF_MEMORY = 0.2
"""Of the machine or container; what exceeds it spills to a temporary folder."""
_CONFIG: dict[str, Any] = {"autoload_known_extensions": False, "autoinstall_known_extensions": False}
"""DuckDB downloads no extension."""
_TYPES = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "array<string>": "VARCHAR[]",
}
"""DuckDB's types by the types of a `Column`."""


class Opened(NamedTuple):
    """One version of a table to open, or some months of it; ``months`` None means all of them."""

    table: Table
    version: str
    months: Collection[str] | None = None


@contextmanager
def reader(
    store: Store, opened: Sequence[Opened], in_memory: Mapping[str, Any] | None = None
) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Open a DuckDB connection in which each table has its name without the layer.

    Args:
        store: where the tables are stored.
        opened: the tables to open.
        in_memory: further Arrow tables or datasets, by key (``layer/table``).

    Raises:
        LakeError: if files cannot be read, or the disk has no room for data that exceeds the memory limit.
    """
    import duckdb  # imported here: commands that only list versions do not need it

    with TemporaryDirectory() as folder:
        try:
            limits = {"memory_limit": f"{int(memory_bytes() * _SHARE_OF_MEMORY)}B", "temp_directory": folder}
            with duckdb.connect(config=limits | _CONFIG) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                for each in opened:
                    open_table(connection, store, each)
                for key, rows in (in_memory or {}).items():
                    connection.register(table_name(key), rows)
                yield connection
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            why = str(error).splitlines()[0]
            raise LakeError(
                f"DuckDB could not read the tables: {why} It keeps data that exceeds its memory in "
                f"{Path(folder).parent}: free disk space there, or set TMPDIR to another folder."
            ) from None


def open_table(connection: "duckdb.DuckDBPyConnection", store: Store, opened: Opened) -> None:
    """Open a table on a connection under its name without the layer.

    DuckDB reads files on disk itself, four times as fast as through Arrow. It has no S3 client without a download.
    """
    table, paths = opened.table, store.paths(*opened)
    if not paths or "://" in paths[0]:
        connection.register(table.name, store.dataset_of(table, paths) if paths else table.arrow_schema.empty_table())
        return
    files = connection.read_parquet(paths, union_by_name=True)
    # Files of older versions may lack a column, or have another type for timestamps.
    columns = (
        f"CAST({c.name if c.name in files.columns else 'NULL'} AS {_TYPES[c.type]}) AS {c.name}" for c in table.columns
    )
    files.project(", ".join(columns)).create_view(table.name)
