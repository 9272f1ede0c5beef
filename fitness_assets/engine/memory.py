"""The memory that a run may use: that of the machine, or of the container if it has a limit."""

import os
from pathlib import Path

_CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files of Linux control groups, version 2 and version 1."""


def memory_bytes() -> int:
    """Bytes of memory that this process and its children share at most."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _CONTAINER_LIMITS:
        text = file.read_text().strip() if file.is_file() else ""
        if text.isdecimal():  # version 2 writes "max" where there is no limit
            limits.append(int(text))
    return min(limits)
