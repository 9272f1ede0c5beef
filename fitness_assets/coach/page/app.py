"""The application: choose a person, look at 90 days, state a goal, see 30 days ahead, accept, see progress."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fitness_assets.coach import constants as c
from fitness_assets.coach.goals import Goal, sentences
from fitness_assets.coach.guardrails import DISCLAIMER
from fitness_assets.coach.page.charts import chart
from fitness_assets.coach.page.forecast import (
    ABOUT,
    STATED,
    Forecast,
    forecast,
    forecast_series,
    history_series,
    kilograms,
    last_week,
    own_mean,
    progress_series,
)
from fitness_assets.coach.page.goal_files import save
from fitness_assets.coach.page.guard import FormError, form_of
from fitness_assets.coach.page.lake_view import LakeView, Situation, state_of
from fitness_assets.coach.tables import MODEL, PLANNED, REFUSED
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError

_HERE = Path(__file__).parent
_SLIDERS = ("target_steps", "intake_kcal", "target_sleep_hours")
_PART = "x-part"
"""Header of a request that wants the forecast only, not the whole page."""


def make_app(lake: Lake, goals: str) -> Starlette:
    """The application, without what `guard.Guard` adds.

    Args:
        lake: where tables are read.
        goals: folder or S3 prefix of goals.
    """
    pages = Pages(LakeView(lake), goals)
    return Starlette(
        routes=[
            Route("/", pages.people),
            Route("/person", pages.person),
            Route("/forecast", pages.forecast, methods=["POST"]),
            Route("/accept", pages.accept, methods=["POST"]),
            Route("/stop", pages.stop, methods=["POST"]),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ],
        exception_handlers={
            404: lambda request, error: pages.message(request, "There is no such page.", 404),
            ValidationError: pages.invalid,
            FormError: lambda request, error: pages.message(request, str(error), 400),
            LakeError: lambda request, error: pages.message(request, str(error), 503),
            OSError: lambda request, error: pages.message(request, str(error), 503),
        },
    )


class Pages:
    """One method for each address.

    Args:
        view: reads the lake.
        goals: where accepted goals are written.
    """

    def __init__(self, view: LakeView, goals: str) -> None:
        self._view, self._goals = view, goals
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(chart=chart, disclaimer=DISCLAIMER, kilograms=kilograms, c=c)

    async def people(self, request: Request) -> Response:
        """Choose a person."""
        found = await run_in_threadpool(self._view.people)
        return self._page(request, "people.html.j2", people=found)

    async def person(self, request: Request) -> Response:
        """One person's days, goal, plan and progress."""
        user_id = request.query_params.get("id", "")
        situation = await run_in_threadpool(self._view.situation, user_id)
        if situation is None:
            return self.message(request, f"Nobody with the id “{user_id[:100]}” has logged a day.", 404)
        form = _defaults(situation)
        return await self._person(request, situation, form, saved="saved" in request.query_params)

    async def forecast(self, request: Request) -> Response:
        """The next 30 days for the fields of the form: alone for the sliders, or with the page around it."""
        form, situation = await self._form(request)
        if _PART in request.headers:
            found = await run_in_threadpool(forecast, form, situation)
            return self._page(request, "forecast.html.j2", **_shown(found, situation))
        return await self._person(request, situation, form)

    async def accept(self, request: Request) -> Response:
        """Write the goal, if it leads to a plan; a stated pregnancy is written too, because it ends the plan."""
        form, situation = await self._form(request)
        found = await run_in_threadpool(forecast, form, situation)
        if found.goal is None or (found.refusal and not found.goal.pregnant):
            return await self._person(request, situation, form)
        return await self._save(found.goal)

    async def stop(self, request: Request) -> Response:
        """Write a goal that ends the plan."""
        _, situation = await self._form(request)
        return await self._save(Goal(user_id=situation.user_id, start=situation.start, stop=True))

    def message(self, request: Request, text: str, status: int) -> Response:
        """A page with a sentence."""
        return self._page(request, "message.html.j2", status, text=text)

    async def invalid(self, request: Request, error: Exception) -> Response:
        """A page that says what is wrong with a goal."""
        assert isinstance(error, ValidationError)  # noqa: S101, the only one that comes here
        return self.message(request, " ".join(sentences(error)), 400)

    async def _form(self, request: Request) -> tuple[dict[str, str], Situation]:
        form = await form_of(request)
        situation = await run_in_threadpool(self._view.situation, form.get("user_id", ""))
        if situation is None:
            raise FormError("Nobody with this id has logged a day.")
        return form, situation

    async def _save(self, goal: Goal) -> Response:
        await run_in_threadpool(save, self._goals, goal)
        return RedirectResponse(f"/person?{urlencode({'id': goal.user_id, 'saved': 1})}", 303)

    async def _person(
        self, request: Request, situation: Situation, form: dict[str, str], saved: bool = False
    ) -> Response:
        found = await run_in_threadpool(forecast, form, situation)
        sliders = {name: value for name, value in _defaults(situation).items() if name in _SLIDERS}
        return self._page(
            request,
            "person.html.j2",
            situation=situation,
            form=sliders | form,
            saved=saved,
            state=state_of(situation),
            PLANNED=PLANNED,
            REFUSED=REFUSED,
            MODEL=MODEL,
            last_week=last_week(situation),
            usual_steps=own_mean(situation, "steps"),
            usual_sleep=own_mean(situation, "sleep_hours"),
            histories=[
                history_series(situation, "weight_kg", "Weight", "kg"),
                history_series(situation, "steps", "Steps", "steps"),
                history_series(situation, "sleep_hours", "Sleep", "h"),
            ],
            progress=progress_series(situation) if situation.progress else None,
            **_shown(found, situation),
        )

    def _page(self, request: Request, name: str, status: int = 200, **values: Any) -> Response:
        text = self._templates.get_template(name).render(form_token=request.app.state.form_token, **values)
        return HTMLResponse(text, status)


def _shown(found: Forecast, situation: Situation) -> dict[str, Any]:
    """What the part of the page with the forecast shows."""
    ahead = forecast_series(found.plan, situation) if found.plan else None
    return {"forecast": found, "ahead": ahead, "conclusions": situation.conclusions}


def _defaults(situation: Situation) -> dict[str, str]:
    """The values with which the form opens: those of the goal that was read last, even if it was refused.

    Fields that this goal does not state get a gentle default. A goal that ended the plan gives only the fields about
    the person.
    """
    steps, sleep = own_mean(situation, "steps") or 6_000, own_mean(situation, "sleep_hours") or c.ENOUGH_SLEEP
    form = {
        "target_steps": f"{round(max(min(steps + 3 * c.STEPS_A_WEEK, c.ENOUGH_STEPS), steps), -2):.0f}",
        "target_sleep_hours": f"{round(min(max(sleep, c.ENOUGH_SLEEP), c.LONG_SLEEP) * 4) / 4:g}",
        "intake_kcal": "2000",
    }
    goal = situation.goal or {}
    kept = {name: goal[name] for name in (ABOUT if goal.get("stop") else STATED) if goal.get(name) is not None}
    form |= {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in kept.items()}
    if "intake_kcal" in kept:
        form["own_intake"] = "1"
    if goal.get("pregnant"):
        form["pregnant"] = "1"
    if "own_intake" not in form and (plan := forecast(form, situation).plan):
        form["intake_kcal"] = f"{(plan[0]['intake_low_kcal'] + plan[0]['intake_high_kcal']) / 2:.0f}"
    return form
