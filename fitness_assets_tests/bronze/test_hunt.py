"""Files as people bring them (`fitness_assets_tests/data/hunt`): each was once misread, lost or refused unhelpfully."""

import shutil
from dataclasses import dataclass, field
from datetime import date
from logging import getLogger
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from fitness_assets.bronze.assets import bronze_step
from fitness_assets.bronze.readers.numbers import THOUSANDS
from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, UPLOADS
from fitness_assets.engine.layer_step import StepRun, run_step
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore

HUNT = Path(__file__).parents[1] / "data" / "hunt"
REQUIRED = ("user_id", "date", "steps")
GUESSED = "the text is not UTF-8, so its encoding was guessed (Windows-1252): save it as UTF-8 to be sure of names"


def put_hunt(folder: Path, *names: str) -> None:
    """Put files of the hunt into a folder; all of them if none is named."""
    shutil.copytree(HUNT, folder, dirs_exist_ok=True, ignore=lambda _, found: {*found} - {*names} if names else set())


@dataclass
class Read:
    """What became of one file."""

    ledger: dict[str, Any]
    days: list[dict[str, Any]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)

    def values(self, *names: str) -> list[tuple]:
        """Some cells of the typed rows."""
        return [tuple(day[name] for name in names) for day in self.days]


@dataclass
class Hunt:
    """All files, read by one run."""

    files: dict[str, Read]
    failed: dict[str, list[dict[str, Any]]]

    def __getitem__(self, start: str) -> Read:
        (name,) = [name for name in self.files if name.startswith(start)]
        return self.files[name]


