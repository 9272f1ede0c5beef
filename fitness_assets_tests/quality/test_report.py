"""The report as a browser shows it, and what it does with text from outside."""

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fitness_assets.quality.bounds import Bound, Diagnostic, said
from fitness_assets.quality.charts import bars, svg
from fitness_assets.quality.diagnostics import Finding, diagnose
from fitness_assets.quality.measures import Collected, Estimate
from fitness_assets.quality.report import report_page, summary
from fitness_assets.quality.sums import COARSE, DAY, DAY_CHANGE, LOG
from fitness_assets.quality.tables import LOOKS_GENERATED, METRICS, NOT_ENOUGH_DATA, PLAUSIBLE, SUSPICIOUS
from fitness_assets.quality.transforms import BIN_WIDTH
from fitness_assets.quality.verdicts import actions, advice, verdicts

EVIL = "<script>alert('x')</script>&\"17"

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
PROBE = """<script>addEventListener('load', () => { document.title = JSON.stringify({
  wide: document.documentElement.scrollWidth, view: innerWidth,
  charts: [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect())
    .filter(b => b.width > 200 && b.height > 90).length,
  type: Math.min(...[...document.querySelectorAll('svg text')].map(t => parseFloat(getComputedStyle(t).fontSize)
    * t.ownerSVGElement.getBoundingClientRect().width / t.ownerSVGElement.viewBox.baseVal.width)),
  tables: [...document.querySelectorAll('.table')].every(t => t.clientWidth === 0 || t.clientWidth <= innerWidth),
  ink: getComputedStyle(document.body).color, page: getComputedStyle(document.body).backgroundColor,
  axis: getComputedStyle(document.querySelector('svg text')).fill }); });</script>"""


def item(people: int, n: int) -> dict[str, float]:
    """Sums of people who do not differ and of days that know nothing of each other."""
    zero = dict.fromkeys(
        (
            *("a", "aa", "ab", "ac", "bias", "shift", "equal", "fine", "beyond", "beyond_coarse"),
            *("round", "between", "spread_people"),
        ),
        0,
    )
    total = {"people": people, "n": n, "nn": n * n / people, "x": 0.0, "xx": n, "x_means": people, "pairs": n}
    spread = {"b": n, "c": n, "bb": n, "cc": n, "bc": n, "paired_people": people, "repeated_people": people}
    return zero | total | spread | {"shifts": people, "shift_squares": people / 1_000, "span": n}


@pytest.fixture(scope="module")
def collected() -> Collected:
    """What could have been found in a generated file whose names are written to do harm."""
    bins = [
        {
            "key": str(day % 7),
            "item": name,
            "bin": at,
            "n": 100 - at,
            "x": at * width * 100.0,
            "xx": (at * width) ** 2 * 100,
        }
        for day in range(7)
        for name, width in BIN_WIDTH.items()
        for at in range(2 if name == "gender" else 9)
    ]
    averages = dict.fromkeys(METRICS, 5.0)
    upload = {"upload_id": "u", "uri": EVIL, "rows_read": 5_000, "rows_quarantined": 90, "people": 20}
    first = date(2024, 1, 1)
    return Collected(
        items={name: item(20, 5_000) for name in (*METRICS, DAY_CHANGE, LOG, "stress_level ~ sleep_hours")},
        named=[{"item": DAY_CHANGE, "list": "peak", "user_id": EVIL, "value": 9.0, "day": 19_800, "n": 9}],
        completeness=[{"share": 0.9, "people": 12}, {"share": 1.0, "people": 8}],
        before=bins,
        after=bins,
        uploads=[upload | {"first": first, "last": first}],
        copies=[{"user_id": EVIL, "other_id": "18", "days": 7, "first": first}],
        changing=0,
        months=[{"year": 2024, "month": m, "people": 20, "share_logged": 0.9, **averages} for m in (1, 2, 3)],
        rejected={"zero_steps": 40},
        quarantine_reasons={EVIL: 90},
        conclusions=[f"Nothing can be predicted about {EVIL}."],
        person={
            "user_id": EVIL,
            "n": 90,
            DAY: [19_723.0 + d for d in range(90)],
            **{name: [float(d % 5) for d in range(90)] for name in METRICS},
        },
    )


@pytest.fixture(scope="module")
def page(collected) -> str:
    return report_page(collected, diagnose(collected), "000001", {"silver/clean_days": "000002"})


def test_the_page_says_from_which_sources_days_come_if_there_are_devices(collected, page):
    assert "your days by source" not in page
    whole = dict.fromkeys(("fine", *COARSE), 0)
    of_steps = {"apple_health": {"n": 1_250} | whole, "csv": {"n": 7} | whole, "garmin": {"n": 3} | whole}
    mixed = replace(collected, by_kind={"steps": of_steps})
    said = report_page(mixed, diagnose(mixed), "000001", {})
    assert "apple health 1,250 (25%), garmin 3 (0%), csv 3,747 (75%)" in said
    assert "csv 5,000 (100%)" in said, "no device knows the other metrics"


