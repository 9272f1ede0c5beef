"""Writes the rows of uploads for the engine: Parquet files of text cells, with one schema for a whole run."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_SMALL_BYTES = 64 << 20  # uploads of less are put into one file: engines are slow with many small ones
_MOMENT = pa.timestamp("us", tz="UTC")


class Draft:
    """The rows of one upload, in memory while they are few; kept or discarded as a whole.

    Attributes:
        tables: the rows, unless there is a file.
        path: the file; None while there is none.
        rows: the number of rows.
    """

    def __init__(self, path: Path, repeated: Sequence[str]) -> None:
        self.tables: list[pa.Table] = []
        self.path: Path | None = None
        self.rows = 0
        self._target, self._repeated = path, repeated
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> None:
        """Add rows."""
        self.rows += len(table)
        if self._writer:
            self._writer.write_table(table)
            return
        self.tables.append(table)
        if sum(table.nbytes for table in self.tables) > _SMALL_BYTES:
            self.path = self._target
            self._writer = _writer(self.path, table.schema, self._repeated)
            for each in self.tables:
                self._writer.write_table(each)
            self.tables = []

    def close(self) -> None:
        """End the file, if there is one."""
        if self._writer:
            self._writer.close()

    def discard(self) -> None:
        """Remove all rows."""
        self.close()
        self.tables = []
        if self.path:
            self.path.unlink()


class RowFiles:
    """The rows of all uploads of a run.

    Args:
        folder: for the files.
        repeated: columns with few different values.
    """

    def __init__(self, folder: Path, repeated: Sequence[str] = ()) -> None:
        self.folder = folder
        self._repeated = ["upload_id", "ingested_at", *repeated]
        self._paths: list[Path] = []
        self._small: list[pa.Table] = []
        self._small_bytes = self._drafts = 0
        folder.mkdir(parents=True, exist_ok=True)

    def draft(self, upload_id: str, ingested_at: datetime, tables: Iterable[pa.Table]) -> Draft:
        """Rows of one upload with what names each of them; they count once they are kept."""
        draft = Draft(self._next(), self._repeated)
        try:
            for table in tables:
                if len(table):
                    draft.add(_named(table, upload_id, ingested_at, draft.rows))
        except BaseException:
            draft.discard()
            raise
        draft.close()
        return draft

    def keep(self, draft: Draft) -> None:
        """Add the rows of a draft to those of the run."""
        if draft.path:
            self._paths.append(draft.path)
        self._small += draft.tables
        self._small_bytes += sum(table.nbytes for table in draft.tables)
        if self._small_bytes > _SMALL_BYTES:
            self._write_small()

    def close(self) -> list[Path]:
        """The files with all rows that were kept."""
        if self._small:
            self._write_small()
        return self._paths

    def _write_small(self) -> None:
        path = self._next()
        with _writer(path, self._small[0].schema, self._repeated) as writer:
            writer.write_table(pa.concat_tables(self._small))
        self._small, self._small_bytes = [], 0
        self._paths.append(path)

    def _next(self) -> Path:
        self._drafts += 1
        return self.folder / f"rows-{self._drafts}.parquet"


def _named(table: pa.Table, upload_id: str, ingested_at: datetime, before: int) -> pa.Table:
    columns = {
        "upload_id": pa.repeat(upload_id, len(table)),
        "row_number": pa.array(np.arange(before + 1, before + len(table) + 1)),
        "ingested_at": pa.repeat(pa.scalar(ingested_at, _MOMENT), len(table)),
    }
    return pa.table(columns | dict(zip(table.schema.names, table.columns, strict=True)))


def _writer(path: Path, schema: pa.Schema, repeated: Sequence[str]) -> pq.ParquetWriter:
    """A writer that prefers speed to small files, because each file is written and read once."""
    options: dict[str, Any] = {
        "compression": {name: "none" if name == "text" else "lz4" for name in schema.names},
        "use_dictionary": [*repeated],
        "write_statistics": False,
    }
    return pq.ParquetWriter(path, schema, **options)
