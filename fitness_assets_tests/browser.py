"""A real browser for tests and pictures: Chromium, driven by Playwright; both are optional."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fitness_assets_tests.whole_runs import Server, environment, free_port, listens

CHROMIUM = shutil.which("chromium")
INSTALL = "pip install -e '.[browser]', and apt-get install chromium"


@contextmanager
def browser() -> Iterator[Any]:
    """A Playwright browser that reaches nothing but loopback; a test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason=f"no Playwright: {INSTALL}")
    if CHROMIUM is None:
        pytest.skip(f"no Chromium: {INSTALL}")
    # The sandbox needs privileges that a container does not have.
    arguments = ["--no-sandbox", "--disable-background-networking", "--proxy-server=127.0.0.1:9"]
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=CHROMIUM, args=[*arguments, "--proxy-bypass-list=127.0.0.1;localhost"]
        )
        yield opened
        opened.close()


@contextmanager
def ui(folder: Path) -> Iterator[str]:
    """The Dagster UI of the project in a folder that has its `dagster.yaml`; gives its address on loopback."""
    port = free_port()
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port)]
    server = Server([*command, "-m", "fitness_assets.definitions"], folder, environment())
    server.start(lambda: listens(port))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
