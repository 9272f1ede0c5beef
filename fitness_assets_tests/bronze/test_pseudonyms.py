"""Pseudonyms: no id of an upload is in anything that a run leaves behind, and one key counts for one lake."""

import json
import logging
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fitness_assets.bronze.pseudonyms import AS_UPLOADED, WITHHELD, Pseudonyms
from fitness_assets.bronze.readers.records import Record, RecordCounter, tables
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.cli import main
from fitness_assets.definitions import build_defs
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.version import LakeError
from fitness_assets.orchestration import messages
from fitness_assets.registry import TABLES, table_of
from fitness_assets.sample import garmin
from fitness_assets.sample.life import lived
from fitness_assets.settings import Settings
from fitness_assets.silver.devices.streams import Order, Stream
from fitness_assets_tests.archives import walk
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, UPLOADED, failure_of, job_of, looks, root_of
from fitness_assets_tests.search import holders

KEY = "a key that is long enough"
HIDDEN = Pseudonyms(KEY)
IDS = ("ada-planted-1815", "grace-planted-1906", "008150347", "zoë-planted")
NAME = "Countess of Lovelace"


@given(st.text(min_size=1), st.text(min_size=16))
def test_a_pseudonym_depends_on_id_and_key_and_is_its_own_pseudonym(user_id, key):
    pseudonyms = Pseudonyms(key)
    hidden = pseudonyms.of(user_id)
    assert pseudonyms.of(hidden) == hidden == pseudonyms.of(f" {user_id}\t")
    assert hidden != Pseudonyms(key + "!").of(user_id)
    assert AS_UPLOADED.of(user_id) == AS_UPLOADED.of(f"\ufeff{user_id} ")


@pytest.mark.parametrize(("key", "of_lake", "says"), [
    (None, HIDDEN.check, "and FITNESS_PSEUDONYM_KEY is not set: set it to the key of this lake"),
    (KEY, None, "This lake holds user ids as they were uploaded"),
    (KEY, Pseudonyms("another key, as long").check, "FITNESS_PSEUDONYM_KEY is not the key of this lake"),
])  # fmt: skip
def test_another_key_is_refused_and_uploads_without_rows_do_not_count(key, of_lake, says):
    with pytest.raises(LakeError, match=says):
        Pseudonyms(key).require_same_key([{"rows_read": 1, "pseudonym_key": of_lake}])
    with pytest.raises(LakeError, match=says):
        Pseudonyms(key).require_same_key([{"rows_read": 0, "person": "anybody", "pseudonym_key": of_lake}])
    Pseudonyms(key).require_same_key([{"rows_read": 0, "pseudonym_key": of_lake}])
    Pseudonyms(key).require_same_key([{"rows_read": 1, "pseudonym_key": Pseudonyms(key).check}])


def uploads() -> dict[str, str]:
    """Files with an id in every place where one can be: in its cell, in a wrong one, in rows that cannot be cut."""
    days = [GOOD_ROW.replace("17,", f"{user},", 1).replace("09-06", f"09-{day:02}") for user in IDS for day in (6, 7)]
    wrong = [
        f"42,{IDS[0]},F,2024-09-08,8120,71.5,7.2,2240.0,35.0,4,68.4,23.9",  # columns swapped
        f"{IDS[1]},42,F,{IDS[1]},8120,71.5,7.2,2240.0,35.0,4,68.4,23.9",
        f"{IDS[0]},42",
        f"{IDS[0]},{'x,' * 20}",
        f'{IDS[2]},42,F,2024-09-09,"8120 {IDS[2]}',
    ]
    more = [row + f",{NAME}" for row in days]
    goals = [f'{user},2024-09-08,9000,"{IDS[0]}, {NAME}"' for user in IDS]
    return {
        "goals/goals.csv": "\n".join(["user_id,start,target_steps,notes", *goals]),
        "goals/by_person.csv": f"user_id,{IDS[1]}\n{IDS[1]},9000\n",
        "days.csv": "\n".join([HEADER, *days, *wrong]),
        "more.csv": "\n".join([HEADER + ",full name", *more]).replace("09-0", "10-0"),
        "headless.csv": "\n".join(days),
    }


