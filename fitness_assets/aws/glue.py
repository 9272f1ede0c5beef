"""Registers tables of a bucket in the Glue Data Catalog, where Athena, Redshift Spectrum and EMR find them.

The entry of a table refers to its manifest, not to its files. So it changes only when the table's schema changes.
"""

from collections.abc import Callable, Sequence
from typing import Any

from fitness_assets.lake.store import Store
from fitness_assets.lake.version import LakeError
from fitness_assets.schema.table import Table

_FORMAT = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}


def register(tables: Sequence[Table], store: Store, database: str, client: Callable[[], Any]) -> None:
    """Create or update the entries of some tables.

    Args:
        tables: the tables; each is entered under its name without the layer.
        store: where they are stored.
        database: the Glue database; it has to exist.
        client: makes a boto3 client for Glue.

    Raises:
        LakeError: with the answer of Glue.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        glue = client()
        for table in tables:
            entry = _entry(table, store)
            try:
                # Glue would keep every earlier entry as a version of the table; their number is limited.
                glue.update_table(DatabaseName=database, TableInput=entry, SkipArchive=True)
            except glue.exceptions.EntityNotFoundException:
                glue.create_table(DatabaseName=database, TableInput=entry)
    except (BotoCoreError, ClientError) as error:
        keys = ", ".join(table.key for table in tables)
        raise LakeError(f"{keys} are published, but not in the Glue database {database}: {error}") from error


def _entry(table: Table, store: Store) -> dict[str, Any]:
    return {
        "Name": table.name,
        "Description": table.description,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet"},
        "StorageDescriptor": {
            "Location": store.location(table).rpartition("/")[0],
            "Columns": [
                {"Name": column.name, "Type": column.type, "Comment": _comment(column.description)}
                for column in table.columns
            ],
            **_FORMAT,
        },
    }


def _comment(text: str) -> str:
    return text if len(text) <= 255 else text[:254] + "…"  # the limit of Glue
