"""Bronze: what becomes of each upload when whole runs meet it."""

import gzip
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pyarrow.dataset import dataset
from pyspark.sql import SparkSession

from fitness_assets.bronze import assets, row_files
from fitness_assets.bronze.assets import bronze_step
from fitness_assets.bronze.readers import csv as readers
from fitness_assets.bronze.sources import Folder, Found
from fitness_assets.bronze.tables import TABLES, UPLOADS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.orchestration.io_manager import IO_MANAGER_KEY, SparkIOManager
from fitness_assets.orchestration.step_assets import step_assets
from fitness_assets_tests.bronze.test_transforms import RAW_NAMES, line
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, evaluations, failure_of, path_of, sample_of

GROUP = "group:bronze"


@dataclass
class Ran:
    """What one run left behind, looked at right after it."""

    result: dg.ExecuteInProcessResult
    version: str | None
    ledger: dict[str, dict[str, Any]]
    logged: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]
    files: dict[str, dict[str, int]]

    @property
    def refusals(self) -> dg.AssetCheckEvaluation:
        return evaluations(self.result)["bronze/uploads", "no_refused_uploads"]


@pytest.fixture(scope="module")
def run_at(spark: SparkSession) -> Iterator[Callable[[Path], Ran]]:
    """Run bronze on a lake that outlives one test, and look at what is there afterwards."""

    def run(root: Path) -> Ran:
        lake = Lake(LocalStore(root), lambda: spark)
        resources = {"lake": lake, IO_MANAGER_KEY: SparkIOManager(lake)}
        step = step_assets(bronze_step(str(root / "raw")), 2)
        result = dg.materialize([step], resources=resources, instance=instance, raise_on_error=False)
        logged, quarantined, _, ledger = (dataset(path_of(lake, table)).to_table().to_pylist() for table in TABLES)
        ledger = {row["upload_id"]: row for row in sorted(ledger, key=lambda row: row["ingested_at"])}
        files = {t.key: {path.name: path.stat().st_ino for path in path_of(lake, t).iterdir()} for t in TABLES}
        return Ran(result, lake.current(UPLOADS), ledger, logged, quarantined, files)

    with dg.DagsterInstance.ephemeral() as instance:
        yield run


