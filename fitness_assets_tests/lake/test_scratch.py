"""Folders in the machine's temporary folder go with the process that made them, and no earlier."""

import subprocess
import sys
import tempfile

from fitness_assets.lake.scratch import new_folder, remove_left_folders

MAKE = "from fitness_assets.lake.scratch import new_folder; print(new_folder())"


def test_folders_of_ended_processes_go_and_those_of_running_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ours, other = new_folder(), tmp_path / "of another program"
    other.mkdir()
    subprocess.run([sys.executable, "-c", MAKE], check=True)
    (tmp_path / "fitness-assets-1-of the first process").mkdir()
    (tmp_path / "fitness-assets-old").mkdir()
    (tmp_path / f"fitness-assets-{9**99}-").mkdir()
    assert len([*tmp_path.iterdir()]) == 6
    remove_left_folders()
    assert {*tmp_path.iterdir()} == {ours, other, tmp_path / "fitness-assets-1-of the first process"}
