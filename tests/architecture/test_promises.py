import ast

from tests.architecture.tree import files, name_of, nodes
from tests.promises import PROMISES


def kept() -> dict[str, list[str]]:
    """Return the tests of each promise, found by `pytest.mark.promise("name")`."""
    found: dict[str, list[str]] = {}
    for path in files("tests/*.py"):
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "promise":
                for argument in node.args:
                    assert isinstance(argument, ast.Constant), f"{name_of(path)}:{node.lineno} is not a plain name"
                    found.setdefault(str(argument.value), []).append(f"{name_of(path)}:{node.lineno}")
    return found


def test_every_promise_is_kept_by_a_test() -> None:
    assert set(PROMISES) - set(kept()) == set()


def test_no_test_names_an_unknown_promise() -> None:
    assert {name: places for name, places in kept().items() if name not in PROMISES} == {}


def test_every_promise_is_one_sentence() -> None:
    assert [name for name, sentence in PROMISES.items() if not sentence.endswith(".")] == []
