import ast
import configparser
from pathlib import Path

import pytest

from tests.architecture.tree import CHECKOUT, files, name_of, parsed

ASKED_FOR = {"tests/bench", "tests/deploy"}
MODULES = tuple(path for path in files("tests/*.py") if path.name.startswith("test_"))


def functions(path: Path) -> list[str]:
    return [
        node.name
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def test_every_folder_of_tests_runs_unless_it_has_to_be_asked_for() -> None:
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    run = set(setup["tool:pytest"]["testpaths"].split())
    folders = {"/".join(Path(name_of(path)).parts[:2]) for path in MODULES}
    assert folders - ASKED_FOR <= run
    assert not run & ASKED_FOR


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_name_of_a_test_is_a_sentence(path: Path) -> None:
    assert [name for name in functions(path) if len(name.split("_")) < 5] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_two_tests_of_a_module_have_the_same_name(path: Path) -> None:
    names = functions(path)
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_skipped_in_silence(path: Path) -> None:
    skipping = {"skip", "skipif", "importorskip", "xfail"}
    if name_of(path).startswith(tuple(ASKED_FOR)):
        return
    used = {node.attr for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute)}
    assert used & skipping == set()