@dataclass
class Story:
    """Three runs: all files are new; one refused file is gone; the other refused ones and comma.csv are corrected."""

    first: Ran
    second: Ran
    third: Ran

    @staticmethod
    def of(ran: Ran, name: str) -> dict[str, Any]:
        """The ledger row that came last for a file name."""
        return [row for row in ran.ledger.values() if Path(row["uri"]).name == name][-1]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, run_at: Callable[[Path], Ran]) -> Story:
    root = tmp_path_factory.mktemp("story") / "lake"
    raw = root / "raw"
    (raw / "deeper").mkdir(parents=True)
    bad = line(steps="8k")
    contents: dict[str, str | bytes] = {
        "comma.csv": "\n".join([HEADER, line(user_id="c1"), "", bad, line(user_id="c2"), "c3,42"]),
        "semicolon 1252.csv": f"{HEADER},note\n{line('é', user_id='Zoë')}".replace(",", ";").encode("cp1252"),
        "deeper/tab.csv.gz": gzip.compress(
            "Table 1\r\nSTEPS\t date \tUser_ID\r\n8\t2024-09-06\tt1\r\n9\t2024-09-07\tt1\r\n".encode("utf-16")
        ),
        "header only.csv": f"{HEADER.upper()}\n",
        "unreadable.csv": "<html></html>",
        "lacking.csv": "user_id,date\n1,2024-09-06\n",
        "notes.txt": GOOD_ROW,
        ".hidden.csv": "",
    }
    contents["deeper/copy of comma.csv"] = contents["comma.csv"]

    def put(name: str, content: str | bytes, changed: int) -> None:
        (raw / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(raw / name, (changed, changed))

    for changed, (name, content) in enumerate(contents.items(), start=1_725_667_200):
        put(name, content, changed)
    first = run_at(root)
    (raw / "notes.txt").unlink()
    second = run_at(root)
    for changed, name in enumerate(("unreadable.csv", "lacking.csv", "notes.txt")):
        (raw / name).unlink(missing_ok=True)
        put(f"{name.partition('.')[0]}.csv", f"{HEADER}\n{line(user_id=name)}\n", 1_725_670_000 + changed)
    # Corrected, and with an older date than what is known already, as a file restored from an archive has.
    put("comma.csv", f"{HEADER}\n{line(user_id='c1', steps='1')}\n", 1_725_000_000)
    return Story(first, second, run_at(root))


class TestWholeRuns:
    def test_every_upload_has_its_ledger_row_with_counts_or_a_refusal(self, story):
        seen = {
            Path(row["uri"]).name: (row["status"], row["refusal"], row["rows_read"], row["rows_quarantined"])
            for row in story.first.ledger.values()
        }
        no_header = (
            "no header was found: the first two rows have to name user_id, date, steps, and the first row is"
            " <html></html>"
        )
        no_steps = (
            "the header lacks the required column steps: it has user_id, date;"
            " a daily log has steps, and no name here looks like them"
        )
        assert seen == {
            "comma.csv": ("ingested", None, 4, 2),
            "semicolon 1252.csv": ("ingested", None, 1, 0),
            "tab.csv.gz": ("ingested", None, 2, 0),
            "header only.csv": ("ingested", None, 0, 0),
            "unreadable.csv": ("refused", no_header, 0, 0),
            "lacking.csv": ("refused", no_steps, 0, 0),
            "notes.txt": ("refused", "the name ends neither in .csv nor in .csv.gz", 0, 0),
        }

    @pytest.mark.parametrize("run", ["first", "second", "third"])
    def test_rows_read_are_the_rows_typed_and_the_rows_quarantined_of_every_upload(self, story, run):
        ran = getattr(story, run)
        for upload_id, row in ran.ledger.items():
            typed = sum(day["upload_id"] == upload_id for day in ran.logged)
            quarantined = sum(malformed_row["upload_id"] == upload_id for malformed_row in ran.quarantined)
            assert (row["rows_typed"], row["rows_quarantined"]) == (typed, quarantined)
            assert row["rows_read"] == typed + quarantined
        assert evaluations(ran.result)["bronze/uploads", "rows_reconcile"].passed

    def test_files_of_every_dialect_are_typed_alike(self, story):
        days = {(day["user_id"], day["date"].day): day for day in story.first.logged}
        assert set(days) == {("c1", 6), ("c2", 6), ("Zoë", 6), ("t1", 6), ("t1", 7)}
        assert days["Zoë", 6]["extra"] == '{"note":"é"}'
        measured = {name: days["c1", 6][name] for name in RAW_NAMES[1:]}
        assert {name: days["Zoë", 6][name] for name in RAW_NAMES[1:]} == measured
        assert {name: days["t1", 7][name] for name in RAW_NAMES[3:]} == {
            **dict.fromkeys(RAW_NAMES[3:]),
            "date": date(2024, 9, 7),
            "steps": 9,
        }

    def test_quarantined_rows_say_where_they_stood_and_why(self, story):
        seen = [
            (row["row_number"], row["line_number"], row["text"], row["reasons"][0]) for row in story.first.quarantined
        ]
        assert sorted(seen) == [
            (2, 4, line(steps="8k"), "steps: '8k' is not a number"),
            (4, 6, "c3,42", "the row has 2 cells, and the header 12 names"),
        ]

    def test_a_refusal_is_a_failed_error_check_with_its_sentence_and_the_run_succeeds(self, story):
        assert story.first.result.success
        refusals = story.first.refusals
        assert (refusals.passed, refusals.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert refusals.metadata["failed"].value == 3
        assert {Path(row["uri"]).name: row["refusal"] for row in sample_of(refusals)} == {
            Path(row["uri"]).name: row["refusal"] for row in story.first.ledger.values() if row["refusal"]
        }

    def test_a_second_run_takes_nothing_in_twice_and_publishes_nothing(self, story):
        assert story.second.result.success
        assert story.second.version == story.first.version
        assert (story.second.ledger, story.second.logged) == (story.first.ledger, story.first.logged)

    def test_refused_files_fail_the_check_for_as_long_as_they_lie_there(self, story):
        assert not story.second.refusals.passed
        refused = {Path(row["uri"]).name for row in sample_of(story.second.refusals)}
        assert refused == {"unreadable.csv", "lacking.csv"}

    def test_once_the_refused_files_are_corrected_or_gone_the_check_passes_and_their_rows_are_in(self, story):
        assert story.third.refusals.passed
        corrected = {"unreadable.csv", "lacking.csv", "notes.txt"}
        assert corrected <= {day["user_id"] for day in story.third.logged}
        assert sum(row["status"] == "refused" for row in story.third.ledger.values()) == 3

    def test_the_same_bytes_under_two_names_enter_once(self, story):
        assert [day["user_id"] for day in story.first.logged].count("c1") == 1
        assert "copy of comma.csv" not in {Path(row["uri"]).name for row in story.first.ledger.values()}

    def test_a_corrected_file_is_a_second_upload_ingested_later_beside_the_first(self, story):
        before, after = story.of(story.first, "comma.csv"), story.of(story.third, "comma.csv")
        assert before["uri"] == after["uri"]
        assert after["ingested_at"] > max(row["ingested_at"] for row in story.first.ledger.values())
        steps = {day["upload_id"]: day["steps"] for day in story.third.logged if day["user_id"] == "c1"}
        assert steps == {before["upload_id"]: 8120, after["upload_id"]: 1}

    def test_no_two_uploads_share_their_moment_and_rows_carry_that_of_their_upload(self, story):
        ledger = story.third.ledger
        assert len({row["ingested_at"] for row in ledger.values()}) == len(ledger)
        for row in [*story.third.logged, *story.third.quarantined]:
            assert row["ingested_at"] == ledger[row["upload_id"]]["ingested_at"]

    @pytest.mark.parametrize("key", [table.key for table in TABLES])
    def test_bronze_only_grows_and_holds_parquet_files_alone(self, story, key):
        assert story.third.version != story.first.version
        assert story.first.files[key].items() <= story.third.files[key].items()
        assert {Path(name).suffix for name in story.third.files[key]} == {".parquet"}


def test_a_run_that_is_told_its_uploads_reads_only_these(raw, materialize, rows, tmp_path):
    (raw / "in raw.csv").write_text(f"{HEADER}\n{line(user_id='raw')}\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("a", "b", "c"):
        (elsewhere / f"{name}.csv").write_text(f"{HEADER}\n{line(user_id=name)}\n")
    (elsewhere / "c.csv").rename(tmp_path / "c.csv")
    assert materialize(GROUP, uploads=[str(elsewhere), str(tmp_path / "c.csv")]).success
    assert {day["user_id"] for day in rows("bronze/logged_days")} == {"a", "b", "c"}


def test_malformed_rows_of_several_uploads_are_told_apart(raw, materialize, rows):
    bad = line(steps="8k")
    (raw / "a.csv").write_text("\n".join([HEADER, line(user_id="a1"), bad, line(user_id="a2")]))
    (raw / "b.csv").write_text("\n".join([HEADER, bad, line(user_id="b1"), bad]))
    assert materialize(GROUP).success
    assert {row["user_id"] for row in rows("bronze/logged_days")} == {"a1", "a2", "b1"}
    ledger = {row["upload_id"]: row for row in rows("bronze/uploads")}
    names = {key: Path(row["uri"]).name for key, row in ledger.items()}
    quarantined = sorted((names[row["upload_id"]], row["row_number"]) for row in rows("bronze/quarantine"))
    assert quarantined == [("a.csv", 2), ("b.csv", 1), ("b.csv", 3)]
    assert {names[key]: row["rows_quarantined"] for key, row in ledger.items()} == {"a.csv": 1, "b.csv": 2}


def test_the_last_put_wins_also_when_its_bytes_were_known_before_and_its_time_is_old(raw, materialize, rows):
    """One name holds A, B, and A again, always of one size and with one time of modification."""
    for steps in ("8000", "9100", "8000"):
        (raw / "log.csv").write_text(f"user_id,date,steps\nsiz-1,2024-09-01,{steps}\n")
        os.utime(raw / "log.csv", (0, 0))
        assert materialize("group:bronze or group:silver").success
        assert [day["steps"] for day in rows("silver/clean_days")] == [int(steps)]
    assert len(rows("bronze/uploads")) == 3


def test_small_uploads_share_a_file_and_large_ones_have_their_own(raw, materialize, rows, monkeypatch):
    monkeypatch.setattr(row_files, "_SMALL_BYTES", 5_000)
    for number in range(20):
        lines = [line(user_id=f"{number}-{row}") for row in range(1 + 50 * (number == 7))]
        (raw / f"{number}.csv").write_text("\n".join([f"{HEADER},extra {number}", *(f"{text},x" for text in lines)]))
    assert materialize(GROUP).success
    days = rows("bronze/logged_days")
    assert len({day["user_id"] for day in days}) == len(days) == 20 + 50
    assert len({day["extra"] for day in days}) == 20


def test_an_upload_of_which_few_rows_could_be_typed_fails_a_check_whatever_else_is_there(raw, materialize):
    (raw / "good.csv").write_text("\n".join([HEADER, *(line(user_id=str(n)) for n in range(100))]))
    (raw / "lost.csv").write_text("\n".join([HEADER, line(), line(steps="8k"), line(steps="9k")]))
    for _ in range(2):  # again when nothing is new
        lost = evaluations(materialize(GROUP))["bronze/uploads", "rows_could_be_typed"]
        assert (lost.passed, lost.severity) == (False, dg.AssetCheckSeverity.ERROR)
        (row,) = sample_of(lost)
        assert Path(row["uri"]).name == "lost.csv"
        assert (row["rows_read"], row["rows_typed"], row["share_typed"]) == (3, 1, 0.3333)


def test_misnamed_columns_and_a_guessed_encoding_are_warnings_and_stand_in_the_ledger(raw, materialize, rows):
    (raw / "a.csv").write_bytes("user_id;date;steps;weight\nZoë;2024-09-01;8000;68,4\n".encode("cp1252"))
    result = evaluations(materialize(GROUP))["bronze/uploads", "no_upload_warnings"]
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    warnings = {row["warning"] for row in sample_of(result)}
    assert "'weight' looks like weight_kg: rename it" in warnings
    (row,) = rows("bronze/uploads")
    assert set(row["warnings"]) == warnings
    assert (row["encoding"], row["delimiter"], row["header"]) == (
        "Windows-1252, guessed",
        "semicolon",
        "user_id;date;steps;weight",
    )


def test_content_whose_name_was_refused_is_ingested_under_a_better_one(raw, materialize, rows):
    def refused(result: dg.ExecuteInProcessResult) -> set[str]:
        evaluation = evaluations(result)["bronze/uploads", "no_refused_uploads"]
        return set() if evaluation.passed else {Path(row["uri"]).name for row in sample_of(evaluation)}

    for changed, name in enumerate(("a.txt", "copy.txt", "b.csv")):
        (raw / name).write_text(f"{HEADER}\n{line(user_id='b')}\n")
        os.utime(raw / name, (changed, changed))
    (raw / "renamed.txt").write_text(f"{HEADER}\n{line(user_id='renamed')}\n")
    assert refused(materialize(GROUP)) == {"a.txt", "copy.txt", "renamed.txt"}
    assert [day["user_id"] for day in rows("bronze/logged_days")] == ["b"]
    (raw / "renamed.txt").rename(raw / "renamed.csv")
    assert refused(materialize(GROUP)) == {"a.txt", "copy.txt"}
    assert sorted(day["user_id"] for day in rows("bronze/logged_days")) == ["b", "renamed"]
    assert len(rows("bronze/uploads")) == 5, "each refusal stays in the ledger, once"


def test_uploads_that_cannot_be_read_are_left_out_until_they_can(raw, materialize, rows, monkeypatch):
    files = {name: raw / f"{name}.csv" for name in ("fine", "gone", "locked", "rewritten")}
    for name, path in files.items():
        path.write_text("\n".join([HEADER, GOOD_ROW.replace("17", f'"{name}"'), ""]))
    with monkeypatch.context() as patch:
        hash_of, tell = Folder.content_sha256, assets.tell_dialect

        def locked(self: Folder, found: Found) -> str:
            if found.uri == str(files["locked"]):
                raise PermissionError("no right to read it")
            return hash_of(self, found)

        def rewritten(path: Path, uri: str) -> readers.Dialect:
            dialect = tell(path, uri)
            files["gone"].unlink(missing_ok=True)
            if path == files["rewritten"]:
                path.write_bytes(path.read_bytes() + line(user_id="ü").encode("cp1252"))
            return dialect

        patch.setattr(Folder, "content_sha256", locked)
        patch.setattr(assets, "tell_dialect", rewritten)
        first = materialize(GROUP)
    assert first.success
    assert {day["user_id"] for day in rows("bronze/logged_days")} == {"fine"}
    assert [Path(row["uri"]).name for row in rows("bronze/uploads")] == ["fine.csv"]
    left_out = evaluations(first)["bronze/uploads", "every_upload_read"]
    assert not left_out.passed
    reasons = {Path(row["uri"]).name: row["reason"] for row in sample_of(left_out)}
    assert reasons.keys() == {"locked.csv", "gone.csv", "rewritten.csv"}
    assert reasons["locked.csv"] == "no right to read it"
    assert reasons["rewritten.csv"].startswith("it changed while it was read")
    second = materialize(GROUP)
    assert evaluations(second)["bronze/uploads", "every_upload_read"].passed
    assert {day["user_id"] for day in rows("bronze/logged_days")} == {"fine", "locked", "rewritten", "ü"}


def test_a_first_run_that_can_read_nothing_fails_with_the_reason(raw, materialize, lake, monkeypatch):
    def locked(self: Folder, found: Found) -> str:
        raise PermissionError("no right to read it")

    monkeypatch.setattr(Folder, "content_sha256", locked)
    (raw / "locked.csv").touch()
    assert "no right to read it" in failure_of(materialize(GROUP))
    assert lake.current(UPLOADS) is None


def test_without_any_upload_the_run_fails_with_a_sentence_and_publishes_nothing(raw, materialize, lake):
    result = materialize(GROUP)
    assert not result.success
    assert f"There is no upload in {raw}: put a CSV file there." in failure_of(result)
    raw.rmdir()
    result = materialize(GROUP)
    assert not result.success
    assert f"There is no file or folder {raw}: put CSV files there, or set FITNESS_RAW_PATH." in failure_of(result)
    assert lake.current(UPLOADS) is None
