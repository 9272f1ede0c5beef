"""Archives from outside: limits, refusals, profiles, and what a hostile or damaged one can do."""

import gzip
import io
import json
import random
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from fitness_assets.bronze.readers import archives
from fitness_assets.bronze.readers.archives import Archive, is_archive
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.kinds import KINDS, VERSIONS, all_readers, has_records, newer_version
from fitness_assets.sample import EXPORTS, web_tables
from fitness_assets.sample.life import lived
from fitness_assets_tests.archives import Read, read, zipped

DAYS = lived(12)


def refusal(path: Path) -> str:
    with pytest.raises(RefusedError) as refused:
        read(path)
    return str(refused.value)


def test_an_unknown_archive_is_refused_with_the_list_of_what_is_read(tmp_path):
    said = refusal(zipped(tmp_path / "a.zip", {"holiday/photo.jpg": b"\xff"}))
    assert said.startswith("it is a ZIP archive, which is not read; read are CSV files and ")
    assert all(kind.label in said for kind in KINDS)


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("strava/activities.csv", "Strava"),
        ("physiological_cycles.csv", "WHOOP"),
        ("HUAWEI_HEALTH_1/Health detail data & description/a.json", "Huawei"),
    ],
)
def test_a_kind_that_is_known_but_not_read_is_refused_by_its_name(tmp_path, entry, name):
    assert refusal(zipped(tmp_path / "a.zip", {entry: "x"})).startswith(f"it is an export of {name}")


@pytest.mark.parametrize(
    ("status", "kind", "version", "newer"),
    [
        ("refused", None, None, True),  # before 2026-12
        ("refused", None, all_readers(), False),
        ("ingested", "garmin", 0, True),
        ("ingested", "garmin", VERSIONS["garmin"], False),
        ("ingested", "csv", 0, False),  # rows of people are not read again
        ("withdrawn", "garmin", 0, False),
        ("withdrawn", None, None, False),
    ],
)
def test_what_a_newer_reader_reads_again(status, kind, version, newer):
    row = {"status": status, "kind": kind, "reader_version": version}
    assert (newer_version(row) is not None) == newer


def test_an_archive_of_nobody_is_refused(tmp_path):
    from fitness_assets.bronze.archives import ReadArchive
    from fitness_assets.bronze.sources import Folder

    EXPORTS["garmin"](tmp_path / "g.zip", DAYS)
    (found,) = Folder(tmp_path).find()
    with pytest.raises(RefusedError, match="nobody's: move it to people/<user_id>/ below raw/"):
        list(ReadArchive(found, found.person).tables(tmp_path / "g.zip", tmp_path))


@pytest.mark.parametrize("name", ["../evil.json", "a/../../b", "/etc/passwd", "C:\\x", "a\\..\\..\\b"])
def test_an_entry_that_leads_out_of_the_archive_is_refused(tmp_path, name):
    path = zipped(tmp_path / "a.zip", {"DI_CONNECT/x": "", "y" * len(name): "x"})
    path.write_bytes(path.read_bytes().replace(b"y" * len(name), name.encode()))
    assert "leads out of it" in refusal(path)


def test_a_bomb_is_refused_before_anything_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_FREE_BYTES", 1 << 20)
    path = zipped(tmp_path / "a.zip", {"DI_CONNECT/UDSFile_1.json": b" " * (3 << 20)})
    assert "times its size: it is no export" in refusal(path)


def test_too_many_entries_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_MOST_ENTRIES", 3)
    assert "more than 3 entries" in refusal(zipped(tmp_path / "a.zip", dict.fromkeys("abcd", "")))


def test_sizes_that_lie_are_found(tmp_path):
    """The directory says fewer bytes than there are: reading stops there, and the checksum tells it."""
    content = json.dumps([{"calendarDate": "2024-01-01", "totalSteps": 5}] * 400)
    path = zipped(tmp_path / "a.zip", {"DI_CONNECT/UDSFile_1.json": content})
    size = len(content).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (100).to_bytes(4, "little")))
    assert refusal(path) == archives.DAMAGED


