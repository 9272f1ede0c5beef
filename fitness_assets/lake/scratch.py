"""Folders of this process in the machine's temporary folder, for lakes that are not on this machine."""

import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "fitness-assets-"


def new_folder() -> Path:
    """A folder that no other user can read; its name says which process it belongs to."""
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def remove_left_folders() -> None:
    """Remove the folders of processes that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        process = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not (process.isdecimal() and _is_running(int(process))):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends no signal
    except PermissionError:  # it is another user's
        return True
    except (ProcessLookupError, OverflowError):  # the number may be of any size: anybody can make such a folder
        return False
    return True
