"""What the Dagster UI shows of a table."""

from fitness_assets.orchestration.table_metadata import column_lineage, column_schema, records
from fitness_assets.registry import table_of

FACT = table_of("gold/fact_daily")


def test_columns_have_units_and_constraints():
    columns = {column.name: column for column in column_schema(FACT).columns}
    assert "Unit: kg." in (columns["weight_kg"].description or "")
    assert columns["weight_kg"].constraints.other == ["30 to 200"]
    assert columns["gender"].constraints.other == ["one of M, F"]
    assert not columns["user_id"].constraints.nullable
    assert columns["weight_kg"].tags == {"loinc": "29463-7", "ucum": "kg", "schema": "omh:body-weight:3.0"}
    assert columns["stress_level"].tags == {"loinc": "93038-8", "ucum": "{score}"}
    assert columns["ra30_calories"].tags == {"ucum": "kcal"}
    assert not columns["user_id"].tags


def test_lineage_names_the_columns_of_other_tables():
    deps = column_lineage(FACT).deps_by_column["date_key"]
    assert [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps] == [("silver/clean_days", "date")]


def test_rows_are_a_table_whichever_cells_they_have_and_long_text_is_cut():
    shown = records([{"a": 1, "b": ["x", "y"]}, {"a": None, "c": "z" * 1_000}])
    assert [column.name for column in shown.schema.columns] == ["a", "b", "c"]
    first, second = (record.data for record in shown.records)
    assert first == {"a": 1, "b": "x, y", "c": None}
    assert len(str(second["c"])) == 301