def test_sizes_of_64_bits_and_sizes_behind_the_data_are_read(tmp_path):
    """Phones stream archives: sizes follow each entry, and the directory has them."""

    class Stream(io.RawIOBase):
        written = b""

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.written += bytes(data)
            return len(data)

    stream = Stream()
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("DI_CONNECT/UDSFile_1.json", "w", force_zip64=True) as entry,
    ):
        entry.write(b'[{"calendarDate": "2024-01-05", "totalSteps": 8120}]')
    (tmp_path / "a.zip").write_bytes(stream.written)
    assert stream.written[6] & 8, "sizes are behind the data"
    assert [row["value"] for row in read(tmp_path / "a.zip").rows] == [8_120]


def test_an_encrypted_archive_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", {"DI_CONNECT/x": "x"})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in refusal(path)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_archive_is_refused_by_its_kind(tmp_path, mode):
    EXPORTS["google"](tmp_path / "a.zip", DAYS[:1])
    path = tmp_path / "takeout.tgz"
    with tarfile.open(path, mode) as archive:
        archive.add(tmp_path / "a.zip", "Takeout/steps.json")
    assert has_records(path, tmp_path)
    assert refusal(path) == "it is a TAR archive, which is not read: choose .zip at the vendor, or pack it again as ZIP"


