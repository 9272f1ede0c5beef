"""Tells errors that mean a full disk or too little memory, whoever reports them: Python, DuckDB, Spark or Sail."""

import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

_DISK = re.compile(r"no space left on device|disk quota exceeded|not enough space on the disk|disk full", re.IGNORECASE)
_MEMORY = re.compile(
    r"out of memory|outofmemory|java heap space|gc overhead limit|resources exhausted|cannot allocate memory"
    r"|failed to allocate|malloc of size|memory limit exceeded",
    re.IGNORECASE,
)
_AMOUNTS = re.compile(r"[^.\n]*\d[\d.,]*\s?(?:bytes|[KMGT]i?B)\b[^.\n]*(?:\.\d[^.\n]*)*", re.IGNORECASE)


def lack_of_room(error: BaseException, disk: Path) -> str | None:
    """What to tell a person if an error means that the disk or the memory is not enough.

    Args:
        error: with its causes.
        disk: a folder on the disk that writing needs.

    Returns:
        One sentence with the folder and the amounts that are known; None for any other error.
    """
    for cause in _causes(error):
        text = str(cause)
        is_disk = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        if is_disk or _DISK.search(text):
            there = next(folder for folder in (disk.absolute(), *disk.absolute().parents) if folder.exists())
            free = shutil.disk_usage(there).free / 1e6
            return (
                f"The disk of {disk} is full: {free:,.0f} MB are free there, and this step needs more; free disk space "
                "and run again. Nothing was published: readers keep the tables that were there."
            )
        is_memory = isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        if is_memory or _MEMORY.search(text):
            amounts = _AMOUNTS.search(text)
            why = f" ({' '.join(amounts[0].split())[:200]})" if amounts else ""
            return (
                f"The memory of this machine was not enough to write to {disk}{why}: end other programs or use a "
                "larger machine. Nothing was published: readers keep the tables that were there."
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
