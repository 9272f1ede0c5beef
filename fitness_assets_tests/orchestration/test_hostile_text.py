"""Text from data breaks no message and no table in the Dagster UI."""

import json
from typing import Any

import dagster as dg
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.lake.version import CheckResult, VersionMetadata
from fitness_assets.orchestration.asset_checks import check_results
from fitness_assets.orchestration.messages import Message, RunOutput, failure, success
from fitness_assets.orchestration.table_metadata import records

texts = st.text(max_size=400) | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Zs"]), max_size=20)
"""Text of any kind, and of what nobody can see: line breaks, marks for direction, lone surrogates."""


def assert_sendable(message: Message, lines: int) -> None:
    """SNS takes it, and no text from outside made a line of its own."""
    assert message.subject.isascii()
    assert len(message.subject.splitlines()) == 1
    assert len(message.text.encode()) < 256_000
    assert len(message.text.splitlines()) == lines
    assert all(line.isprintable() for line in message.text.splitlines())


@settings(max_examples=200)
@given(texts, texts)
@example("a.csv", "no header was found. Its first line is: a\r\nb\u2028c")
@example("\udcfc.csv", "\udcfc")
def test_a_message_has_one_line_for_each_upload(uri, why):
    row: dict[str, Any] = {"uri": uri, "refusal": why, "rows_read": 5, "rows_quarantined": 1}
    uploads = [{**row, "status": "refused"}, {**row, "status": "ingested"}]
    assert_sendable(success(RunOutput("run", [], uploads)), lines=3)
    assert_sendable(success(RunOutput("run", [], uploads, unread=f"S3: {why}")), lines=4)


@settings(max_examples=200)
@given(texts)
@example("x" * 10_000)
def test_a_message_has_one_line_for_each_step_that_failed(why):
    assert_sendable(failure("run", [("bronze", why), ("silver", why)]), lines=4)


@settings(max_examples=200)
@given(texts, texts)
def test_rows_of_any_text_are_a_table_of_the_ui(name, cell):
    table = records([{name: cell, "n": 1}, {"n": 2, "list": [cell, None]}])
    assert [column.name for column in table.schema.columns] == list(dict.fromkeys([name, "n", "list"]))
    for record in table.records:
        assert all(len(str(value)) <= 301 for value in record.data.values())
    json.dumps([record.data for record in table.records])


@settings(max_examples=50)
@given(st.text(max_size=400))
def test_a_check_shows_failing_rows_and_says_nothing_of_theirs_in_its_sentence(uri):
    rule = "no_refused_uploads"
    (description,) = (r.description for r in UPLOADS.all_rules if r.name == rule)
    failed = CheckResult(rule, "error", description, 1, [{"uri": uri, "refusal": uri}])
    metadata = VersionMetadata(UPLOADS.key, "000001", None, {}, "run", "", rows=1, check_results=[failed])
    metadata = VersionMetadata.from_json(metadata.to_json())
    (result,) = check_results(UPLOADS, metadata)
    assert result.description == f"{rule}: 1 failure in 1 rows. It demands: {description}"
    sample = result.metadata["sample"]
    assert isinstance(sample, dg.TableMetadataValue)
    assert [record.data["uri"] for record in sample.records] == [uri if len(uri) <= 300 else uri[:300] + "…"]