class _Outside(HTMLParser):
    """Everything of a page that could fetch or run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "iframe", "object", "embed"):
            self.found.append((tag, ""))
        for name, value in attrs:
            fetches = name in ("src", "href", "xlink:href") and not (value or "").startswith(("#", "data:"))
            if fetches or name.startswith("on"):
                self.found.append((name, value or ""))


def test_the_page_needs_no_network_and_runs_nothing_that_a_name_says(page):
    assert _Outside(page).found == []
    assert "url(http" not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_the_page_says_the_verdict_first_and_names_people_and_days(page):
    text = re.sub(r"<(style|svg).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    order = ["Looks generated", "Do not use this data for decisions about people", "What to do first", "Nothing can be"]
    order += ["Measured on people, each metric", "The same rows as in the table quality/audit"]
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)
    assert "9.0 kg on 2024-03-18" in text
    assert "and 18: 7 days" in text
    assert "000002" in text


def test_every_metric_stands_beside_real_people_in_one_unit(page):
    number, other = r'<td class="number">(.*?)</td>', r'<td class="because">.*?</td><td class="quiet">(.*?)</td>'
    found = re.findall(number + number + other, page)
    assert len(found) == len(METRICS)
    for yours, real, source in found:
        assert yours == "not enough data" or not yours.startswith("-")
        assert real == "no reference" or real.split()[1] == (
            yours.split()[1] if yours[0].isdigit() else real.split()[1]
        )
        assert source


def test_an_action_names_what_it_concerns(collected, page):
    findings = diagnose(collected)
    for action in actions(findings):
        assert "{" not in action
        assert not re.search(r"th(is|ese two) metric", action)
    assert "Draw no trends and no forecasts from steps, heart rate, calories" in page
    assert "from that day on: user &lt;script&gt;" in page
    assert not any(EVIL in action for action in actions(findings, named=False))


def test_a_chart_that_would_show_nothing_is_left_out_and_a_sentence_says_so(collected, page):
    assert "Within 3 % of their mean, so without a chart: share logged, steps, heart rate" in page
    assert 'id="month-' not in page
    months = [row | {"steps": 100.0 * row["month"]} for row in collected.months]
    moving = replace(collected, months=months)
    assert 'id="month-steps-' in report_page(moving, diagnose(moving), "000001", {})


def test_no_share_is_negative_or_without_its_threshold(collected):
    shares = [f for f in diagnose(collected) if f.diagnostic.unit.startswith("share") and f.found]
    assert said(-0.001, shares[0].diagnostic.unit) == "0 %"
    assert any("% of variance (below 3.6 %: looks generated)" in v.text for v in verdicts(shares))


def test_the_contents_lead_to_what_is_there(page):
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert [name for name in re.findall(r'<a href="#([^"]+)"', page) if name not in ids] == []


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (LOOKS_GENERATED, "Do not use this data for decisions about people: 1 of the 1 metrics"),
        (SUSPICIOUS, "Use this data with care: look first into steps."),
        (PLAUSIBLE, "Nothing that was measured speaks against using this data."),
        (NOT_ENOUGH_DATA, "Conclude nothing from this data yet"),
    ],
)
def test_one_sentence_says_whether_to_use_the_data(verdict, sentence):
    value = {LOOKS_GENERATED: 0.0, SUSPICIOUS: 0.5, PLAUSIBLE: 0.9}.get(verdict)
    asked = Diagnostic("n", "t", "f", "u", "w", "s", "m", suspicious=Bound(low=0.6), generated=Bound(low=0.1))
    found = Finding(asked, "steps", "steps", None if value is None else Estimate(value, value, value))
    assert advice([found]).startswith(sentence)


def test_parts_of_charts_have_names_of_their_own(page):
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))
    assert set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', page)) <= set(names)
    assert not re.search(r"#0[1-6]0[1-6]0[1-6]", page), "a colour that the page cannot change"


@settings(max_examples=60)
@given(st.dictionaries(st.text(max_size=300), st.floats(0, 1e9), min_size=1, max_size=6))
@example({"the row has not as many cells as the header, or an open quote": 1.0})
@example({"$\\frac$": 1.0, "$": 2.0, "\0": 3.0, EVIL: 4.0})
def test_a_name_from_outside_can_be_drawn_whatever_it_is(values):
    drawn = svg(bars(values, "rows", percent=False), "rows", "rows")
    ElementTree.fromstring(drawn.replace("xlink:", ""))


class Skeleton(HTMLParser):
    """The tags of a page with the names of their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(" ".join([tag, *(name for name, _ in attrs)]))

    def handle_data(self, data):
        self.text += data


