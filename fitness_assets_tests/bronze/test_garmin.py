"""Garmin's archive, case by case."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fitness_assets.sample import EXPORTS
from fitness_assets.sample.life import lived
from fitness_assets_tests.archives import Read, merged, read, zipped


def garmin(tmp_path: Path, files: dict[str, Any], folder: str = "DI_CONNECT/DI-Connect-Aggregator") -> Read:
    entries = {f"{folder}/{name}": json.dumps(content) for name, content in files.items()}
    return read(zipped(tmp_path / "g.zip", {"DI_CONNECT/other": "", **entries}))


def values(found: Read, type_: str) -> dict[str, float]:
    return {str(row["day"]): row["value"] for row in found.of(type_)}


@pytest.mark.parametrize(
    "folder",
    [
        "DI_CONNECT/DI-Connect-Aggregator",
        "0b1c-uuid/DI_CONNECT/DI-Connect-Aggregator",
        "DI_CONNECT/DI-Connect-User",
        "a/b/c/DI_CONNECT/somewhere",
    ],
)
def test_daily_files_are_found_wherever_they_lie(tmp_path, folder):
    found = garmin(tmp_path, {"UDSFile_1.json": [{"calendarDate": "2024-01-05", "totalSteps": 8120}]}, folder)
    assert values(found, "steps") == {"2024-01-05": 8120}


@pytest.mark.parametrize("hours", [22, 23, 25])
def test_days_of_odd_lengths_keep_their_day_and_length(tmp_path, hours):
    item = {"calendarDate": "2024-10-27", "totalSteps": 5, "durationInMilliseconds": hours * 3_600_000}
    found = garmin(tmp_path, {"UDSFile_1.json": [item]})
    assert values(found, "steps") == {"2024-10-27": 5}
    assert found.of("day_length")[0]["value"] == hours * 3_600_000


def test_the_day_is_that_of_the_record_and_never_a_nested_one(tmp_path):
    night = {
        "nextSleepNeed": {"calendarDate": "2026-10-06"},
        "calendarDate": "2026-10-05",
        "deepSleepSeconds": 3_600,
        "lightSleepSeconds": 7_200,
        "remSleepSeconds": 0,
        "awakeSleepSeconds": 600,
        "sleepStartTimestampGMT": "2026-10-04T22:58:00.0",
        "sleepStartTimestampLocal": "2026-10-05T00:58:00.0",
        "sleepEndTimestampGMT": "2026-10-05T02:00:00.0",
    }
    only_nested = {"nextSleepNeed": {"calendarDate": "2026-10-07"}, "deepSleepSeconds": 3_600}
    found = garmin(tmp_path, {"a_sleepData.json": [night, only_nested]})
    assert {row["text"]: row["value"] for row in found.of("sleep")} == {
        "deep": 3_600,
        "light": 7_200,
        "rem": 0,
        "awake": 600,
    }
    assert {str(row["day"]) for row in found.of("sleep")} == {"2026-10-05"}
    assert {str(row["start_at"]) for row in found.of("sleep")} == {"2026-10-04 22:58:00+00:00"}
    assert found.counts["sleep"]["why"] == {"no calendarDate": 1}


@pytest.mark.parametrize(
    ("changes", "type_", "why"),
    [
        ({"allDayStress": {"aggregatorList": [{"type": "TOTAL", "averageStressLevel": -2}]}}, "stress", "a code"),
        ({"allDayStress": {"aggregatorList": [{"type": "TOTAL", "averageStressLevel": -1}]}}, "stress", "a code"),
        ({"restingHeartRate": 0}, "resting_heart_rate", "zero means"),
        ({"totalKilocalories": -1}, "energy_total", "a code"),
        ({"totalSteps": "many"}, "steps", "without wellness data"),
        ({"totalSteps": None, "totalKilocalories": 1_900}, "energy_total", "without wellness data"),
        ({"totalSteps": None}, "steps", "without wellness data"),
        ({"includesWellnessData": False}, "steps", "without wellness data"),
        ({"calendarDate": "yesterday"}, "steps", "no calendarDate"),
        ({"calendarDate": None}, "steps", "no calendarDate"),
    ],
)
def test_codes_and_days_without_data_never_become_values(tmp_path, changes, type_, why):
    found = garmin(tmp_path, {"UDSFile_1.json": [{"calendarDate": "2024-01-05", "totalSteps": 8, **changes}]})
    assert not found.of(type_)
    (reason,) = found.counts[type_]["why"]
    assert why in reason


@pytest.mark.parametrize(
    ("moderate", "vigorous", "sum_", "invalid"),
    [(20, 10, 30, 0), (-1, 10, 10, 1), (20, "many", 20, 1), (-1, -2, None, 2), (None, 10, 10, 0), (None, "x", None, 1)],
)
def test_a_code_for_no_minutes_is_no_part_of_the_sum(tmp_path, moderate, vigorous, sum_, invalid):
    day = {"calendarDate": "2024-01-05", "totalSteps": 8}
    day |= {"moderateIntensityMinutes": moderate, "vigorousIntensityMinutes": vigorous}
    found = garmin(tmp_path, {"UDSFile_1.json": [day]})
    assert [row["value"] for row in found.of("exercise")] == ([] if sum_ is None else [sum_])
    assert found.counts["exercise"]["invalid"] == invalid


def test_stress_keeps_its_scale_and_heart_rates_of_days_are_no_means(tmp_path):
    stress = {
        "aggregatorList": [{"type": "AWAKE", "averageStressLevel": 50}, {"type": "TOTAL", "averageStressLevel": 31}]
    }
    item = {"calendarDate": "2024-01-05", "totalSteps": 8, "allDayStress": stress, "restingHeartRate": 51}
    found = garmin(tmp_path, {"UDSFile_1.json": [item]})
    (row,) = found.of("stress")
    assert (row["value"], row["text"]) == (31, "0 to 100, high is stressed")
    assert found.of("resting_heart_rate")[0]["value"] == 51
    assert not found.of("heart_rate")


@pytest.mark.parametrize(
    "stub",
    [
        {"calendarDate": "2019-05-01", "deepSleepSeconds": 0, "lightSleepSeconds": 0},
        {"calendarDate": "2019-05-01", "awakeSleepSeconds": 600},
        {"calendarDate": "2019-05-01"},
        {"sleepStartTimestampGMT": "2024-01-01T00:00:00.0"},
    ],
)
def test_stubs_of_nights_are_no_nights(tmp_path, stub):
    found = garmin(tmp_path, {"a_sleepData.json": [stub]})
    assert not found.of("sleep")
    assert found.counts["sleep"]["invalid"] == found.counts["sleep"]["seen"] > 0


def test_weights_are_grams_and_both_of_a_day_are_kept(tmp_path):
    def weighing(grams: float, hour: int) -> dict[str, Any]:
        return {
            "metaData": {"calendarDate": "2024-01-05"},
            "weight": {"weight": grams, "timestampGMT": f"2024-01-05T{hour:02}:00:00.0", "sourceType": "SCALE"},
        }

    items = [weighing(86_000, 6), weighing(85_500, 20), weighing(0, 7), {"hydration": 1}]
    found = garmin(tmp_path, {"x_userBioMetrics.json": items, "x_userBioMetricProfileData.json": [{"height": 181.0}]})
    assert [(row["value"], row["unit"]) for row in found.of("weight")] == [(86_000, "g"), (85_500, "g")]
    assert [(row["value"], row["unit"]) for row in found.of("height")] == [(181, "cm")]
    assert found.counts["weight"]["invalid"] == 1


def test_of_a_day_in_two_files_the_later_file_counts(tmp_path):
    found = garmin(
        tmp_path,
        {
            "UDSFile_2024-04-10_2024-07-18.json": [{"calendarDate": "2024-04-10", "totalSteps": 9_000}],
            "UDSFile_2024-01-01_2024-04-10.json": [
                {"calendarDate": "2024-04-09", "totalSteps": 100},
                {"calendarDate": "2024-04-10", "totalSteps": 4_500, "restingHeartRate": 50},
            ],
        },
    )
    assert values(found, "steps") == {"2024-04-09": 100, "2024-04-10": 9_000}
    assert values(found, "resting_heart_rate") == {"2024-04-10": 50}, "what only the earlier file knows stays"
    assert found.counts["steps"]["overlapped"] == 1


def test_a_night_that_a_later_file_has_again_replaces_the_whole_night(tmp_path):
    def night(start: str, **seconds: int) -> dict[str, Any]:
        return {
            "calendarDate": "2024-01-05",
            **{f"{stage}SleepSeconds": value for stage, value in seconds.items()},
            "sleepStartTimestampGMT": f"2024-01-04T{start}:00.0",
            "sleepEndTimestampGMT": "2024-01-05T06:00:00.0",
        }

    same = {"calendarDate": "2024-01-06", "deepSleepSeconds": 7_200, "lightSleepSeconds": 7_200}
    files = {
        "2024-01-01_2024-04-10_1_sleepData.json": [night("22:00", deep=3_600, light=9_000, rem=1_800), same],
        "2024-04-10_2024-07-18_1_sleepData.json": [night("22:30", deep=5_400, light=7_200, awake=900), same],
    }
    found = garmin(tmp_path, files)
    days = merged(("garmin", found.records))
    assert {day.day: said.cells["sleep_hours"] for day, said in days.items()} == {5: 3.5, 6: 4.0}
    assert "nap_h" not in days[date(2024, 1, 5)].extra
    assert days[date(2024, 1, 5)].extra["sleep_start"] == "2024-01-04T22:30:00+00:00"
    assert (found.counts["sleep"]["overlapped"], found.counts["sleep"]["duplicate"]) == (3, 2)


def sleep(start: str, end: str, deep: int, **more: Any) -> dict[str, Any]:
    times = {"sleepStartTimestampGMT": f"2024-01-{start}:00.0", "sleepEndTimestampGMT": f"2024-01-{end}:00.0"}
    return {"calendarDate": "2024-01-05", **times, "deepSleepSeconds": deep, **more}


def test_naps_of_a_night_count_beside_it(tmp_path):
    nap = {"napStartTimestampGMT": "2024-01-05T12:00:00.0", "napEndTimestampGMT": "2024-01-05T13:00:00.0"}
    naps = [{**nap, "napTimeSec": 3_600}, {**nap, "napTimeSec": 0}, "nap", {"napTimeSec": -1}]
    nights = [sleep("04T22:00", "05T05:00", 25_200, napList=naps), {"napList": naps[:1]}]
    found = garmin(tmp_path, {f"{n}_sleepData.json": nights for n in (1, 2)})
    (said,) = merged(("garmin", found.records)).values()
    assert (said.cells["sleep_hours"], said.extra["nap_h"]) == (8.0, 1.0)
    assert said.extra["sleep_end"] == "2024-01-05T05:00:00+00:00"
    assert (found.counts["sleep"]["duplicate"], found.counts["sleep"]["invalid"]) == (2, 10)


def test_two_sleeps_of_a_day_in_one_file_both_count(tmp_path):
    night, nap = sleep("04T22:00", "05T05:00", 25_200), sleep("05T12:00", "05T13:00", 3_600)
    found = garmin(tmp_path, {"1_sleepData.json": [night, nap, nap], "2_sleepData.json": [nap, night]})
    (said,) = merged(("garmin", found.records)).values()
    assert (said.cells["sleep_hours"], said.extra["nap_h"]) == (8.0, 1.0)
    assert found.counts["sleep"]["duplicate"] == 3


def test_what_macos_adds_beside_each_file_is_no_damage(tmp_path):
    entries = {
        "DI_CONNECT/UDSFile_1.json": '[{"calendarDate":"2024-01-05","totalSteps":1}]',
        "__MACOSX/DI_CONNECT/._1_sleepData.json": b"\0\5\x16\7",
    }
    found = read(zipped(tmp_path / "g.zip", entries))
    assert found.counter.warnings == []
    assert found.counts["other files"]["not_mapped"] == 1


def test_other_objects_and_files_are_counted_and_not_read(tmp_path):
    items = [{"calendarDate": "2024-01-05", "hydration": {"goalInML": 2000}}, "text", None, {}]
    files = {"UDSFile_1.json": items, "a_summarizedActivities.json": [], "UploadedFiles_0-_Part1.zip": "FIT"}
    found = garmin(tmp_path, files)
    assert not found.rows
    assert found.counts["other objects"]["not_mapped"] == 4
    assert found.counts["other files"]["not_mapped"] == 3


def test_a_day_is_what_its_files_say_in_the_units_of_the_lake(tmp_path):
    def weighing(grams: int, hour: int) -> dict[str, Any]:
        return {
            "metaData": {"calendarDate": "2024-10-27"},
            "weight": {"weight": grams, "timestampGMT": f"2024-10-27T{hour:02}:00:00.0"},
        }

    day = {"calendarDate": "2024-10-27", "totalSteps": 8_120, "totalKilocalories": 2_100, "activeKilocalories": 500}
    day |= {"moderateIntensityMinutes": 20, "vigorousIntensityMinutes": 10, "durationInMilliseconds": 25 * 3_600_000}
    night = {"calendarDate": "2024-10-27", "deepSleepSeconds": 3_600, "lightSleepSeconds": 10_800}
    files = {
        "UDSFile_1.json": [{**day, "restingHeartRate": 51}],
        "a_sleepData.json": [{**night, "remSleepSeconds": 1_800, "awakeSleepSeconds": 1_800}],
        "a_userBioMetrics.json": [weighing(85_500, 20), weighing(86_000, 22), weighing(84_900, 6)],
    }
    ((date_, said),) = merged(("garmin", garmin(tmp_path, files).records)).items()
    assert date_ == date(2024, 10, 27)
    assert said.cells == {
        "steps": 8_120, "calories_burned": 2_100, "exercise_minutes": 30, "sleep_hours": 4.5, "weight_kg": 86.0
    }  # fmt: skip
    assert (said.extra["day_hours"], said.extra["resting_hr_bpm"], said.extra["active_kcal"]) == (25, 51, 500)
    assert (said.extra["sleep_awake_h"], said.extra["zone_basis"]) == (0.5, "vendor_date")


def test_a_file_that_is_no_json_is_left_out_with_a_warning(tmp_path):
    entries = {
        "DI_CONNECT/UDSFile_1.json": "[",
        "DI_CONNECT/UDSFile_2.json": '[{"calendarDate":"2024-01-05","totalSteps":1}]',
    }
    found = read(zipped(tmp_path / "g.zip", entries))
    assert values(found, "steps") == {"2024-01-05": 1}
    assert found.counter.warnings == ["a file of the archive is no JSON and was left out: UDSFile_json"]


def test_no_mail_address_is_in_records_or_counts(tmp_path):
    EXPORTS["garmin"](tmp_path / "g.zip", lived(3))
    found = read(tmp_path / "g.zip")
    assert found.rows
    assert "@" not in str(found.rows) + json.dumps(found.counts) + str(found.counter.warnings)
