"""A withdrawn upload stays out of all later tables until a person restores it."""

import pytest
from click.testing import CliRunner

from fitness_assets.bronze.withdrawal import restore, withdraw
from fitness_assets.cli import main
from fitness_assets.lake.version import LakeError
from fitness_assets.registry import publish_group_of
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, looks, root_of


@pytest.fixture
def command(lake, monkeypatch):
    """Run a command on the lake of this test; returns what it prints."""
    monkeypatch.setenv("FITNESS_LOCAL_ROOT", str(root_of(lake)))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        return result.output

    return run


@pytest.fixture
def two_uploads(raw, materialize):
    for name, steps in (("a.csv", "8120"), ("b.csv", "9120")):  # the same day of one person: b supersedes a
        (raw / name).write_text(f"{HEADER}\n{GOOD_ROW.replace('8120', steps)}\n")
        assert materialize("group:bronze or group:silver").success


def test_a_withdrawn_upload_leaves_silver_and_comes_back_when_it_is_restored(
    two_uploads, raw, materialize, rows, command, graph, instance, lake
):
    look = looks(graph, instance, lake)
    assert "Nothing new" in str(look().skip_reason)
    assert "is withdrawn. Silver and all later tables follow" in command(
        "withdraw", str(raw / "b.csv"), "--reason", "wrong person"
    )
    requests = [request.run_config["ops"]["bronze"]["config"]["uploads"] for request in look().run_requests or ()]
    assert requests == [[]], "only the later tables have to follow"
    assert materialize("group:bronze or group:silver").success
    assert [row["steps"] for row in rows("silver/clean_days")] == [8120], "a withdrawn row supersedes nothing"
    assert [row["reasons"] for row in rows("silver/rejected_days")] == [["withdrawn"]]
    ledger = {row["uri"][-5:]: (row["status"], row["withdrawal"]) for row in rows("bronze/uploads")}
    assert ledger == {"a.csv": ("ingested", None), "b.csv": ("withdrawn", "wrong person")}
    command("restore", str(raw / "b.csv"))
    assert materialize("group:bronze or group:silver").success
    assert [row["steps"] for row in rows("silver/clean_days")] == [9120]


def test_a_rollback_says_what_comes_back_and_a_withdrawal_keeps_it_out(
    two_uploads, raw, materialize, rows, command, lake
):
    said = command("rollback", "bronze/uploads", "000001")
    (upload,) = (row for row in lake.rows(publish_group_of("bronze/uploads")[-1], "000002") if "b.csv" in row["uri"])
    assert f"{upload['upload_id']}  {raw / 'b.csv'}" in said
    assert "withdraw UPLOAD" in said
    command("withdraw", upload["upload_id"], "--reason", "not ours")
    assert materialize("group:bronze or group:silver").success
    assert [row["steps"] for row in rows("bronze/logged_days")] == [8120]
    assert [row["steps"] for row in rows("silver/clean_days")] == [8120]
    command("restore", upload["upload_id"])
    assert materialize("group:bronze or group:silver").success
    assert [row["steps"] for row in rows("silver/clean_days")] == [9120]


def test_an_upload_that_no_ledger_knows_is_one_sentence(two_uploads, lake, command):
    with pytest.raises(LakeError, match=r"The ledger knows no upload c.csv. The last ones are: \w{16} \("):
        withdraw(lake, "c.csv", "why")
    with pytest.raises(LakeError, match=r"a.csv is not withdrawn"):
        restore(lake, "a.csv")
