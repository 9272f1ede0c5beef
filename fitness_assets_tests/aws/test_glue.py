"""Gold tables in the Glue catalog: an entry describes the columns and points to the manifest."""

from dataclasses import replace
from uuid import uuid4

import boto3
import pytest

from fitness_assets.aws.glue import register
from fitness_assets.gold.tables import DIM_DATE, DIM_USER
from fitness_assets.lake.s3 import S3Store
from fitness_assets.lake.version import LakeError
from fitness_assets_tests.conftest import new_bucket


@pytest.fixture
def database(cloud) -> str:
    name = f"fitness_{uuid4().hex}"
    boto3.client("glue").create_database(DatabaseInput={"Name": name})
    return name


@pytest.fixture
def store(cloud) -> S3Store:
    return S3Store(new_bucket(), {"gold": "gold tables"})


def entries(database: str) -> dict[str, dict]:
    found = boto3.client("glue").get_tables(DatabaseName=database)["TableList"]
    return {entry["Name"]: dict(entry) for entry in found}


def test_an_entry_has_the_columns_and_the_place_of_the_manifest(store, database):
    register([DIM_USER, DIM_DATE], store, database, lambda: boto3.client("glue"))
    found = entries(database)
    assert [*found] == ["dim_user", "dim_date"]
    storage = found["dim_date"]["StorageDescriptor"]
    assert storage["Location"] == f"s3://{store.bucket.name}/gold tables/dim_date/_symlink_format_manifest"
    assert [(c["Name"], c["Type"]) for c in storage["Columns"]] == [(c.name, c.type) for c in DIM_DATE.columns]
    assert storage["InputFormat"].endswith("SymlinkTextInputFormat")


def test_a_changed_table_replaces_its_entry_and_a_long_description_is_cut(store, database):
    register([DIM_USER], store, database, lambda: boto3.client("glue"))
    column = replace(DIM_USER.columns[0], description="x" * 1_000)
    register([replace(DIM_USER, columns=(column,))], store, database, lambda: boto3.client("glue"))
    (changed,) = entries(database)["dim_user"]["StorageDescriptor"]["Columns"]
    assert (changed["Name"], len(changed["Comment"])) == (column.name, 255)


def test_a_database_that_does_not_exist_is_one_sentence(store):
    with pytest.raises(LakeError, match="gold/dim_user are published, but not in the Glue database nowhere"):
        register([DIM_USER], store, "nowhere", lambda: boto3.client("glue"))
