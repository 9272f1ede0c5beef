"""The predictions step: it learns from days of complete months, evaluates the models, and scores the days of gold.

Where logs are long, the models are a function of complete months alone. So a day of the current month changes no model,
and the step scores only the months that this day has a part in. `_why_fit` says when models are fitted again. Each
version compares the newest month with the days that the models learned from.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zipfile import ZIP_DEFLATED

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.engine.changes import Changes, Inputs, code_version
from fitness_assets.engine.duckdb_reader import Opened, reader
from fitness_assets.engine.expressions import of_months
from fitness_assets.engine.layer_step import LayerStep, StepRun, stage, write
from fitness_assets.gold.tables import FACT_DAILY, MONTHLY_SUMS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.predictions import transforms
from fitness_assets.predictions.drift import HEADING, Drift, compare, concluded, input_drift, newest_days, section
from fitness_assets.predictions.stored_scoring import NAME, Scoring, stored_scoring
from fitness_assets.predictions.tables import FACT_PREDICTIONS, HORIZON_DAYS, MODELS, TABLES, TARGETS, conclusion_of
from fitness_assets.schema.months import first_day, last_day, month_of

_CODE = ("predictions", "gold", "silver", "schema", "engine.expressions")
LONG_DAYS = 300
"""Where logs span so many days, models learn from complete months alone; where they span fewer, from every day."""
_CARD = "card.md"
_SINCE = "\n---\n\n"  # before what a card says about later versions


@dataclass(frozen=True)
class Learnable:
    """What models can learn from.

    Attributes:
        until: the last day: the end of the last complete month; where logs are short, the last day of all.
        rows: how many days there are until then.
        people: whose they are.
    """

    until: date | None
    rows: int
    people: int

    def known(self, months: Iterable[str]) -> set[str]:
        """Of some months, those that models learn from."""
        return {month for month in months if self.until and month <= month_of(self.until)}


def prediction_step(training_rows: int, audited: Callable[[Lake], str]) -> LayerStep:
    """The step that makes this layer.

    Args:
        training_rows: about how many days the models learn from and are tested on; every day is scored.
        audited: says what the data is worth, as of the last audit; the cards quote it.
    """

    def make(step_run: StepRun, inputs: Inputs, changes: Changes) -> Staging:
        lake = step_run.lake
        learnable = _learnable(lake, inputs[MONTHLY_SUMS.key])
        changed = changes.months(lake, FACT_DAILY, inputs)
        kept = stored_scoring(lake, changes.base.version) if changes.base and changed is not None else None
        months = None
        if kept and (why := _why_fit(kept, learnable, changed or ())):
            step_run.log.info(f"models are fitted again: {why}")
            kept = None
        now, drifts = None, dict[str, Drift]()
        if kept:
            now, drifts = _compare(lake, kept, inputs[FACT_DAILY.key])
            if now.constants == kept.constants:
                known = {*lake.metadata(FACT_DAILY, inputs[FACT_DAILY.key]).parts, *(changed or ())}
                months = _affected(changed or (), known)
            else:
                step_run.log.info("every day is scored anew: what may be concluded from the predictions changed")

        def write_all(staging: Staging) -> Collection[str] | None:
            if now:
                step_run.log.info(f"models of version {now.version} stay: no day until {now.learned_until} changed")
                _keep_models(lake, staging, now, drifts)
                _score(lake, staging, inputs, now, months)
            else:
                _fit(step_run, staging, inputs, learnable, training_rows, audited)
            return months

        return stage(step_run, step, inputs, changes, write_all)

    made_from = {FACT_PREDICTIONS.key: [FACT_DAILY, MONTHLY_SUMS, *MODELS.values()]}
    step = LayerStep(TABLES, [FACT_DAILY, MONTHLY_SUMS], make, f"{code_version(*_CODE)}-{training_rows}", made_from)
    return step


def _learnable(lake: Lake, version: str) -> Learnable:
    with reader(lake.store, [Opened(MONTHLY_SUMS, version)]) as tables:
        ((first, last),) = tables.sql("SELECT min(first_date), max(last_date) FROM monthly_sums").fetchall()
        if last is None:
            return Learnable(None, 0, 0)
        until = learn_until(first, last)
        counts = "SELECT sum(days_logged)::BIGINT, count(DISTINCT user_id) FROM monthly_sums WHERE last_date <= ?"
        ((rows, people),) = tables.execute(counts, [until]).fetchall()
    return Learnable(until, rows, people)


def learn_until(first: date, last: date) -> date:
    """The last day that models know, of logs from ``first`` to ``last``."""
    month = month_of(last)
    is_all = (last - first).days < LONG_DAYS or last == last_day(month)
    return last if is_all else first_day(month) - timedelta(1)


def _why_fit(kept: Scoring, learnable: Learnable, changed: Collection[str]) -> str:
    """Why the models have to be fitted again; empty if they need not."""
    until = str(learnable.until or "")
    if kept.learned_until != until:
        return f"models can learn from the days until {until}"
    if learned := learnable.known(changed):
        return f"days of {', '.join(sorted(learned))} changed"
    return ""


def _compare(lake: Lake, kept: Scoring, version: str) -> tuple[Scoring, dict[str, Drift]]:
    """How far the newest month of a version of the days is from what kept models learned, and what they say now."""
    if not kept.learned:
        return kept, {}
    newest = newest_days(lake, version)
    inputs = input_drift(kept.ranges, newest)
    drifts = {
        target.name: compare(target, kept.learned[target.name], inputs, newest, newest.dropna(subset=target.actual))
        for target in TARGETS
        if target.name in kept.learned
    }
    said = {conclusion_of(name): concluded(kept.learned[name].finding, drift) for name, drift in drifts.items()}
    return replace(kept, constants=dict(kept.constants) | said), drifts


def _affected(changed: Collection[str], known: Collection[str]) -> set[str]:
    """The months whose predictions are made anew.

    What comes true is looked for `HORIZON_DAYS` ahead, and the means of all days so far know every earlier day.
    """
    if not changed:
        return set()
    first = month_of(first_day(min(changed)) - timedelta(HORIZON_DAYS))
    return {month for month in known if month and month >= first}


def _fit(
    step_run: StepRun,
    staging: Staging,
    inputs: Inputs,
    learnable: Learnable,
    training_rows: int,
    audited: Callable[[Lake], str],
) -> None:
    """Fit and evaluate the models, and score every day."""
    lake, version = step_run.lake, inputs[FACT_DAILY.key]
    parts, until = lake.metadata(FACT_DAILY, version).parts, str(learnable.until or "")
    complete = lake.read(FACT_DAILY, version, learnable.known(parts))
    chosen = transforms.sampled_features(complete, learnable.rows, learnable.people, training_rows)
    with ThreadPoolExecutor(len(TABLES)) as pool:  # the engine and scikit-learn work side by side
        collected = pool.submit(chosen.toArrow)
        # The import takes a second, which a process that only loads the graph does not need.
        from fitness_assets.predictions.models import evaluate
        from fitness_assets.predictions.rounds import last_training_day
        from fitness_assets.predictions.scoring import scoring

        # Sorted, because engines return rows in any order, and the same days have to give the same models.
        days = collected.result().sort_by([("user_id", "ascending"), (transforms.DAY, "ascending")]).to_pandas()
        step_run.log.info(f"learning from {len(days):,} of {learnable.rows:,} days until {until}")
        train_until = last_training_day(days)
        newest = newest_days(lake, version)
        evaluations = []
        for target in TARGETS:
            done = evaluate(target, days, train_until, newest)
            evaluations.append(done)
            step_run.log.info(f"{target.name}: {done.verdict}, predicted by {done.predictor or 'nobody'}")
        made_from, of_data = {FACT_DAILY.key: version}, audited(lake)
        written = [pool.submit(_write_model, staging, done, made_from, of_data) for done in evaluations]
        _score(lake, staging, inputs, scoring(evaluations, staging.version, train_until, until), None)
        for each in written:
            each.result()


def _score(lake: Lake, staging: Staging, inputs: Inputs, scoring: Scoring, months: Collection[str] | None) -> None:
    """Score the days of some months, or of all."""
    every_day = _features(lake, inputs, months)
    scored = transforms.fact_predictions(scoring.score(every_day), scoring.train_until)
    write(staging, FACT_PREDICTIONS, of_months(scored, months), months)
    staging.attach(FACT_PREDICTIONS, NAME, scoring.to_json().encode())


def _features(lake: Lake, inputs: Inputs, months: Collection[str] | None) -> DataFrame:
    facts, version = inputs[FACT_DAILY.key], inputs[MONTHLY_SUMS.key]
    if not months:
        return transforms.features(lake.read(FACT_DAILY, facts, months))
    first = month_of(first_day(min(months)) - timedelta(transforms.LOOK_BACK_DAYS))
    days = lake.read(FACT_DAILY, facts, {month for month in lake.metadata(FACT_DAILY, facts).parts if month >= first})
    is_earlier = (F.col("year") * 100 + F.col("month")) < int(first.replace("-", ""))
    return transforms.features(days, lake.read(MONTHLY_SUMS, version).where(is_earlier))


def _keep_models(lake: Lake, staging: Staging, kept: Scoring, drifts: Mapping[str, Drift]) -> None:
    """Take over the fitted models of the parent version, and its tables and cards but for what changed since."""
    parent = staging.parent or ""
    today, until = datetime.now(UTC).date().isoformat(), kept.learned_until
    complete = ", the last complete month," if until and until == str(last_day(until[:7])) else ""
    for target in TARGETS:
        table, drift = MODELS[target.name], drifts.get(target.name)
        before = conclusion = kept.constants[conclusion_of(target.name)]
        if drift:
            rows = lake.rows(table, parent)
            before, new = rows[0]["conclusion"], {row["measure"]: row for row in drift.measures}
            rows = [row | new.get(row["measure"], {}) | {"conclusion": conclusion} for row in rows]
            staging.write_rows(table, rows)
        else:
            staging.write(table, None, ())
        for name in lake.attachments(table, parent):
            content, what = lake.store.read_sidecar(table, name), name.removeprefix(f"{parent}.")
            if what == _CARD:
                fitted = content.decode().partition(_SINCE)[0].partition(HEADING)[0]
                fitted = fitted.replace(before or "", conclusion or "")
                since = (
                    f"Fitted in version {kept.version}. Version {staging.version} ({today}) uses it unchanged: the "
                    f"days until {until}{complete} are the same as then.\n"
                )
                content = f"{fitted}{section(drift) if drift else ''}{_SINCE}{since}".encode()
            staging.attach(table, what, content)


def _write_model(staging: Staging, evaluation: Any, made_from: dict[str, str], of_data: str) -> None:
    """Write the measures of one model, with the fitted model and its card as sidecar files."""
    import skops.io

    from fitness_assets.predictions.cards import card
    from fitness_assets.predictions.tables import MODEL

    table = MODELS[evaluation.target.name]
    if evaluation.estimators:
        model = skops.io.dumps(evaluation.estimators[MODEL], compression=ZIP_DEFLATED)  # a fifteenth of the size
        staging.attach(table, "model.skops", model)
    staging.attach(table, _CARD, card(evaluation, staging.version, made_from, of_data).encode())
    every = {"verdict": evaluation.verdict, "conclusion": evaluation.conclusion}
    rows = [measure | every for measure in evaluation.measures]
    staging.write_rows(table, rows)
