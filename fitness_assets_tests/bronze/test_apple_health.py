"""Apple Health's export, case by case."""

from datetime import date
from pathlib import Path

import pytest

from fitness_assets.bronze.readers import xml_stream
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.records import Record
from fitness_assets_tests.archives import Read, merged, read, zipped

DTD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE HealthData [\n<!ELEMENT HealthData (Record*)>\n]>\n'
IOS_16 = DTD.replace("]>\n", '<!ATTLIST Record\n  type CDATA #REQUIRED\n<!ELEMENT "\n]>\n')


def record(
    type_: str = "QuantityTypeIdentifierStepCount", value: object = 10, unit: str | None = "count", **more: str
) -> str:
    cells = {
        "type": f"HK{type_}",
        "sourceName": "Phone",
        **({"unit": unit} if unit else {}),
        "startDate": "2024-01-05 07:10:00 +0200",
        "endDate": "2024-01-05 07:20:00 +0200",
        "value": str(value),
        **more,
    }
    attributes = " ".join(f'{name}="{text}"' for name, text in cells.items())
    return f"<Record {attributes}/>\n"


def apple(tmp_path: Path, *lines: str, head: str = DTD, name: str = "apple_health_export/export.xml") -> Read:
    text = f"{head}<HealthData locale='de_DE'>\n{''.join(lines)}</HealthData>\n"
    return read(zipped(tmp_path / "export.zip", {name: text}))


def test_a_record_keeps_value_unit_source_instant_and_offset(tmp_path):
    device = "&lt;&lt;HKDevice: 0x283a1b2c0&gt;, name:Apple Watch, hardware:Watch6,1, software:9.1&gt;"
    (row,) = apple(tmp_path, record(device=device, sourceName="Anna&apos;s Watch")).rows
    assert (row["type"], row["value"], row["unit"]) == ("steps", 10, "count")
    assert (str(row["start_at"]), str(row["end_at"])) == ("2024-01-05 05:10:00+00:00", "2024-01-05 05:20:00+00:00")
    assert (row["utc_offset_seconds"], row["source"]) == (7_200, "Anna's Watch")
    assert row["device"] == "Apple Watch Watch6,1"


def test_the_address_of_a_device_in_memory_makes_no_new_device(tmp_path):
    lines = [
        record(value=n, device=f"&lt;&lt;HKDevice: 0x{n:x}&gt;, name:iPhone, hardware:iPhone14,2, software:{n}&gt;")
        for n in range(1, 74)
    ]
    assert {row["device"] for row in apple(tmp_path, *lines).rows} == {"iPhone iPhone14,2"}


@pytest.mark.parametrize(
    "name", ["apple_health_export/导出.xml", "apple_health_export/eksport.xml", "x.XML", "a/b/c.xml"]
)
def test_the_file_is_found_by_its_content_in_any_language(tmp_path, name):
    assert len(apple(tmp_path, record(), name=name).rows) == 1


def test_the_clinical_document_beside_it_is_not_read(tmp_path):
    entries = {
        "apple_health_export/export_cda.xml": f"<ClinicalDocument>{record()}</ClinicalDocument>",
        "apple_health_export/z.xml": f"{DTD}<HealthData>\n{record(value=5)}</HealthData>",
    }
    assert [row["value"] for row in read(zipped(tmp_path / "a.zip", entries)).rows] == [5]


def test_the_xml_file_itself_is_read_too(tmp_path):
    (tmp_path / "Export.xml").write_text(f"{DTD}<HealthData>\n{record()}</HealthData>")
    assert len(read(tmp_path / "Export.xml").rows) == 1


@pytest.mark.parametrize(
    "head",
    [
        DTD,
        IOS_16,
        '<?xml version="1.0"?>\n',
        '<?xml version="1.0"?>\n<!DOCTYPE HealthData>\n',
        "",
        "\ufeff" + DTD,
        DTD.replace("[\n", "[\n" + "<!-- long -->\n" * 50_000),
    ],
    ids=["usual", "iOS 16", "none", "without subset", "nothing", "mark", "long"],
)
def test_the_document_type_is_cut_out_whatever_it_is(tmp_path, head):
    assert len(apple(tmp_path, record(), head=head, name="export.xml").rows) == 1


def test_entities_are_never_resolved(tmp_path):
    head = '<?xml version="1.0"?>\n<!DOCTYPE HealthData [\n<!ENTITY a SYSTEM "file:///etc/passwd">\n]>\n'
    found = apple(tmp_path, record(sourceName="&a;"), record(value=5), head=head)
    assert [row["value"] for row in found.rows] == [5]
    assert found.counts["unreadable lines"]["invalid"] == 1


