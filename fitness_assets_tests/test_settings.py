from pathlib import Path

import pytest

from fitness_assets.settings import Settings, SettingsError, load_settings, require_runs_in_dagster_home


def test_nothing_has_to_be_configured():
    settings = load_settings()
    assert settings.storage_mode == "local"
    assert settings.raw == "data/raw"
    assert settings.spark == "sail"
    assert settings.spark_properties == {}
    assert settings.training_rows == 20_000


def test_models_may_be_told_to_learn_from_as_few_as_a_thousand_rows(monkeypatch):
    monkeypatch.setenv("FITNESS_TRAINING_ROWS", "1000")
    assert load_settings().training_rows == 1_000


def test_the_environment_wins_over_the_env_file(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("FITNESS_LOCAL_ROOT=from_file\nFITNESS_SPARK=local[1]\n")
    monkeypatch.setenv("FITNESS_LOCAL_ROOT", "from environment")
    settings = load_settings()
    assert settings.local_root == Path("from environment")
    assert settings.spark == "local[1]"


def test_an_empty_variable_is_an_unset_one(monkeypatch):
    monkeypatch.setenv("FITNESS_RAW_PATH", "")
    assert load_settings().raw == "data/raw"


def test_raw_path_takes_the_place_of_the_lakes_own_folder(monkeypatch):
    monkeypatch.setenv("FITNESS_RAW_PATH", "year.csv")
    assert load_settings().raw == "year.csv"


@pytest.mark.parametrize(
    ("spark", "needs_java", "job_service"),
    [
        ("sail", False, None),
        ("local", True, None),
        ("local[2]", True, None),
        ("local[*,3]", True, None),
        ("spark://one:7077,two:7077", True, None),
        ("k8s://https://host:6443", True, None),
        ("yarn", True, None),
        ("sc://host:15002/;token=a", False, None),
        ("process", False, "process"),
        ("glue:layers", False, "glue"),
        ("emr-serverless:00f1", False, "emr-serverless"),
    ],
)
def test_every_place_where_spark_code_may_run_is_accepted(spark, needs_java, job_service):
    role = "arn:aws:iam::123456789012:role/jobs"
    settings = Settings(storage_mode="s3", s3_bucket="lake", spark=spark, emr_role_arn=role)
    assert (settings.spark, settings.needs_java, settings.job_service) == (spark, needs_java, job_service)


def test_spark_properties_are_pairs_and_may_contain_equals_signs():
    settings = Settings(spark_conf="spark.a=1; spark.b=-Dx=y ;")
    assert settings.spark_properties == {"spark.a": "1", "spark.b": "-Dx=y"}


@pytest.mark.parametrize(
    ("variable", "value", "may_be"),
    [
        ("FITNESS_STORAGE_MODE", "ftp", "'local' or 's3'"),
        ("FITNESS_S3_BUCKET", "My_Bucket", "the name of a bucket"),
        ("FITNESS_S3_BUCKET", "s3://lake", "the name of a bucket"),
        ("FITNESS_RAW_PREFIX", "in*", "a prefix in the bucket"),
        ("FITNESS_BRONZE_PREFIX", "/layers/bronze", "a prefix in the bucket"),
        ("FITNESS_SILVER_PREFIX", "raw", "neither holds nor lies in another one"),
        ("FITNESS_GOLD_PREFIX", "bronze/gold", "neither holds nor lies in another one"),
        ("FITNESS_RAW_PREFIX", "quality", "neither holds nor lies in another one"),
        ("FITNESS_RAW_PREFIX", "jobs/uploads", "neither holds nor lies in another one"),
        ("FITNESS_GOLD_PREFIX", "predictions", "neither holds nor lies in another one"),
        ("FITNESS_GLUE_DATABASE", "my database", "the name of a Glue database"),
        ("FITNESS_LOCAL_ROOT", "lake*", "a folder"),
        ("FITNESS_TRAINING_ROWS", "999", "a whole number of rows, at least 1000"),
        ("FITNESS_TRAINING_ROWS", "many", "a whole number of rows, at least 1000"),
        ("FITNESS_TRAINING_ROWS", "20000.5", "a whole number of rows, at least 1000"),
        ("FITNESS_SPARK", "http://host", "sc://host:15002"),
        ("FITNESS_SPARK", "sail2", "'sail'"),
        ("FITNESS_SPARK", "local [2]", "local[*]"),
        ("FITNESS_SPARK", "local[x]", "local[*]"),
        ("FITNESS_SPARK", "local[0]", "local[*]"),
        ("FITNESS_SPARK", "cluster", "spark://host:7077"),
        ("FITNESS_SPARK", "glue:layers", "where FITNESS_STORAGE_MODE is s3"),
        ("FITNESS_EMR_ROLE_ARN", "admin", "the ARN of the role"),
        ("FITNESS_SPARK_CONF", "spark.hadoop.fs.s3a.secret.key", "key=value"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_variable_and_never_the_value(
    monkeypatch, variable, value, may_be
):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = caught.value.message
    assert message.startswith(f"{variable} has to be ")
    assert may_be in message
    assert value not in message
    assert "\n" not in message


def test_a_lake_in_a_bucket_needs_its_name(monkeypatch):
    monkeypatch.setenv("FITNESS_STORAGE_MODE", "s3")
    with pytest.raises(SettingsError, match=r"^FITNESS_S3_BUCKET has to be the name of a bucket"):
        load_settings()
    monkeypatch.setenv("FITNESS_S3_BUCKET", "lake")
    assert load_settings().raw == "s3://lake/raw"
    monkeypatch.setenv("FITNESS_RAW_PREFIX", "in bound/raw")
    assert load_settings().raw == "s3://lake/in bound/raw"
    monkeypatch.setenv("FITNESS_RAW_PATH", "s3://other/year.csv")
    assert load_settings().raw == "s3://other/year.csv"


@pytest.mark.parametrize("path", ["s3://lake", "s3://lake/", "s3://lake/quality", "s3://lake/bronze/uploads/"])
def test_uploads_are_not_looked_for_where_tables_are_written(monkeypatch, path):
    for name, value in {"STORAGE_MODE": "s3", "S3_BUCKET": "lake", "RAW_PATH": path}.items():
        monkeypatch.setenv(f"FITNESS_{name}", value)
    with pytest.raises(
        SettingsError, match=r"^FITNESS_RAW_PATH has to be .* with neither tables .* nor DAGSTER_HOME in it\.$"
    ):
        load_settings()
    for fine in ("s3://lake/raw/2024", "s3://lake/exports", "s3://lake-2", "year.csv"):
        monkeypatch.setenv("FITNESS_RAW_PATH", fine)
        assert load_settings().raw == fine


def test_jobs_on_emr_serverless_need_a_role(monkeypatch):
    lake = {"FITNESS_STORAGE_MODE": "s3", "FITNESS_S3_BUCKET": "lake", "FITNESS_SPARK": "emr-serverless:00f1"}
    for name, value in lake.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=r"^FITNESS_EMR_ROLE_ARN has to be the ARN of the role"):
        load_settings()
    monkeypatch.setenv("FITNESS_EMR_ROLE_ARN", "arn:aws:iam::123456789012:role/jobs")
    assert load_settings().spark == "emr-serverless:00f1"
    monkeypatch.setenv("FITNESS_SPARK", "glue:layers")
    monkeypatch.delenv("FITNESS_EMR_ROLE_ARN")
    assert load_settings().emr_role_arn is None


def test_a_bucket_that_is_named_for_later_leaves_the_lake_where_it_is(monkeypatch):
    monkeypatch.setenv("FITNESS_S3_BUCKET", "lake")
    assert load_settings().lake_bucket is None
    assert load_settings().raw == "data/raw"


@pytest.mark.parametrize("path", [".", "data", "data/", "data/quality", "data/bronze/uploads", "data/_versions", "/"])
def test_a_local_raw_path_that_meets_the_tables_of_the_lake_is_refused(monkeypatch, path):
    monkeypatch.setenv("FITNESS_RAW_PATH", path)
    with pytest.raises(SettingsError, match=r"^FITNESS_RAW_PATH has to be "):
        load_settings()
    for fine in ("data/raw", "data/raw/2024", "uploads", "year.csv"):
        monkeypatch.setenv("FITNESS_RAW_PATH", fine)
        assert load_settings().raw == fine


def test_a_raw_path_that_holds_dagsters_own_files_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "uploads" / "home"))
    monkeypatch.setenv("FITNESS_RAW_PATH", "uploads")
    with pytest.raises(SettingsError, match="DAGSTER_HOME in it"):
        load_settings()


def test_runs_that_would_be_kept_where_nobody_looks_are_refused(monkeypatch, tmp_path, root):
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text((root / "dagster.yaml").read_text())
    require_runs_in_dagster_home()  # DAGSTER_HOME is unset
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with pytest.raises(SettingsError, match="remove the block storage from that file"):
        require_runs_in_dagster_home()
    monkeypatch.chdir(home)
    require_runs_in_dagster_home()
    monkeypatch.chdir(tmp_path)
    (home / "dagster.yaml").write_text(f"storage: {{sqlite: {{base_dir: {tmp_path}}}}}")
    require_runs_in_dagster_home()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}")
    require_runs_in_dagster_home()


@pytest.mark.parametrize(
    "block", ["run_storage", "event_log_storage", "schedule_storage", "local_artifact_storage", "compute_logs"]
)
def test_no_folder_of_dagster_may_follow_the_working_directory(monkeypatch, tmp_path, block):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    (home / "dagster.yaml").write_text(f"{block}: {{module: any, class: Any, config: {{base_dir: .dagster}}}}")
    with pytest.raises(SettingsError, match=f"in .dagster of the working directory .* remove the block {block} from"):
        require_runs_in_dagster_home()
    for fine in (tmp_path, {"env": "WHERE"}):
        (home / "dagster.yaml").write_text(f"{block}: {{module: any, class: Any, config: {{base_dir: {fine}}}}}")
        require_runs_in_dagster_home()
