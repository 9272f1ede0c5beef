"""A real browser for tests and pictures: Chromium, driven by Playwright."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from fitness_assets_tests.whole_runs import Server, environment, free_port, listens

CHROMIUM = shutil.which("chromium")


@contextmanager
def browser() -> Iterator[Any]:
    """A Playwright browser that reaches nothing but loopback; a test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    # The sandbox needs privileges that a container does not have.
    arguments = ["--no-sandbox", "--disable-background-networking", "--proxy-server=127.0.0.1:9"]
    with sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=CHROMIUM, args=[*arguments, "--proxy-bypass-list=127.0.0.1;localhost"]
        )
        yield opened
        opened.close()


def axe_script() -> str:
    """The script of axe-core, which finds what people with a screen reader or a keyboard stumble over."""
    return (files("axe_playwright_python") / "axe.min.js").read_text()


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