@pytest.fixture
def runs(tmp_path, spark, caplog):
    """Runs of the whole graph in folders of their own, with one key or another."""
    caplog.set_level(logging.INFO)

    def run(folder: str, key: str | None, select: str = "*") -> tuple[Lake, dg.ExecuteInProcessResult]:
        lake = Lake(LocalStore(tmp_path / folder / "lake"), lambda: spark)
        raw = root_of(lake) / "raw"
        (raw / "goals").mkdir(parents=True, exist_ok=True)
        for name, text in uploads().items():
            (raw / name).write_text(text)
        graph = build_defs(Settings.model_validate({"local_root": root_of(lake), "pseudonym_key": key}), lake=lake)
        (tmp_path / folder / "dagster").mkdir(exist_ok=True)
        with dg.DagsterInstance.local_temp(str(tmp_path / folder / "dagster")) as instance:
            result = job_of(graph, select).execute_in_process(instance=instance, raise_on_error=False)
        return lake, result

    return run


def test_no_id_is_in_any_table_file_event_log_or_message(runs, tmp_path, caplog, capfd):
    plain, result = runs("plain", None)
    assert result.success
    needles = (*IDS, NAME)
    assert {*holders(needles, tmp_path / "plain", root_of(plain) / "raw")} == {*needles}, (
        "the search finds what is there"
    )

    caplog.clear()
    capfd.readouterr()
    lake, result = runs("hidden", KEY)
    assert result.success
    assert holders((*needles, KEY), tmp_path / "hidden", root_of(lake) / "raw") == {}
    message = messages.success(messages.output_of(lake, result.run_id, datetime(2020, 1, 1, tzinfo=UTC)))
    printed = capfd.readouterr()
    said = "".join((message.subject, message.text, caplog.text, printed.out, printed.err))
    assert "days.csv" in said
    assert [needle for needle in needles if needle in said] == []

    for table in (table for table in TABLES if table.layer != "bronze"):
        rows = [hidden(row) for row in plain.rows(table)]
        assert sorted(map(repr, rows)) == sorted(repr(without_places(row)) for row in lake.rows(table)), table.key
        assert rows or table.name in ("rejected_days", "device_days")
    quarantined = lake.rows(table_of("bronze/quarantine"))
    assert len(quarantined) == len(plain.rows(table_of("bronze/quarantine"))) == 5
    assert {row["text"] for row in quarantined} == {WITHHELD}
    assert "date: the cell is not a day written as YYYY-MM-DD" in str(quarantined)
    assert "age: the cell is not a number" in str(quarantined)
    ledger = {row["uri"].rpartition("/")[2]: row for row in lake.rows(UPLOADS)}
    assert ledger["headless.csv"]["refusal"].endswith("the first two rows have to name user_id, date, steps")
    assert ledger["more.csv"]["warnings"] == ["left out, because FITNESS_PSEUDONYM_KEY is set: full name"]


