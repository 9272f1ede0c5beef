"""Goals as uploads: what is read, what is refused and why, and that nothing hostile breaks anything."""

import json
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fitness_assets.coach.goals import LARGEST_FILE, Goal, read_goals
from fitness_assets.coach.tables import GOALS, PLANNED, STOPPED, SUPERSEDED, UNREADABLE
from fitness_assets.coach.transforms import settle

GOOD = {"user_id": "17", "start": "2024-09-07", "target_weight_kg": 64}


def read(tmp_path, content, name="goal.json"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_goals(path, name)


def test_a_json_goal_is_read(tmp_path):
    (entry,) = read(tmp_path, json.dumps(GOOD | {"notes": " no running ", "target_steps": 9_000}))
    assert entry.refusal is None
    assert entry.goal == Goal(
        user_id="17", start=date(2024, 9, 7), target_weight_kg=64, notes="no running", target_steps=9_000
    )


def test_a_list_of_goals_is_read_one_by_one(tmp_path):
    first, second = read(tmp_path, json.dumps([GOOD, {"user_id": "18", "start": "never", "target_steps": 1}]))
    assert first.goal
    assert (second.position, second.user_id) == (2, "18")
    assert str(second.refusal).startswith("start: ")


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_csv_goals_are_read_and_empty_cells_state_nothing(tmp_path, delimiter):
    rows = ["17,2024-09-07,64.5,,", "", "18,2024-09-08,,true,", "19,2024-09-08,,,1"]
    text = "\n".join(["user_id,start,target_weight_kg,pregnant,stop", *rows]) + "\n"
    entries = read(tmp_path, "﻿" + text.replace(",", delimiter), "goals.csv")
    assert [entry.refusal for entry in entries] == [None] * 3
    goals = [entry.goal for entry in entries if entry.goal]
    assert [(goal.user_id, goal.target_weight_kg, goal.pregnant, goal.stop) for goal in goals] == [
        ("17", 64.5, False, False),
        ("18", None, True, False),
        ("19", None, False, True),
    ]


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"{}", "goal.txt", "The name ends neither in .json nor in .csv."),
        (b"\xff\xfe", "goal.json", "The file cannot be read: 'utf-8' codec"),
        (b"{", "goal.json", "The file cannot be read: Expecting property name"),
        (b"[]", "goal.json", "The file has 0 goals"),
        (b"[" * 100_000, "goal.json", "The file cannot be read: it is nested too deeply."),
        (b" " * (LARGEST_FILE + 1), "goal.json", "The file is larger than 1,000,000 bytes."),
        (b"[1" + b",1" * 10_000 + b"]", "goal.json", "The file has 10,001 goals"),
        (b"3", "goal.json", "A goal has to be an object"),
        (b"", "goal.csv", "The file has 0 goals"),
        (b"user_id,user_id\n1,2\n", "goal.csv", "The file cannot be read: two columns have the same name."),
        (b"user_id,start\n1\n", "goal.csv", "The file cannot be read: row 1 has 1 cells, the header has 2."),
        (b'user_id,start\n"1', "goal.csv", "The file cannot be read: unexpected end of data."),
    ],
)
def test_a_file_that_is_no_goal_is_refused_with_a_sentence(tmp_path, content, name, sentence):
    (entry,) = read(tmp_path, content, name)
    assert entry.goal is None
    assert str(entry.refusal).startswith(sentence)


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"user_id": ""}, "user_id: String should have at least 1 character."),
        ({"start": "2024-13-01"}, "start: Input should be a valid date"),
        ({"start": "0001-01-01"}, "start: Input should be greater than or equal to"),
        ({"target_weight_kg": "NaN"}, "target_weight_kg: "),
        ({"target_weight_kg": -1}, "target_weight_kg: Input should be greater than or equal to 30."),
        ({"target_weight_kg": None}, "The goal is incomplete: it has to state one of target_weight_kg,"),
        ({"pace_kg_per_week": 0}, "pace_kg_per_week: Input should be greater than 0."),
        ({"target_steps": 1e9}, "target_steps: Input should be less than or equal to 50000."),
        ({"sex": "x"}, "sex: Input should be 'F' or 'M'."),
        ({"taget_weight": 60}, "taget_weight: Extra inputs are not permitted."),
        ({"notes": "x" * 2_001}, "notes: String should have at most 2000 characters."),
    ],
)
def test_a_goal_that_cannot_be_is_refused_by_its_field(tmp_path, cells, sentence):
    (entry,) = read(tmp_path, json.dumps(GOOD | cells))
    assert entry.goal is None
    assert str(entry.refusal).startswith(sentence)


