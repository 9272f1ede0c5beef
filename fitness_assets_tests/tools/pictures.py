"""Makes the pictures of the documentation from the sample: python -m fitness_assets_tests.tools.pictures

Needs `pip install -e '.[dev]'` and Chromium. Run it when the report, the sample or a check has changed.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fitness_assets_tests.browser import browser, ui
from fitness_assets_tests.whole_runs import environment

ROOT = Path(__file__).parents[2]
SAMPLE = "data/raw/sample.csv"


def main() -> None:
    """Run the graph on the sample in a folder of its own, and take the pictures."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / SAMPLE).parent.mkdir(parents=True)
        for file in (SAMPLE, "dagster.yaml"):
            shutil.copy(ROOT / file, folder / file)
        command = [sys.executable, "-m", "fitness_assets", "run"]
        subprocess.run(command, cwd=folder, env=environment(), check=True)
        with ui(folder) as url, browser() as opened:
            tab = opened.new_page(viewport={"width": 1100, "height": 1380})
            tab.goto((folder / "data" / "quality" / "report.html").as_uri())
            tab.screenshot(path=ROOT / "docs" / "report.png")
            tab.set_viewport_size({"width": 1400, "height": 820})
            tab.goto(f"{url}/assets/bronze/logged_days?view=checks")
            tab.get_by_text("exercise_minutes_range").last.wait_for()
            tab.screenshot(path=ROOT / "docs" / "checks.png")


if __name__ == "__main__":
    main()
