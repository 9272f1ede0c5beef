"""Rewritten uploads: the same rows as before but for those of a person, in every way that a file can be written."""

import gzip
import hashlib
import logging
import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitness_assets.bronze.erasures import Erasures, People
from fitness_assets.bronze.pseudonyms import AS_UPLOADED, Pseudonyms
from fitness_assets.bronze.readers.csv import read_rows, tell_dialect
from fitness_assets.bronze.readers.numbers import NumberStyles
from fitness_assets.bronze.sources import source_of
from fitness_assets.lake.version import LakeError
from fitness_assets.privacy.uploads import copy_lines, delete_old, folders_of, remove_drafts, replace, rewritten
from fitness_assets_tests.conftest import new_bucket

NAMES = ("user_id", "date", "steps", "remark")
THEIRS, OTHERS = ("ada", "zoë"), ("17", "18", "grace hopper", "ada 2")
JOURNAL = Erasures()
PEOPLE = People(JOURNAL, frozenset(map(JOURNAL.code, THEIRS)), AS_UPLOADED)


def rows_in(path: Path) -> list[dict]:
    """The rows that bronze would read."""
    dialect = tell_dialect(path)
    tables = [*read_rows(path, dialect, NumberStyles(dialect.header.delimiter))]
    return pa.concat_tables(tables).to_pylist() if tables else []


