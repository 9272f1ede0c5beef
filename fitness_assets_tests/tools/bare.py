"""The bare ETL, as a baseline for the benchmark: `python -m fitness_assets_tests.tools.bare spark FILE FOLDER`.

It makes silver and gold from a CSV as Parquet, with Spark (by the project's transforms) or with DuckDB (by SQL written
for it). It has no ledger, quarantine, versions, checks or Dagster, and it loses malformed cells.
"""

from pathlib import Path

import click

DUCKDB = """
CREATE TABLE clean AS
SELECT DISTINCT ON (user_id, date) *
  REPLACE (greatest(steps, 0) AS steps, greatest(exercise_minutes, 0) AS exercise_minutes)
FROM read_csv(getvariable('file'), header = true, ignore_errors = true, columns = {
  'user_id': 'BIGINT', 'age': 'INT', 'gender': 'VARCHAR', 'date': 'DATE', 'steps': 'INT', 'heart_rate_avg': 'DOUBLE',
  'sleep_hours': 'DOUBLE', 'calories_burned': 'DOUBLE', 'exercise_minutes': 'DOUBLE', 'stress_level': 'INT',
  'weight_kg': 'DOUBLE', 'bmi': 'DOUBLE'})
WHERE age BETWEEN 18 AND 100 AND steps BETWEEN 1 AND 50000 AND heart_rate_avg BETWEEN 30 AND 200
  AND sleep_hours BETWEEN 2 AND 16 AND calories_burned BETWEEN 500 AND 8000 AND exercise_minutes <= 600
  AND stress_level BETWEEN 1 AND 10 AND weight_kg BETWEEN 30 AND 200 AND bmi BETWEEN 10 AND 60;

CREATE TABLE silver AS
SELECT *, 100 * sqrt(weight_kg / bmi) AS height_cm,
  10 * weight_kg + 625 * sqrt(weight_kg / bmi) - 5 * age + if(gender = 'M', 5, -161) AS bmr,
  CASE WHEN steps < 5000 THEN 'sedentary' WHEN steps < 10000 THEN 'light' WHEN steps < 15000 THEN 'moderate'
    ELSE 'active' END AS activity_level,
  CASE WHEN sleep_hours < 6 THEN 'poor' WHEN sleep_hours < 8 THEN 'fair' WHEN sleep_hours < 10 THEN 'good'
    ELSE 'excellent' END AS sleep_quality,
  CASE WHEN bmi < 18.5 THEN 'underweight' WHEN bmi < 25 THEN 'normal' WHEN bmi < 30 THEN 'overweight'
    ELSE 'obese' END AS bmi_category,
  year(date) AS year, month(date) AS month, day(date) AS day, dayname(date) AS weekday,
  isodow(date) - 1 AS weekday_num, isodow(date) > 5 AS is_weekend,
  avg(steps) OVER month AS ra30_steps, avg(calories_burned) OVER month AS ra30_calories,
  avg(exercise_minutes) OVER month AS ra30_ex_minutes, avg(stress_level) OVER month AS ra30_stress,
  count(*) OVER month AS ra30_days,
  weight_kg - first(weight_kg) OVER ago AS weight_change_30d,
  stress_level - first(stress_level) OVER ago AS stress_change_30d,
  first(stress_level) OVER before AS yesterday_stress, first(sleep_hours) OVER before AS yesterday_sleep
FROM clean
WINDOW
  month AS (PARTITION BY user_id ORDER BY date RANGE BETWEEN INTERVAL 29 DAYS PRECEDING AND CURRENT ROW),
  ago AS (PARTITION BY user_id ORDER BY date RANGE BETWEEN INTERVAL 30 DAYS PRECEDING AND INTERVAL 30 DAYS PRECEDING),
  before AS (PARTITION BY user_id ORDER BY date RANGE BETWEEN INTERVAL 1 DAYS PRECEDING AND INTERVAL 1 DAYS PRECEDING);

CREATE VIEW fact_daily AS SELECT * FROM silver;
CREATE VIEW dim_activity AS
SELECT user_id, date, steps, exercise_minutes, calories_burned, activity_level, sleep_quality FROM silver;
CREATE VIEW dim_date AS SELECT DISTINCT date, year, month, day, weekday, weekday_num, is_weekend FROM silver;
CREATE VIEW dim_user AS
SELECT user_id, arg_max(age, date) AS age, arg_max(gender, date) AS gender, avg(height_cm) AS avg_height_cm,
  avg(weight_kg) AS avg_weight_kg, avg(bmi) AS avg_bmi, avg(bmr) AS avg_bmr
FROM silver GROUP BY user_id;
CREATE VIEW monthly_summary AS
SELECT user_id, year, month, count(*) AS days_logged, avg(steps) AS avg_steps, avg(sleep_hours) AS avg_sleep_hours,
  avg(weight_kg) AS avg_weight_kg, avg(stress_level) AS avg_stress_level
FROM silver GROUP BY user_id, year, month;
"""


def with_spark(file: Path, folder: Path) -> None:
    """Read the CSV with Spark, then write each table of silver and gold once."""
    from pyspark.sql import functions as F

    from fitness_assets.bronze.tables import LOGGED_DAYS, RAW_COLUMNS
    from fitness_assets.engine.session import start_spark
    from fitness_assets.gold import transforms as gold
    from fitness_assets.settings import Settings
    from fitness_assets.silver import transforms as silver

    spark = start_spark(Settings(raw_path=str(file)))
    schema = ", ".join(f"{column.name} {column.type}" for column in RAW_COLUMNS)
    rows = spark.read.schema(schema).csv(str(file), header=True)
    known = {
        "upload_id": F.lit("bare"),
        "row_number": F.monotonically_increasing_id(),
        "extra": F.lit(None).cast("string"),
    }
    rows.withColumns(known | {"ingested_at": F.current_timestamp()}).write.parquet(str(folder / LOGGED_DAYS.name))
    judged = silver.judge(spark.read.parquet(str(folder / LOGGED_DAYS.name)))
    silver.clean_days(judged).write.parquet(str(folder / "clean_days"))
    clean_days = spark.read.parquet(str(folder / "clean_days"))
    for make in (gold.dim_user, gold.dim_date, gold.dim_activity, gold.monthly_summary, gold.fact_daily):
        make(clean_days).write.parquet(str(folder / make.__name__))


def with_duckdb(file: Path, folder: Path) -> None:
    """Do the same with DuckDB."""
    import duckdb

    database = duckdb.connect()
    database.execute("SET VARIABLE file = $file", {"file": str(file)})
    database.execute(DUCKDB)
    for table in ("silver", "fact_daily", "dim_activity", "dim_date", "dim_user", "monthly_summary"):
        database.table(table).write_parquet(str(folder / f"{table}.parquet"))


ENGINES = {"spark": with_spark, "duckdb": with_duckdb}


@click.command(help=__doc__)
@click.argument("engine", type=click.Choice([*ENGINES]))
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def main(engine: str, file: Path, folder: Path) -> None:
    """Run one engine."""
    folder.mkdir(parents=True, exist_ok=True)
    ENGINES[engine](file, folder)


if __name__ == "__main__":
    main(prog_name="python -m fitness_assets_tests.tools.bare")
