"""Recognises errors of Python, DuckDB, Spark and Sail that mean a full disk or too little memory."""

import errno
import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

from fitness_assets.lake.version import LakeError

_DISK = re.compile(r"no space left on device|disk quota exceeded|not enough space on the disk|disk full", re.IGNORECASE)
_MEMORY = re.compile(
    r"out of memory|outofmemory|java heap space|gc overhead limit|resources exhausted|cannot allocate memory"
    r"|failed to allocate|malloc of size|memory limit exceeded",
    re.IGNORECASE,
)
_SPILL = re.compile(r"disk space during the spilling process has exceeded the allowable limit of ([\d.]+ \w+)")
_AMOUNTS = re.compile(r"[^.\n]*\d[\d.,]*\s?(?:bytes|[KMGT]i?B)\b[^.\n]*(?:\.\d[^.\n]*)*", re.IGNORECASE)


class LackOfRoomError(LakeError):
    """The disk or the memory was not enough; the message is that of `lack_of_room`."""


def lack_of_room(error: BaseException, disk: Path, memory: int, written: int = 0) -> str | None:
    """What to tell a person if an error means that the disk or the memory is not enough.

    Args:
        error: with its causes.
        disk: a folder on the disk that writing needs.
        memory: bytes of memory that a run may use.
        written: bytes that the step had written to that disk, and that are removed by now; 0 if that is not known.

    Returns:
        One sentence with the folder and the amounts that are known; None for any other error.
    """
    kept = "This step published nothing: readers keep the tables that were there."
    for cause in _causes(error):
        text = str(cause)
        is_disk = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        if is_disk or _DISK.search(text):
            there = next(folder for folder in (disk.absolute(), *disk.absolute().parents) if folder.exists())
            free = _size(shutil.disk_usage(there).free)
            had = "" if not written else f" (it had written {_size(written)} when the disk was full)"
            return (
                f"The disk of {disk} is full: {free} are free there, and this step needs more{had}; free disk space "
                f"and run again. {kept}"
            )
        known = f"a run may use {_size(memory)} here"
        if spilled := _SPILL.search(text):
            return (
                f"The memory of this machine was not enough to write to {disk} ({known}), and what was moved to disk "
                f"reached the limit of {spilled[1]}: use a larger machine, or set "
                f"SAIL_RUNTIME__TEMPORARY_FILES__MAX_SIZE to more bytes. {kept}"
            )
        is_memory = isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        if is_memory or _MEMORY.search(text):
            amounts = _AMOUNTS.search(text)
            said = f"; {textwrap.shorten(amounts[0], 300, placeholder=' …')}" if amounts else ""
            return (
                f"The memory of this machine was not enough to write to {disk} ({known}{said}): end other programs or "
                f"use a larger machine. {kept}"
            )
    return None


def _size(size_bytes: float) -> str:
    """An amount of bytes for a person, with two or more digits that count."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:,.1f} {unit}"
    return f"{size_bytes / 1e3:,.0f} KB"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
