"""Tables as DuckDB reads them: for questions with short answers, which Spark takes seconds to compile.

Here belongs how tables come before it, whatever is asked of them: rules (``audits.py``), which rows did not fit
(``bronze``), what the data is worth (``quality``).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fitness_assets.lake.local import Store
from fitness_assets.lake.version import LakeError
from fitness_assets.registry import table_of
from fitness_assets.schema.rules import table_name

if TYPE_CHECKING:
    import duckdb

_CONFIG = {"memory_limit": "2GB", "autoload_known_extensions": False, "autoinstall_known_extensions": False}
"""What the engine cannot hold in memory it writes to a temporary folder, and it fetches nothing."""


@contextmanager
def reader(
    store: Store, versions: Mapping[str, str], held: Mapping[str, Any] | None = None
) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A connection that knows tables by their keys without the layer.

    Args:
        store: where the tables lie.
        versions: which version of which table, by key.
        held: further tables: Arrow tables or datasets.

    Raises:
        LakeError: if files cannot be read, or there is no room for what does not fit into memory.
    """
    import duckdb  # a local lake is looked at without it

    tables = {key: store.dataset(table_of(key), version) for key, version in versions.items()}
    with TemporaryDirectory() as folder:
        try:
            with duckdb.connect(config=_CONFIG | {"temp_directory": folder}) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                for key, rows in {**tables, **(held or {})}.items():
                    connection.register(table_name(key), rows)
                yield connection
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            why = str(error).splitlines()[0]
            raise LakeError(
                f"Tables could not be looked at: {why} What does not fit into memory is kept in {Path(folder).parent} "
                "meanwhile: make room there, or set TMPDIR to another folder."
            ) from None
