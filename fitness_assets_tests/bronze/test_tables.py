"""Bronze: what its rules find."""

import json

import pytest

from fitness_assets.bronze.measurements import MEASUREMENTS
from fitness_assets.bronze.tables import LOGGED_DAYS, UPLOADS
from fitness_assets_tests.conftest import violations


def found(rule_name: str, *user_ids: str) -> list[dict]:
    (rule,) = [rule for rule in LOGGED_DAYS.set_rules if rule.name == rule_name]
    return violations(rule, {LOGGED_DAYS.key: [{"user_id": user_id} for user_id in user_ids]})


@pytest.mark.parametrize(
    "user_ids",
    [("anna", "Anna"), ("17", "017"), ("17", "17.0"), ("0017.00", "17"), ("0", "00"), ("É1", "é1")],
    ids=["case", "leading zero", "point zero", "both", "zeros", "accents"],
)
def test_ids_that_differ_only_in_how_they_are_written_are_found(user_ids):
    (row,) = found("ids_differ_clearly", *user_ids, *user_ids, "other")
    assert set(row["user_ids"]) == set(user_ids)


def test_other_ids_are_not_taken_for_each_other():
    assert found("ids_differ_clearly", "17", "170", "1.7", "17.05", "7.0.1", "a", "b", "") == []


@pytest.mark.parametrize("user_id", ["1.50396E+11", "2E+10", "1,5e9"])
def test_ids_that_look_like_rounded_numbers_are_found(user_id):
    assert found("ids_are_whole", user_id, "17", "e12", "1E", "abe+1", "1e2e3") == [{"user_id": user_id}]


def counts(**changed: int) -> dict:
    numbers = {"seen": 10, "used": 6, "duplicate": 1, "overlapped": 1, "not_mapped": 1, "invalid": 1} | changed
    return {"steps": numbers | {"why": {'no "number"': 1}}, "Tänze": {**dict.fromkeys(numbers, 0)}}


def ledger_row(**changes: object) -> dict:
    return {"records_seen": 10, "records_used": 6, "record_counts": json.dumps(counts())} | changes


@pytest.mark.parametrize(
    ("row", "types"),
    [
        (ledger_row(), []),
        (ledger_row(record_counts=json.dumps(counts(duplicate=2))), ["steps"]),
        (ledger_row(record_counts=json.dumps(counts(seen=11)), records_seen=11), ["steps"]),
        (ledger_row(records_seen=9), ["all types"]),
        (ledger_row(records_used=7), ["all types"]),
        (ledger_row(record_counts="{}", records_seen=0, records_used=0), []),
        (ledger_row(record_counts=None, records_seen=None, records_used=None), []),
    ],
)
def test_counts_of_records_that_do_not_add_up_are_found(row, types):
    (rule,) = [rule for rule in UPLOADS.set_rules if rule.name == "records_add_up"]
    assert [found["type"] for found in violations(rule, {UPLOADS.key: [row]})] == types


@pytest.mark.parametrize(("known", "twice"), [((), {"a", "b"}), (("a",), {"b"}), (("a", "b"), set())])
def test_records_that_are_stored_twice_are_found_by_the_run_that_stores_them(known, twice):
    (rule,) = [rule for rule in MEASUREMENTS.set_rules if rule.name == "primary_key"]
    rows = {MEASUREMENTS.key: [{"upload_id": upload, "row_number": n} for upload in "ab" for n in (1, 1, 2)]}
    assert {row["upload_id"] for row in violations(rule, rows, known)} == twice


@pytest.mark.parametrize(("used", "stored", "lost"), [(2, 2, 0), (2, 1, 1), (1, 2, 1), (None, 0, 0), (0, 0, 0)])
def test_records_that_are_not_stored_are_found(used, stored, lost):
    (rule,) = [rule for rule in UPLOADS.set_rules if rule.name == "records_reconcile"]
    rows = {
        UPLOADS.key: [ledger_row(upload_id="a", records_used=used), ledger_row(upload_id="b", records_used=1)],
        MEASUREMENTS.key: [{"upload_id": "a"}] * stored + [{"upload_id": "b"}],
    }
    assert len(violations(rule, rows)) == lost


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["takeout-20260101T000000Z-1-001.zip", "takeout-20260101T000000Z-1-002.zip"], []),
        (["takeout-20260101T000000Z-1-002.zip"], [2]),
        (["takeout-20260101T000000Z-1-001.zip", "takeout-20260101T000000Z-1-003.zip"], [3]),
        (["takeout-20260101T000000Z-1-001.zip", "takeout-20260102T000000Z-1-001.zip"], []),
        (["my export-007.zip"], []),
    ],
)
def test_a_missing_part_of_a_google_export_is_found(names, missing):
    (rule,) = [rule for rule in UPLOADS.set_rules if rule.name == "no_missing_parts"]
    rows = [{"uri": f"raw/people/anna/{name}", "kind": "google_health", "person": "anna"} for name in names]
    assert [found["last_part"] for found in violations(rule, {UPLOADS.key: rows})] == missing
