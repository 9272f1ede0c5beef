"""Where Dagster keeps its history, as `dagster.yaml` names it: Dagster's own SQLite files, held open between events.

Dagster opens them anew for each of a run's 600 events: some 12 ms each, where 2 are enough. Here belongs no more than
that; what a history is, is Dagster's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine
from sqlalchemy.event import listens_for

_KEPT_OPEN = 4
"""Files: the index, and the runs that were written or looked at last."""


class EventLog(SqliteEventLogStorage):
    """Dagster's event log in SQLite, one file a run, with the files of last use held open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._engines: dict[str, Engine] = {}
        self._tables: set[str] = set()
        super().__init__(*args, **kwargs)

    def has_table(self, table_name: str) -> bool:
        """Whether there is such a table; asked for every check, and one that is there stays."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engines.pop(shard, None) or _engine(self.conn_string_for_shard(shard))
            self._engines[shard] = engine  # in the order of last use
            if len(self._engines) > _KEPT_OPEN:
                self._engines.pop(next(iter(self._engines))).dispose()
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection


def _engine(address: str) -> Engine:
    engine = create_engine(address, pool_size=1, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})

    @listens_for(engine, "connect")
    def _(connection: Any, _: Any) -> None:
        # Waits for the disk now and then, not for each event. What is killed loses nothing; a power cut may lose the
        # last events, and breaks no file: https://sqlite.org/pragma.html#pragma_synchronous.
        connection.execute("PRAGMA synchronous = NORMAL")

    return engine


class History(DagsterSqliteStorage):
    """Dagster's SQLite storage with such an event log; its files lie where Dagster's own would.

    Args:
        base_dir: the folder; a relative one is looked for from the working directory.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = EventLog(str(Path(base_dir, "history", "runs")))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Any) -> "History":
        """As the class above does, which would make one of its own kind."""
        return cls.from_local(inst_data=inst_data, **config_value)