def plain(rows: list[dict]) -> list[dict]:
    return [{name: cell for name, cell in row.items() if name not in ("line_number", "text")} for row in rows]


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, int]:
    """The bytes of an upload, and how many of its rows are theirs."""
    delimiter, end = draw(st.sampled_from(",;\t")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    lines, theirs = [], 0
    for number in range(draw(st.integers(0, 12))):
        user = draw(st.sampled_from(THEIRS + OTHERS))
        kind = draw(st.sampled_from(["plain", "plain", "quoted", "lines", "short", "blank", "cell", "number"]))
        day, steps = f"2024-01-{number + 1:02}", str(1_000 + number)
        cells = {
            "plain": [user, day, steps, "x"],
            "quoted": [user, day, steps, f'"a{delimiter}""b"""'],
            "lines": [user, day, steps, '"two\nlines"'],
            "short": [user, day],
            "blank": ["", "", "", ""],
            "cell": [day, user, steps, "x"],
            "number": [user, day, "8k", ""],
        }[kind]
        theirs += kind != "blank" and user in THEIRS
        lines.append(delimiter.join(cells))
    text = end.join([delimiter.join(NAMES), *lines]) + draw(st.sampled_from([end, ""]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    content = text.encode(encoding)
    return (gzip.compress(content) if draw(st.booleans()) else content), theirs


@given(files())
def test_a_rewritten_upload_has_the_other_rows_and_no_more(tmp_path_factory, file):
    content, theirs = file
    folder = tmp_path_factory.mktemp("raw")
    path = folder / "days.csv.gz"
    path.write_bytes(content)
    before = rows_in(path)
    expected = [row for row in before if not PEOPLE.of_rows(pa.Table.from_pylist([row], _schema(path))).any()]
    assert len(before) - len(expected) == theirs
    with rewritten(source_of(str(folder)), PEOPLE, folder) as found:
        if not theirs:
            assert found == []
            return
        (one,) = found
        replace(one, source_of(str(folder)))
    if not expected:
        assert not path.exists()
        return
    after = rows_in(path)
    assert plain(after) == plain(expected)
    assert [row["line_number"] for row in expected] == [*one.lines]
    assert [row["line_number"] for row in after] == [*one.new_lines]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == one.new_sha256
    assert [*folder.iterdir()] == [path], "no draft is left"
    with rewritten(source_of(str(folder)), PEOPLE, folder) as again:
        assert again == []


def _schema(path: Path) -> pa.Schema:
    dialect = tell_dialect(path)
    return next(read_rows(path, dialect, NumberStyles(dialect.header.delimiter))).schema


def put(folder: Path, **files: bytes | str) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def erase(folder: Path, user: str, pseudonyms: Pseudonyms = AS_UPLOADED) -> list[str]:
    """Erase a person from the files of a folder; returns what is left for a person to look at."""
    left, source = list[str](), source_of(str(folder))
    people = People(JOURNAL, frozenset([JOURNAL.code(pseudonyms.of(user))]), pseudonyms)
    with rewritten(source, people, folder / ".scratch", left=left) as found:
        for one in found:
            replace(one, source)
    for each in folders_of(source, people):
        each.rmdir()
    return [line.removeprefix(f"{folder}/") for line in left]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


DAYS = "user_id,date,steps\n17,2024-01-01,5\n18,2024-01-01,17\n"


def test_lines_of_refused_files_and_folders_of_the_person_go(tmp_path):
    put(tmp_path, **{"refused.csv": "17,1\r18,2\r", "people/17/deep/export.zip": b"PK\x03\x04", "goals.txt": DAYS})
    put(tmp_path, **{"utf16.csv": "17,1\n18,2\n".encode("utf-16"), "empty.csv": ""})
    (tmp_path / "people" / "17" / "empty").mkdir()
    assert erase(tmp_path, "17") == []
    without = {"refused.csv": b"18,2\r", "goals.txt": DAYS.replace("17,2024-01-01,5\n", "").encode(), "empty.csv": b""}
    assert contents(tmp_path) == {**without, "utf16.csv": "18,2\n".encode("utf-16")}
    assert [*(tmp_path / "people").iterdir()] == []


def test_archives_and_other_peoples_files_stay_as_they_are_byte_for_byte(tmp_path):
    rows = "".join(f'<Record type="HKQuantityTypeIdentifierStepCount" value="{n}"/>\n' for n in (17, 18))
    xml, packed = f'<?xml version="1.0"?>\n<HealthData>\n{rows}</HealthData>\n', BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("apple_health_export/export.xml", f"x\n17\n{xml}")
    theirs = {
        "people/bob/export.xml": xml,
        "people/bob/export.zip": packed.getvalue(),
        "people/bob/Steps.csv": ",Actual,Goal\n01/05/2024,17,8000\n",
        "people/bob/profile.toml": 'sources = ["17"]\n',
        "people/bob/notes.txt": "17,talked to me\n",
        "people/bob/people/17 b/notes.txt": "nothing\n",
        "export.xml": xml,
        "people/bob/photo.jpg": b"\xff\xd8\0\n17\n\0",
        "photo.jpg": b"\xff\xd8\0\n17\n\0",
    }
    put(tmp_path, **theirs, **{"people/bob/days.csv": DAYS})
    before = contents(tmp_path)
    assert erase(tmp_path, "17") == [
        "export.xml: it is data of a device and in nobody's folder",
        "people/bob/notes.txt: it is in the folder of another person and has the id in a cell",
        "photo.jpg: it is no text",
    ]
    days = {"people/bob/days.csv": DAYS.replace("17,2024-01-01,5\n", "").encode()}
    assert contents(tmp_path) == before | days, "rows that say whose they are go wherever they lie"


def test_with_pseudonyms_no_id_is_said_and_folders_of_either_name_go(tmp_path):
    hidden = Pseudonyms("a key that is long enough")
    files = dict.fromkeys((f"people/{name}/a.zip" for name in ("ada", hidden.of("ada"))), b"PK\x03\x04")
    put(tmp_path, **files, **{"people/bob/notes.txt": "ada,talked to me\n"})
    (left,) = erase(tmp_path, "ada", hidden)
    assert left.startswith(f"people/{hidden.of('bob')}/notes.txt: ")
    assert {*contents(tmp_path)} == {"people/bob/notes.txt"}


def test_hidden_and_unfinished_files_are_erased_as_others_are(tmp_path):
    put(tmp_path, **{
        "days.csv~": DAYS,
        ".~lock.days.csv#": ",17,host,",
        "goals/mine.csv~": "ada,9000\n",
        "people/17/profile.toml~": "x",
        "people/17/export2.zip.crdownload": b"PK\x03\x04",
        "people/17/.cache/x": "x",
        ".checkpoints/days.csv": DAYS,
        "_versions/x": "17",
        "big.zip.part": b"PK\x03\x04",
    })  # fmt: skip
    assert erase(tmp_path, "17") == [
        ".checkpoints/: it is hidden, so it was not looked into",
        "big.zip.part: it is data of a device and in nobody's folder",
    ]
    assert {*contents(tmp_path)} == {
        "days.csv~", "goals/mine.csv~", ".checkpoints/days.csv", "_versions/x", "big.zip.part"
    }  # fmt: skip
    assert (tmp_path / "days.csv~").read_text() == DAYS.replace("17,2024-01-01,5\n", "")
    with rewritten(source_of(str(tmp_path / "goals")), PEOPLE, tmp_path, copy_lines) as goals:
        assert [Path(one.found.uri).name for one in goals] == ["mine.csv~"]


@pytest.mark.parametrize("place", ["disk", "bucket"])
def test_folders_above_the_uploads_are_nobodys_and_the_innermost_one_counts(place, tmp_path, cloud):
    names = ("days.csv", "people/bob/export.zip", "people/anna/people/eve/export.zip")
    bucket = new_bucket() if place == "bucket" else None
    marker = "people/bob/"  # consoles make one for a folder
    if bucket:
        bucket.put(f"people/anna/lake/raw/{marker}", b"")
    raw = bucket.uri("people/anna/lake/raw") if bucket else str(tmp_path / "people" / "anna" / "lake" / "raw")
    for name in names:
        if bucket:
            bucket.put(f"people/anna/lake/raw/{name}", b"PK\x03\x04" if ".zip" in name else DAYS.encode())
        else:
            put(Path(raw), **{name: b"PK\x03\x04" if ".zip" in name else DAYS})

    def goes(user: str) -> list[str]:
        people = People(JOURNAL, frozenset([JOURNAL.code(user)]), AS_UPLOADED)
        with rewritten(source_of(raw), people, tmp_path / "scratch") as found:
            return [one.found.uri.removeprefix(f"{raw}/") for one in found]

    assert {user: goes(user) for user in ("anna", "bob", "eve")} == {
        "anna": [],
        "bob": ["people/bob/export.zip", *([marker] if bucket else [])],
        "eve": ["people/anna/people/eve/export.zip"],
    }
    named = [source_of(f"{raw}/{name}", must_exist=True, raw=raw).find()[0].person for name in names]
    assert named == [None, "bob", "eve"], "as if no run had named them"


def test_an_upload_that_changes_meanwhile_is_not_overwritten_and_drafts_of_killed_processes_go(tmp_path):
    path = tmp_path / "days.csv"
    path.write_text("user_id,date,steps\nada,2024-01-01,5\n17,2024-01-01,6\n")
    with rewritten(source_of(str(tmp_path)), PEOPLE, tmp_path) as (one,):
        path.write_text("user_id,date,steps\n17,2024-01-02,7\n")
        with pytest.raises(LakeError, match=r"days\.csv changed while a person was erased from it: try again\."):
            replace(one, source_of(str(tmp_path)))
    assert "2024-01-02" in path.read_text()
    (tmp_path / ".left.erasing").write_text("17")
    remove_drafts(str(tmp_path))
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("place", ["disk", "bucket"])
def test_uploads_are_deleted_after_their_time_if_bronze_has_them(place, tmp_path, cloud, caplog):
    bucket, now = (new_bucket() if place == "bucket" else None), datetime(2026, 11, 27, tzinfo=UTC)
    for name in ("old", "new", "changed", "refused", "unknown"):
        if bucket:
            bucket.put(f"raw/{name}.csv", name.encode())
        else:
            (tmp_path / f"{name}.csv").write_text(name)
    raw = bucket.uri("raw") if bucket else str(tmp_path)
    source = source_of(raw)
    ledger = [
        {
            "uri": f"{raw}/{name}.csv",
            "status": "refused" if name == "refused" else "ingested",
            "content_sha256": hashlib.sha256(b"before" if name == "changed" else name.encode()).hexdigest(),
            "ingested_at": now - timedelta(days=29 if name == "new" else 31),
        }
        for name in ("old", "new", "changed", "refused")
    ]
    caplog.set_level(logging.INFO)
    delete_old(source, ledger, 30, now, logging.getLogger("run"))
    left = {Path(found.uri).stem for found in source.find()}
    assert left == {"new", "changed", "refused", "unknown"}
    assert "old.csv was deleted: it was ingested more than 30 days ago" in caplog.text


def test_a_person_is_known_by_id_and_by_pseudonym():
    hidden = Pseudonyms("a key that is long enough")
    person = People(JOURNAL, frozenset([JOURNAL.code(hidden.of("ada"))]), hidden)
    assert person.have("ada")
    assert person.have(hidden.of("ada"))
    assert not person.have("17")
    assert not person.have(None)
    assert person.are_in('x;"ada";7')
    assert not person.are_in("x;ada lovelace;7")
