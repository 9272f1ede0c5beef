"""What the sensor tells the UI: uploads that it found, refused ones, and versions after a rollback."""

import dagster as dg
import pytest

from fitness_assets.orchestration.observed import RAW
from fitness_assets.registry import publish_group_of
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, REFUSED, looks


@pytest.fixture
def look(graph, instance, lake):
    return looks(graph, instance, lake)


def test_a_request_for_a_run_comes_with_an_observation_of_the_uploads(look, raw):
    (raw / "good.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    (observation,) = look().asset_events
    assert isinstance(observation, dg.AssetObservation)
    assert observation.asset_key == RAW
    assert observation.metadata["uploads"].value == 1
    assert str(observation.metadata["new_uploads"].value).endswith("good.csv")


def test_refused_uploads_are_counted_apart(look, raw, materialize):
    (raw / "good.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    (raw / "notes.csv").write_bytes(REFUSED)
    assert materialize().success
    for _ in range(2):  # the second look compares nothing anew
        assert str(look().skip_reason.skip_message).startswith("Nothing new; uploads ingested: 1, refused: 1 ")


def test_after_a_rollback_the_ui_shows_the_version_as_it_is_and_what_no_longer_matches(look, raw, materialize, lake):
    (raw / "one.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    assert materialize("group:bronze").success
    (raw / "two.csv").write_text(f"{HEADER}\n{GOOD_ROW.replace('17,', '18,', 1)}\n")
    assert materialize("group:bronze or group:silver").success
    assert not look().asset_events
    tables = publish_group_of("bronze/logged_days")
    lake.rollback(tables, "000001")
    events = {event.asset_key.to_user_string(): event for event in look().asset_events}
    assert {*events} >= {table.key for table in tables}
    metadata = events["bronze/logged_days"].metadata
    assert metadata["version"].value == "000001"
    assert metadata["dagster/row_count"].value == 1
    assert "preview" in metadata, "the page shows all that it shows after a run, such as the card of a model"
    assert (
        metadata["no_longer_matches"].value
        == "silver (made from bronze/logged_days 000002, bronze/measurements 000002)"
    )
