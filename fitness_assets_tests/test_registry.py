"""The list of all tables, and the data dictionary page."""

import pytest

from fitness_assets.layers import steps
from fitness_assets.registry import PUBLISH_GROUPS, TABLES, page, publish_group_of, table_of
from fitness_assets.settings import Settings


def test_every_layer_step_writes_one_publish_group_and_reads_only_earlier_ones():
    made = [tuple(step.tables) for step in steps(Settings())]
    assert made == [*PUBLISH_GROUPS]
    for step in steps(Settings()):
        earlier = TABLES[: TABLES.index(step.tables[0])]
        assert set(step.reads) <= set(earlier)


def test_a_table_and_its_publish_group_are_found_by_key():
    assert table_of("gold/fact_daily") in publish_group_of("gold/dim_user")
    assert {table.layer for table in publish_group_of("silver/clean_days")} == {"silver"}


def test_the_page_for_analysts_is_current(root):
    committed = (root / "docs" / "dictionary.md").read_text()
    assert committed == page(), "run: python -m fitness_assets dictionary > docs/dictionary.md"


def test_the_page_has_every_check_and_reads_well():
    assert page().count("| `contract` | `rules` | not published |") == len(TABLES)
    assert "One row for each upload;" in page()


def test_an_unknown_table_is_told_which_there_are():
    with pytest.raises(KeyError, match="gold/fact_daily"):
        publish_group_of("gold/facts")
