"""Where uploads lie: what is found on disk and in a bucket, and how it is told from what was there before."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fitness_assets.aws.s3 import Bucket, BucketError
from fitness_assets.bronze import identity
from fitness_assets.bronze.identity import Hashes, Upload, identify
from fitness_assets.bronze.sources import Folder, Prefix, Source, source_of

Put = Callable[..., str]


@pytest.fixture(params=["folder", "prefix"])
def source(request, tmp_path):
    """A text that names a source, and how to put something there; the latter gives its URI."""
    if request.param == "folder":

        def put(name: str, content: str = "") -> str:
            path = tmp_path / "raw data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            return str(path)

        (tmp_path / "raw data").mkdir()
        return str(tmp_path / "raw data"), put
    bucket = request.getfixturevalue("bucket")

    def put(name: str, content: str = "") -> str:
        bucket.put(f"raw data/{name}", content.encode())
        return bucket.uri(f"raw data/{name}")

    return bucket.uri("raw data"), put


def found(text: str) -> list[str]:
    return [upload.uri for upload in source_of(text).find()]


def test_uploads_are_found_at_any_depth_in_the_order_of_their_names(source):
    text, put = source
    uris = [put(name) for name in ("2024/09/a b.csv.gz", "a.txt", "b;'--.csv")]
    assert found(text) == uris


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.csv",
        "_SUCCESS",
        "~$open.csv",
        "a.csv.tmp",
        "a.csv.part",
        "a.csv.PARTIAL",
        "a.csv.crdownload",
        "a.csv.filepart",
        "a.csv~",
        ".a.csv.swp",
        ".git/a.csv",
        "_temporary/0/a.csv",
    ],
)
def test_hidden_and_unfinished_uploads_are_left_out(source, name):
    text, put = source
    put(name)
    assert found(text) == []
    finished = put("part.csv")
    assert found(text) == [finished]


def test_a_single_upload_is_a_place(source):
    _, put = source
    uri = put("a.csv")
    put("a.csv.gz")
    assert found(uri) == [uri]


def test_an_empty_place_has_no_uploads(source):
    assert found(source[0]) == []


def test_one_content_has_one_hash_wherever_it_lies(source, tmp_path):
    text, put = source
    uri = put("a.csv", "test")
    (upload,) = identify([source_of(text)])
    assert upload.content_sha256 == "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    assert upload.upload_id == "9f86d081884c7d65"
    assert (upload.found.uri, upload.found.size_bytes) == (uri, 4)
    assert abs(upload.found.modified_at - datetime.now(UTC)).total_seconds() < 60
    with upload.source.local_copy(upload.found, tmp_path / "scratch") as path:
        assert path.read_text() == "test"
    assert upload.source.stat(uri) == upload.found, "reading changes nothing"
    assert not list(tmp_path.glob("scratch/*"))


def test_new_bytes_of_the_same_length_in_the_same_second_are_another_upload(source):
    text, put = source
    put("a.csv", "1234")
    (upload,) = identify([source_of(text)])
    assert upload.is_unchanged()
    put("a.csv", "5678")
    (again,) = identify([source_of(text)])
    assert not upload.is_unchanged()
    assert again.found.fingerprint != upload.found.fingerprint
    assert again.upload_id != upload.upload_id


def test_an_upload_that_is_gone_is_not_the_one_that_was_found(source):
    text, put = source
    put("a.csv")
    (upload,) = identify([source_of(text)])
    gone = replace(upload, found=replace(upload.found, uri=f"{upload.found.uri}.gone"))
    assert not gone.is_unchanged()


def ledger_row(upload: Upload, ingested_at: datetime | None = None) -> dict[str, Any]:
    """What the ledger says of an upload."""
    return {
        "uri": upload.found.text,
        "upload_id": upload.upload_id,
        "content_sha256": upload.content_sha256,
        "fingerprint": upload.found.fingerprint,
        "ingested_at": ingested_at or datetime.now(UTC) + timedelta(seconds=60),
    }


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The URIs of what was read to be hashed."""
    uris: list[str] = []

    def watch(kind: type[Source]) -> None:
        hash_of = kind.content_sha256
        monkeypatch.setattr(kind, "content_sha256", lambda self, found: uris.append(found.uri) or hash_of(self, found))

    watch(Folder)
    watch(Prefix)
    return uris


