"""The report of a whole run, for people with a small screen, a screen reader or a printer: in a real browser."""

from pathlib import Path

import pytest

from fitness_assets_tests.browser import axe_script, browser
from fitness_assets_tests.conftest import path_of, table_of
from fitness_assets_tests.test_pipeline import write_sample

pytestmark = pytest.mark.deployment

GRAVE = ("serious", "critical")
CLOSED = "[...document.querySelectorAll('details > :not(summary)')].filter(e => !e.checkVisibility()).length"
WIDE = "document.documentElement.scrollWidth"


@pytest.fixture
def page(raw, materialize, lake) -> Path:
    """The report of the sample."""
    write_sample(raw / "sample.csv", users=12, days=90)
    assert materialize().success
    return path_of(lake, table_of("quality/audit")).with_name("report.html")


def test_axe_finds_nothing_serious_at_any_width_and_printing_shows_everything(page):
    with browser() as opened:
        for width, scheme in ((360, "light"), (1440, "dark")):
            tab = opened.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            tab.goto(page.as_uri())
            assert tab.evaluate(WIDE) == width
            tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            tab.evaluate(axe_script())
            found = tab.evaluate("axe.run()")["violations"]
            assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in GRAVE] == []
            tab.close()
        tab = opened.new_page()
        tab.goto(page.as_uri())
        assert tab.evaluate(CLOSED) > 0
        tab.emulate_media(media="print")
        assert tab.evaluate(CLOSED) == 0
