import os
import shlex
import subprocess
from pathlib import Path

import pyspark
import pytest

from fitness_assets.engine.java import class_archive, require_java, short_job_compiler
from fitness_assets.settings import SettingsError


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
    home = java_home(tmp_path, f'JAVA_VERSION="{version}"\n')
    with pytest.raises(
        SettingsError, match=rf"Java 17 .* but version {major} was found at {home}/bin/java: install it"
    ):
        require_java({"PATH": f"{home}/bin"})


def test_a_java_without_a_release_file_is_asked(tmp_path):
    script = "#!/bin/sh\necho 'openjdk version \"11.0.22\" 2024-01-16' >&2\n"
    with pytest.raises(SettingsError, match="version 11 was found"):
        require_java({"PATH": f"{java_home(tmp_path, script=script)}/bin"})


def test_a_wrong_java_home_is_blamed_and_not_a_missing_java(tmp_path):
    folder, text, old = tmp_path / "folder", tmp_path / "text", java_home(tmp_path / "old", 'JAVA_VERSION="11"\n')
    (folder / "bin" / "java").mkdir(parents=True)
    (Path(java_home(text)) / "bin" / "java").chmod(0o644)
    for home, found in {"/nowhere": "none", old: "version 11", str(folder): "none", str(text): "none"}.items():
        with pytest.raises(SettingsError) as caught:
            require_java({"JAVA_HOME": home, "PATH": os.environ["PATH"]})
        sentence = f"but {found} was found in JAVA_HOME ({home}): correct or unset that, or install it"
        assert sentence in caught.value.message


@pytest.mark.parametrize("environment", [{"PATH": "/nowhere"}, {}])
def test_no_java_is_one_sentence_that_says_what_to_install(environment, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SettingsError, match="none was found: install it") as caught:
        require_java(environment)
    assert "\n" not in caught.value.message


ARCHIVE_STARTS_WITH = bytes.fromhex("a8ab0bf0")


@pytest.fixture
def java(tmp_path):
    """An environment with a Java that keeps a release file."""
    return {"JAVA_HOME": java_home(tmp_path / "java", 'JAVA_VERSION="21.0.2"\n')}


@pytest.fixture
def place(tmp_path):
    """A Python environment; a blank in its path is nothing to trip over."""
    folder = tmp_path / "my python"
    folder.mkdir()
    return folder


def archive_options(folder, environment):
    """What Java is told of the archive: the name of the option, and the path."""
    option, _, path = shlex.split(class_archive(folder, environment))[0].partition("=")
    return option, path


def test_without_a_folder_to_write_to_there_is_no_archive(place, java, monkeypatch):
    assert class_archive(place / "nowhere", java) == ""
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (place, os.W_OK))  # root may write anywhere
    assert class_archive(place, java) == ""
    assert not any(place.iterdir())


def test_without_a_java_that_says_what_it_is_there_is_no_archive(place, tmp_path):
    assert class_archive(place, {"JAVA_HOME": java_home(tmp_path / "java")}) == ""
    assert class_archive(place, {"JAVA_HOME": "/nowhere"}) == ""
    assert not any(place.iterdir())


@pytest.mark.parametrize(
    ("content", "option"),
    [
        (ARCHIVE_STARTS_WITH + bytes(100), "-XX:SharedArchiveFile"),
        (bytes(104), "-XX:ArchiveClassesAtExit"),
        (ARCHIVE_STARTS_WITH[:3], "-XX:ArchiveClassesAtExit"),
        (b"", "-XX:ArchiveClassesAtExit"),
        (None, "-XX:ArchiveClassesAtExit"),
    ],
    ids=["whole", "zeroed", "cut off", "empty", "none"],
)
def test_an_archive_is_used_when_it_was_finished_and_made_again_when_not(place, java, content, option):
    _, path = archive_options(place, java)
    if content is not None:
        (place / path).write_bytes(content)
    assert archive_options(place, java) == (option, path)
    assert (place / path).is_relative_to(place)


def test_another_java_or_another_pyspark_gets_another_archive(place, java, tmp_path, monkeypatch):
    other = {"JAVA_HOME": java_home(tmp_path / "other", 'JAVA_VERSION="21.0.3"\n')}
    same = {"JAVA_HOME": java_home(tmp_path / "same", 'JAVA_VERSION="21.0.2"\n')}
    first = archive_options(place, java)
    assert archive_options(place, same) == first != archive_options(place, other)
    monkeypatch.setattr("pyspark.__version__", "4.9.9")
    assert archive_options(place, java) != first


def test_java_itself_makes_the_archive_and_takes_it(place):
    def run(*more):
        options = shlex.split(class_archive(place))
        return subprocess.run(["java", *options, *more, "-version"], capture_output=True, text=True, check=False)

    option, path = archive_options(place, os.environ)
    first = run()
    assert (first.returncode, option) == (0, "-XX:ArchiveClassesAtExit")
    assert (place / path).read_bytes().startswith(ARCHIVE_STARTS_WITH)
    assert archive_options(place, os.environ) == ("-XX:SharedArchiveFile", path)
    second = run("-Xshare:on")  # with which Java does not start if it cannot take the archive
    assert (second.returncode, second.stdout) == (0, "")
    assert "warning" not in first.stderr + second.stderr.lower()
    (place / path).unlink()
    (place / path).write_bytes(ARCHIVE_STARTS_WITH + bytes(10_000))
    assert run("-Xshare:on").returncode != 0


def test_a_blank_in_the_path_of_the_archive_does_not_cut_the_option(place, java):
    """Asked of Spark's own launcher, which cuts the options at blanks, but for those in quotes."""
    home = Path(pyspark.__file__).parent
    arguments = ["--conf", f"spark.driver.extraJavaOptions=-Da=b {class_archive(place, java)}", "pyspark-shell"]
    command = ["java", "-cp", f"{home}/jars/*", "org.apache.spark.launcher.Main", "org.apache.spark.deploy.SparkSubmit"]
    environment = os.environ | {"SPARK_HOME": str(home), "SPARK_SCALA_VERSION": "2.13"}
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=True)
    options = done.stdout.split("\0")
    assert "-Da=b" in options
    (option,) = (option for option in options if option.startswith("-XX:ArchiveClassesAtExit="))
    assert option.partition("=")[2].startswith(f"{place}/")
    assert option.endswith(".jsa")


def test_java_takes_the_directives_for_short_jobs_and_says_nothing_of_it():
    """With a file that it does not understand Java would not start."""

    def run(*more):
        command = ["java", *shlex.split(short_job_compiler()), *more, "-version"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert run() == ""
    printed = run("-XX:+DisplayVMOutput", "-XX:+CompilerDirectivesPrint")
    assert "org/apache/spark/sql/catalyst/expressions/GeneratedClass$GeneratedIterator*.*" in printed
