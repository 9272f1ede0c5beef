"""A small upload and the `gold/fact_daily` that it has to give: a change of any value shows in review."""

from pathlib import Path

import pandas as pd
from pandas.testing import assert_frame_equal

from fitness_assets.gold.tables import FACT_DAILY
from fitness_assets_tests.conftest import path_of

DATA = Path(__file__).parents[1] / "data"
ROUNDING = 0.0101
"""Engines round the second decimal of a few values differently."""


def test_fact_daily_of_a_small_upload_is_the_golden_file(raw, materialize, lake, tmp_path):
    (raw / "upload.csv").write_bytes((DATA / "golden_upload.csv").read_bytes())
    assert materialize("group:bronze or group:silver or key:gold/fact_daily").success
    rows = pd.read_parquet(path_of(lake, FACT_DAILY)).sort_values(["user_id", "date_key"])
    rows.to_csv(tmp_path / "golden_fact_daily.csv", index=False, lineterminator="\n")
    made, golden = (pd.read_csv(folder / "golden_fact_daily.csv") for folder in (tmp_path, DATA))
    assert_frame_equal(
        made, golden, check_exact=False, rtol=0, atol=ROUNDING, obj=f"if the change is meant, copy {tmp_path} here:"
    )
