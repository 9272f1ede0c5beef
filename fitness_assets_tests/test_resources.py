import os

import pytest

from fitness_assets.resources import require_java, spark_resource
from fitness_assets.settings import Settings, SettingsError


def java_home(folder, release=None, script=None):
    """A folder that looks like an installed Java."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(script or "#!/bin/sh\nexit 1\n")
    java.chmod(0o755)
    if release:
        (folder / "release").write_text(release)
    return str(folder)


def test_the_java_of_this_machine_is_found_on_the_path():
    require_java(os.environ)


@pytest.mark.parametrize("version", ["17", "17.0.15", "21.0.2", "25-ea"])
def test_java_17_and_later_is_accepted(tmp_path, version):
    require_java({"JAVA_HOME": java_home(tmp_path, f'JAVA_VERSION="{version}"\n')})


@pytest.mark.parametrize(("version", "major"), [("1.8.0_392", "8"), ("11.0.2", "11"), ("16", "16")])
def test_older_java_is_one_sentence_that_says_what_to_install(tmp_path, version, major):
    with pytest.raises(SettingsError, match=rf"Java 17 or later, but version {major} was found: install it"):
        require_java({"JAVA_HOME": java_home(tmp_path, f'JAVA_VERSION="{version}"\n')})


def test_a_java_without_a_release_file_is_asked(tmp_path):
    script = "#!/bin/sh\necho 'openjdk version \"11.0.22\" 2024-01-16' >&2\n"
    with pytest.raises(SettingsError, match="version 11 was found"):
        require_java({"PATH": f"{java_home(tmp_path, script=script)}/bin"})


@pytest.mark.parametrize("environment", [{"PATH": "/nowhere"}, {"JAVA_HOME": "/nowhere"}, {}])
def test_no_java_is_one_sentence_that_says_what_to_install(environment, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SettingsError, match="none was found: install it") as caught:
        require_java(environment)
    assert "\n" not in caught.value.message


def test_the_users_spark_properties_win_over_ours():
    resource = spark_resource(Settings(spark_conf="spark.driver.memory=9g", spark_master="local[3]"))
    assert resource.spark_config["spark.driver.memory"] == "9g"
    assert resource.spark_config["spark.master"] == "local[3]"


def test_with_a_remote_no_embedded_session_is_configured():
    config = spark_resource(Settings(spark_remote="sc://host:15002")).spark_config
    assert config["spark.remote"] == "sc://host:15002"
    assert not {"spark.master", "spark.driver.memory"} & set(config)


def test_dates_mean_utc_days_in_every_session(spark):
    assert (
        spark.sql("SELECT CAST(TIMESTAMP '2024-09-06 23:30:00Z' AS DATE)").collect()[0][0].isoformat() == "2024-09-06"
    )