def hidden(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a lake without pseudonyms as a lake with them has it."""
    replaced = {
        "user_id": HIDDEN.of(row.get("user_id") or ""),
        "notes": row.get("notes") and WITHHELD,
        "reason": str(row.get("reason")).replace(IDS[1], "an unknown name"),
    }
    return without_places(row | {name: cell for name, cell in replaced.items() if row.get(name) is not None})


def without_places(row: dict[str, Any]) -> dict[str, Any]:
    """A row without where and when its upload was put."""
    return {name: cell for name, cell in row.items() if name not in UPLOADED}


def test_a_run_or_command_with_another_key_is_refused_and_changes_nothing(runs, monkeypatch):
    tables = "group:bronze or group:silver or group:gold"
    lake, result = runs("lake", KEY, tables)
    assert result.success
    before = lake.current(UPLOADS)
    for key, says in ((None, "is not set"), ("another key, as long", "is not the key of this lake")):
        (root_of(lake) / "raw" / "days.csv").unlink()
        _, refused = runs("lake", key, tables)
        assert not refused.success
        assert says in failure_of(refused)
    assert lake.current(UPLOADS) == before

    monkeypatch.setenv("FITNESS_LOCAL_ROOT", str(root_of(lake)))
    command = ["export", "--format", "fhir", "--user"]
    assert "is not set" in CliRunner().invoke(main, [*command, IDS[0]]).output
    monkeypatch.setenv("FITNESS_PSEUDONYM_KEY", KEY)
    by_id, by_pseudonym = (CliRunner().invoke(main, [*command, user]) for user in (IDS[0], HIDDEN.of(IDS[0])))
    entries = [json.loads(found.stdout)["entry"] for found in (by_id, by_pseudonym)]
    assert entries[0] == entries[1]
    assert IDS[0] not in by_id.stdout
    assert HIDDEN.of(IDS[0]) in by_id.stdout


@pytest.mark.deployment
def test_folders_of_people_are_named_by_pseudonyms_and_others_are_left_out_without_naming_anybody(
    runs, tmp_path, spark, caplog, capfd
):
    hidden = Lake(LocalStore(tmp_path / "lake" / "lake"), lambda: spark)
    raw = root_of(hidden) / "raw"
    for folder in (IDS[0], IDS[1], HIDDEN.of(IDS[1])):
        (raw / "people" / folder).mkdir(parents=True)
        garmin.write(raw / "people" / folder / "export.zip", lived(3))
    hers = raw / "people" / HIDDEN.of(IDS[1])
    (hers / "export.xml").write_text(walk("2024-01-05", f"{NAME}’s iPhone"))
    (hers / "profile.toml").write_text(f'sources = ["{NAME}", "csv"]')
    graph = build_defs(Settings.model_validate({"local_root": root_of(hidden), "pseudonym_key": KEY}), lake=hidden)
    (tmp_path / "lake" / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "lake" / "dagster")) as instance:
        look = looks(graph, instance, hidden)
        requests = look().run_requests or []
        lake, result = runs("lake", KEY)
        skipped = str(look().skip_reason)
    requested = [request.run_config["ops"]["bronze"]["config"]["uploads"] for request in requests]
    assert requested == [[str(hers / name) for name in ("export.xml", "export.zip", "profile.toml")]]
    assert "Left out: 2 uploads in folders that a user id names." in skipped
    assert {row["user_id"] for row in lake.rows(table_of("bronze/measurements"))} == {HIDDEN.of(IDS[1])}
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name.endswith("every_upload_read")]
    assert not check.passed
    (day,) = (row for row in lake.rows(table_of("silver/device_days")) if row["date"] == date(2024, 1, 5))
    assert day["sources"].endswith('s iPhone"}')
    assert json.loads(day["measured"])["before_csv"] == ["steps"], "the person's own order counts"
    said = f"{check.metadata}{caplog.text}{capfd.readouterr()}"
    assert f"people/{HIDDEN.of(IDS[0])}/export.zip" in said
    assert "rename the folder as this path has it" in said
    needles = (*IDS, *NAME.split()[::2], KEY)
    assert [needle for needle in needles if needle in said] == []
    assert holders(needles, tmp_path / "lake", raw) == {}


@pytest.mark.parametrize("name", [
    "Ada’s iPhone", "iPhone von Ada", "AdasiPhone", "Ada's Apple\u00a0Watch", "Watch6,1", "Forerunner 55",
    "vivosmart 5", "Ada", "Connect", "Strava", "Ada HealthKit", "Health Connect", "com.google.android.apps.healthdata",
    "AutoSleep", "Pixel 8", "李的iPhone",
])  # fmt: skip
def test_hidden_names_of_devices_sort_as_the_names_do_and_match_the_persons_order(name):
    order = Record("source_order", 0.0, source="profile", text=name.upper())
    (records,) = tables([Record("steps", 1.0, "count", 0, 1, source=name, device=name), order], "17", RecordCounter())
    steps, own = HIDDEN.hide_names(records).to_pylist()
    assert steps["source"] == steps["device"]
    assert not {"ada", "autosleep", "李的"} & {*steps["source"].casefold().replace("’", " ").split()}
    clear, hidden = (Stream("apple_health", text, None) for text in (name, steps["source"]))
    assert Order().key(clear)[2] == Order().key(hidden)[2]
    assert Order([own["text"]]).key(hidden)[0] == 0
    assert AS_UPLOADED.hide_names(records) is records
