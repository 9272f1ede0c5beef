"""Finds text in every file below a folder, also where it is compressed: in Parquet, gzip, zip and pickled snapshots."""

import gzip
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq

from fitness_assets.aws.s3 import Bucket


def contents(name: str, content: bytes) -> Iterator[bytes]:
    """The bytes of a file, and what they are once they are read or inflated."""
    yield content
    if content.startswith(b"PAR1"):
        for column in pq.read_table(BytesIO(content)).to_pydict().values():
            yield "\n".join(map(str, column)).encode()
    elif content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
    elif zipfile.is_zipfile(BytesIO(content)):
        with zipfile.ZipFile(BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from contents(member, archive.read(member))


def cells(path: Path) -> Iterator[bytes]:
    """The compressed cells of a SQLite file."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for cell in row:
                    if isinstance(cell, bytes):
                        with suppress(zlib.error):
                            yield zlib.decompress(cell)


def holders(needles: Iterable[str], folder: Path, *but: Path) -> dict[str, set[str]]:
    """The files below a folder that hold a text as a word of its own, by the text.

    Args:
        needles: what to search for.
        folder: where.
        but: folders that are left out.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and not any(path.is_relative_to(b) for b in but)]
    found: dict[str, set[str]] = {}
    for path in files:
        content = path.read_bytes()
        parts = [str(path.relative_to(folder)).encode(), *contents(path.name, content)]
        if content.startswith(b"SQLite format 3"):
            parts += cells(path)
        for needle in matches(needles, parts):
            found.setdefault(needle, set()).add(str(path.relative_to(folder)))
    return found


def holders_in(needles: Iterable[str], bucket: Bucket) -> dict[str, set[str]]:
    """The same of keys, in all versions of the objects of a bucket."""
    found: dict[str, set[str]] = {}
    for key, content in versions_of_objects(bucket):
        for needle in matches(needles, [key.encode(), *contents(key, content)]):
            found.setdefault(needle, set()).add(key)
    return found


def versions_of_objects(bucket: Bucket) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of every version of every object; the markers of deleted objects have no bytes."""
    client, name = bucket.client, bucket.name
    for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
        for version in page.get("Versions", []):
            found = client.get_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])
            yield version["Key"], found["Body"].read()
        yield from ((marker["Key"], b"") for marker in page.get("DeleteMarkers", []))


def matches(needles: Iterable[str], parts: Iterable[bytes]) -> set[str]:
    """The texts that some bytes hold as words of their own."""
    pattern = {needle: re.compile(rb"(?<![\w.])" + re.escape(needle.encode()) + rb"(?![\w])") for needle in needles}
    return {needle for part in parts for needle, search in pattern.items() if search.search(part)}
