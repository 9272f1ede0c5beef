"""The database of Android Health Connect, case by case."""

import sqlite3
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.records import Record
from fitness_assets.sample.health_connect import SCHEMA
from fitness_assets_tests.archives import Read, at, merged, read, zipped

IST = 19_800  # seconds: +05:30
PHONE, WATCH = 1, 2

Fill = Callable[[sqlite3.Connection], object]


def exported(tmp_path: Path, fill: Fill, name: str = "Health Connect.zip") -> Path:
    database = tmp_path / "any.db"
    database.unlink(missing_ok=True)
    connection = sqlite3.connect(database)
    with connection:
        connection.executescript(SCHEMA)
        connection.execute("INSERT INTO application_info_table VALUES (1, 'com.band', 'Band'), (2, 'com.other', NULL)")
        connection.execute("INSERT INTO device_info_table VALUES (1, 'A', 'P1', 2), (2, 'A', 'W1', 1)")
        fill(connection)
    connection.close()
    return zipped(tmp_path / name, {"health_connect_export.db": database.read_bytes()})


def connect(tmp_path: Path, fill: Fill) -> Read:
    return read(exported(tmp_path, fill))


def steps(
    connection: sqlite3.Connection, start: str, end: str, count: float, app: int = 1, device: int = WATCH
) -> None:
    connection.execute(
        "INSERT INTO steps_record_table (app_info_id, device_info_id, start_time, end_time, start_zone_offset,"
        " end_zone_offset, count) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (app, device, at(start), at(end), IST, IST, count),
    )


def night(connection: sqlite3.Connection, start: str, end: str, number: int, offset: int | None = IST) -> None:
    connection.execute(
        "INSERT INTO sleep_session_record_table VALUES (?, 1, 2, ?, ?, ?, ?, 19727)",
        (number, at(start), at(end), offset, offset),
    )


def days(found: Read) -> dict[date, dict[str, object]]:
    return {day: said.cells for day, said in merged(("health_connect", found.records)).items()}


def test_a_record_shortly_before_local_midnight_is_of_its_own_day(tmp_path):
    found = connect(tmp_path, lambda c: steps(c, "2024-01-05T18:15", "2024-01-05T18:20", 500))  # 23:45 to 23:50
    assert days(found) == {date(2024, 1, 5): {"steps": 500}}
    over = connect(tmp_path, lambda c: steps(c, "2024-01-05T18:20", "2024-01-05T18:40", 500))  # 23:50 to 00:10
    assert days(over) == {date(2024, 1, 5): {"steps": 250}, date(2024, 1, 6): {"steps": 250}}


def test_a_night_is_of_the_day_of_waking_whatever_local_date_says(tmp_path):
    found = connect(tmp_path, lambda c: night(c, "2024-01-05T18:20", "2024-01-06T01:40", 1))  # 23:50 to 07:10
    assert days(found) == {date(2024, 1, 6): {"sleep_hours": pytest.approx(7.333, abs=0.001)}}
    assert [row["text"] for row in found.of("sleep")] == ["session"]