def test_characters_that_xml_does_not_allow_are_dropped_and_counted(tmp_path):
    found = apple(tmp_path, record(sourceName="Ph\x0bo\x00ne"))
    assert found.rows[0]["source"] == "Phone"
    assert found.counts["forbidden characters"]["invalid"] == 2


@pytest.mark.parametrize(
    "bad",
    [
        '<Workout a="b">\n<WorkoutStatistics startDate="a" startDate="b"/>\n</Workout>\n',
        '<MetadataEntry Some key="value"/>\n',
        "<Record type=&/>\n",
        "</Workout>\n<&>\n",
        b"\xff\xfe".decode("latin-1") + "&#11;\n",
    ],
)
def test_reading_goes_on_after_a_line_that_is_no_xml(tmp_path, bad):
    found = apple(tmp_path, record(value=1), bad, record(value=2), record(value=3))
    assert [row["value"] for row in found.rows] == [1, 2, 3]
    assert found.counts["unreadable lines"]["invalid"] == 1


def test_a_quote_without_an_end_takes_the_next_line_with_it_and_no_more(tmp_path):
    found = apple(tmp_path, record(value=1), '<Record type="x>\n', record(value=2), record(value=3))
    assert [row["value"] for row in found.rows] == [1, 3]
    assert found.counts["unreadable lines"]["invalid"] == 1


def test_exact_repeats_and_records_of_correlations_count_once(tmp_path):
    inside = f'<Correlation type="HKCorrelationTypeIdentifierFood">\n{record()}</Correlation>\n'
    found = apple(tmp_path, record(), record(), inside, record(value="10.0"), record(value=11))
    assert [row["value"] for row in found.rows] == [10, 11]
    assert found.counts["steps"]["duplicate"] == 3
    assert found.counts["Correlation"]["not_mapped"] == 1


@pytest.mark.parametrize(
    ("line", "type_", "why"),
    [
        (record(value="many"), "steps", "no number"),
        (record(value="-5"), "steps", "zero or less"),
        (record(startDate="yesterday"), "steps", "no time"),
        (record(startDate="2024-13-05 07:10:00 +0200"), "steps", "no time"),
        (record(startDate="2024-01-05 07:20:01 +0200"), "steps", "ends before"),
        (record(endDate="2024-02-05 07:20:01 +0200"), "steps", "longer than a week"),
        (record("QuantityTypeIdentifierHeartRate", 0, "count/min"), "heart_rate", "zero or less"),
        (record("QuantityTypeIdentifierBodyMass", 70, "stone"), "weight", "unit is unknown"),
        (record("QuantityTypeIdentifierBodyMass", 70, None), "weight", "unit is unknown"),
        (record("CategoryTypeIdentifierSleepAnalysis", "Dreaming", None), "sleep", "unknown stage"),
        (record(value="1e999"), "steps", "not finite"),
    ],
)
def test_what_is_no_measurement_is_counted_with_the_reason(tmp_path, line, type_, why):
    found = apple(tmp_path, line)
    assert not found.rows
    (said,) = found.counts[type_]["why"]
    assert why in said


def test_types_that_are_not_read_are_counted_by_name(tmp_path):
    found = apple(
        tmp_path,
        record("QuantityTypeIdentifierDietaryWater"),
        record("DataTypeSleepDurationGoal"),
        record("<script>".replace("<", "&lt;")),
        "<ActivitySummary/>\n<Workout/>\n",
    )
    assert not found.rows
    assert {name for name, counts in found.counts.items() if counts["not_mapped"]} == {
        "DietaryWater", "SleepDurationGoal", "other types", "ActivitySummary", "Workout"
    }  # fmt: skip


def test_stages_of_sleep_have_one_name_each(tmp_path):
    names = ["InBed", "Awake", "Asleep", "AsleepUnspecified", "AsleepCore", "AsleepDeep", "AsleepREM"]
    lines = [
        record("CategoryTypeIdentifierSleepAnalysis", f"HKCategoryValueSleepAnalysis{name}", None) for name in names
    ]
    texts = [row["text"] for row in apple(tmp_path, *lines).rows]
    assert texts == ["in_bed", "awake", "asleep", "light", "deep", "rem"], "the two words for asleep are one record"


