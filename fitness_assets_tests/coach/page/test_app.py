"""The page: who may use it, what it shows, what it writes, and what text from outside does to it."""

import json
import re
import socket
import time
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from fitness_assets.cli import main
from fitness_assets.coach.goals import LARGEST_FILE, read_goals
from fitness_assets.coach.page.app import make_app
from fitness_assets.coach.page.guard import COOKIE, LARGEST_FORM, Guard
from fitness_assets.coach.tables import PLANS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.s3 import S3Store
from fitness_assets_tests.coach.page.lakes import a_lake
from fitness_assets_tests.coach.test_transforms import LAST, a_goal, a_person

PORT = 8_765
EVIL = "<script>alert('x')</script>&\"'"
PEOPLE = [
    a_person("17"),
    a_person("other-one", seed=2),
    a_person("minor", age=None),
    a_person(EVIL),
    a_person("../../x y"),
]
FIELDS = {"target_weight_kg": "74", "target_steps": "9000", "target_sleep_hours": "7.5", "intake_kcal": "2000"}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def lake(root):
    return a_lake(LocalStore(root), PEOPLE, [a_goal("other-one", start=LAST - timedelta(27))])


@pytest.fixture
def goals(root) -> Path:
    """Where accepted goals go; empty."""
    folder = root / "raw" / "goals"
    for path in folder.glob("*"):
        path.unlink()
    return folder


@pytest.fixture
def guard(lake, goals) -> Guard:
    return Guard(make_app(lake, str(goals)), PORT)


@pytest.fixture
def stranger(guard) -> TestClient:
    """A browser without a session."""
    return TestClient(guard, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False)


@pytest.fixture
def browser(guard, stranger) -> TestClient:
    """A browser that opened the address which the command printed."""
    assert stranger.get(f"/?token={guard.token}").status_code == 303
    return stranger


def send(browser, guard, address="/accept", user_id="17", **fields):
    form = {"form_token": guard.form_token, "user_id": user_id} | FIELDS | fields
    return browser.post(address, data={name: value for name, value in form.items() if value is not None})


def text_of(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]+>", " ", answer.text, flags=re.DOTALL))


def test_only_the_browser_with_the_token_sees_anything(guard, stranger):
    for address in ("/", "/person?id=17", "/static/page.js", "/?token=wrong", "/?token="):
        answer = stranger.get(address)
        assert answer.status_code == 403
        assert "17" not in answer.text
    assert stranger.post("/accept", data=FIELDS).status_code == 403
    assert stranger.get(f"/?token={guard.token}").headers["location"] == "/"
    cookie = stranger.get(f"/?token={guard.token}").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert stranger.get("/").status_code == 200
    stranger.cookies.set(COOKIE, "é")
    assert stranger.get("/", headers={"cookie": f"{COOKIE}=guess"}).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", f"evil.example:{PORT}", "", f"[::1]:{PORT}"])
def test_another_host_name_is_refused(browser, host):
    assert browser.get("/", headers={"host": host}).status_code == 421


def test_localhost_is_this_machine(browser, guard):
    cookie = browser.cookies[COOKIE]
    answer = browser.get("/", headers={"host": f"localhost:{PORT}", "cookie": f"{COOKIE}={cookie}"})
    assert answer.status_code == 200


def test_forms_of_other_pages_are_refused(browser, guard, goals):
    assert send(browser, guard, form_token="guess").status_code == 400
    assert send(browser, guard, form_token=None).status_code == 400
    form = {"form_token": guard.form_token, "user_id": "17"} | FIELDS
    evil = browser.post("/accept", data=form, headers={"origin": "http://evil.example"})
    assert evil.status_code == 403
    assert browser.post("/accept", content=b"x" * (LARGEST_FORM + 1)).status_code == 400
    assert browser.post("/accept", content=b"\xff=%ff&" * 60).status_code == 400
    assert browser.get("/accept").status_code == 405
    assert browser.put("/accept").status_code == 405
    assert not goals.exists() or not [*goals.iterdir()]


def test_every_answer_says_what_a_browser_may_do(browser):
    for address in ("/", "/person?id=17", "/static/page.css", "/nothing", "/?token=wrong"):
        headers = browser.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"


def test_the_page_fetches_nothing_from_elsewhere_and_has_nothing_inline(browser):
    page = browser.get("/person?id=other-one").text
    found = re.findall(r'(?:src|href|action|formaction)="([^"]*)"', page)
    assert {address.split("?")[0] for address in found} <= {
        "/",
        "/accept",
        "/stop",
        "/forecast",
        "/static/page.css",
        "/static/page.js",
        "#main",
        "data:,",
    }
    assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=", page)


