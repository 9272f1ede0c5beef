"""A small archive like the export of Apple Health, with its quirks."""

import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from io import TextIOWrapper
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from fitness_assets.sample.life import HOME, LivedDay

_OFFSET = timezone(timedelta(hours=2))
"""All records have the offset of the day of the export, whatever it was when they were made."""
_STAGES = {"awake": "Awake", "light": "AsleepCore", "deep": "AsleepDeep", "rem": "AsleepREM"}
_DEVICE = "&lt;&lt;HKDevice: {{0}}&gt;, name:{1}, hardware:{2}, software:9.1&gt;"
_OWNER = f'sourceName="Annas {{0}}" sourceVersion="9.1" device="{_DEVICE}"'
_WATCH = _OWNER.format("Apple\u00a0Watch", "Apple Watch", "Watch6,1")
_PHONE = _OWNER.format("iPhone", "iPhone", "iPhone14,2")
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 12 -->
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout|ActivitySummary|ClinicalRecord)*)>
<!ATTLIST Record
  type CDATA #REQUIRED
  unit CDATA #IMPLIED
<!ELEMENT Record ((MetadataEntry|HeartRateVariabilityMetadataList)*)>
]>
<HealthData locale="de_DE">
 <ExportDate value="2024-07-01 08:00:00 +0200"/>
 <Me HKCharacteristicTypeIdentifierDateOfBirth="1984-05-17" HKCharacteristicTypeIdentifierBiologicalSex="HKBiologicalSexFemale" HKCharacteristicTypeIdentifierBloodType="HKBloodTypeNotSet"/>
"""  # noqa: E501
_WORKOUT = """ <Workout workoutActivityType="HKWorkoutActivityTypeWalking" duration="12" sourceName="Watch">
  <WorkoutStatistics type="HKQuantityTypeIdentifierStepCount" startDate="a" startDate="b" sum="1"/>
 </Workout>
"""


def write(path: Path, days: Sequence[LivedDay]) -> None:
    """Write the archive: a phone and a watch, and an app that writes time in bed.

    Args:
        path: of the archive.
        days: what happened.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("apple_health_export/export_cda.xml", '<?xml version="1.0"?>\n<ClinicalDocument/>\n')
        with archive.open("apple_health_export/Экспорт.xml", "w", force_zip64=True) as file:
            write_xml(TextIOWrapper(file, "utf-8"), days)
        archive.writestr("apple_health_export/workout-routes/route_1.gpx", "<gpx/>")


def write_xml(file: TextIOWrapper, days: Sequence[LivedDay]) -> None:
    """Write the XML file and close it."""
    file.write(_HEAD)
    random = Random(1)  # noqa: S311
    for number, day in enumerate(days):
        for line in _records(day, random):
            file.write(line)
        if number == 0:
            file.write(_WORKOUT)
            correlated = [*_records(day, random)][-1]
            file.write(f' <Correlation type="HKCorrelationTypeIdentifierFood">\n{correlated} </Correlation>\n')
            file.write(' <Record type="HKQuantityTypeIdentifierDietaryWater" sourceName="\v" value="1"/>\n')
    file.write("</HealthData>\n")
    file.close()


def _records(day: LivedDay, random: Random) -> Iterator[str]:
    def record(type_: str, start: datetime, end: datetime, value: object, unit: str | None, is_watch: bool) -> str:
        address, owner = f"0x{random.getrandbits(36):x}", _WATCH if is_watch else _PHONE
        until, with_unit = _text(end), f'unit="{unit}" ' if unit else ""
        return (
            f' <Record type="{type_}" {owner.format(address)} {with_unit}creationDate="{until}"'
            f' startDate="{_text(start)}" endDate="{until}" value="{value}"/>\n'
        )

    quantity = "HKQuantityTypeIdentifier"
    for walk in day.walks:
        for is_watch, parts in ((False, walk.phone_records()), (True, walk.watch_records())):
            for start, end, count in parts:
                yield record(f"{quantity}StepCount", start, end, count, "count", is_watch)
    for moment, bpm in day.pulse:
        yield record(f"{quantity}HeartRate", moment, moment, bpm, "count/min", True)
    for start, end, stage in day.asleep:
        yield record(
            "HKCategoryTypeIdentifierSleepAnalysis",
            start,
            end,
            f"HKCategoryValueSleepAnalysis{_STAGES[stage]}",
            None,
            True,
        )
    start, end = day.asleep[0][0] - timedelta(minutes=30), day.asleep[-1][1] + timedelta(minutes=30)
    yield record("HKCategoryTypeIdentifierSleepAnalysis", start, end, "HKCategoryValueSleepAnalysisInBed", None, False)
    noon = datetime(day.date.year, day.date.month, day.date.day, 12, tzinfo=ZoneInfo(HOME))
    later = noon + timedelta(hours=1)
    yield record(f"{quantity}ActiveEnergyBurned", noon, later, day.active_kcal * 4.184, "kJ", True)
    yield record(f"{quantity}BasalEnergyBurned", noon, later, day.basal_kcal, "Cal", True)
    yield record(
        f"{quantity}AppleExerciseTime", noon, noon + timedelta(minutes=day.exercise), day.exercise, "min", True
    )
    yield record(f"{quantity}RestingHeartRate", noon, noon, day.resting_bpm, "count/min", True)
    if day.weight_kg:
        yield record(f"{quantity}BodyMass", noon, noon, day.weight_kg + 0.8, "kg", False)
        pounds = day.weight_kg / 0.45359237
        yield record(f"{quantity}BodyMass", later, later, pounds, "lb", False)
    yield record(f"{quantity}StepCount", noon, noon, 0, "count", False)


def _text(moment: datetime) -> str:
    local = moment.astimezone(_OFFSET)
    return f"{local.isoformat(' ', 'seconds')[:19]} +0200"