@pytest.fixture(scope="module")
def hunt(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Hunt:
    root = tmp_path_factory.mktemp("hunt")
    put_hunt(root / "raw")
    lake = Lake(LocalStore(root / "lake"), lambda: spark)
    staging = run_step(bronze_step(str(root / "raw")), StepRun(lake, "run", getLogger(__name__)), [])
    lake.publish(staging)
    files = {row["upload_id"]: Read(row) for row in lake.rows(UPLOADS)}
    for row in sorted(lake.rows(LOGGED_DAYS), key=lambda row: row["row_number"]):
        files[row["upload_id"]].days.append(row)
    for row in sorted(lake.rows(QUARANTINE), key=lambda row: row["row_number"]):
        files[row["upload_id"]].quarantined.append(row)
    by_name = {str(Path(read.ledger["uri"]).relative_to(root / "raw")): read for read in files.values()}
    results = [result for table in staging.tables for result in staging.metadata[table.key].check_results]
    return Hunt(by_name, {result.rule: result.sample for result in results if result.failed})


def test_every_file_is_in_the_ledger_and_every_row_is_accounted_for(hunt):
    left_out = {"7B_unfinished.csv.filepart"}
    assert hunt.files.keys().isdisjoint(left_out)
    for read in hunt.files.values():
        counts = (read.ledger["rows_typed"], read.ledger["rows_quarantined"])
        assert counts == (len(read.days), len(read.quarantined))
        assert read.ledger["rows_read"] == sum(counts)


def test_01_a_row_that_ends_with_a_required_cell_is_quarantined(hunt):
    read = hunt["01"]
    assert len(read.days) == 2
    (row,) = read.quarantined
    assert row["reasons"] == ["the row has 3 cells, and the header 4 names"]
    assert (row["text"], row["line_number"]) == ("row-1,2024-09-02,8100", 3)


def test_02_an_empty_cell_too_many_is_none(hunt):
    assert hunt["02"].values("steps", "sleep_hours")[::4] == [(8110, 7.1), (8150, 7.5)]
    assert len(hunt["02"].days) == 5


def test_06_rows_of_delimiters_are_blank(hunt):
    assert (hunt["06"].ledger["rows_read"], len(hunt["06"].days)) == (2, 2)


def test_10_decimal_commas_are_read_where_the_file_proves_them(hunt):
    read = hunt["10"]
    assert len(read.days) == 6
    names = ("steps", "heart_rate_avg", "sleep_hours", "calories_burned", "weight_kg", "bmi")
    assert read.values(*names)[0] == (7006, 72.5, 7.25, 2240.5, 68.4, 23.9)
    ledger = read.ledger
    assert (ledger["encoding"], ledger["delimiter"], ledger["decimal_mark"]) == ("UTF-8", "semicolon", ",")


def test_11_points_between_thousands_are_never_decimal_points(hunt):
    read = hunt["11"]
    assert read.values("date", "steps") == [(date(2024, 9, 4), 950)]
    assert [row["reasons"] for row in read.quarantined] == [
        [f"steps: '{text}' {THOUSANDS}"] for text in ("8.120", "10.000", "9.000", "12.000", "11.345")
    ]
    assert "thousands separator" in THOUSANDS
    assert Path(hunt.failed["rows_could_be_typed"][0]["uri"]).name == "11_point_groups_steps.csv"


def test_20_markers_of_missing_values_are_empty_cells(hunt):
    assert hunt["20"].values("steps", "heart_rate_avg") == [(8000, 72.5), (8100, None), (8200, 71.0)]


def test_30_days_are_read_in_every_form_that_is_not_ambiguous(hunt):
    assert hunt["30"].values("date") == [(date(2024, 9, 6),)] * 6


def test_32_the_end_of_time_is_no_day_of_the_calendar(raw, materialize, rows):
    put_hunt(raw, "32_end_of_time.csv")
    assert materialize("group:bronze or group:silver or group:gold").success
    assert [row["reasons"] for row in rows("silver/rejected_days")] == [["date_range"]]
    assert [row["date"] for row in rows("gold/dim_date")] == [date(2024, 9, 1)]


def test_40_what_surrounds_an_id_is_no_part_of_it(hunt):
    ids = [user_id for (user_id,) in hunt["40"].values("user_id")]
    assert ids == ["17", "17.0", "017", "17", "17", "17", "17", "17", "'17", "17"]
    assert {"user_ids": ["017", "17", "17.0"]} in hunt.failed["ids_differ_clearly"]


def test_42_a_letter_in_two_forms_is_one_person(hunt):
    assert {*hunt["42"].values("user_id")} == {("café",)}


def test_50_two_byte_order_marks_are_no_part_of_the_header(hunt):
    assert hunt["50"].values(*REQUIRED) == [("bom-1", date(2024, 9, 1), 8000)]


def test_51_blanks_before_quotes_are_no_part_of_a_cell(hunt):
    assert hunt["51"].values(*REQUIRED) == [("blq-1", date(2024, 9, 1), 8000)]


def test_57_an_unknown_column_may_be_there_twice(hunt):
    assert hunt["57"].values("extra") == [('{"distance":"5.6","distance_2":"5600"}',)]


def test_59_tabs_beside_cells_are_no_part_of_them(hunt):
    assert hunt["59"].values("date", "steps", "weight_kg") == [(date(2024, 9, 1), 8000, 68.4)]


@pytest.mark.parametrize(
    ("start", "parts"),
    [
        ("04", ["each line is one quoted cell"]),
        ("60", ["Fitbit", "'TotalSteps' to steps", "'ActivityDate' to date", "'Id' to user_id"]),
        ("61", ["it is Google Fit", "nobody's: move it to people/<user_id>/ below raw/"]),
        ("62", ["it is Samsung Health", "nobody's"]),
        ("63", ["columns user_id, steps", "'participant_id' to user_id", "'daily_steps' to steps"]),
        ("65", ["it is Garmin Connect", "nobody's"]),
        ("67", ["it is Withings", "nobody's"]),
        ("6A", ["Benutzer, Datum, Schritte, Gewicht", "'Schritte' to steps", "'Benutzer' to user_id"]),
        ("6B", ["Cycle start time", "WHOOP"]),
        ("74", ["it is a ZIP archive, which is not read; read are CSV files and Garmin"]),
        ("78", ["separated by |: comma, semicolon and tab are read"]),
        ("7A", ["not text in UTF-8, UTF-16 or Windows-1252"]),
        ("7C", ["lacks the required column date", "names of folders (name=value) are not read"]),
    ],
)
def test_refusals_say_what_was_found_and_what_to_do(hunt, start, parts):
    read = hunt[start]
    assert (read.ledger["status"], read.ledger["rows_read"]) == ("refused", 0)
    assert all(part in read.ledger["refusal"] for part in parts), read.ledger["refusal"]


def test_64_optional_columns_that_may_be_misnamed_are_a_warning(hunt):
    pairs = {"heart_rate": "heart_rate_avg", "sleep": "sleep_hours", "calories": "calories_burned"}
    pairs |= {"weight": "weight_kg", "stress": "stress_level"}
    assert hunt["64"].ledger["warnings"] == [f"'{name}' looks like {near}: rename it" for name, near in pairs.items()]
    assert hunt["64"].values(*REQUIRED) == [("opt-1", date(2024, 9, 1), 8000)]
    assert "no_upload_warnings" in hunt.failed


@pytest.mark.parametrize("start", ["70", "72"])
def test_7x_a_guessed_encoding_is_a_warning(hunt, start):
    assert hunt[start].ledger["warnings"] == [GUESSED]
    assert hunt[start].ledger["encoding"] == "Windows-1252, guessed"


def test_75_null_bytes_at_the_end_are_left_out_and_the_row_before_them_is_a_row(hunt):
    assert hunt["75"].values("user_id", "steps") == [("nul-1", 8000)]
    assert hunt["75"].ledger["warnings"] == ["null bytes from byte 42 to the end were left out"]


def test_80_every_row_in_pounds_is_typed(hunt):
    assert len(hunt["80"].days) == 60


def test_83_words_for_gender_are_read_and_others_are_kept_in_extra(hunt):
    genders = [gender for (gender,) in hunt["83"].values("gender")]
    assert genders == ["M", "F", "M", "F", "M", "F", "M", None, None]
    assert [extra for (extra,) in hunt["83"].values("extra")][-2:] == ['{"gender":"Other"}', None]
