"""The predictions step: it learns from a sample of days, evaluates the models, and scores every day of gold."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fitness_assets.engine.layer_step import Frames, LayerStep, StepRun, stage, write
from fitness_assets.gold.tables import DIM_USER, FACT_DAILY
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.predictions import transforms
from fitness_assets.predictions.tables import FACT_PREDICTIONS, MODELS, TABLES, TARGETS


def prediction_step(training_rows: int, audited: Callable[[Lake], str]) -> LayerStep:
    """The step that makes this layer.

    Args:
        training_rows: about how many days the models learn from and are tested on; every day is scored.
        audited: says what the data is worth, as of the last audit; the cards quote it.
    """

    def make(step_run: StepRun, sources: Frames) -> Staging:
        return stage(
            step_run, TABLES, sources, lambda staging: _write(step_run, staging, sources, training_rows, audited)
        )

    made_from = {FACT_PREDICTIONS.key: [FACT_DAILY, *MODELS.values()]}
    return LayerStep(TABLES, [FACT_DAILY], make, made_from)


def _write(
    step_run: StepRun, staging: Staging, sources: Frames, training_rows: int, audited: Callable[[Lake], str]
) -> None:
    fact_daily, made_from = sources[FACT_DAILY.key], staging.metadata[FACT_PREDICTIONS.key].inputs
    rows, people = (step_run.lake.metadata(table, made_from[FACT_DAILY.key]).rows for table in (FACT_DAILY, DIM_USER))
    chosen = transforms.sampled_features(fact_daily, rows, people, training_rows)
    with ThreadPoolExecutor(len(TABLES)) as pool:  # the engine and scikit-learn work side by side
        collected = pool.submit(chosen.toArrow)
        # The import takes a second, which a process that only loads the graph does not need.
        from fitness_assets.predictions.models import evaluate
        from fitness_assets.predictions.rounds import last_training_day
        from fitness_assets.predictions.scoring import score

        every_day = transforms.features(fact_daily)  # planning so many columns takes half a second, too

        # Sorted, because engines return rows in any order, and the same days have to give the same models.
        days = collected.result().sort_by([("user_id", "ascending"), (transforms.DAY, "ascending")]).to_pandas()
        step_run.log.info(f"learning from {len(days):,} of {rows:,} days")
        train_until = last_training_day(days)
        evaluations = []
        for target in TARGETS:
            done = evaluate(target, days, train_until)
            evaluations.append(done)
            step_run.log.info(f"{target.name}: {done.verdict}, predicted by {done.predictor or 'nobody'}")
        scored = transforms.fact_predictions(score(every_day, evaluations, staging.version), train_until)
        of_data = audited(step_run.lake)
        written = [pool.submit(_keep, staging, done, made_from, of_data) for done in evaluations]
        write(staging, FACT_PREDICTIONS, scored)
        for each in written:
            each.result()


def _keep(staging: Staging, evaluation: Any, made_from: dict[str, str], of_data: str) -> None:
    """Write the measures of one model, with the fitted model and its card as sidecar files."""
    import skops.io

    from fitness_assets.predictions.cards import card
    from fitness_assets.predictions.tables import MODEL

    table = MODELS[evaluation.target.name]
    if evaluation.estimators:
        staging.attach(table, "model.skops", skops.io.dumps(evaluation.estimators[MODEL]))
    staging.attach(table, "card.md", card(evaluation, staging.version, made_from, of_data).encode())
    every = {"verdict": evaluation.verdict, "conclusion": evaluation.conclusion}
    rows = [measure | every for measure in evaluation.measures]
    staging.write_rows(table, rows)