def test_what_the_ledger_knows_by_name_and_fingerprint_is_not_read_again(source, read):
    text, put = source
    put("a.csv", "known")
    (known,) = identify([source_of(text)])
    new = put("b.csv", "new")
    read.clear()
    uploads = identify([source_of(text)], [ledger_row(known)])
    assert read == [new]
    assert known.content_sha256 in {upload.content_sha256 for upload in uploads}


def test_hashes_are_kept_for_what_is_no_row_of_the_ledger(source, read):
    text, put = source
    put("a.csv", "same")
    put("copy.csv", "same")
    hashes = Hashes()
    (upload,) = identify([source_of(text)], (), hashes)
    assert hashes.have_changed
    later = {uri: (fingerprint, sha, at + 60) for uri, (fingerprint, sha, at) in hashes.entries.items()}
    again = Hashes.of([ledger_row(upload)], json.dumps(later))
    read.clear()
    identify([source_of(text)], [ledger_row(upload)], again)
    assert read == []
    assert not again.have_changed


def test_bytes_that_come_back_under_their_name_are_a_new_upload_and_a_copy_elsewhere_is_none(source):
    text, put = source
    ledger: list[dict[str, Any]] = []

    def run() -> list[str]:
        uploads = [
            u for u in identify([source_of(text)], ledger) if u.upload_id not in {r["upload_id"] for r in ledger}
        ]
        ledger.extend(map(ledger_row, uploads))
        return [upload.content_sha256[:4] for upload in uploads]

    first, second = (hashlib.sha256(content).hexdigest()[:4] for content in (b"A", b"B"))
    for content, expected in (
        ("A", [first]),
        ("B", [second]),
        ("A", [first]),
        ("B", [second]),
        ("B", []),
        ("A", [first]),
    ):
        put("log.csv", content)
        assert run() == expected
        assert run() == []
    put("copy.csv", "B")
    assert run() == []
    assert len({row["upload_id"] for row in ledger}) == len(ledger) == 5


def test_an_upload_that_cannot_be_read_keeps_no_other_out(source, monkeypatch):
    text, put = source
    locked, fine = put("a.csv", "1"), put("b.csv", "2")
    kind = type(source_of(text))
    hash_of = kind.content_sha256

    def deny(self, found):
        if found.uri == locked:
            raise PermissionError("no right to read it")
        return hash_of(self, found)

    monkeypatch.setattr(kind, "content_sha256", deny)
    unread = {}
    assert [upload.found.uri for upload in identify([source_of(text)], unread=unread)] == [fine]
    assert unread == {locked: "no right to read it"}
    with pytest.raises(PermissionError):
        identify([source_of(text)])