def test_links_are_no_entries(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        link = zipfile.ZipInfo("DI_CONNECT/UDSFile_1.json")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
        file.writestr("DI_CONNECT/other", "")
    with Archive(tmp_path / "a.zip", tmp_path) as archive:
        assert [entry.base for entry in archive.entries] == ["other"]


def test_an_archive_that_is_cut_off_is_refused(tmp_path):
    EXPORTS["apple"](tmp_path / "a.zip", DAYS)
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(data[: len(data) // 2])
    assert refusal(tmp_path / "b.zip") == archives.DAMAGED


def test_an_archive_without_entries_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", {})
    assert is_archive(path)
    assert refusal(path) == "the ZIP archive is empty"


def test_csv_text_is_no_archive(tmp_path):
    for name, content in (
        ("a", b"user_id,date\n"),
        ("b", b""),
        ("c", b"<html>"),
        ("d", b"\x1f\x8b damaged"),
        ("e", gzip.compress(b"user_id\n")),
    ):
        (tmp_path / name).write_bytes(content)
        assert not is_archive(tmp_path / name)


@pytest.mark.parametrize("kind", [*EXPORTS, *web_tables.WRITERS])
def test_no_name_of_an_entry_is_repeated_whatever_is_wrong_with_it(tmp_path, kind):
    """Vendors put mail addresses into names."""
    path, address = tmp_path / "a.zip", "anna.b@example.org"
    (EXPORTS | web_tables.WRITERS)[kind](path, DAYS[:2])
    with zipfile.ZipFile(path, "a") as archive:
        folders = {name.rpartition("/")[0] for name in archive.namelist()}
        names = [f"{folder}/{address}{end}" for folder in folders for end in ("_sleepData.json", "-1.json", ".csv", "")]
        for name in [*names, *(f"{folder}/steps-{address}.json" for folder in folders)]:
            archive.writestr(name.lstrip("/"), "{broken")
    found = read(path)
    assert found.rows
    said = str(found.rows) + json.dumps(found.counts) + str(found.counter.warnings)
    assert "@" not in said
    assert "example" not in said.replace("com.example.", "")


def profile(tmp_path: Path, text: str) -> Read:
    (tmp_path / "profile.toml").write_text(text)
    return read(tmp_path / "profile.toml")


def test_a_profile_says_age_by_month_and_never_the_birth_date(tmp_path):
    found = profile(tmp_path, "birth_date = 1984-05-17\ngender = 'female'\nheight_cm = 168\n")
    ages = {row["value"]: row["day"] for row in found.of("age")}
    assert str(ages[40.0]) == "2024-06-01"
    assert {day.day for day in ages.values()} == {1}
    assert [row["text"] for row in found.of("gender")] == ["F"]
    assert found.of("height")[0]["value"] == 168
    assert found.counts["age"]["used"] == 110


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("birthdate = 1984-05-17", "unknown keys: birthdate"),
        ("birth_date = 'May 1984'", "is not a day YYYY-MM-DD"),
        ("birth_date = 0001-01-01", "between 1900 and 2100"),
        ("birth_year = '1984'", "is not a day YYYY-MM-DD, or a year, between 1900 and 2100"),
        ("birth_year = 1850", "is not a day YYYY-MM-DD, or a year, between 1900 and 2100"),
        ("birth_year = true", "is not a day YYYY-MM-DD, or a year, between 1900 and 2100"),
        ("height_cm = 1.68", "between 50 and 280"),
        ("time_zone = 'Mars/Olympus'", "'Mars/Olympus' is unknown"),
        ("time_zone = '../../etc/passwd'", "is unknown"),
        ("time_zone_changes = [{zone = 'Asia/Tokyo'}]", "write {from = YYYY-MM-DD"),
        ("time_zone_changes = 5", "write {from = YYYY-MM-DD"),
        ("sources = [1]", "list of names"),
    ],
)
def test_what_is_wrong_with_a_profile_is_a_warning(tmp_path, text, warning):
    found = profile(tmp_path, text)
    assert any(warning in said for said in found.counter.warnings), found.counter.warnings
    assert found.counts is not None


def test_a_profile_that_is_no_toml_is_refused(tmp_path):
    (tmp_path / "profile.toml").write_text("birth_date: 1984")
    assert "the profile is not TOML" in refusal(tmp_path / "profile.toml")


def mutated(data: bytes, seed: int) -> bytes:
    """The same archive with damage: bytes, a cut, or content that was packed again."""
    rng = random.Random(seed)
    if rng.random() < 0.4:  # inside an entry, with a correct checksum, so that the reader sees it
        with zipfile.ZipFile(io.BytesIO(data)) as source:
            entries = {info.filename: source.read(info) for info in source.infolist()}
        name = rng.choice([*entries])
        content = bytearray(entries[name])
        for _ in range(rng.choice((1, 1, 2, 30))):
            if content:
                where = rng.randrange(len(content))
                action = rng.random()
                if action < 0.7:
                    content[where] = rng.randrange(256)
                elif action < 0.85:
                    del content[where : where + rng.randint(1, 50)]
                else:
                    content[where:where] = rng.choice(
                        [b'"', b"null", b"-1", b"<", b"\x00", b"9" * 400, b"{", b",", b"[["]
                    )
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for each, original in entries.items():
                archive.writestr(each, bytes(content) if each == name else original)
        return target.getvalue()
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        where = rng.randrange(len(damaged))
        if rng.random() < 0.8:
            damaged[where] = rng.randrange(256)
        else:
            del damaged[where : where + rng.randint(1, 200)]
    return bytes(damaged)


def survives(path: Path, data: bytes, seed: int) -> str:
    """Read a mutation: it is refused in one sentence, or all of its records are accounted for."""
    path.write_bytes(mutated(data, seed))
    if not has_records(path, path.parent):
        return "no archive"
    try:
        found = read(path)
    except RefusedError as refused:
        return "refused" if str(refused) and "\n" not in str(refused) else "no sentence"
    assert found.counts is not None
    for row in found.rows:
        assert row["end_at"] is None or row["end_at"] >= row["start_at"]
    return "read"


@pytest.mark.parametrize("kind", [*EXPORTS])
def test_mutations_are_refused_or_accounted_for(tmp_path, kind):
    EXPORTS[kind](tmp_path / "good.zip", DAYS[:3])
    data = (tmp_path / "good.zip").read_bytes()
    outcomes = {survives(tmp_path / "bad.zip", data, seed) for seed in range(30)}
    assert {"refused", "read"} <= outcomes <= {"refused", "read", "no archive"}


def test_compressed_data_that_is_damaged_is_a_sentence(tmp_path):
    path = zipped(
        tmp_path / "a.zip", {"DI_CONNECT/UDSFile_1.json": json.dumps([{"totalSteps": n} for n in range(999)])}
    )
    data = bytearray(path.read_bytes())
    data[100:120] = zlib.compress(b"something else altogether")[:20]
    path.write_bytes(data)
    assert refusal(path) == archives.DAMAGED
