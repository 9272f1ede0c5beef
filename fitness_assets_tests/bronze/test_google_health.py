"""Google's Takeout of Google Health and Fitbit, case by case."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fitness_assets.bronze.readers.records import Record
from fitness_assets_tests.archives import Read, at, merged, read, zipped

CSV, JSON = "Physical Activity_GoogleData", "Global Export Data"


def google(tmp_path: Path, files: dict[str, Any], root: str = "Takeout/Google Health") -> Read:
    entries = {
        f"{root}/{name}": content if isinstance(content, str) else json.dumps(content)
        for name, content in files.items()
    }
    return read(zipped(tmp_path / "takeout-20260101T000000Z-1-001.zip", entries))


def steps_csv(*rows: str) -> str:
    return "\n".join(["timestamp,steps,data source", *rows]) + "\n"


def minute(clock: str, value: object) -> dict[str, Any]:
    return {"dateTime": clock, "value": value}


def starts(found: Read, type_: str) -> list[tuple[str, float]]:
    return [(str(row["start_at"] or row["day"])[:16], row["value"]) for row in found.of(type_)]


@pytest.mark.parametrize("root", ["Takeout/Google Health", "Takeout/Fitbit", "Fitbit", "a/b/Takeout/Gesundheit"])
def test_folders_are_found_below_any_root(tmp_path, root):
    found = google(tmp_path, {f"{CSV}/steps_2024-01-05.csv": steps_csv("2024-01-05T10:00:00Z,51,Watch")}, root)
    assert starts(found, "steps") == [("2024-01-05 10:00", 51)]


def test_a_folder_for_each_family_is_read_too(tmp_path):
    found = google(tmp_path, {f"{CSV}/steps/steps_2024-01-05.csv": steps_csv("2024-01-05T10:00:00Z,51,Watch")})
    assert len(found.rows) == 1


def test_json_counts_only_on_days_that_csv_does_not_have(tmp_path):
    found = google(
        tmp_path,
        {
            f"{CSV}/steps_2024-01-05.csv": steps_csv("2024-01-05T10:00:00Z,51,Watch"),
            f"{JSON}/steps-2024-01-01.json": [minute("01/05/24 10:00:00", "51"), minute("01/04/24 10:00:00", "7")],
        },
    )
    assert sorted(starts(found, "steps")) == [("2024-01-04 10:00", 7), ("2024-01-05 10:00", 51)]
    assert found.counts["steps"]["overlapped"] == 1


def test_the_same_number_written_in_two_ways_counts_once(tmp_path):
    rows = ("2024-01-05T10:00:00Z,51,Watch", "2024-01-05T10:00:00Z,51.0,Watch", "2024-01-05T12:00:00+02:00,51,Watch")
    found = google(tmp_path, {f"{CSV}/steps_2024-01-05.csv": steps_csv(*rows)})
    assert len(found.rows) == 1
    assert found.counts["steps"]["duplicate"] == 2


def test_minutes_of_calories_are_local_and_those_of_steps_are_in_utc(tmp_path):
    found = google(
        tmp_path,
        {
            f"{JSON}/steps-2024-01-01.json": [minute("01/05/24 23:59:00", "7")],
            f"{JSON}/calories-2024-01-01.json": [minute("01/05/24 23:59:00", "1.25"), minute("01/05/24 00:00:00", "1")],
        },
    )
    assert starts(found, "steps") == [("2024-01-05 23:59", 7)]
    assert [(str(row["day"]), row["value"]) for row in found.of("energy_total")] == [("2024-01-05", 2.25)]


@pytest.mark.parametrize(("family", "type_"), [("calories", "energy_total"), ("very_active_minutes", "exercise")])
def test_minutes_that_are_no_values_are_counted_beside_the_sums_of_days(tmp_path, family, type_):
    bad = [minute("yesterday", "5"), minute("01/05/24 10:01:00", "much"), minute("01/05/24 10:02:00", "-1"), 7, None]
    good = [minute("01/05/24 10:03:00", "5"), minute("01/05/24 10:04:00", "0")]
    steps = {f"{CSV}/steps_2024-01-05.csv": steps_csv("2024-01-05T10:00:00Z,51,Watch")}
    found = google(tmp_path, {f"{JSON}/{family}-2024-01-01.json": bad + good} | steps)
    assert [row["value"] for row in found.of(type_)] == [5]
    assert found.counts[type_]["invalid"] == 5
    assert found.counts[type_]["why"] == {
        "no time": 1, "no number": 1, "a code for no measurement": 1, "no object": 2
    }  # fmt: skip


def test_a_resting_heart_rate_is_of_the_nearest_midnight(tmp_path):
    name = f"{CSV}/daily_resting_heart_rate_2024-01-05.csv"
    rows = "timestamp,beats per minute,data source\n2024-01-05T00:00:00Z,51,A\n2024-01-05T16:00:00Z,52,B\n"
    found = google(tmp_path, {name: rows + "2024-01-05T05:00:00Z,53,C\n"})
    assert [(str(row["day"]), row["value"]) for row in found.of("resting_heart_rate")] == [
        ("2024-01-05", 51), ("2024-01-06", 52), ("2024-01-05", 53)
    ]  # fmt: skip


def test_padding_never_becomes_a_value(tmp_path):
    found = google(
        tmp_path,
        {
            f"{JSON}/steps-2024-01-01.json": [minute("01/05/24 10:00:00", "7")],
            f"{JSON}/very_active_minutes-2024-01-01.json": [
                minute("01/05/24 00:00:00", "12"), minute("01/20/24 00:00:00", "0")
            ],
            f"{JSON}/moderately_active_minutes-2024-01-01.json": [minute("01/05/24 00:00:00", "8")],
            f"{JSON}/resting_heart_rate-2024-01-01.json": [minute("01/20/24 00:00:00", {"date": None, "value": 0.0})],
            f"{JSON}/heart_rate-2024-01-05.json": [minute("01/05/24 10:00:00", {"bpm": 0, "confidence": 0})],
        },
    )  # fmt: skip
    assert [(str(row["day"]), row["value"]) for row in found.of("exercise")] == [("2024-01-05", 20)]
    assert not found.of("resting_heart_rate")
    assert not found.of("heart_rate")
    for type_ in ("exercise", "resting_heart_rate", "heart_rate"):
        assert found.counts[type_]["invalid"] == 1


@pytest.mark.parametrize(("factor", "unit"), [(1 / 0.45359237, "lb"), (1.0, "kg")])
def test_weights_of_json_have_the_unit_that_the_grams_of_csv_prove(tmp_path, factor, unit):
    found = google(
        tmp_path,
        {
            f"{CSV}/weight_2024-01-05.csv": "timestamp,weight grams,data source\n2024-01-05T06:00:00Z,72000,Scale\n",
            f"{JSON}/weight-2024-01-01.json": [
                {"logId": 1, "weight": 72 * factor, "bmi": 24.9, "date": "01/05/24", "time": "06:00:00"}
            ],
        },
    )
    assert {row["unit"] for row in found.of("weight")} == {"g", unit}
    assert found.of("bmi")[0]["value"] == 24.9


@pytest.mark.parametrize(
    ("weight", "bmi", "unit"),
    [(158.73, 24.9, "lb"), (72, 24.9, "kg"), (99.2, 22.0, "lb"), (110, 25.9, "kg"), (72, 0, "lb")],
)
def test_without_grams_the_heights_that_weight_and_bmi_imply_tell_the_unit(tmp_path, weight, bmi, unit):
    items = [{"weight": weight, "bmi": bmi, "date": f"01/0{day}/24"} for day in range(1, 4)]
    found = google(tmp_path, {f"{JSON}/weight-2024-01-01.json": items})
    assert {row["unit"] for row in found.of("weight")} == {unit}


def test_the_last_weight_of_a_day_counts_wherever_it_stands_in_the_file(tmp_path):
    items = [
        {"weight": pounds, "date": "01/05/24", "time": f"{hour}:00:00"} for hour, pounds in ((21, 159.8), (16, 158))
    ]
    (said,) = merged(("google_health", google(tmp_path, {f"{JSON}/weight-1.json": items}).records)).values()
    assert said.cells["weight_kg"] == pytest.approx(159.8 * 0.45359237, abs=0.001)


def test_a_weight_that_comes_back_in_the_evening_is_the_last_one_of_the_day(tmp_path):
    items = [
        {"logId": hour, "weight": pounds, "bmi": bmi, "date": "01/05/24", "time": f"{hour}:00:00"}
        for hour, pounds, bmi in ((10, 176, 25.0), (12, 178, 25.3), (20, 176, 25.0))
    ]
    found = google(tmp_path, {f"{JSON}/weight-1.json": [*items, items[2]]})
    (said,) = merged(("google_health", found.records)).values()
    assert said.cells == {"weight_kg": pytest.approx(176 * 0.45359237, abs=0.001), "bmi": 25.0}
    assert (found.counts["weight"]["duplicate"], found.counts["bmi"]["duplicate"]) == (1, 1)


def test_without_grams_and_bmi_weights_of_json_are_pounds(tmp_path):
    found = google(tmp_path, {f"{JSON}/weight-2024-01-01.json": [{"weight": 158.7, "date": "01/05/24"}]})
    assert [(row["value"], row["unit"], str(row["day"])) for row in found.of("weight")] == [(158.7, "lb", "2024-01-05")]


def test_files_without_data_and_families_that_are_not_read_are_reported(tmp_path):
    found = google(
        tmp_path,
        {
            f"{CSV}/steps_2024-01-05.csv": "timestamp,steps,data source\n",
            f"{CSV}/weight_2024-01-05.csv": "No data available for this period\n",
            f"{JSON}/resting_heart_rate-2024-01-01.json": [],
            f"{CSV}/gps_location_2024-01-05.csv": "timestamp,latitude,longitude\n",
            "Sleep Score/sleep_score.csv": "a\n",
            f"{JSON}/steps-2024-01-01.json": "{broken",
        },
    )
    assert not found.rows
    assert {family for family, counts in found.counts.items() if counts["not_mapped"] == counts["seen"] == 1} == {
        "files of steps without data", "files of weight without data", "files of resting_heart_rate without data",
        "files of gps_location", "files of sleep_score",
    }  # fmt: skip
    assert found.counter.warnings == ["a file of steps cannot be read and was left out"]
    assert "latitude" not in json.dumps(found.counts)


def test_a_number_behind_the_name_of_a_file_does_not_matter(tmp_path):
    found = google(
        tmp_path,
        {
            f"{CSV}/steps_2024-01-05(15).csv": steps_csv("2024-01-05T10:00:00Z,51,Watch"),
            f"{JSON}/steps-2024-01-06(2).json": [minute("01/06/24 10:00:00", "7")],
            "Stress Score/Stress Score(1).csv": "DATE,STRESS_SCORE\n2024-01-05T00:00:00,78\n",
            "Your Profile/Profile(3).csv": "date_of_birth,gender\n,FEMALE\n",
        },
    )
    assert starts(found, "steps") == [("2024-01-05 10:00", 51), ("2024-01-06 10:00", 7)]
    assert len(found.of("stress")) == len(found.of("gender")) == 1
    assert not any(counts["not_mapped"] for counts in found.counts.values())


def test_codes_of_families_that_are_not_read_never_become_values(tmp_path):
    found = google(
        tmp_path,
        {
            f"{CSV}/oxygen_saturation_2024-01-05.csv": "timestamp,percentage\n2024-01-05T01:00Z,50.0\n",
            "Health Fitness Data_GoogleData/UserSleepScores_2024-01-01.csv": "sleep_id,overall_score\n1,-1\n",
            "Active Zone Minutes (AZM)/Active Zone Minutes - 2024-01-01.csv": "date_time,total_minutes\nx,2\n",
        },
    )
    assert not found.rows
    assert found.counts.keys() == {
        "energy_total", "exercise", "files of oxygen_saturation", "files of UserSleepScores",
        "files of Active Zone Minutes",
    }  # fmt: skip


def test_around_midnight_steps_are_of_the_day_in_the_persons_zone_and_calories_of_the_day_that_stands_there(tmp_path):
    found = google(
        tmp_path,
        {
            f"{JSON}/steps-2024-01-01.json": [minute("01/05/24 14:59:00", "7"), minute("01/05/24 15:00:00", "20")],
            f"{JSON}/calories-2024-01-01.json": [minute("01/05/24 23:59:00", "1.5"), minute("01/06/24 00:00:00", "2")],
            "Your Profile/Profile.csv": "date_of_birth,timezone\n,Asia/Tokyo\n",
        },
    )
    assert {day.day: said.cells for day, said in merged(("google_health", found.records)).items()} == {
        5: {"steps": 7, "calories_burned": 1.5}, 6: {"steps": 20, "calories_burned": 2.0}
    }  # fmt: skip


def test_a_mirror_of_apple_health_adds_only_what_its_origin_does_not_have(tmp_path):
    rows = [f"2024-01-05T10:0{n}:00Z,90,Apple Health Health Kit" for n in range(6)]
    rows += [f"2024-01-05T10:0{n}:00Z,100,Google Fitbit Air" for n in range(4)]
    rows += ["2024-01-06T10:00:00Z,90,Apple Health Health Kit"]
    found = google(tmp_path, {f"{CSV}/steps_2024-01-05.csv": steps_csv(*rows)})
    days = merged(("google_health", found.records))
    assert {day.day: said.cells["steps"] for day, said in days.items()} == {5: 4 * 100 + 2 * 90, 6: 90}
    phone = Record("steps", 1_000, "count", at("2024-01-05T10:00"), at("2024-01-05T10:10"), source="A", device="iPhone")
    mirror = google(tmp_path, {f"{CSV}/steps_2024-01-05.csv": steps_csv(*rows[:6])})
    both = merged(("google_health", mirror.records), ("apple_health", [phone]))
    assert [said.cells["steps"] for said in both.values()] == [1_000], "the origin is in another archive"


def test_copies_in_csv_do_not_take_the_place_of_what_the_vendor_merged(tmp_path):
    json_day = [minute(f"01/05/24 10:0{n}:00", "100") for n in range(5)]
    copies = [f"2024-01-05T10:0{n}:00Z,90,Apple Health Health Kit" for n in range(7)]
    for source, steps in (("", 500 + 2 * 90), ("\n2024-01-05T12:00:00Z,40,Google Fitbit Air", 7 * 90 + 40)):
        files = {f"{CSV}/steps_2024-01-05.csv": steps_csv(*copies) + source.lstrip(), f"{JSON}/steps-1.json": json_day}
        (said,) = merged(("google_health", google(tmp_path, files).records)).values()
        assert said.cells["steps"] == steps


def test_what_two_trees_have_of_one_day_counts_once(tmp_path):
    """Sleep, weight and calories stand in CSV and in JSON files, with other ids."""
    night = {"dateOfSleep": "2024-01-06", "startTime": "2024-01-06T00:30:00.000", "endTime": "2024-01-06T07:00:00.000"}
    found = google(
        tmp_path,
        {
            "Health Fitness Data_GoogleData/UserSleeps_2024-01-01.csv": "sleep_start,sleep_end,end_utc_offset,"
            "minutes_asleep\n2024-01-05T23:30:00Z,2024-01-06T06:00:00Z,+01:00,360\n",
            f"{JSON}/sleep-2024-01-01.json": [{**night, "logId": 5, "minutesAsleep": 360}],
            f"{CSV}/weight_2024-01-06.csv": "timestamp,weight grams,data source\n2024-01-06T06:00:00Z,72000,Scale\n",
            f"{JSON}/weight-2024-01-01.json": [{"weight": 158.73, "date": "01/06/24", "time": "07:00:00"}],
            f"{CSV}/calories_2024-01-06.csv": "timestamp,calories,data source\n2024-01-06T12:00:00Z,2.5,Watch\n",
            f"{JSON}/calories-2024-01-01.json": [minute("01/06/24 13:00:00", "2.5")],
            "Your Profile/Profile.csv": "date_of_birth,timezone\n,Europe/Berlin\n",
        },
    )
    ((day, said),) = merged(("google_health", found.records)).items()
    assert day == date(2024, 1, 6), "the day of waking"
    assert said.cells == {"sleep_hours": 6.0, "calories_burned": 2.5, "weight_kg": pytest.approx(72, abs=0.01)}


def test_an_export_without_sleep_is_read(tmp_path):
    assert (
        google(tmp_path, {f"{CSV}/steps_2024-01-05.csv": steps_csv("2024-01-05T10:00:00Z,51,W")}).counter.warnings == []
    )


def test_a_sleep_has_its_date_and_minutes_and_stages_if_they_add_up(tmp_path):
    def summary(deep: int) -> dict[str, Any]:
        return {
            "summary": {
                "deep": {"minutes": deep},
                "light": {"minutes": 200},
                "rem": {"minutes": 90},
                "wake": {"minutes": 40},
            }
        }

    common = {"dateOfSleep": "2024-01-06", "startTime": "2024-01-05T23:30:00.000", "endTime": "2024-01-06T06:30:00.000"}
    items = [
        {**common, "minutesAsleep": 370, "levels": summary(80)},
        {**common, "dateOfSleep": "2024-01-07", "minutesAsleep": 300, "levels": summary(80)},
        {**common, "dateOfSleep": "2024-01-08", "minutesAsleep": 0},
        {**common, "dateOfSleep": None, "minutesAsleep": 400},
    ]
    files = {
        f"{JSON}/sleep-2024-01-01.json": items,
        "Your Profile/Profile.csv": "date_of_birth,timezone\n,Asia/Tokyo\n",
    }
    found = google(tmp_path, files)
    by_day: dict[str, dict[str, float]] = {}
    for row in found.of("sleep"):
        by_day.setdefault(str(row["day"]), {})[row["text"]] = row["value"]
    assert by_day == {"2024-01-06": {"deep": 80, "light": 200, "rem": 90, "awake": 40}, "2024-01-07": {"asleep": 300}}
    assert {str(row["start_at"]) for row in found.of("sleep")} == {"2024-01-05 14:30:00+00:00"}
    assert found.of("zone")[0]["text"] == "Asia/Tokyo"
    assert found.counts["sleep"]["invalid"] == 2


@pytest.mark.parametrize("offset", ["+09:00", "+0900", "32400", "32400s"])
def test_sleeps_in_csv_are_of_the_local_day_of_waking(tmp_path, offset):
    text = "sleep_id,sleep_start,sleep_end,start_utc_offset,end_utc_offset,minutes_asleep\n"
    row = f"1,2024-01-05T14:30:00Z,2024-01-05T21:30:00Z,{offset},{offset},380\n"
    again = {f"Health Fitness Data_GoogleData/UserSleeps_2024-0{n}-01.csv": text + row for n in (1, 2)}
    found = google(tmp_path, again)
    assert [(str(row["day"]), row["value"], row["text"]) for row in found.of("sleep")] == [
        ("2024-01-06", 380, "asleep")
    ]
    assert found.counts["sleep"]["duplicate"] == 1


FITNESS = "Health Fitness Data_GoogleData"


def sleep_csv(*rows: str) -> str:
    return "\n".join(["sleep_id,sleep_start,sleep_end,end_utc_offset,minutes_asleep", *rows]) + "\n"


def slept(start: str, end: str, minutes: int, log: int | None) -> dict[str, Any]:
    return {"logId": log, "dateOfSleep": "2024-01-05", "startTime": start, "endTime": end, "minutesAsleep": minutes}


@pytest.mark.parametrize("end", ["06:00", "06:05"])
@pytest.mark.parametrize("zone", ["", "Europe/Berlin"])
def test_of_sleeps_with_one_id_the_last_one_counts(tmp_path, end, zone):
    row = "7,2024-01-04T22:00:00Z,2024-01-05T{}:00Z,+01:00,{}"
    night = "2024-01-04T23:00:00.000", "2024-01-05T07:00:00.000"
    changed = night[0], f"2024-01-05T0{int(end[1]) + 1}{end[2:]}:00.000"
    of_tree = (
        {f"{FITNESS}/UserSleeps_2024-01-01.csv": sleep_csv(row.format("06:00", 420)),
         f"{FITNESS}/UserSleeps_2024-02-01.csv": sleep_csv(row.format(end, 425), row.format(end, -1))},
        {f"{JSON}/sleep-2024-01-01.json": [slept(*night, 420, 7)],
         f"{JSON}/sleep-2024-02-01.json": [slept(*changed, 425, 7)]},
    )  # fmt: skip
    for files in of_tree:
        files |= {"Your Profile/Profile.csv": f"date_of_birth,timezone\n,{zone}\n"}
        found = google(tmp_path, files)
        (said,) = merged(("google_health", found.records)).values()
        assert said.cells["sleep_hours"] == pytest.approx(425 / 60, abs=0.001)
        assert "nap_h" not in said.extra
        assert found.counts["sleep"]["duplicate"] == 1


@pytest.mark.parametrize("ids", [(1, 2), (None, None)])
def test_two_naps_of_one_length_are_two_where_nobody_says_the_time_zone(tmp_path, ids):
    naps = [(f"2024-01-05T{hour}:00:00.000", f"2024-01-05T{hour + 1}:00:00.000") for hour in (12, 16)]
    items = [slept(*nap, 60, id_) for nap, id_ in zip(naps, ids, strict=True)]
    items.append(slept("2024-01-04T23:00:00.000", "2024-01-05T07:00:00.000", 420, None))
    found = google(tmp_path, {f"{JSON}/sleep-2024-0{n}-01.json": items for n in (1, 2)})
    (said,) = merged(("google_health", found.records)).values()
    assert said.cells["sleep_hours"] == 9.0
    assert found.counts["sleep"]["duplicate"] == 3


def test_sleeps_without_an_id_all_count(tmp_path):
    night, nap = "2024-01-04T22:00:00Z,2024-01-05T06:00:00Z", "2024-01-05T12:00:00Z,2024-01-05T13:00:00Z"
    text = sleep_csv(f",{night},+01:00,420", f",{nap},+01:00,60")
    found = google(tmp_path, {f"{FITNESS}/UserSleeps_2024-01-01.csv": text})
    assert [row["value"] for row in found.of("sleep")] == [420, 60]


@pytest.mark.parametrize(
    ("family", "type_", "clock"),
    [("calories", "energy_total", "10:00"), ("steps", "steps", "10:00"), ("very_active_minutes", "exercise", "00:00")],
)
def test_a_minute_in_two_files_of_a_family_counts_once(tmp_path, family, type_, clock):
    items = [minute(f"01/05/24 {clock}:00", "100")]
    found = google(tmp_path, {f"{JSON}/{family}-2024-01-01{more}.json": items for more in ("", "(15)")})
    assert [row["value"] for row in found.of(type_)] == [100]
    assert found.counts[type_]["duplicate"] == 1


def test_active_minutes_count_in_a_part_of_an_export_that_has_no_steps(tmp_path):
    """The other parts of the export have them; zeros may be of days that were still to come."""
    minutes = [minute("01/05/24 00:00:00", "20"), minute("01/06/24 00:00:00", "0")]
    found = google(tmp_path, {f"{JSON}/moderately_active_minutes-2024-01-01.json": minutes})
    assert [(str(row["day"]), row["value"]) for row in found.of("exercise")] == [("2024-01-05", 20)]
    assert found.counts["exercise"]["why"] == {"zero after the last day with steps or heart rates": 1}


@pytest.mark.parametrize(
    ("family", "columns", "cells", "said"),
    [
        ("steps", "confidence,steps", "3,176", ("steps", 176, "count")),
        ("heart_rate", "confidence,beats per minute", "3,61", ("heart_rate", 61, "bpm")),
        ("calories", "calories", "2.5", ("energy_total", 2.5, "kcal")),
        ("weight", "weight grams", "72000", ("weight", 72_000, "g")),
        ("weight", "Weight_Pounds", "176", ("weight", 176, "lb")),
        ("weight", "bmi,weight kilograms", "24,80", ("weight", 80, "kg")),
        ("height", "height millimeters", "1680", ("height", 1_680, "mm")),
        ("weight", "weight", "80", None),
        ("weight", "weight bpm", "80", None),
        ("steps", "confidence", "3", None),
    ],
)
def test_values_of_csv_are_those_of_the_column_that_names_a_unit(tmp_path, family, columns, cells, said):
    text = f"timestamp,{columns},data source\n2024-01-05T07:00:00Z,{cells},Watch\n"
    found = google(tmp_path, {f"{CSV}/{family}_2024-01-05.csv": text})
    assert [(row["type"], row["value"], row["unit"]) for row in found.rows] == ([said] if said else [])
    if not said:
        assert found.counts[family]["why"] == {"no column of the file names a known unit": 1}


def test_weights_of_csv_in_pounds_tell_the_unit_of_weights_of_json(tmp_path):
    text = "timestamp,weight pounds,data source\n2024-01-05T07:00:00Z,176,Scale\n"
    weights = [{"logId": 1, "weight": 176.0, "date": "01/05/24", "time": "07:00:00"}]
    found = google(tmp_path, {f"{CSV}/weight_2024-01-05.csv": text, f"{JSON}/weight-2024-01-01.json": weights})
    assert {row["unit"] for row in found.of("weight")} == {"lb"}


def test_few_rows_of_csv_do_not_replace_the_calories_of_a_whole_local_day(tmp_path):
    """A row of 23:30 UTC is of the next day in Berlin."""
    csv = "timestamp,calories,data source\n" + "".join(f"2024-01-05T23:3{n}:00Z,1,Watch\n" for n in range(2))
    minutes = [minute(f"01/05/24 10:{n:02}:00", "100") for n in range(20)]
    found = google(tmp_path, {f"{CSV}/calories_2024-01-05.csv": csv, f"{JSON}/calories-2024-01-01.json": minutes})
    zone = Record("zone", source="profile", text="Europe/Berlin")
    days = merged(("profile", [zone]), ("google_health", found.records))
    assert {day.day: said.cells for day, said in days.items()} == {
        5: {"calories_burned": 2_000}, 6: {"calories_burned": 2}
    }  # fmt: skip


def test_a_stress_score_keeps_its_direction_and_zero_is_none(tmp_path):
    text = "DATE,STRESS_SCORE,STATUS\n2024-01-05T00:00:00,78,READY\n2024-01-06T00:00:00,0,CALCULATION_FAILED\n"
    found = google(tmp_path, {"Stress Score/Stress Score.csv": text})
    assert [(row["value"], row["text"], str(row["day"])) for row in found.of("stress")] == [
        (78, "1 to 100, high is calm", "2024-01-05")
    ]
    assert found.counts["stress"]["invalid"] == 1
