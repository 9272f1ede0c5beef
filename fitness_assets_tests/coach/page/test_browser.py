"""The page in headless Chromium, on a lake that real runs made: choose, move sliders, accept, see the plan.

Chromium reaches nothing but loopback.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fitness_assets_tests import people
from fitness_assets_tests.browser import axe_script, browser
from fitness_assets_tests.whole_runs import SECONDS, Server, environment, free_port, listens, materialize

pytestmark = pytest.mark.deployment
WIDTHS, SCHEMES = (360, 1_440), ("light", "dark")
WHO = "07"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a lake of 30 plausible people, every table published, and no goals."""
    folder = tmp_path_factory.mktemp("coach")
    (folder / "data" / "raw").mkdir(parents=True)
    people.plausible().to_csv(folder / "data" / "raw" / "days.csv", index=False)
    run(folder)
    return folder


def run(folder: Path) -> None:
    process, log = materialize(folder)
    assert process.wait(SECONDS) == 0, log.read_text()[-3_000:]


@pytest.fixture(scope="module")
def address(folder) -> Iterator[str]:
    """Where the page is, with its token."""
    port = free_port()
    command = [sys.executable, "-u", "-m", "fitness_assets", "coach", "--port", str(port)]
    server = Server(command, folder, environment())
    server.start(lambda: listens(port) and "token=" in server.log.read_text())
    yield re.findall(r"http://127\.0\.0\.1\S+", server.log.read_text())[0]
    server.kill()


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    with browser() as opened:
        yield opened


class Visit:
    """One browser window; `said` holds whatever its console says."""

    def __init__(self, chromium, address: str, width: int, scheme: str, scripts: bool = True) -> None:
        self.context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts, bypass_csp=False
        )
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)

    def choose(self, user_id: str) -> None:
        self.page.get_by_label("Person (user_id)").fill(user_id)
        self.page.get_by_role("button", name="Open").click()
        self.page.get_by_role("heading", name=user_id, exact=True).wait_for()
        self.page.wait_for_load_state("load")  # with its style sheet

    def move(self, label: str, key: str, times: int) -> int:
        """Move a slider by the keyboard; returns in how many milliseconds the last answer was shown."""
        self.page.get_by_role("slider", name=label, exact=True).focus()
        for _ in range(times):
            self.page.keyboard.press(key)
        self.page.wait_for_timeout(300)
        self.page.locator("#forecast[aria-busy=false]").wait_for()
        return int(self.page.locator("#forecast").get_attribute("data-milliseconds") or 10_000)

    @property
    def forecast(self) -> str:
        return self.page.locator("#forecast").inner_text()


@pytest.fixture
def visit(chromium, address) -> Iterator:
    opened: list[Visit] = []

    def open_(width: int = 1_440, scheme: str = "light", scripts: bool = True) -> Visit:
        opened.append(Visit(chromium, address, width, scheme, scripts))
        return opened[-1]

    yield open_
    for each in opened:
        each.context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_can_be_read_and_used(visit, width, scheme):
    window = visit(width, scheme)
    findings = {"choose": serious(window)}
    window.choose(WHO)
    findings["person"] = serious(window)
    window.page.get_by_text("The numbers, day by day").click()
    window.page.get_by_text("More about you").click()
    findings["opened"] = serious(window)
    assert findings == {"choose": [], "person": [], "opened": []}
    assert window.page.evaluate("document.documentElement.scrollWidth") <= width, "nobody has to scroll sideways"
    smallest = """Math.min(...[...document.querySelectorAll('svg text')].map(text => {
        const svg = text.ownerSVGElement, scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
        return scale * parseFloat(getComputedStyle(text).fontSize); }))"""
    assert window.page.evaluate(smallest) >= 11
    colours = window.page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    ink, paper = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert (paper > ink) == (scheme == "light")
    assert window.said == []
    home = window.asked[0].partition("?")[0]
    assert [url for url in window.asked if not url.startswith((home, "data:"))] == [], (
        "nothing but this server is asked"
    )


def serious(window: Visit) -> list[str]:
    """What axe-core finds that is more than minor."""
    window.page.evaluate(axe_script())
    found = window.page.evaluate("axe.run().then(result => result.violations)")
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found if each["impact"] != "minor"]


def test_a_slider_answers_at_once(visit):
    window = visit()
    window.choose(WHO)
    before = window.forecast
    took = [window.move("Intake a day", "ArrowLeft", 5) for _ in range(6)]
    assert min(took) <= 100, "the others may have waited for other tests"
    assert window.forecast != before
    assert window.page.get_by_label("Use this intake").is_checked()
    weight = window.forecast
    window.move("Steps a day", "ArrowRight", 20)
    assert window.forecast != weight
    sleep = window.page.locator("#forecast .big").inner_text()
    window.move("Sleep", "ArrowRight", 4)
    assert window.page.locator("#forecast .big").inner_text() == sleep, "no effect of sleep on weight is claimed"


def test_a_plan_is_accepted_and_there_after_the_next_run(visit, folder):
    window = visit(360, "dark")
    window.choose(WHO)
    assert "There is no plan yet" in window.page.inner_text("main")
    window.page.get_by_label("Steps a day", exact=True).fill("9000")
    window.page.get_by_role("button", name="Accept this plan").click()
    window.page.get_by_text("Saved. The plan is made with the next run.").wait_for()
    assert len([*(folder / "data" / "raw" / "goals").iterdir()]) == 1
    run(folder)
    window.page.get_by_role("link", name="Choose another person").click()
    window.choose(WHO)
    text = window.page.inner_text("main")
    assert "There is no plan yet" not in text
    assert re.search(r"From \d\d \w+ on: [\d,]+ to [\d,]+ kcal", text)
    assert "four times in five between" in text
    assert window.said == []
    window.page.get_by_role("button", name="Stop this plan").click()
    window.page.get_by_text("Saved. The plan is made with the next run.").wait_for()


def test_it_works_without_scripts(visit):
    window = visit(scripts=False)
    window.choose(WHO)
    window.page.get_by_label("Target weight").fill("75")
    window.page.get_by_role("button", name="Show 30 days").click()
    window.page.wait_for_load_state()
    assert window.page.get_by_label("Target weight").input_value() == "75"
