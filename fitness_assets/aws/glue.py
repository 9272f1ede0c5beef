"""Tables of a bucket in the Glue Data Catalog, where Athena, Redshift Spectrum and EMR look for them.

A table's entry leads to its manifest, not to its files, so it is written again only to follow the dictionary.
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
    """Make or update the entries of some tables.

    Args:
        tables: which; a table is entered under its name without the layer.
        store: where they lie.
        database: the Glue database, which has to be there.
        client: makes a boto3 client for Glue.

    Raises:
        LakeError: saying what Glue answered.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        glue = client()
        for table in tables:
            entry = _entry(table, store)
            try:
                glue.update_table(DatabaseName=database, TableInput=entry)
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
    return text if len(text) <= 255 else text[:254] + "…"  # Glue takes no longer ones
