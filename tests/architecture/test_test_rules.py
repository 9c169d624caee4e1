import ast
import configparser
from collections import Counter
from pathlib import Path

from tests.architecture.tree import CHECKOUT, files, name_of, nodes

ASKED_FOR = {"tests/bench", "tests/deploy"}
MODULES = tuple(path for path in files("tests/*.py") if path.name.startswith("test_"))


def functions(path: Path) -> list[str]:
    return [
        node.name
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def test_every_folder_of_tests_runs_unless_it_has_to_be_asked_for() -> None:
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    run = set(setup["tool:pytest"]["testpaths"].split())
    folders = {"/".join(Path(name_of(path)).parts[:2]) for path in MODULES}
    assert folders - ASKED_FOR <= run
    assert not run & ASKED_FOR


def test_the_name_of_a_test_is_a_sentence() -> None:
    names = [(name_of(path), name) for path in MODULES for name in functions(path)]
    assert [(path, name) for path, name in names if len(name.split("_")) < 5] == []


def test_no_two_tests_of_a_module_have_the_same_name() -> None:
    names = Counter((name_of(path), name) for path in MODULES for name in functions(path))
    assert [place for place, number in names.items() if number > 1] == []


def test_nothing_is_skipped_in_silence() -> None:
    skipping = {"skip", "skipif", "importorskip", "xfail"}
    checked = [path for path in MODULES if not name_of(path).startswith(tuple(ASKED_FOR))]
    used = {name_of(path): skipping & {node.attr for node in attributes(path)} for path in checked}
    assert {name: words for name, words in used.items() if words} == {}


def attributes(path: Path) -> list[ast.Attribute]:
    return [node for node in nodes(path) if isinstance(node, ast.Attribute)]