class TestFolders:
    @staticmethod
    def file(path: Path, content: str, changed: int) -> Path:
        path.write_text(content)
        os.utime(path, (changed, changed))
        return path

    def test_uploads_come_in_the_order_of_their_last_change_and_then_of_their_names(self, tmp_path):
        for name, changed in {"a.csv": 300, "b.csv": 100, "d.csv": 200, "c.csv": 200}.items():
            self.file(tmp_path / name, name, changed)
        uploads = identify([Folder(tmp_path)])
        assert [Path(upload.found.uri).name for upload in uploads] == ["b.csv", "c.csv", "d.csv", "a.csv"]

    def test_the_same_bytes_are_one_upload_under_the_name_that_is_older(self, tmp_path):
        new, old = self.file(tmp_path / "a.csv", "same", 200), self.file(tmp_path / "b.csv", "same", 100)
        assert [upload.found.uri for upload in identify([Folder(new), Folder(old)])] == [str(old)]

    def test_a_hidden_folder_above_the_place_hides_nothing(self, tmp_path):
        source = tmp_path / ".lake" / "raw"
        source.mkdir(parents=True)
        (source / "a.csv").touch()
        assert found(str(source)) == [str(source / "a.csv")]

    def test_a_file_that_goes_while_others_are_found_is_not_there(self, tmp_path, monkeypatch):
        going, staying = self.file(tmp_path / "a.csv", "", 100), self.file(tmp_path / "b.csv", "", 100)
        stat = Folder.stat
        monkeypatch.setattr(Folder, "stat", lambda self, uri: going.unlink(missing_ok=True) or stat(self, uri))
        assert found(str(tmp_path)) == [str(staying)]

    def test_a_missing_place_is_named_with_what_to_do(self, tmp_path):
        with pytest.raises(FileNotFoundError) as missing:
            found(f"{tmp_path}/nowhere")
        expected = f"There is no file or folder {tmp_path}/nowhere: put CSV files there, or set FITNESS_RAW_PATH."
        assert str(missing.value) == expected

    def test_a_time_that_was_set_back_hides_no_new_bytes(self, tmp_path, read):
        path = self.file(tmp_path / "a.csv", "8000", 0)
        (before,) = identify([Folder(path)])
        self.file(path, "9100", 0)
        (after,) = identify([Folder(path)], [ledger_row(before)])
        assert after.found.modified_at == before.found.modified_at
        assert after.upload_id != before.upload_id

    def test_a_hash_from_the_moment_of_the_last_change_proves_nothing(self, tmp_path, read):
        path = self.file(tmp_path / "a.csv", "1", 100)
        (upload,) = identify([Folder(path)])
        identify([Folder(path)], [ledger_row(upload, datetime.now(UTC))])
        assert len(read) == 2

    def test_every_file_is_hashed_again_once_in_a_while(self, tmp_path, read, monkeypatch):
        path = self.file(tmp_path / "a.csv", "1", 100)
        (upload,) = identify([Folder(path)])
        now = identity.time.time()
        for days, times in ((29, 1), (31, 2)):
            monkeypatch.setattr(identity.time, "time", lambda days=days: now + days * 86_400)
            identify([Folder(path)], [ledger_row(upload)])
            assert len(read) == times

    def test_ten_thousand_known_files_are_looked_at_without_reading_one(self, tmp_path, read):
        for number in range(10_000):
            (tmp_path / f"{number}.csv").touch()
        (tmp_path / "0.csv").write_text("x")
        there = Folder(tmp_path).find()
        ledger = [ledger_row(Upload(Folder(tmp_path), found, "0" * 64, str(n))) for n, found in enumerate(there)]
        began = identity.time.monotonic()
        assert len(identify([Folder(tmp_path)], ledger)) == 10_000
        assert read == []
        assert identity.time.monotonic() - began < 10


class TestPrefixes:
    def test_markers_of_folders_and_what_only_begins_alike_are_no_uploads(self, bucket):
        for key in ("raw/", "raw/2024/", "rawer/a.csv", "raw.csv", "raw/2024/a.csv"):
            bucket.put(key, b"")
        assert found(bucket.uri("raw/")) == [bucket.uri("raw/2024/a.csv")]

    def test_a_whole_bucket_is_a_place(self, bucket):
        bucket.put("a.csv", b"")
        assert found(f"s3://{bucket.name}") == [bucket.uri("a.csv")]

    @pytest.mark.parametrize("key", ["raw/a.csv", "/a.csv", "raw//a.csv", "raw/ a b.csv ", "raw/a%20b+c?#.csv"])
    def test_the_uri_of_an_object_leads_back_to_it(self, bucket, key):
        for beside in (key, f"{key}/b.csv"):
            bucket.put(beside, b"")
        uris = found(f"s3://{bucket.name}")
        assert bucket.uri(key) in uris
        again = [upload.uri for uri in uris for upload in source_of(uri, must_exist=True).find()]
        assert again == [*uris, bucket.uri(f"{key}/b.csv")]

    def test_a_name_may_end_in_a_line_break(self, bucket):
        source = source_of(bucket.uri("raw/a.csv\n"))
        assert isinstance(source, Prefix)
        assert source.prefix == "raw/a.csv\n"

    def test_what_has_to_lie_there_and_does_not_is_named(self, bucket):
        bucket.put("raw/a.csv.gz", b"")
        with pytest.raises(FileNotFoundError, match=rf"^There is no object {bucket.uri('raw/a.csv')}, and none below"):
            source_of(bucket.uri("raw/a.csv"), must_exist=True).find()

    def test_a_key_is_never_a_path(self, bucket, tmp_path):
        key = "raw//etc/passwd.csv"
        bucket.put(key, b"harmless")
        (upload,) = identify([source_of(bucket.uri("raw"))])
        assert upload.found.uri == bucket.uri(key)
        with upload.source.local_copy(upload.found, tmp_path / "scratch") as path:
            assert path.parent == tmp_path / "scratch"
            assert path.read_text() == "harmless"

    def test_a_store_that_lists_parts_of_seconds_tells_of_no_change(self, bucket, monkeypatch):
        bucket.put("raw/a.csv", b"")
        pages = bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name)
        (page,) = pages
        (listed,) = page["Contents"]
        listed["LastModified"] += timedelta(milliseconds=123)
        monkeypatch.setattr(type(pages), "__iter__", lambda _: iter([page]))
        (upload,) = identify([Prefix(bucket, "raw")])
        assert upload.is_unchanged()

    def test_an_object_of_many_parts_arrives_whole(self, bucket, tmp_path):
        content = os.urandom(20 << 20)
        (tmp_path / "big.csv").write_bytes(content)
        bucket.upload(tmp_path / "big.csv", "raw/big.csv")
        (upload,) = identify([source_of(bucket.uri("raw"))])
        assert upload.content_sha256 == hashlib.sha256(content).hexdigest()
        with upload.source.local_copy(upload.found, tmp_path / "scratch") as path:
            assert path.read_bytes() == content

    def test_a_connection_that_breaks_in_the_middle_is_tried_again(self, bucket, cloud):
        bucket.put("raw/a.csv", b"test")
        broken = iter(["cut", "lost"])
        with cloud.faults(lambda request: next(broken, None) if request.startswith("GET") else None):
            (upload,) = identify([source_of(bucket.uri("raw"))])
        assert upload.upload_id == "9f86d081884c7d65"
        assert next(broken, None) is None

    def test_an_archived_object_is_left_out_with_the_reason(self, bucket):
        bucket.client.put_object(Bucket=bucket.name, Key="raw/a.csv", Body=b"old", StorageClass="GLACIER")
        unread = {}
        assert identify([source_of(bucket.uri("raw"))], unread=unread) == []
        assert "InvalidObjectState" in unread[bucket.uri("raw/a.csv")]

    def test_a_bucket_that_is_not_there_is_a_sentence(self, cloud):
        with pytest.raises(BucketError, match=r"^s3://no-such-bucket/raw/: .*NoSuchBucket"):
            Prefix(Bucket("no-such-bucket"), "raw").find()