def test_a_person_is_chosen_and_nobody_else_is_seen(browser):
    assert "other-one" in browser.get("/").text
    mine = text_of(browser.get("/person?id=17"))
    assert "There is no plan yet" in mine
    assert "Not medical advice" in mine
    assert "other-one" not in mine
    assert browser.get("/person?id=nobody").status_code == 404
    assert browser.get("/person").status_code == 404


def test_progress_and_adaptations_are_shown(browser):
    page = text_of(browser.get("/person?id=other-one"))
    assert "Day 28." in page
    assert "How the plan was adapted" in page
    assert "weights since 2024-" in page
    assert "Stop this plan" in page


def test_the_sliders_show_what_the_asset_would_plan(browser, guard, tmp_path):
    """Model, plan and page are one code: the numbers of the page are those of coach/plans."""
    part = browser.post(
        "/forecast", data={"form_token": guard.form_token, "user_id": "17"} | FIELDS, headers={"x-part": "1"}
    )
    assert part.status_code == 200
    assert "<html" not in part.text
    goal = a_goal("17", target_weight_kg=74, target_steps=9_000, target_sleep_hours=7.5)
    plans = a_lake(LocalStore(tmp_path), PEOPLE, [goal]).rows(PLANS)
    last = next(row for row in plans if row["plan_day"] == 30)
    shown = text_of(part)
    assert f"{last['predicted_weight_kg']:.1f} kg on {last['date']:%d %B %Y}" in shown
    assert f"between {last['weight_kg_lower']:.1f} and {last['weight_kg_upper']:.1f} kg" in shown
    assert "No effect of this plan on sleep is claimed" in shown
    assert "No effect of this plan on stress is claimed" in shown


def test_a_slider_changes_the_forecast_within_100_ms(browser, guard):
    send(browser, guard, "/forecast")
    seen, took = set(), []
    for kcal in range(1_700, 2_400, 70):
        started = time.perf_counter()
        form = {"form_token": guard.form_token, "user_id": "17", "own_intake": "1"} | FIELDS
        answer = browser.post("/forecast", data=form | {"intake_kcal": str(kcal)}, headers={"x-part": "1"})
        took.append(time.perf_counter() - started)
        seen.add(re.findall(r"([\d.]+) kg on", text_of(answer))[0])
    assert len(seen) > 5
    assert min(took) < 0.1, "the others may have waited for other tests"


def test_without_scripts_the_button_shows_the_whole_page(browser, guard):
    answer = send(browser, guard, "/forecast", own_intake="1", intake_kcal="1800", notes=EVIL)
    assert "<html" in answer.text
    assert 'value="1800"' in answer.text
    assert "checked" in answer.text
    assert EVIL not in answer.text


def test_an_accepted_plan_is_one_new_file_that_the_coach_reads(browser, guard, goals, root):
    before = {path for path in root.rglob("*") if path.is_file()}
    answer = send(browser, guard, notes="slowly", pace_kg_per_week="0.3", own_intake=None)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/person?id=17&saved=1"
    (path,) = {path for path in root.rglob("*") if path.is_file()} - before
    assert path.parent == goals
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{8}\.json", path.name)
    (entry,) = read_goals(path, path.name)
    assert entry.goal
    assert entry.goal.model_dump(exclude_none=True, exclude_defaults=True) == {
        "user_id": "17",
        "start": LAST + timedelta(1),
        "target_weight_kg": 74.0,
        "pace_kg_per_week": 0.3,
        "target_steps": 9_000,
        "target_sleep_hours": 7.5,
        "notes": "slowly",
    }
    assert "Saved. The plan is made with the next run." in browser.get(answer.headers["location"]).text


def test_a_lake_in_a_bucket_is_shown_and_gets_the_accepted_plan(bucket):
    guard = Guard(make_app(a_lake(S3Store(bucket, {}), PEOPLE[:1]), bucket.uri("raw/goals")), PORT)
    browser = TestClient(guard, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False)
    browser.get(f"/?token={guard.token}")
    assert "17" in browser.get("/person?id=17").text
    assert send(browser, guard).status_code == 303
    (accepted,) = bucket.list("raw/goals/")
    assert json.loads(bucket.get(accepted.key))["target_steps"] == 9_000


@pytest.mark.parametrize("user_id", [EVIL, "../../x y"])
def test_ids_from_outside_break_neither_the_page_nor_the_folder(browser, guard, goals, root, user_id):
    page = browser.get(f"/person?{urlencode({'id': user_id})}")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    answer = send(browser, guard, user_id=user_id)
    assert answer.status_code == 303
    (path,) = goals.iterdir()
    assert json.loads(path.read_text())["user_id"] == user_id
    assert browser.get(answer.headers["location"]).status_code == 200


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"user_id": "minor"}, "The age is not known"),
        ({"user_id": "minor", "age": "12"}, "adults only"),
        ({"target_weight_kg": "52"}, "below 18.5"),
        ({"pace_kg_per_week": "1.2"}, "faster than 1 % of body weight a week"),
        ({"own_intake": "1", "intake_kcal": "1200"}, "lowest safe intake"),
        ({"target_weight_kg": "x"}, "target_weight_kg: Input should be a valid number"),
        ({"target_steps": "1e99"}, "target_steps: "),
        ({"sex": "x"}, "sex: Input should be"),
    ],
)
def test_a_refused_goal_is_said_and_not_written(browser, guard, goals, fields, sentence):
    answer = send(browser, guard, **fields)
    assert answer.status_code == 200
    assert "No plan." in answer.text
    assert sentence in text_of(answer)
    assert not goals.exists() or not [*goals.iterdir()]


