"""What one run of the graph keeps of its models: their verdicts, the models themselves, predictions and cards."""

import re
from typing import Any, NamedTuple

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import sklearn

from fitness_assets.definitions import build_defs
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.predictions import transforms
from fitness_assets.predictions.tables import BASELINES, FACT_PREDICTIONS, MODELS, TABLES
from fitness_assets.predictions.transforms import FEATURES
from fitness_assets.registry import table_of
from fitness_assets.settings import Settings
from fitness_assets_tests.conftest import evaluations, job_of, path_of
from fitness_assets_tests.tools.planted import Planted, raw_days


class Run(NamedTuple):
    """One run of the real graph."""

    result: dg.ExecuteInProcessResult
    lake: Lake

    def frame(self, key: str) -> pd.DataFrame:
        return self.lake.read(table_of(key)).toArrow().to_pandas()

    def attached(self, key: str, suffix: str) -> Any:
        version = self.lake.current(table_of(key))
        assert version is not None
        (name,) = [name for name in self.lake.attachments(table_of(key), version) if name.endswith(suffix)]
        return path_of(self.lake, table_of(key), name)

    def model(self, name: str) -> Any:
        """The stored model of a target; nothing but what the three libraries define has to be trusted for it."""
        import skops.io  # takes two seconds of every process that collects tests

        path = self.attached(MODELS[name].key, ".skops")
        untrusted = skops.io.get_untrusted_types(file=path)
        assert [of for of in untrusted if not of.startswith(("sklearn.", "numpy.", "scipy."))] == []
        return skops.io.load(path, trusted=untrusted)


@pytest.fixture(scope="module")
def run(spark, tmp_path_factory) -> Run:
    root = tmp_path_factory.mktemp("graph") / "lake"
    (root / "raw").mkdir(parents=True)
    raw_days(Planted("weight", 3), 30, 190).to_csv(root / "raw" / "planted.csv", index=False)
    lake = Lake(LocalStore(root), lambda: spark)
    graph = build_defs(Settings(local_root=root), lake=lake)
    job = job_of(graph, "group:bronze or group:silver or group:gold or group:predictions")
    return Run(job.execute_in_process(), lake)


def test_the_graph_publishes_models_and_predictions_as_one_version(run):
    assert run.result.success
    versions = {run.lake.current(table) for table in TABLES}
    assert len(versions) == 1
    assert None not in versions
    assert len(run.frame(FACT_PREDICTIONS.key)) == len(run.frame("gold/fact_daily")) == 30 * 190
    found = evaluations(run.result)
    has_skill = {name: found[table.key, "has_skill"] for name, table in MODELS.items()}
    assert {name: check.passed for name, check in has_skill.items()} == {
        "stress_change": False,
        "sleep_quality": False,
        "weight_change": True,
    }
    assert {check.severity for check in has_skill.values() if not check.passed} == {dg.AssetCheckSeverity.WARN}
    keys = {table.key for table in TABLES}
    failed = {name for (key, name), check in found.items() if key in keys and not check.passed}
    assert failed == {"has_skill"}


@pytest.mark.parametrize("name", MODELS)
def test_the_stored_model_is_what_it_says_and_loads_without_trust(run, name):
    assert tuple(run.model(name).feature_names_in_) == FEATURES


def test_the_stored_model_predicts_what_was_published(run):
    fact = run.lake.read(table_of("gold/fact_daily"))
    days = transforms.features(fact).toArrow().to_pandas().sort_values(["user_id", "date_key"])
    published = run.frame(FACT_PREDICTIONS.key).sort_values(["user_id", "date_key"])
    assert set(published["weight_change_predictor"]) == {"model"}
    again = np.clip(run.model("weight_change").predict(days[list(FEATURES)]), -5, 5).round(3)
    assert published["predicted_weight_change_30d"].to_numpy() == pytest.approx(again, abs=1.1e-3)
    assert np.std(again) > 0.5


@pytest.mark.parametrize("name", MODELS)
def test_the_card_says_what_the_model_is_worth(run, name):
    text = run.attached(MODELS[name].key, ".md").read_text()
    measures = run.frame(MODELS[name].key)
    (verdict,) = measures["verdict"].unique()
    version, gold_version = run.lake.current(MODELS[name]), run.lake.current(table_of("gold/fact_daily"))
    said = [f"**Verdict: {verdict}.**", f"{MODELS[name].key}, version {version}", f"scikit-learn {sklearn.__version__}"]
    said += [f"gold/fact_daily version {gold_version}", *(f"\n| {rule} |" for rule in ("model", *BASELINES))]
    assert [words for words in said if words not in text] == []
    assert re.search(r"!\[[^]]+\]\(data:image/png;base64,[A-Za-z0-9+/=]{1000,}\)", text)
    loss = "root_mean_squared_error_kg" if name == "weight_change" else "log_loss"
    for row in measures[measures["measure"] == loss].itertuples():
        assert f"| {row.predictor} | " in text
        assert f"{row.value:.4f}" in text