def test_what_a_lake_publishes_beside_its_tables_is_no_upload(tmp_path):
    version = tmp_path / "_versions" / "quality" / "audit" / "000001.report.html"
    version.parent.mkdir(parents=True)
    version.write_text("<html>")
    (tmp_path / "quality").mkdir()
    (tmp_path / "quality" / "report.html").symlink_to(version)
    (tmp_path / "real.csv").write_text("a")
    (tmp_path / "linked.csv").symlink_to(tmp_path / "real.csv")
    assert [Path(found.uri).name for found in Folder(tmp_path).find()] == ["linked.csv", "real.csv"]


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("people/anna/export.zip", "anna"),
        ("people/anna/2024/deeper/export.zip", "anna"),
        ("people/a b;'--/export.zip", "a b;'--"),
        ("people/Zoe\u0308/export.zip", "Zo\u00eb"),
        ("2024/people/ben/x.csv", "ben"),
        ("people/export.zip", None),
        ("people.zip", None),
        ("anna/export.zip", None),
    ],
)
def test_the_folder_says_whose_an_upload_is(source, name, person):
    text, put = source
    uri = put(name)
    (upload,) = source_of(text).find()
    assert upload.person == person
    assert source_of(text).stat(uri) == upload


def test_folders_above_the_source_say_nothing_unless_a_run_names_a_part_of_it(tmp_path):
    raw = tmp_path / "people" / "owner" / "raw"
    (raw / "people" / "anna").mkdir(parents=True)
    for name in ("a.zip", "people/anna/b.zip"):
        (raw / name).touch()
    assert [found.person for found in source_of(str(raw)).find()] == [None, "anna"]
    (named,) = source_of(str(raw / "people" / "anna"), must_exist=True).find()
    assert named.person == "anna"
    (named,) = source_of(str(raw / "people" / "anna" / "b.zip"), must_exist=True).find()
    assert named.person == "anna"


def test_the_same_bytes_of_two_people_are_two_uploads_and_of_one_person_one(source):
    text, put = source
    for name in ("people/anna/a.zip", "people/anna/b.csv", "people/ben/a.csv", "a.csv"):
        put(name, "the same bytes")
    uploads = identify([source_of(text)])
    assert sorted(str(upload.found.person) for upload in uploads) == ["None", "anna", "ben"]


def test_a_profile_is_known_by_its_name_alone(source):
    text, put = source
    put("people/anna/profile.toml")
    put("people/anna/my profile.toml")
    assert sorted(upload.is_profile for upload in source_of(text).find()) == [False, True]