TEXT = st.text(max_size=30) | st.sampled_from(
    ["\x00", "\ud800", "'; DROP TABLE goals; --", "<script>", "=1+1", "٣", "∞"]
)
VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | TEXT
    | st.dates().map(str)
    | st.lists(st.integers(), max_size=2)
)
CELLS = st.dictionaries(st.sampled_from([*Goal.model_fields]) | TEXT, VALUE, max_size=8)
NEAR = st.fixed_dictionaries(
    {"user_id": TEXT, "start": st.dates().map(str)},
    optional={
        name: st.floats() | st.integers(-10, 10**6) for name in ("target_weight_kg", "intake_kcal", "target_steps")
    },
)
FILES = (
    (CELLS | NEAR | st.lists(CELLS | VALUE, max_size=4)).map(json.dumps).map(str.encode)
    | st.binary(max_size=300)
    | st.text(max_size=300).map(lambda text: text.encode(errors="surrogatepass"))
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=FILES, name=st.sampled_from(["a.json", "a.csv", "a.JSON", "a"]))
@example(content=json.dumps({"user_id": "\ud800", "\ud800": 1}).encode(), name="a.json")
@example(content=b'{"user_id": ' + b"9" * 5_000 + b"}", name="a.json")
@example(content=b"user_id,start\n\x00,\x00\n", name="a.csv")
def test_a_hostile_file_is_read_or_refused_and_fits_into_the_ledger(tmp_path, content, name):
    entries = read(tmp_path, content, name)
    assert entries
    for entry in entries:
        assert (entry.goal is None) == bool(entry.refusal)
        stated = entry.goal.model_dump() if entry.goal else {"user_id": entry.user_id, "reason": entry.refusal}
        pa.Table.from_pylist([dict.fromkeys(GOALS.arrow_schema.names) | stated], GOALS.arrow_schema)
        assert "\n" not in (entry.refusal or "")


def ledger_row(number: int, user_id: str | None = "17", **cells):
    read_at = datetime(2024, 9, 7, tzinfo=UTC) + timedelta(hours=number)
    empty = dict.fromkeys(GOALS.arrow_schema.names)
    stated = {"goal_id": str(number), "ingested_at": read_at, "position": 1, "user_id": user_id, "stop": False}
    return empty | stated | {"status": PLANNED} | cells


def statuses(*rows):
    return {row["goal_id"]: row["status"] for row in settle(rows)}


def test_a_later_goal_supersedes_an_earlier_one_of_the_same_person_only():
    assert statuses(ledger_row(2), ledger_row(1), ledger_row(3, "18")) == {"1": SUPERSEDED, "2": PLANNED, "3": PLANNED}


def test_a_goal_that_could_not_be_read_supersedes_nothing():
    bad = ledger_row(2, status="refused", refusal=UNREADABLE, reason="?")
    assert statuses(ledger_row(1), bad) == {"1": PLANNED, "2": "refused"}


def test_a_person_can_stop_and_begin_again():
    assert statuses(ledger_row(1), ledger_row(2, stop=True)) == {"1": SUPERSEDED, "2": STOPPED}
    assert statuses(ledger_row(1), ledger_row(2, stop=True), ledger_row(3))["3"] == PLANNED


def test_a_refusal_of_an_earlier_run_is_decided_anew():
    (row,) = settle([ledger_row(1, status="refused", refusal="underweight", reason="?")])
    assert (row["status"], row["refusal"], row["reason"]) == (PLANNED, None, None)
