"""From an archive of devices to gold: each kind is read, merged into days, and met by CSV files."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from fitness_assets.bronze.measurements import MEASUREMENTS
from fitness_assets.bronze.readers.kinds import VERSIONS, all_readers
from fitness_assets.bronze.sources import source_of
from fitness_assets.bronze.tables import KINDS, UPLOADS
from fitness_assets.bronze.withdrawal import restore, withdraw
from fitness_assets.orchestration.pending import pending_of
from fitness_assets.predictions.tables import MODELS
from fitness_assets.registry import TABLES
from fitness_assets.sample import EXPORTS
from fitness_assets.sample.life import LivedDay, lived
from fitness_assets.silver.device_tables import DEVICE_DAYS
from fitness_assets.silver.devices import days as device_days
from fitness_assets_tests.archives import zipped
from fitness_assets_tests.conftest import EVERYWHERE, HEADER, evaluations, failure_of, root_of
from fitness_assets_tests.web_tables import TABLES as WEB_TABLES

TO_SILVER = "group:bronze or group:silver"
PROFILE = """
birth_date = 1984-05-17
gender = "F"
height_cm = 168
time_zone = "Europe/Berlin"
"""
MODELS_WITHOUT_SKILL = {table.key for table in MODELS.values()}
FIRST = date(2024, 2, 20)
"""The days after it have a 29 February, and the change to summer time on 31 March."""


def put(raw: Path, person: str, kind: str, days: Sequence[LivedDay], profile: str = PROFILE) -> Path:
    """Put an archive, and a profile, into the folder of a person."""
    folder = raw / "people" / person
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profile.toml").write_text(profile)
    EXPORTS[kind](folder / f"{kind}.zip", days)
    return folder / f"{kind}.zip"


@pytest.mark.parametrize("kind", [*EXPORTS])
def test_an_archive_becomes_days_with_what_really_happened(raw, materialize, rows, kind):
    lived_days = lived(45, first=FIRST)
    put(raw, "anna", kind, lived_days)
    result = materialize(TO_SILVER)
    assert result.success
    assert not [key for key, evaluation in evaluations(result).items() if not evaluation.passed]
    found = {row["date"]: row for row in rows("silver/clean_days")}
    assert found.keys() == {day.date for day in lived_days}
    for day in lived_days:
        row = found[day.date]
        assert row["steps"] == day.steps
        assert row["sleep_hours"] == pytest.approx(day.sleep_hours, abs=0.001)
        assert row["weight_kg"] == day.weight_kg
        assert row["stress_level"] is None
        assert (row["age"], row["gender"]) == (39, "F")
        assert row["bmi"] == (day.weight_kg and pytest.approx(day.weight_kg / 1.68**2, abs=0.01))
    (ledger,) = (row for row in rows("bronze/uploads") if row["kind"] != "profile")
    assert (ledger["status"], ledger["person"]) == ("ingested", "anna")
    assert ledger["reader_version"] == VERSIONS[ledger["kind"]]
    counts = json.loads(ledger["record_counts"])
    assert sum(of_type["seen"] for of_type in counts.values()) == ledger["records_seen"]
    assert len(rows("bronze/measurements")) == sum(row["records_used"] for row in rows("bronze/uploads"))


NO_ZONE = "no profile.toml says the time_zone of this person: days of this file are those of UTC"


@pytest.mark.parametrize(
    ("profile", "warning"), [(None, [NO_ZONE]), ("height_cm = 168\n", [NO_ZONE]), ('time_zone = "Europe/Berlin"\n', [])]
)
def test_the_ledger_warns_of_what_nobody_says_of_the_person(raw, materialize, rows, profile, warning):
    for kind in ("apple", "garmin"):  # they say birth date, gender and height; the days of Garmin need no zone
        path = put(raw, "anna", kind, lived(2, first=FIRST), profile or "")
    if profile is None:
        (path.parent / "profile.toml").unlink()
    (raw / "people" / "ben").mkdir()
    (raw / "people" / "ben" / "scale.csv").write_text(f"Date,Weight (kg),Comments\n{FIRST} 07:00:00,66.6,\n")
    assert materialize(TO_SILVER).success
    warnings = {row["kind"]: [*row["warnings"]] for row in rows("bronze/uploads")}
    assert (warnings["apple_health"], warnings["garmin"], warnings.get("profile", [])) == (warning, [], [])
    said = "no profile.toml says birth_date, gender, height_cm of this person: what needs it stays empty"
    assert warnings["withings"] == [said]


def test_a_csv_file_and_an_archive_complete_each_other_and_the_row_says_the_source_of_each_value(
    raw, materialize, rows
):
    first, second, third = days = lived(3, first=FIRST)
    put(raw, "anna", "garmin", days)
    cells = {"user_id": "anna", "date": str(first.date), "steps": "111", "stress_level": "4", "weight_kg": "70.5"}
    lines = [HEADER, ",".join(cells.get(name, "") for name in HEADER.split(","))]
    lines.append(f"ben,,,{second.date},7777,,,,,,,")
    lines.append(f"anna,,,{third.date},222,900,,,,,,")  # breaks a rule, so it says nothing
    (raw / "log.csv").write_text("\n".join(lines))
    assert materialize(TO_SILVER).success
    clean = {(row["user_id"], row["date"]): row for row in rows("silver/clean_days")}
    row = clean["anna", first.date]
    assert (row["steps"], row["stress_level"], row["weight_kg"]) == (111, 4, 70.5)
    assert row["sleep_hours"] == pytest.approx(first.sleep_hours, abs=0.001)
    assert clean["anna", third.date]["steps"] == third.steps
    assert clean["ben", second.date]["steps"] == 7777
    sources = {row["date"]: json.loads(row["sources"]) for row in rows("silver/device_days")}
    assert sources[first.date]["steps"] == sources[first.date]["stress_level"] == "csv"
    assert sources[first.date]["sleep_hours"] == "garmin: Garmin Connect"
    reasons = {(row["date"], row["steps"]): row["reasons"] for row in rows("silver/rejected_days")}
    assert reasons == {(first.date, 111): ["superseded"], (third.date, 222): ["heart_rate_avg_range", "superseded"]}

    # The person's own order puts the archive first; nothing but the profile changed.
    put(raw, "anna", "garmin", days, PROFILE + 'sources = ["garmin", "csv"]\n')
    assert materialize(TO_SILVER).success
    clean = {(row["user_id"], row["date"]): row for row in rows("silver/clean_days")}
    assert (clean["anna", first.date]["steps"], clean["anna", first.date]["stress_level"]) == (first.steps, 4)


@pytest.mark.deployment
def test_people_with_archives_of_each_kind_and_the_csv_sample_are_one_run(raw, materialize, rows, sample):
    days = lived(40, first=FIRST)
    for kind in EXPORTS:
        put(raw, kind, kind, days)
    for kind, files in WEB_TABLES.items():
        (raw / "people" / kind).mkdir()
        (raw / "people" / kind / "profile.toml").write_text(PROFILE)
        zipped(raw / "people" / kind / "tables.zip", files)
    (raw / "sample.csv").write_bytes(sample.read_bytes())
    result = materialize()
    assert result.success
    for table in TABLES:
        assert rows(table.key) is not None
    facts = {(row["user_id"], row["date_key"]): row for row in rows("gold/fact_daily")}
    for kind in EXPORTS:
        for day in days:
            assert facts[kind, int(f"{day.date:%Y%m%d}")]["steps"] == day.steps
    assert {row["kind"] for row in rows("bronze/uploads")} == set(KINDS)
    assert len({row["user_id"] for row in rows("silver/clean_days")}) == len(EXPORTS) + len(WEB_TABLES) + 40
    clean = [row for row in rows("silver/clean_days") if row["stress_level"] is not None]
    said = {row["scope"]: row["finding"] for row in rows("quality/audit") if row["name"] == "verdict"}
    days_by_source = {metric: text.partition(" Days by source: ")[2] for metric, text in said.items()}
    for kind in ("apple health", "garmin", "google health", "health connect"):
        assert f"{kind} 40" in days_by_source["steps"]
    assert days_by_source["stress_level"] == f"csv {len(clean):,} (100%)."
    assert days_by_source["file"] == ""
    failed = {key for key, evaluation in evaluations(result).items() if not evaluation.passed}
    assert {table for table, _ in failed} <= {"bronze/logged_days", "quality/audit", *MODELS_WITHOUT_SKILL}


def test_a_newer_export_replaces_its_days_and_the_same_bytes_change_nothing(raw, materialize, rows, lake):
    days = lived(6, first=FIRST)
    path = put(raw, "anna", "garmin", days[:4])
    assert materialize(TO_SILVER).success
    again = path.with_name("copy of the same.zip")
    again.write_bytes(path.read_bytes())
    before = lake.current(UPLOADS)
    assert materialize(TO_SILVER).success
    assert lake.current(UPLOADS) == before, "the same bytes under another name are no upload"
    more = replace(days[3], walks=(*days[3].walks, *days[4].walks))  # the day went on after the first export
    put(raw, "anna", "garmin", [*days[:3], more, *days[4:]])
    assert materialize(TO_SILVER).success
    steps = {row["date"]: row["steps"] for row in rows("silver/clean_days")}
    assert steps == {day.date: day.steps for day in [*days[:3], more, *days[4:]]}
    assert sum(row["status"] == "ingested" for row in rows("bronze/uploads") if row["kind"] == "garmin") == 2


def test_a_withdrawn_archive_says_nothing_and_is_back_once_it_is_restored(raw, materialize, rows, lake):
    days = lived(3, first=FIRST)
    path = put(raw, "anna", "garmin", days)
    put(raw, "anna", "apple", days)
    assert materialize(TO_SILVER).success
    kinds = {json.loads(row["sources"])["calories_burned"] for row in rows("silver/device_days")}
    assert kinds == {"garmin: Garmin Connect"}
    withdraw(lake, str(path), "not mine")
    assert materialize(TO_SILVER).success
    (source,) = {json.loads(row["sources"])["calories_burned"] for row in rows("silver/device_days")}
    assert source.startswith("apple_health: ")
    restore(lake, str(path))
    assert materialize(TO_SILVER).success
    assert {json.loads(row["sources"])["calories_burned"] for row in rows("silver/device_days")} == kinds


def test_people_whose_uploads_did_not_change_are_not_merged_again(raw, materialize, rows, monkeypatch):
    days = lived(3, first=FIRST)
    put(raw, "anna", "garmin", days)
    put(raw, "ben", "garmin", days[:2])
    assert materialize(TO_SILVER).success
    merged, merge = [], device_days.merged_days

    def counted(measured, uploads):
        merged.append([upload.kind for upload in uploads.values()])
        return merge(measured, uploads)

    monkeypatch.setattr(device_days, "merged_days", counted)
    before = {(row["user_id"], row["date"]): row["measured"] for row in rows("silver/device_days")}
    (raw / "log.csv").write_text(f"user_id,date,steps\nanna,{days[0].date},5\n")
    assert materialize(TO_SILVER).success
    assert merged == []
    after = {(row["user_id"], row["date"]): row for row in rows("silver/device_days")}
    assert {key: row["measured"] for key, row in after.items()} == before
    assert after["anna", days[0].date]["steps"] == 5
    put(raw, "ben", "garmin", days)
    assert materialize(TO_SILVER).success
    assert merged == [["profile", "garmin"]], "the older export is repeated by the newer one"
    assert len(rows("silver/device_days")) == 6


def test_a_newer_reader_reads_again_what_was_read_or_refused_but_not_what_was_withdrawn(
    raw, materialize, rows, lake, monkeypatch
):
    path = put(raw, "anna", "garmin", lived(3, first=FIRST))
    withdrawn = put(raw, "anna", "apple", lived(3, first=FIRST))
    (path.parent / "movie.db").write_bytes(b"SQLite format 3\0" + bytes(500))
    assert materialize(TO_SILVER).success
    withdraw(lake, str(withdrawn), "not mine")
    before, read_by = all_readers(), dict(VERSIONS)
    for kind in ("garmin", "apple_health"):
        monkeypatch.setitem(VERSIONS, kind, read_by[kind] + 1)
    for new in (["garmin.zip", "movie.db"], []):
        source = source_of(str(raw))
        pending = pending_of(lake, source, source.find(), {})
        assert [Path(uri).name for uri in pending.new] == new, "the sensor asks for a run, once"
        assert materialize(TO_SILVER).success
    found: dict[str, list[dict]] = {}
    for row in sorted(rows("bronze/uploads"), key=lambda row: row["ingested_at"]):
        found.setdefault(Path(row["uri"]).name, []).append(row)
    versions = {name: [row["reader_version"] for row in of_name] for name, of_name in found.items()}
    assert versions == {
        "garmin.zip": [read_by["garmin"], read_by["garmin"] + 1], "apple.zip": [read_by["apple_health"]],
        "profile.toml": [read_by["profile"]], "movie.db": [before, before + 2]
    }  # fmt: skip
    assert {row["status"] for row in found["movie.db"]} == {"refused"}
    assert len({row["content_sha256"] for row in found["garmin.zip"]}) == 1
    assert {row["upload_id"] for row in rows("silver/clean_days")} == {found["garmin.zip"][-1]["upload_id"]}


def test_a_damaged_or_unknown_archive_disturbs_nothing_else(raw, materialize, rows):
    days = lived(3, first=FIRST)
    path = put(raw, "anna", "garmin", days)
    (path.parent / "cut.zip").write_bytes(path.read_bytes()[:500])
    (path.parent / "movie.db").write_bytes(b"SQLite format 3\0" + bytes(500))
    (raw / "nobody.zip").write_bytes(path.read_bytes())
    (path.parent / "log.csv").write_text(f"user_id,date,steps\nanna,{days[0].date},5\n")
    table = "\n".join(["Date,Weight (kg),Comments", *(f"{day.date} 07:00:00,66.6," for day in days)])
    for folder in (raw, path.parent):
        (folder / "scale.csv").write_text(table)
    result = materialize(TO_SILVER)
    assert result.success
    refused = {Path(row["uri"]).name: row["refusal"] for row in rows("bronze/uploads") if row["status"] == "refused"}
    assert refused.keys() == {"cut.zip", "movie.db", "nobody.zip", "scale.csv"}
    assert refused["cut.zip"] == "the ZIP archive is damaged or cut off"
    assert "nobody's" in refused["nobody.zip"]
    assert "nobody's" in refused["scale.csv"]
    weights = {row["date"]: row["weight_kg"] for row in rows("silver/clean_days")}
    assert weights == {day.date: day.weight_kg or 66.6 for day in days}
    assert not evaluations(result)["bronze/uploads", "no_refused_uploads"].passed
    assert {row["date"]: row["steps"] for row in rows("silver/clean_days")} == {
        days[0].date: 5, days[1].date: days[1].steps, days[2].date: days[2].steps
    }  # fmt: skip


def test_days_of_which_only_other_things_are_known_are_rejected_with_the_reason(raw, materialize, rows):
    days = lived(3, first=FIRST)
    put(raw, "anna", "health-connect", [replace(days[0], walks=()), *days[1:]])
    assert materialize(TO_SILVER).success
    (rejected,) = rows("silver/rejected_days")
    assert (rejected["date"], rejected["reasons"]) == (days[0].date, ["no_steps"])


def test_no_mail_address_and_no_birth_date_reach_a_table_or_a_log(raw, materialize, rows, capfd):
    put(raw, "anna", "garmin", lived(3, first=FIRST))
    assert materialize(TO_SILVER).success
    log = "".join(capfd.readouterr())
    for table in (table for table in TABLES if table.layer in ("bronze", "silver")):
        for row in rows(table.key):
            assert "example.org" not in str(row)
            assert date(1984, 5, 17) not in row.values()
            assert "05-17" not in str({name: cell for name, cell in row.items() if name != "uri"})
    assert "example.org" not in log
    assert "1984" not in re.sub(r"[0-9a-f-]{16,}", "", log), "ids of runs and hashes may have any digits"


def test_an_existing_lake_gets_the_new_tables_without_a_new_upload(raw, materialize, rows, lake):
    (raw / "log.csv").write_text("user_id,date,steps\nanna,2024-01-01,5000\n")
    assert materialize(TO_SILVER).success
    for table in (MEASUREMENTS, DEVICE_DAYS):  # as a release before would have left it
        (root_of(lake) / table.key).unlink()
        shutil.rmtree(root_of(lake) / "_versions" / table.key)
    result = materialize(TO_SILVER)
    assert result.success, failure_of(result)
    assert rows("bronze/measurements") == rows("silver/device_days") == []
    assert [row["steps"] for row in rows("silver/clean_days")] == [5000]


@EVERYWHERE
def test_an_archive_is_read_into_a_lake_on_disk_and_in_a_bucket_alike(lake, materialize, rows, tmp_path, bucket):
    days = lived(3, first=FIRST)
    path = put(tmp_path / "elsewhere", "anna", "health-connect", days)
    for file in path.parent.iterdir():
        bucket.put(f"raw data/people/anna/{file.name}", file.read_bytes())
    for _ in range(2):  # the second run takes what devices measured from the version before
        assert materialize(TO_SILVER, uploads=[bucket.uri("raw data")]).success
        bucket.put("raw data/log.csv", f"user_id,date,steps\nanna,{days[0].date},5\n".encode())
    assert {row["date"]: row["steps"] for row in rows("silver/clean_days")} == {
        days[0].date: 5, days[1].date: days[1].steps, days[2].date: days[2].steps
    }  # fmt: skip
