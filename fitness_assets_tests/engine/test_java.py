import os
from pathlib import Path

import pytest

from fitness_assets.engine.java import require_java
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
