"""A published version survives a power cut: all of it is on the disk before the pointer is switched."""

import os
from pathlib import Path

import pytest

from fitness_assets_tests.conftest import path_of, root_of
from fitness_assets_tests.lake.test_lake import DIM_DATE, DIM_USER, LOGGED, stage


class Disk:
    """What would be left after a power cut: files and names in folders as they were when they were flushed last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.root, self.files, self.folders = root, dict[int, int](), dict[Path, dict[str, int]]()
        self.lost_at_switch: dict[str, list[str]] = {}
        fsync, replace = os.fsync, os.replace

        def flushed(descriptor):
            fsync(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.is_dir():
                self.folders[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
            else:
                self.files[path.stat().st_ino] = path.stat().st_size

        def switched(source, target):
            to = Path(source).readlink() if Path(source).is_symlink() else None
            if to and to.name.isdecimal():
                self.lost_at_switch[to.parent.name] = self.lost(Path(target).parent / to)
            replace(source, target)

        monkeypatch.setattr(os, "fsync", flushed)
        monkeypatch.setattr(os, "replace", switched)

    def lost(self, version: Path) -> list[str]:
        """What of a version, with its sidecar files and all folders above, would be lost."""
        version = Path(os.path.normpath(version))
        files = [*version.iterdir(), *version.parent.glob(f"{version.name}.*")]
        names = [*files, version, *(folder for folder in version.parents if self.root in folder.parents)]
        lost_files = [path for path in files if self.files.get(path.stat().st_ino) != path.stat().st_size]
        return [str(path) for path in lost_files + [path for path in names if not self.has_name(path)]]

    def has_name(self, path: Path) -> bool:
        return self.folders.get(path.parent, {}).get(path.name) == path.lstat().st_ino


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells paths of open files by /proc, which Linux has")
def test_all_of_a_version_is_on_the_disk_before_its_pointer_is_switched(lake, monkeypatch):
    disk = Disk(monkeypatch, root_of(lake))
    for number in range(3):
        lake.publish(stage(lake, str(number), table=LOGGED, replaced=()))
    tables = [DIM_DATE, DIM_USER]
    staging = lake.stage(tables, {}, "run")
    for table in tables:
        staging.attach(table, "card.md", b"# Card")
        staging.write(table, None)
    staging.commit()
    lake.publish(staging)
    assert disk.lost_at_switch == {"logged_days": [], "dim_date": [], "dim_user": []}
    for table in (LOGGED, *tables):
        assert disk.has_name(path_of(lake, table)), "the pointer itself is on the disk, too"
