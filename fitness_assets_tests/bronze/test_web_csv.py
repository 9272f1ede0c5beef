"""CSV tables of vendors, kind by kind."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from fitness_assets.bronze.readers import web_csv
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.kinds import KINDS, has_records
from fitness_assets.bronze.readers.layouts import LAYOUTS
from fitness_assets.silver.devices.merge import Day
from fitness_assets_tests.archives import Read, merged, read, zipped
from fitness_assets_tests.bronze.test_archives import survives
from fitness_assets_tests.web_tables import SAMSUNG, TABLES

FIRST, SECOND = date(2024, 10, 27), date(2024, 10, 28)
"""In Europe the clocks change on the first one."""


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, Read]:
    folder = tmp_path_factory.mktemp("tables")
    return {kind: read(zipped(folder / f"{kind}.zip", files)) for kind, files in TABLES.items()}


def one(tmp_path: Path, text: str) -> Read:
    (tmp_path / "table.csv").write_text(text)
    return read(tmp_path / "table.csv")


def days(found: Read, type_: str) -> list[tuple]:
    return [(str(row["day"]), row["value"], row["unit"]) for row in found.of(type_)]


def why(found: Read, type_: str) -> dict[str, int]:
    return found.counts[type_]["why"]


def test_every_kind_of_tables_has_a_sample_here():
    assert {layout.kind for layout in LAYOUTS} == {*TABLES} <= {kind.name for kind in KINDS}


@pytest.mark.parametrize("kind", [*TABLES])
def test_all_records_are_accounted_for_and_what_is_not_read_is_named(found, kind):
    counts = found[kind].counts
    assert counts["other columns"]["seen"] == sum(counts["other columns"]["why"].values()) > 0
    assert {row["source"] for row in found[kind].rows} == {layout.source for layout in LAYOUTS if layout.kind == kind}


def test_google_fit_gives_days_and_its_days_without_steps_give_nothing(found):
    fit = found["google_fit"]
    assert days(fit, "steps") == [("2024-10-26", 8000, "count"), ("2024-10-28", 3000, "count")]
    assert days(fit, "energy_total") == [("2024-10-26", 2310.5, "kcal"), ("2024-10-28", 1900, "kcal")]
    assert why(fit, "energy_total") == {"a day without steps has only the energy at rest": 1}
    assert days(fit, "weight") == [("2024-10-26", 68.4, "kg")]
    assert days(fit, "sleep") == [("2024-10-26", 25_560_000, "ms")]
    assert why(fit, "heart_rate") == {"zero means not measured": 1}
    assert "Heart Points" in why(fit, "other columns")
    assert fit.counts["other files"]["not_mapped"] == 1


def test_garmin_steps_are_read_with_the_month_or_the_day_first(found, tmp_path):
    assert days(found["garmin_web"], "steps") == [("2024-10-30", 8000, "count"), ("2024-11-01", 9100, "count")]
    assert why(found["garmin_web"], "steps") == {"zero means not measured": 1}
    british = one(tmp_path, ",Actual\n01/09/2024,8000\n02/09/2024,9000\n30/08/2024,7000\n31/08/2024,--\n")
    assert [day for day, *_ in days(british, "steps")] == ["2024-09-01", "2024-09-02", "2024-08-30"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("09/27/2019,78736\n10/04/2019,90059\n10/11/2019,55041\n", "weeks and months are not read"),
        ("09/01/2024,8000\n", "one day alone does not tell"),
        ("01/01/2024,8000\n02/02/2024,9000\n", "not one day after the other"),
        ("09/01/2024,12\n09/02/2024,15\n", "not of steps"),
        ("yesterday,many\n", "not one day after the other"),
    ],
)
def test_garmin_reports_that_are_no_days_of_steps_are_refused(tmp_path, rows, said):
    with pytest.raises(RefusedError, match=said):
        one(tmp_path, f",Actual\n{rows}")


def test_garmin_nights_are_durations_and_a_day_without_a_year_is_none(found):
    web = found["garmin_web"]
    assert days(web, "sleep") == [("2024-10-30", 475, "min"), ("2024-10-31", 300, "min")]
    assert days(web, "resting_heart_rate") == [("2024-10-30", 53, "bpm")]
    assert why(web, "sleep") == {"the day has no year": 1}


def test_garmin_weights_are_those_of_the_heading_above_and_the_last_one_of_a_day_is_last(found):
    assert days(found["garmin_web"], "weight") == [
        ("2024-10-30", 178.5, "lbs"),
        ("2024-10-31", 81.0, "kg"),
        ("2024-10-31", 80.5, "kg"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Date,Weight (kg),Comments\n2024-10-30 07:00:00,80,\n2024-10-30 12:00:00,81,\n2024-10-30 20:00:00,80,\n"
        "2024-10-30 20:00:00,80,\n",
        "Time,Weight,Change,Body Fat,\nOct 30, 2024,\n8:00 PM,80.0 kg,--,--,\n8:00 PM,80.0 kg,--,--,\n"
        "12:00 PM,81.0 kg,--,--,\n7:00 AM,80.0 kg,--,--,\n".replace("Oct 30, 2024", '"Oct 30, 2024"'),
    ],
)
def test_a_weight_that_comes_back_in_the_evening_is_the_last_one_of_the_day(tmp_path, text):
    found = one(tmp_path, text)
    assert [row["value"] for row in found.of("weight")] == [80, 81, 80]
    assert found.counts["weight"]["duplicate"] == 1
    (said,) = merged(("withings", found.records)).values()
    assert said.cells["weight_kg"] == 80


@pytest.mark.parametrize(
    ("columns", "cells", "asleep"),
    [
        ("light_sleep_duration;awake_time", ";600", {"asleep": 25_200, "awake": 600}),
        ("light_sleep_duration;awake_time", "0;", {"asleep": 25_200, "light": 0}),
        ("light_sleep_duration;awake_time", "18000;", {"light": 18_000}),
        ("score", "80", {"asleep": 25_200}),
    ],
)
def test_a_night_of_oura_without_stages_is_its_total(tmp_path, columns, cells, asleep):
    times = "2024-01-04T23:00:00+01:00;2024-01-05T07:00:00+01:00"
    head = f"id;day;bedtime_start;bedtime_end;total_sleep_duration;type;{columns}\n"
    found = one(
        tmp_path, f"{head}1;2024-01-05;{times};25200;long_sleep;{cells}\n2;2024-01-06;;;25200;deleted;{cells}\n"
    )
    assert {row["text"]: row["value"] for row in found.of("sleep")} == asleep
    assert found.counts["sleep"]["seen"] == 2 * len(asleep), "the deleted night is counted like the other one"


def test_samsung_steps_are_those_of_all_devices(found):
    samsung = found["samsung_health"]
    assert days(samsung, "steps") == [("2024-10-27", 8000, "count"), ("2024-10-28", 6100, "count")]
    assert days(samsung, "energy_active") == [("2024-10-27", 240, "kcal"), ("2024-10-28", 180, "kcal")]
    assert samsung.counts["steps"]["overlapped"] == 1


def test_samsung_nights_are_their_stages_or_if_there_are_none_sessions(found):
    sleep = {row["text"]: (str(row["start_at"]), str(row["end_at"])) for row in found["samsung_health"].of("sleep")}
    assert sleep.keys() == {"light", "awake", "deep", "session"}
    assert sleep["session"] == ("2024-10-27 22:30:00+00:00", "2024-10-28 05:30:00+00:00")
    counts = found["samsung_health"].counts["sleep"]
    assert (counts["overlapped"], counts["not_mapped"]) == (1, 1)  # the night with stages, an unknown stage


def test_samsung_placeholders_and_codes_are_no_values(found):
    samsung = found["samsung_health"]
    assert [row["value"] for row in samsung.of("heart_rate")] == [70]
    assert why(samsung, "heart_rate") == {"zero means not measured": 1, "no offset from UTC": 1}
    assert [row["value"] for row in samsung.of("weight")] == [71.2]
    assert why(samsung, "weight") == {"a time of 1970 is a placeholder": 1}
    assert [(row["value"], row["unit"]) for row in samsung.of("height")] == [(168, "cm")]
    assert [(row["value"], row["text"]) for row in samsung.of("stress")] == [(31, "0 to 100, high is stressed")]


def samsung_nights(tmp_path: Path, local: bool) -> Read:
    """Bed at 22:00 on the wall; the clocks change in the middle."""
    lines = ["com.samsung.shealth.sleep,1,1", "start_time,end_time,time_offset,datauuid,"]
    for number in range(40):
        hours = 2 if number < 20 else 1
        start = datetime(2024, 10, 7, 22, tzinfo=UTC) + timedelta(days=number, hours=0 if local else -hours)
        end = start + timedelta(hours=8)
        lines.append(f"{start:%Y-%m-%d %H:%M}:00.000,{end:%Y-%m-%d %H:%M}:00.000,UTC+0{hours}00,n{number},")
    return read(zipped(tmp_path / "s.zip", {f"{SAMSUNG}sleep.csv": "\n".join(lines)}))


def test_samsung_times_that_are_local_are_refused(tmp_path):
    assert len(samsung_nights(tmp_path, local=False).of("sleep")) == 40
    with pytest.raises(RefusedError, match="bedtimes jump by an hour"):
        samsung_nights(tmp_path, local=True)


def test_withings_weights_have_the_unit_of_the_header_and_decimal_commas(found, tmp_path):
    assert days(found["withings"], "weight") == [("2024-10-27", 158, "lb"), ("2024-10-27", 156.2, "lb")]
    kilograms = one(tmp_path, 'Date,"Weight (kg)","Fat mass (kg)",Comments\n"2024-09-01 07:10:00",68.40,15.2,\n')
    assert days(kilograms, "weight") == [("2024-09-01", 68.4, "kg")]


def test_withings_days_and_nights(found):
    withings = found["withings"]
    assert days(withings, "steps") == [("2024-10-27", 8000, "count")]
    assert days(withings, "energy_active") == [("2024-10-27", 410.5, "kcal")]
    assert days(withings, "energy_basal") == [("2024-10-27", 1650, "kcal")]
    assert {row["text"]: row["value"] for row in withings.of("sleep")} == {
        "light": 15_000, "deep": 6_000, "rem": 5_400, "awake": 1_200
    }  # fmt: skip
    assert why(withings, "sleep") == {"no time with an offset from UTC": 4}
    assert withings.counts["other files"]["not_mapped"] == 1  # aggregates_distance.csv has the same header


def test_oura_days_and_nights(found):
    oura = found["oura"]
    assert days(oura, "steps") == [("2024-10-28", 8000, "count")]
    assert days(oura, "exercise") == [("2024-10-28", 2400, "s")]
    assert why(oura, "steps") == {
        "a row with too few or too many cells": 1, "a day without steps has only the energy at rest": 1
    }  # fmt: skip
    night = [row for row in oura.of("sleep") if str(row["end_at"]) == "2024-10-27 05:40:00+00:00"]
    assert {row["text"]: row["value"] for row in night} == {
        "light": 15_000,
        "deep": 4_800,
        "rem": 5_400,
        "awake": 3_000,
    }
    assert oura.counts["sleep"]["not_mapped"] == 4, "what the person deleted"
    assert [(row["value"], row["utc_offset_seconds"]) for row in oura.of("heart_rate")] == [(61, None), (75, 3_600)]
    assert not oura.of("resting_heart_rate"), "a score from 1 to 100 has this name"


def test_days_of_tables_are_what_the_tables_say(found):
    def merged_day(kind: str, day: date) -> Day:
        return merged((kind, found[kind].records))[day]

    fit = merged_day("google_fit", date(2024, 10, 26))
    assert (fit.cells["steps"], fit.cells["heart_rate_avg"], fit.cells["sleep_hours"]) == (8000, 72, 7.1)
    assert fit.extra["hr_basis"] == "vendor"
    assert "hr_bins_5min" not in fit.extra
    web = merged_day("garmin_web", date(2024, 10, 31))
    assert (web.cells["weight_kg"], web.cells["sleep_hours"]) == (80.5, 5)
    samsung = merged_day("samsung_health", FIRST)
    assert samsung.cells["sleep_hours"] == 8  # the clocks changed in the night
    assert samsung.extra["active_kcal"] == 240
    assert "calories_burned" not in samsung.cells
    second = merged_day("samsung_health", SECOND)
    assert (second.cells["heart_rate_avg"], second.cells["sleep_hours"], second.cells["bmi"]) == (70, 7, 25.23)
    assert second.extra["vendor_stress"] == 31
    assert "stress_level" not in second.cells
    withings = merged_day("withings", FIRST)
    assert (withings.cells["calories_burned"], withings.cells["weight_kg"]) == (2060.5, 70.851)
    assert withings.cells["sleep_hours"] == pytest.approx(26_400 / 3_600, abs=0.001)
    oura = merged_day("oura", FIRST)
    assert (oura.cells["sleep_hours"], oura.extra["nap_h"]) == (7.5, 0.5)
    assert merged_day("oura", SECOND).cells["exercise_minutes"] == 40


def test_tables_and_lines_that_are_too_long_do_not_fill_the_memory(tmp_path, monkeypatch):
    header = "Date,Step count,Calories (kcal)\n"
    long = one(tmp_path, f"{header}2024-10-27,{'8' * 100_000},2000\n" + "2024-10-28,8000,2000," * 100_000)
    assert why(long, "steps") == {"the value is not finite": 1, "a row with too few or too many cells": 3}, "pieces"
    monkeypatch.setattr(web_csv, "_MOST_AT_ONCE", 50)
    with pytest.raises(RefusedError, match="a table of Garmin Connect has 55 bytes"):
        one(tmp_path, ",Actual,Goal\n10/30/2024,8000,7500\n10/31/2024,9000,7500\n")


@pytest.mark.parametrize("kind", [*TABLES])
def test_mutations_are_refused_or_accounted_for(tmp_path, kind):
    good = zipped(tmp_path / "good.zip", TABLES[kind]).read_bytes()
    outcomes = {survives(tmp_path / "bad.zip", good, seed) for seed in range(30)}
    assert {"refused", "read"} <= outcomes <= {"refused", "read", "no archive"}


def test_a_table_alone_is_known_by_its_content(tmp_path):
    for kind, files in TABLES.items():
        for name, text in files.items():
            table = tmp_path / "any name.csv"
            table.write_text(text)
            is_known = has_records(table, tmp_path)
            assert is_known == (name.rpartition("/")[2] not in OTHER_FILES), (kind, name)


OTHER_FILES = {
    "2024-10-26.csv",
    "com.samsung.shealth.exercise.20241101120000.csv",
    "aggregates_steps.csv",  # only its name tells what its values are, and a name is no content
    "aggregates_calories_earned.csv",
    "aggregates_calories_passive.csv",
    "aggregates_distance.csv",
    "dailyreadiness.csv",
}


@pytest.mark.parametrize(
    "text",
    [
        "user_id,day,steps,total_calories\n",
        "user_id;day;steps;total_calories\n",
        "day,Actual,Goal\n",  # in Garmin's report the column of days has no name
        "",
        "\n",
    ],
)
def test_daily_rows_of_people_are_no_table_of_a_vendor(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    assert not has_records(tmp_path / "log.csv", tmp_path)
