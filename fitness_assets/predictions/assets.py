"""When and where predictions are made: one step learns, judges, and scores every day of gold."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
from pyspark.sql import DataFrame

from fitness_assets.gold.tables import FACT_DAILY
from fitness_assets.io_managers import keep_contract, run_step, step_definition
from fitness_assets.lake import Lake
from fitness_assets.predictions import transforms
from fitness_assets.predictions.tables import FACT_PREDICTIONS, MODELS, TABLES, TARGETS
from fitness_assets.rules import Frames
from fitness_assets.staging import Staging


def prediction_assets(training_rows: int) -> dg.AssetsDefinition:
    """The assets of this layer.

    Args:
        training_rows: of about so many days, whole persons each, the models learn and are tested; the rest is scored.
    """

    @dg.multi_asset(
        **step_definition(TABLES),
        ins={FACT_DAILY.name: dg.AssetIn(FACT_DAILY.key.split("/"))},
        internal_asset_deps={
            FACT_PREDICTIONS.name: {dg.AssetKey(t.key.split("/")) for t in (FACT_DAILY, *MODELS.values())},
            **{table.name: {dg.AssetKey(FACT_DAILY.key.split("/"))} for table in MODELS.values()},
        },
    )
    def step(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], fact_daily: DataFrame) -> Iterator[Any]:
        inputs = lake.versions_of([fact_daily])

        def write(staging: Staging) -> Frames:
            rows = lake.audit(FACT_DAILY, inputs[FACT_DAILY.key]).rows
            chosen = transforms.features(transforms.sample_users(fact_daily, rows, training_rows))
            with ThreadPoolExecutor(len(TABLES)) as pool:  # Spark and scikit-learn each leave a core to the other
                collected = pool.submit(chosen.toArrow)
                # Imported here, because it takes over a second that whoever loads the graph can do without.
                from fitness_assets.predictions.models import Scorer, evaluate, last_training_day

                # In one order, whatever order files and tasks came in: the same days give the same models.
                days = collected.result().sort_by([("user_id", "ascending"), (transforms.DAY, "ascending")]).to_pandas()
                context.log.info(f"learning from {len(days):,} of {rows:,} days")
                train_until = last_training_day(days)
                evaluations = []
                for target in TARGETS:
                    done = evaluate(target, days, train_until)
                    evaluations.append(done)
                    context.log.info(f"{target.name}: {done.verdict}, predicted by {done.predictor or 'nobody'}")
                scorer = Scorer(evaluations, staging.version)
                asked = transforms.features(fact_daily, scorer.inputs)
                scored = transforms.fact_predictions(asked, train_until, scorer)
                keep_contract(FACT_PREDICTIONS, scored)
                written = {MODELS[e.target.name].key: pool.submit(_keep, staging, e, inputs) for e in evaluations}
                written[FACT_PREDICTIONS.key] = pool.submit(staging.write, FACT_PREDICTIONS, scored)
                return {FACT_DAILY.key: fact_daily, **{key: frame.result() for key, frame in written.items()}}

        yield from run_step(context, lake, TABLES, inputs, write)

    return step


def _keep(staging: Staging, evaluation: Any, inputs: dict[str, str]) -> DataFrame:
    """Write what came out of one model; the model itself and its card beside it."""
    import skops.io

    from fitness_assets.predictions.cards import card
    from fitness_assets.predictions.tables import MODEL

    table = MODELS[evaluation.target.name]
    if evaluation.estimators:
        staging.attach(table, "model.skops", skops.io.dumps(evaluation.estimators[MODEL]))
    staging.attach(table, "card.md", card(evaluation, staging.version, inputs).encode())
    rows = [measure | {"verdict": evaluation.verdict} for measure in evaluation.measures]
    frame = staging.frame(table, rows)
    keep_contract(table, frame)
    return staging.write(table, frame)