def as_it_opens(page: str) -> dict[str, str]:
    """The fields of the goal's form with the values that the page gives them, as a browser sends them."""
    form = page[page.index('<form id="goal"') :].split("</form>")[0]
    fields = {}
    for tag in re.findall(r"<input [^>]+>", form):
        if 'type="checkbox"' not in tag or " checked" in tag:
            fields |= {re.findall('name="([^"]*)"', tag)[0]: unescape(re.findall(' value="([^"]*)"', tag)[0])}
    return fields


STATED = {"target_weight_kg": 74, "target_exercise_minutes": 45, "max_steps": 8_000, "min_intake_kcal": 2_100}


@pytest.mark.parametrize(
    ("goal", "kept", "sentence"),
    [
        ({"pregnant": True}, {"pregnant": "1"}, "no plans in pregnancy"),
        ({"age": 16, "target_weight_kg": 74.5}, {"age": "16", "target_weight_kg": "74.5"}, "for adults only"),
        (STATED, {name: str(value) for name, value in STATED.items()}, None),
        ({"stop": True, **STATED}, {"max_steps": "8000", "min_intake_kcal": "2100", "target_weight_kg": ""}, None),
    ],
)
def test_the_form_opens_with_the_goal_that_was_read_last(tmp_path, goal, kept, sentence):
    lake = a_lake(LocalStore(tmp_path), PEOPLE[:1], [a_goal(**goal)])
    guard = Guard(make_app(lake, str(tmp_path / "goals")), PORT)
    browser = TestClient(guard, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False)
    browser.get(f"/?token={guard.token}")
    page = browser.get("/person?id=17")
    form = as_it_opens(page.text)
    assert {name: form.get(name) for name in kept} == kept
    assert ("kg on" in text_of(page)) == (sentence is None)
    if sentence:
        assert text_of(page).count(sentence) == 2, "of the goal and of the next 30 days"
    browser.post("/accept", data=form)
    for path in (tmp_path / "goals").glob("*"):
        (entry,) = read_goals(path, path.name)
        assert entry.goal
        assert {name: f"{float(getattr(entry.goal, name)):g}" for name in kept if kept[name]} == {
            name: value for name, value in kept.items() if value
        }


def test_what_may_be_concluded_and_the_last_week_are_shown(browser):
    page = text_of(browser.get("/person?id=other-one"))
    assert page.count("The model says nothing.") == 2, "of sleep and of stress"
    assert re.search(
        r"The last week, on average: [\d,]+ steps of walking \(planned: [\d,]+\); 30 min of exercise", page
    )
    assert "Share of the planned change of steps that was walked: about" in page


def test_a_stated_pregnancy_is_written_because_it_ends_the_plan(browser, guard, goals):
    assert send(browser, guard, user_id="other-one", pregnant="1").status_code == 303
    (path,) = goals.iterdir()
    assert json.loads(path.read_text())["pregnant"] is True


def test_a_plan_is_stopped(browser, guard, goals):
    assert send(browser, guard, "/stop", user_id="other-one").status_code == 303
    (path,) = goals.iterdir()
    assert json.loads(path.read_text())["stop"] is True
    assert path.stat().st_size < LARGEST_FILE


def test_a_lake_without_tables_and_a_full_disk_are_one_sentence(tmp_path, lake):
    empty = Lake(LocalStore(tmp_path / "empty"), lambda: None)  # type: ignore[arg-type, return-value]
    (tmp_path / "file").write_text("in the way")
    for where, goals_at, address in ((empty, tmp_path, "/"), (lake, tmp_path / "file" / "goals", "/accept")):
        guard = Guard(make_app(where, str(goals_at)), PORT)
        client = TestClient(guard, base_url=f"http://127.0.0.1:{PORT}", raise_server_exceptions=False)
        client.get(f"/?token={guard.token}")
        answer = client.get("/") if address == "/" else send(client, guard)
        assert answer.status_code == 503
        assert "Traceback" not in answer.text
        assert 'role="alert"' in answer.text


def test_a_port_that_is_in_use_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["coach", "--port", str(port)])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: Port {port} cannot be used (")
    assert result.output.endswith("choose another one with --port.\n")
