"""Samples, previews and metadata show no free text of uploads."""

import dagster as dg
import pytest

from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.registry import TABLES
from fitness_assets.schema.table import Table
from fitness_assets_tests.archives import walk
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, job_of, root_of
from fitness_assets_tests.search import holders

PLANTED = ("planted-diagnosis", "planted-note", "planted-cell", "planted-name")
ECG = "Name,planted-patient\nAufnahmedatum,2024-01-05\n"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_no_check_over_several_rows_shows_free_text(table: Table):
    texts = [column.name for column in table.columns if column.is_free_text]
    assert [rule.name for rule in table.set_rules for name in texts if name in rule.violations.split()] == []


def test_free_text_is_in_bronze_and_nowhere_else(raw, graph, lake, tmp_path):
    rows = [
        f"{GOOD_ROW},{PLANTED[0]}",
        f"{GOOD_ROW.replace('09-06', '09-07').replace('8120', '81200')},{PLANTED[1]}",  # breaks a rule, so it is shown
        f"{GOOD_ROW.replace('71.5', PLANTED[2])},",
    ]
    (raw / "days.csv").write_text("\n".join([f"{HEADER},remark", *rows]))
    person = raw / "people" / "ada"
    person.mkdir(parents=True)
    (person / "export.xml").write_text(walk("2024-01-05", f"{PLANTED[3]}’s iPhone"))
    (person / "profile.toml").write_text(f'sources = ["{PLANTED[3]}"]')
    (person / "ecg_2024-01-05.csv").write_text(ECG)
    (person / "table.csv").write_text(f"date,2024-01-05\n{ECG}")
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        assert job_of(graph, "group:bronze or group:silver").execute_in_process(instance=instance).success
    assert {*holders(PLANTED, root_of(lake) / "_versions")} == {*PLANTED}
    assert holders(PLANTED, tmp_path / "dagster") == {}
    sidecars = list((root_of(lake) / "_versions").rglob("*.json"))
    assert any('"sample": [\n' in path.read_text() for path in sidecars)
    assert [path for path in sidecars if any(text in path.read_text() for text in PLANTED)] == []
    refusals = [row["refusal"] for row in lake.rows(UPLOADS) if row["status"] == "refused"]
    assert sorted(refusals) == [
        "no header was found: the first two rows have to name user_id, date, steps",
        "the header lacks the required columns user_id, steps",
    ]
