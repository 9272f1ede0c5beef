"""From an archive of devices to gold: each kind is read, merged into days, and met by CSV files."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from fitness_assets.sample import EXPORTS
from fitness_assets.sample.life import LivedDay, lived
from fitness_assets_tests.conftest import HEADER, evaluations

TO_SILVER = "group:bronze or group:silver"
PROFILE = """
birth_date = 1984-05-17
gender = "F"
height_cm = 168
time_zone = "Europe/Berlin"
"""
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
    assert (ledger["status"], ledger["person"], ledger["reader_version"]) == ("ingested", "anna", 1)
    counts = json.loads(ledger["record_counts"])
    assert sum(of_type["seen"] for of_type in counts.values()) == ledger["records_seen"]
    assert len(rows("bronze/measurements")) == sum(row["records_used"] for row in rows("bronze/uploads"))


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
