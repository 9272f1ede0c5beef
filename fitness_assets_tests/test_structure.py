"""The structure of the code: what it may import, what it may override, and what is packaged."""

import ast
import importlib
import inspect
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import fitness_assets
import fitness_assets_tests

PACKAGE = Path(fitness_assets.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
TESTS = Path(fitness_assets_tests.__file__).parent

_OTHERS_PRIVATE = re.compile(r"(?!fitness_assets)[a-z]\w*(\.\w+)*\._[a-z]\w*(\.\w+)*")


def private_imports(source: str) -> Iterator[str]:
    """Imports of another package's private modules or names, and their full names in a string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value] if _OTHERS_PRIVATE.fullmatch(node.value) else []  # for monkeypatch.setattr
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if any(part.startswith("_") for part in name.split(".")))


def private_overrides(owner: type) -> Iterator[str]:
    """Private methods of a class that take the place of those of a class of another package."""
    others = [base for base in owner.__mro__ if not base.__module__.startswith(("fitness_assets", "builtins"))]
    for name, attribute in vars(owner).items():
        is_private = name.startswith("_") and not name.startswith("__") and inspect.isroutine(attribute)
        is_own = getattr(attribute, "__module__", None) == owner.__module__  # and not put there, as enum does
        if is_private and is_own and any(name in vars(base) for base in others):
            yield f"{owner.__qualname__}.{name}"


@pytest.mark.parametrize("module", MODULES)
def test_nothing_private_of_another_package_is_imported_or_overridden(module: str):
    found = [*private_imports((PACKAGE / module).read_text())]
    assert found == []
    name = ".".join(("fitness_assets", *Path(module).with_suffix("").parts)).removesuffix(".__init__")
    if name.endswith("__main__"):
        return
    loaded = importlib.import_module(name)
    classes = [value for value in vars(loaded).values() if inspect.isclass(value) and value.__module__ == name]
    assert [found for owner in classes for found in private_overrides(owner)] == []


@pytest.mark.parametrize("module", sorted(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py")))
def test_tests_import_nothing_private_of_another_package(module: str):
    assert [*private_imports((TESTS / module).read_text())] == []


def test_these_tests_find_what_is_private():
    source = "import a._b\nfrom a.b import _c\nfrom a._d.e import f\nfrom __future__ import annotations\nimport a.b\n"
    assert " ".join(private_imports(source)) == "a._b a.b._c a._d.e.f"
    named = "patch('a._b.c', 1)\npatch('fitness_assets.a._b', 1)\nsay('a. _b')"
    assert [*private_imports(named)] == [named[7:13]]

    class Reader(ast.NodeVisitor):
        def _own(self) -> None: ...

    class Override(Reader):
        def _own(self) -> None: ...

        def visit(self, node: ast.AST) -> None: ...

    Reader.__module__ = "elsewhere"
    assert [*private_overrides(Override)] == [f"{Override.__qualname__}._own"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is_for(module: str):
    docstring = ast.get_docstring(ast.parse((PACKAGE / module).read_text()))
    assert docstring
    assert docstring.partition("\n")[0].endswith((".", ":", "?")), "the first line is a sentence"


def test_the_wheel_has_the_package_without_its_tests(tmp_path, root):
    for name in ("fitness_assets", "fitness_assets_tests"):
        shutil.copytree(root / name, tmp_path / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, tmp_path)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"fitness_assets", wheel.name.partition("-py3")[0] + ".dist-info"}
    assert {name.removeprefix("fitness_assets/") for name in names if name.endswith(".py")} == set(MODULES)