def told_of(name: str) -> Collected:
    """Everything that the data of people names, without pictures, which take long."""
    nobody = {"uri": name, "rows_read": 9, "rows_quarantined": 9, "people": 1, "first": None, "last": None}
    return Collected(
        items={name: item(20, 5_000) for name in (*METRICS, DAY_CHANGE, LOG)},
        named=[{"item": DAY_CHANGE, "list": "peak", "user_id": name, "value": 9.0, "day": 19_800, "n": 9}],
        completeness=[],
        before=[],
        after=[],
        uploads=[{"upload_id": "u", **nobody}],
        copies=[{"user_id": name, "other_id": name, "days": 7, "first": date(2024, 1, 1)}],
        changing=0,
        months=[],
        rejected={},
        quarantine_reasons={name: 9, "steps": 1},
        conclusions=[name],
    )


NO_PICTURES = {
    "sections": lambda c, findings: [],
    "between": lambda findings: None,
    "day_to_day": lambda findings: None,
}


@settings(max_examples=40)
@given(st.text(min_size=1, max_size=300))
@example(EVIL)
@example("{{ 1 }}{% endif %}</title><style>*{display:none}")
@example("`|\n\n# a\n[x](javascript:alert(1))<!--")
def test_text_of_the_data_is_text_on_the_page_and_is_not_in_the_summary(name):
    with patch.multiple("fitness_assets.quality.report", **dict[str, Any](NO_PICTURES)):
        plain, hostile = told_of("x"), told_of(name)
        page = Skeleton(report_page(hostile, diagnose(hostile), "000001", {}))
        assert page.tags == Skeleton(report_page(plain, diagnose(plain), "000001", {})).tags
        assert name.split("/")[-1].replace("\r\n", "\n").replace("\r", "\n") in page.text.replace("\r", "\n")
        assert summary(hostile, diagnose(hostile)) == summary(plain, diagnose(plain))


def test_the_summary_shows_the_verdicts_and_a_picture(collected):
    text = summary(collected, diagnose(collected))
    assert text.startswith("# Looks generated")
    assert "data:image/png;base64," in text
    assert EVIL not in text


def test_a_report_of_nothing_is_a_report():
    empty = Collected({}, [], [], [], [], [], [], 0, [], {}, {})
    assert "Not enough data" in report_page(empty, diagnose(empty), "000001", {})
    assert summary(empty, diagnose(empty)).startswith("# Not enough data")


def chromium(page: Path, folder: Path, width: int, scheme: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Open a page in a browser that has never been used and may not reach anything."""
    command = [
        *(CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
        *("--enable-logging=stderr", f"--blink-settings=preferredColorScheme={int(scheme == 'light')}"),
        *(f"--user-data-dir={folder / 'profile'}", f"--window-size={width},2000", *more, page.as_uri()),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def framed(page: str, folder: Path, width: int) -> Path:
    """The page in a frame of some width; a headless window is never narrower than 500 pixels."""
    (folder / "page.html").write_text(page.replace("</body>", f"{PROBE}</body>"))
    report = "document.title = frames[0].document.title"
    frame = folder / "frame.html"
    frame.write_text(
        f'<!DOCTYPE html><meta name="color-scheme" content="light dark"><body style="margin:0">'
        f'<iframe src="page.html" style="border:0;width:{width}px;height:2000px"></iframe>'
        f"<script>onload = () => setTimeout(() => {{ {report} }}, 200)</script>"
    )
    return frame


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_a_browser_draws_every_chart_without_an_error(page, tmp_path, width, scheme):
    import json
    from html import unescape

    frame = framed(page, tmp_path, width)
    shown = chromium(
        frame,
        tmp_path,
        max(width, 500),
        scheme,
        "--allow-file-access-from-files",
        "--virtual-time-budget=3000",
        "--dump-dom",
    )
    assert not [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    found = json.loads(unescape(re.findall(r"<title>(.*?)</title>", shown.stdout)[0]))
    assert found["view"] == width
    assert found["wide"] <= width, "nothing makes a reader scroll sideways"
    assert found["charts"] == page.count("<svg")
    assert found["type"] >= 11, "the type of the charts is large enough"
    assert found["tables"]
    brightness = {name: sum(map(int, re.findall(r"\d+", found[name])[:3])) for name in ("ink", "page", "axis")}
    assert (brightness["page"] > brightness["ink"]) == (scheme == "light")
    assert abs(brightness["axis"] - brightness["page"]) > 150, "the type of the charts can be read"
