"""A real browser for tests and pictures: Chromium, driven by Playwright; both are optional."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

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
