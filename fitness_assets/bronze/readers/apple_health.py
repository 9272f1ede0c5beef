"""Apple Health's export: ``export.zip`` with one large XML file, whose name depends on the language of the phone.

Apple writes one offset for all years: that of the phone on the day of the export. It is stored, but does not say where
a record was made. Records of a correlation occur at the top level, too. The text of a device contains the memory
address of an object, which is not part of the device's name.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from fitness_assets.bronze.readers.archives import Archive, Entry
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.profile import ages, gender_record
from fitness_assets.bronze.readers.records import Record, RecordCounter, number
from fitness_assets.bronze.readers.xml_stream import Elements

VERSION = 2
_ROOT = "HealthData"
_MOST_XML = 100  # files of an archive that may be the export
_QUANTITIES = {
    "HKQuantityTypeIdentifierStepCount": "steps",
    "HKQuantityTypeIdentifierHeartRate": "heart_rate",
    "HKQuantityTypeIdentifierRestingHeartRate": "resting_heart_rate",
    "HKQuantityTypeIdentifierActiveEnergyBurned": "energy_active",
    "HKQuantityTypeIdentifierBasalEnergyBurned": "energy_basal",
    "HKQuantityTypeIdentifierAppleExerciseTime": "exercise",
    "HKQuantityTypeIdentifierBodyMass": "weight",
    "HKQuantityTypeIdentifierBodyMassIndex": "bmi",
    "HKQuantityTypeIdentifierHeight": "height",
}
_SLEEP = "HKCategoryTypeIdentifierSleepAnalysis"
_SLEEP_VALUE = "HKCategoryValueSleepAnalysis"
_STAGES = {
    "InBed": "in_bed",
    "Awake": "awake",
    "Asleep": "asleep",
    "AsleepUnspecified": "asleep",
    "AsleepCore": "light",
    "AsleepDeep": "deep",
    "AsleepREM": "rem",
}
_NEVER_ZERO = {"heart_rate", "resting_heart_rate", "weight", "bmi", "height"}
_OTHERS = {"Workout", "Correlation", "ActivitySummary", "ClinicalRecord", "Audiogram", "VisionPrescription"}
_BIRTH, _SEX = "HKCharacteristicTypeIdentifierDateOfBirth", "HKCharacteristicTypeIdentifierBiologicalSex"
_PREFIX = re.compile(r"HK[A-Za-z]*?(?:TypeIdentifier|DataType)(?=[A-Z])")
_TYPE = re.compile(r"[A-Za-z0-9]{1,80}")
_MOST_TYPES = 500
_ADDRESS = re.compile(r"^<+HKDevice: 0x[0-9a-fA-F]+>,? *")
_MOST_DEVICES = 10_000  # texts that are remembered


def matches(archive: Archive) -> bool:
    """Whether it is such an archive."""
    return _export(archive) is not None


def records(archive: Archive, counter: RecordCounter) -> Iterator[Record]:
    """Yield the records.

    Raises:
        RefusedError: if the archive or its XML file is damaged as a whole.
    """
    entry = _export(archive)
    if entry is None:
        raise RefusedError("the archive has no export of Apple Health")
    reader = _Reader(counter)
    elements = Elements(_ROOT, reader.take)
    with archive.open(entry) as file:
        for _ in elements.read(file):
            yield from reader.taken
            reader.taken.clear()
    for name, count in (
        ("unreadable lines", elements.unreadable_lines),
        ("forbidden characters", elements.dropped_characters),
    ):
        if count:
            counter.see(name, count)
            counter.drop(name, "invalid", "XML does not allow it", count)
    if not elements.has_end:
        counter.warnings.append("the XML file is cut off: what was read before its end counts, and the rest is missing")
    if not reader.has_records:
        counter.warnings.append("the export has no records")


def _export(archive: Archive) -> Entry | None:
    """The XML file whose first bytes name the root element; its own name is localized."""
    candidates = [entry for entry in archive.entries if not archive.is_zip or entry.base.lower().endswith(".xml")]
    for entry in sorted(candidates, key=lambda entry: entry.name.count("/"))[:_MOST_XML]:
        head = archive.head(entry)
        if b"<HealthData" in head or b"<!DOCTYPE HealthData" in head:
            return entry
    return None


class _Reader:
    """Makes records from XML elements.

    Attributes:
        taken: the records since it was last emptied.
        has_records: whether there was any element of a record.
    """

    def __init__(self, counter: RecordCounter) -> None:
        self.taken: list[Record] = []
        self.has_records = False
        self._counter = counter
        self._devices: dict[str, str | None] = {}
        self._hours: dict[str, tuple[int, int] | None] = {}
        self._types: set[str] = set()

    def take(self, name: str, attributes: Mapping[str, str]) -> None:
        """Handle an element."""
        if name == "Record":
            self.has_records = True
            self._record(attributes)
        elif name == "Me":
            self.taken += ages(attributes.get(_BIRTH) or None, "Apple Health", self._counter)
            sex = attributes.get(_SEX, "").removeprefix("HKBiologicalSex")
            self.taken += gender_record(sex if sex not in ("", "NotSet") else None, "Apple Health", self._counter)
        elif name in _OTHERS:
            self._counter.see(name)
            self._counter.drop(name, "not_mapped")

    def _record(self, attributes: Mapping[str, str]) -> None:
        identifier = attributes.get("type", "")
        type_ = _QUANTITIES.get(identifier) or ("sleep" if identifier == _SLEEP else None)
        if type_ is None:
            other = self._other(identifier)
            self._counter.see(other)
            self._counter.drop(other, "not_mapped")
            return
        self._counter.see(type_)
        start, end = self._moment(attributes.get("startDate")), self._moment(attributes.get("endDate"))
        text, value, why = None, None, None
        if type_ == "sleep":
            text = _STAGES.get(attributes.get("value", "").removeprefix(_SLEEP_VALUE))
            why = "an unknown stage" if text is None else "no end" if end is None else None
        else:
            value = number(attributes.get("value"))
            if value is None:
                why = "no number"
            elif value < 0 or (value == 0 and type_ in _NEVER_ZERO):
                why = "zero or less means not measured"
        if start is None:
            why = "no time"
        if why or start is None:
            self._counter.drop(type_, "invalid", why)
            return
        until = end[0] if end and end[0] != start[0] else None
        source, device = attributes.get("sourceName"), self._device(attributes.get("device"))
        record = Record(type_, value, attributes.get("unit"), start[0], until, start[1], None, source, device, text)
        self.taken.append(record)

    def _other(self, identifier: str) -> str:
        """The name of a type that is not read, for the ledger."""
        short = _PREFIX.sub("", identifier)
        if not _TYPE.fullmatch(short) or (short not in self._types and len(self._types) >= _MOST_TYPES):
            return "other types"
        self._types.add(short)
        return short

    def _device(self, text: str | None) -> str | None:
        """The name and the hardware of a device."""
        if not text:
            return None
        text = _ADDRESS.sub("", text)
        if text not in self._devices:
            if len(self._devices) >= _MOST_DEVICES:
                self._devices.clear()
            parts = dict(part.split(":", 1) for part in text.rstrip(">").split(", ") if ":" in part)
            names = [parts[name] for name in ("name", "hardware") if parts.get(name)]
            self._devices[text] = " ".join(names) or None
        return self._devices[text]

    def _moment(self, text: str | None) -> tuple[int, int] | None:
        """Milliseconds since 1970 and the offset in seconds of ``2024-01-05 07:10:00 +0200``; None for other texts."""
        if text is None or len(text) != 25:
            return None
        hour = text[:13] + text[19:]
        if hour not in self._hours:
            if len(self._hours) >= 100_000:
                self._hours.clear()
            try:
                moment = datetime.strptime(hour, "%Y-%m-%d %H %z")
                offset = moment.utcoffset()
                seconds = int(offset.total_seconds()) if offset else 0
                self._hours[hour] = int(moment.astimezone(UTC).timestamp()) * 1_000, seconds
            except (ValueError, OverflowError):
                self._hours[hour] = None
        base = self._hours[hour]
        minutes, seconds = text[14:16], text[17:19]
        if base is None or not (minutes.isdecimal() and seconds.isdecimal()):
            return None
        return base[0] + int(minutes) * 60_000 + int(seconds) * 1_000, base[1]