def test_phone_and_watch_of_one_app_are_not_added(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        steps(connection, "2024-01-05T06:00", "2024-01-05T07:00", 4_000, device=WATCH)
        steps(connection, "2024-01-05T06:30", "2024-01-05T07:30", 3_000, device=PHONE)

    assert days(connect(tmp_path, fill)) == {date(2024, 1, 5): {"steps": 5_500}}


def test_the_phones_own_order_of_apps_decides(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        steps(connection, "2024-01-05T06:00", "2024-01-05T07:00", 4_000, app=1)
        steps(connection, "2024-01-05T06:00", "2024-01-05T07:00", 1_000, app=2)
        connection.execute("INSERT INTO health_data_category_priority_table VALUES (1, '2,1'), (99, '1')")

    found = connect(tmp_path, fill)
    assert days(found) == {date(2024, 1, 5): {"steps": 1_000}}
    assert [row["text"] for row in found.of("source_order")] == ["com.other", "com.band"]
    assert found.counts["source_order"]["not_mapped"] == 1


def test_an_app_that_is_second_in_the_phones_order_adds_what_the_first_did_not_see(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        steps(connection, "2024-01-05T06:00", "2024-01-05T07:00", 4_149, app=1)
        steps(connection, "2024-01-05T06:45", "2024-01-05T07:45", 1_600, app=2)
        connection.execute("INSERT INTO health_data_category_priority_table VALUES (1, '1,2')")

    assert days(connect(tmp_path, fill)) == {date(2024, 1, 5): {"steps": 4_149 + 1_200}}


def test_without_an_offset_the_zone_of_the_person_tells_the_day(tmp_path):
    found = connect(tmp_path, lambda c: night(c, "2024-01-05T12:00", "2024-01-05T16:30", 1, None))  # to 01:30 in Tokyo
    for zone, day in (("Asia/Tokyo", 6), ("Europe/Berlin", 5)):
        profile = [Record("zone", source="profile", text=zone)]
        (said,) = merged(("profile", profile), ("health_connect", found.records)).values()
        assert (said.date, said.extra["zone"]) == (date(2024, 1, day), zone)


def test_columns_are_taken_by_name_also_where_the_phone_computes_them(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        connection.executescript(
            "DROP TABLE weight_record_table; CREATE TABLE weight_record_table (weight, device_info_id, minutes, time,"
            " zone_offset INTEGER GENERATED ALWAYS AS (60 * minutes) VIRTUAL, app_info_id);"
            f"INSERT INTO weight_record_table VALUES (72000, 2, 330, {at('2024-01-05T18:45')}, 1)"
        )

    (row,) = connect(tmp_path, fill).rows
    assert (row["value"], row["unit"], row["source"], row["device"]) == (72_000, "g", "com.band", "A W1 (watch)")
    assert row["utc_offset_seconds"] == IST


def test_energy_is_in_small_calories(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO total_calories_burned_record_table VALUES (1, 1, 2, ?, ?, ?, ?, 2412000)",
            (at("2024-01-05T00:00"), at("2024-01-05T10:00"), IST, IST),
        )

    assert days(connect(tmp_path, fill)) == {date(2024, 1, 5): {"calories_burned": 2_412.0}}


def test_a_night_in_forty_pieces_is_one_night_and_a_nap_is_added(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        for n in range(40):
            hour, minute = divmod(n * 12, 60)
            night(connection, f"2024-01-05T{18 + hour - 24 * (hour > 5) if hour <= 5 else hour - 6:02}:{minute:02}"
                  if hour <= 5 else f"2024-01-06T{hour - 6:02}:{minute:02}",
                  f"2024-01-05T{18 + hour:02}:{minute + 10:02}" if hour <= 5 else
                  f"2024-01-06T{hour - 6:02}:{minute + 10:02}", n)  # fmt: skip
        night(connection, "2024-01-06T08:30", "2024-01-06T09:00", 99)  # 14:00 to 14:30

    found = merged(("health_connect", connect(tmp_path, fill).records))
    day = found[date(2024, 1, 6)]
    assert day.cells == {"sleep_hours": pytest.approx(40 / 6 + 0.5, abs=0.001)}
    assert (day.extra["nap_h"], day.extra["sleep_basis"]) == (0.5, "session")
    assert found.keys() == {date(2024, 1, 6)}


def test_stages_say_more_than_their_session_and_awake_is_no_sleep(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        night(connection, "2024-01-05T18:00", "2024-01-06T02:00", 1)
        for start, end, stage in (
            ("18:00", "19:00", 4),
            ("19:00", "20:00", 5),
            ("20:00", "20:30", 1),
            ("20:30", "22:00", 6),
        ):
            connection.execute(
                "INSERT INTO sleep_stages_table VALUES (1, ?, ?, ?)",
                (at(f"2024-01-05T{start}"), at(f"2024-01-05T{end}"), stage),
            )
        connection.execute("INSERT INTO sleep_stages_table VALUES (77, 1, 2, 4), (1, 3, 4, 42)")

    found = connect(tmp_path, fill)
    assert days(found) == {date(2024, 1, 6): {"sleep_hours": 3.5}}
    assert found.counts["sleep"]["overlapped"] == 1
    assert found.counts["sleep"]["why"] == {"a stage without its session": 1, "an unknown stage": 1}


def test_sleep_without_deeper_stages_is_sleep_and_out_of_bed_is_none(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        night(connection, "2024-01-05T17:00", "2024-01-06T01:00", 1)
        for hour, stage in enumerate((7, 2, 2, 3, 2, 0)):
            times = at(f"2024-01-05T{17 + hour}:00"), at(f"2024-01-05T{18 + hour}:00")
            connection.execute("INSERT INTO sleep_stages_table VALUES (1, ?, ?, ?)", (*times, stage))

    found = connect(tmp_path, fill)
    assert days(found) == {date(2024, 1, 6): {"sleep_hours": 3.0}}, "sleep with an hour of pause would be two"
    assert found.counts["sleep"]["why"] == {"an unknown stage": 1}


def test_rows_of_other_tables_are_counted(tmp_path):
    found = connect(tmp_path, lambda c: c.execute("INSERT INTO oxygen_saturation_record_table VALUES (1, 1, 5, 0, 97)"))
    counts = found.counts["oxygen_saturation_record_table"]
    assert (counts["seen"], counts["not_mapped"]) == (1, 1)
    assert found.counts["steps"]["seen"] == 0, "an empty table is reported, too"


@pytest.mark.parametrize(
    "value", [None, -1, "many", 5e-324, b"\x00"], ids=["null", "negative", "text", "smallest number", "bytes"]
)
def test_what_is_no_measurement_is_counted_as_invalid(tmp_path, value):
    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO weight_record_table VALUES (1, 1, NULL, 5, 0, ?)", (value,))
        connection.execute("INSERT INTO steps_record_table (count) VALUES (5)")

    found = connect(tmp_path, fill)
    assert not found.rows
    assert found.counts["weight"]["invalid"] == found.counts["steps"]["invalid"] == 1


def test_a_table_without_its_column_is_left_out_with_a_warning(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        connection.executescript("DROP TABLE steps_record_table; CREATE TABLE steps_record_table (row_id, number);")
        connection.execute("INSERT INTO steps_record_table VALUES (1, 5)")

    found = connect(tmp_path, fill)
    assert found.counts["steps"]["invalid"] == 1
    assert found.counter.warnings == ["steps_record_table lacks one of the columns count: it was left out"]


def test_a_view_in_place_of_a_table_is_refused(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        connection.executescript("DROP TABLE steps_record_table; CREATE VIEW steps_record_table AS SELECT 1 AS count;")

    with pytest.raises(RefusedError, match="a view in place of a table"):
        connect(tmp_path, fill)


def test_another_database_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE TABLE places (a)")
    connection.close()
    with pytest.raises(RefusedError, match="not one of Health Connect"):
        read(tmp_path / "x.db")


def test_the_name_does_not_matter_and_the_database_itself_is_read_too(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        steps(connection, "2024-01-05T06:00", "2024-01-05T07:00", 4_000)

    assert len(read(exported(tmp_path, fill, "Съхранение (1).bin")).rows) == 1
    assert len(read(tmp_path / "any.db").rows) == 1


def test_a_trigger_or_a_function_of_the_database_does_not_run(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        steps(connection, "2024-01-05T06:00", "2024-01-05T07:00", 4_000)
        connection.execute(
            "CREATE TRIGGER t AFTER INSERT ON steps_record_table BEGIN DELETE FROM steps_record_table; END"
        )

    assert len(connect(tmp_path, fill).rows) == 1


def test_nights_that_end_in_the_afternoon_are_a_warning(tmp_path):
    def fill(connection: sqlite3.Connection) -> None:
        for n in range(1, 8):
            night(connection, f"2024-01-{n:02}T02:00", f"2024-01-{n:02}T09:30", n)  # 07:30 to 15:00

    assert "wrong time zone" in connect(tmp_path, fill).counter.warnings[0]

    def fill_half(connection: sqlite3.Connection) -> None:
        for n in range(1, 9):
            end = "09:30" if n % 2 else "01:30"  # 15:00 or 07:00
            night(connection, f"2024-01-{n:02}T20:00", f"2024-01-{n + 1:02}T{end}", n)

    assert not connect(tmp_path, fill_half).counter.warnings
