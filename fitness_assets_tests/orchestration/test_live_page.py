"""The page of a run in a real browser: what another process logs, the chart of its steps, the end and the reason of a
failure appear by themselves."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fitness_assets_tests.browser import browser, ui
from fitness_assets_tests.test_pipeline import write_sample
from fitness_assets_tests.whole_runs import environment, wait_for

pytestmark = pytest.mark.deployment

NEWEST = {"query": "{runsOrError(limit: 1) {... on Runs {results {runId}}}}"}
MILLISECONDS = 120_000


def newest(tab: Any, url: str) -> str | None:
    """The id of the newest run."""
    found = tab.request.post(f"{url}/graphql", data=NEWEST).json()["data"]["runsOrError"]["results"]
    return found[0]["runId"] if found else None


@pytest.fixture
def folder(tmp_path, root) -> Path:
    """A project with uploads."""
    shutil.copy(root / "dagster.yaml", tmp_path)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    write_sample(tmp_path / "data" / "raw" / "sample.csv")
    return tmp_path


STEPS = ["bronze", "silver", "gold", "predictions", "quality", "coach"]
BARS = ".chart-element.box"
"""The bars of the Gantt chart; until a step starts, its bar has the same width as all others."""


@pytest.mark.parametrize(
    ("is_broken", "end", "counted"),
    [(False, "RUN_SUCCESS", "Succeeded (6)"), (True, "File exists: ", "Errored (1)")],
    ids=["good", "bad"],
)
def test_a_run_of_another_process_is_followed_without_a_reload(folder, is_broken, end, counted):
    if is_broken:  # its last table cannot be published
        (folder / "data" / "quality").write_text("a file, not a folder")
    with ui(folder) as url, browser() as opened:
        tab = opened.new_page(viewport={"width": 1400, "height": 1000})
        command, log = [sys.executable, "-m", "fitness_assets", "run"], folder / "run.log"
        with log.open("w") as out:
            run = subprocess.Popen(command, cwd=folder, env=environment(), stdout=out, stderr=out)
        tab.goto(f"{url}/runs/{wait_for(lambda: newest(tab, url), run, log)}")
        assert run.poll() is None
        tab.evaluate("window.isTheSamePage = true")
        tab.get_by_text("Executing (1)").first.wait_for(timeout=MILLISECONDS)
        tab.get_by_text("uploads found: 1, new: 1").first.wait_for(timeout=MILLISECONDS)
        tab.get_by_text("writing version 000001").first.wait_for(timeout=MILLISECONDS)
        tab.get_by_text(end).first.wait_for(timeout=MILLISECONDS)
        tab.get_by_text("Failure" if is_broken else "Success", exact=True).first.wait_for(timeout=MILLISECONDS)
        tab.get_by_text(counted, exact=True).first.wait_for(timeout=MILLISECONDS)
        bars = tab.locator(BARS)
        bars.nth(len(STEPS) - 1).wait_for(timeout=MILLISECONDS)
        labels = [bar.inner_text().rstrip("…") for bar in bars.all()]  # short bars cut them, shorter ones have none
        assert len(labels) == len(STEPS)
        named = [[step for step in STEPS if step.startswith(label)] for label in labels if label]
        assert [len(steps) for steps in named] == [1] * len(named), labels
        assert len({steps[0] for steps in named}) == len(named) > 1, labels
        assert len({bar.bounding_box()["width"] for bar in bars.all()}) > 1, "each bar is as long as its step took"
        assert tab.evaluate("window.isTheSamePage")
        assert run.wait(60) == int(is_broken)
