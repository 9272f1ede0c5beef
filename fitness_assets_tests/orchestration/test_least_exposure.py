"""Samples, previews and metadata show no free text of uploads."""

import dagster as dg
import pytest

from fitness_assets.registry import TABLES
from fitness_assets.schema.table import Table
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, job_of, root_of
from fitness_assets_tests.search import holders

PLANTED = ("planted-diagnosis", "planted-note", "planted-cell")


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
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        assert (
            job_of(graph, 'key:"bronze/logged_days" or key:"silver/clean_days"')
            .execute_in_process(instance=instance)
            .success
        )
    assert {*holders(PLANTED, root_of(lake) / "_versions")} == {*PLANTED}
    assert holders(PLANTED, tmp_path / "dagster") == {}
    sidecars = list((root_of(lake) / "_versions").rglob("*.json"))
    assert any('"sample": [\n' in path.read_text() for path in sidecars)
    assert [path for path in sidecars if any(text in path.read_text() for text in PLANTED)] == []