def test_a_day_is_what_its_records_say_whatever_their_units_and_the_offset_of_the_export(tmp_path):
    """A day of January in Berlin (+01:00), exported in July: all offsets are +02:00."""

    def at(clock: str, until: str) -> dict[str, str]:
        return {"startDate": f"2024-01-{clock}:00 +0200", "endDate": f"2024-01-{until}:00 +0200"}

    def sleep(stage: str, clock: str, until: str, source: str) -> str:
        value = f"HKCategoryValueSleepAnalysis{stage}"
        return record("CategoryTypeIdentifierSleepAnalysis", value, None, sourceName=source, **at(clock, until))

    quantity, noon = "QuantityTypeIdentifier", at("05 12:00", "05 13:00")
    found = apple(
        tmp_path,
        record(value=90, **at("06 00:20", "06 00:50")),  # 23:20 to 23:50 in Berlin
        record(f"{quantity}BodyMass", 73, "kg", **at("05 08:00", "05 08:00")),
        record(f"{quantity}BodyMass", 158.733, "lb", **at("05 21:00", "05 21:00")),
        record(f"{quantity}ActiveEnergyBurned", 2_092, "kJ", **noon),
        record(f"{quantity}BasalEnergyBurned", 1_600, "Cal", **noon),
        record(f"{quantity}AppleExerciseTime", 35, "min", **noon),
        record(f"{quantity}RestingHeartRate", 52, "count/min", **noon),
        sleep("InBed", "04 23:00", "05 09:00", "Phone"),
        sleep("AsleepUnspecified", "04 23:10", "05 08:50", "Sleep app"),
        sleep("AsleepCore", "05 00:30", "05 04:00", "Watch"),
        sleep("Awake", "05 04:00", "05 04:30", "Watch"),
        sleep("AsleepDeep", "05 04:30", "05 07:30", "Watch"),
        sleep("AsleepCore", "05 15:00", "05 15:30", "Watch"),
    )
    zone = Record("zone", source="profile", text="Europe/Berlin")
    ((day, said),) = merged(("profile", [zone]), ("apple_health", found.records)).items()
    assert day == date(2024, 1, 5)
    assert said.cells == {
        "steps": 90, "weight_kg": pytest.approx(72, abs=0.001), "calories_burned": 2_100, "exercise_minutes": 35,
        "sleep_hours": 7.0,
    }  # fmt: skip
    assert (said.extra["nap_h"], said.extra["resting_hr_bpm"]) == (0.5, 52)


def test_the_person_is_told_by_age_and_gender(tmp_path):
    me = (
        '<Me HKCharacteristicTypeIdentifierDateOfBirth="1984-05-17"'
        ' HKCharacteristicTypeIdentifierBiologicalSex="HKBiologicalSex{}"/>\n'
    )
    found = apple(tmp_path, me.format("Female"))
    assert found.of("gender")[0]["text"] == "F"
    assert len(found.of("age")) == 110
    assert not apple(tmp_path, me.format("NotSet")).of("gender")


def test_an_export_without_records_is_a_warning(tmp_path):
    assert apple(tmp_path).counter.warnings == ["the export has no records"]


@pytest.mark.parametrize("line_end", ["\n", ""])
@pytest.mark.parametrize(
    ("cut", "used", "unreadable"), [(0, 2, 0), (5, 2, 1), (len("</HealthData>"), 2, 0), (15, 1, 1), (100, 1, 1)]
)
def test_an_export_that_is_cut_off_is_a_warning_and_what_is_cut_is_counted(tmp_path, line_end, cut, used, unreadable):
    text = f"{DTD}<HealthData>\n{record()}{record(value=11)}</HealthData>".replace("\n", line_end)
    found = read(zipped(tmp_path / "export.zip", {"export.xml": text[: len(text) - cut]}))
    assert len(found.of("steps")) == used
    assert found.counts.get("unreadable lines", {"invalid": 0})["invalid"] == unreadable
    said = ["the XML file is cut off: what was read before its end counts, and the rest is missing"]
    assert found.counter.warnings == (said if cut else [])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("<HealthData>" + "<a>" * 101, "nested too deeply"),
        ("<HealthData>" + "x" * (18 << 20), "a line of the XML file is longer"),
        ("<HealthData>\n<Record a='" + "x\n" * (9 << 20), "has no end"),
        ("<HealthData>\n<a>\n</a></HealthData><!DOCTYPE x>\n<!DOCTYPE HealthData [", None),
    ],
)
def test_hostile_xml_is_refused_and_memory_stays_bounded(tmp_path, content, why):
    path = zipped(tmp_path / "a.zip", {"export.xml": content})
    if why is None:
        assert not read(path).rows
        return
    with pytest.raises(RefusedError, match=why):
        read(path)


def test_a_file_of_errors_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(xml_stream, "_MOST_ERRORS", 5)
    with pytest.raises(RefusedError, match="more than 5 lines"):
        apple(tmp_path, *["<&>\n"] * 10)
