import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import CHECKOUT, PACKAGE, files, name_of, nodes, parsed

INTERFACES = files("project_manager/server.py", *(f"project_manager/{name}/*.py" for name in ("web", "mcp", "cli")))
PRIVATE = {"database", "long_polls", "jobs"}
"""The parts of the runtime that only the runtime uses."""
PROTOCOL_WORD = re.compile(r"gzip|etag|http|mime|status_code|header|notification|(^|_)(mcp|sse)(_|$)", re.IGNORECASE)
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "misc", "base"}


def test_imports_only_go_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([linter, "--no-cache"], cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_an_interface_does_not_reach_through_the_runtime_to_the_database() -> None:
    """The runtime has a method for each need of an interface."""
    reached = [
        f"{name_of(path)}:{node.lineno}"
        for path in INTERFACES
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE
    ]
    assert reached == []


def test_the_runtime_knows_no_protocol() -> None:
    """Entity tags, compression and status codes belong to the HTTP interface, tools and notifications to MCP."""
    names = {name for path in files("project_manager/runtime/*.py") for name in names_in(parsed(path))}
    assert {name for name in names if PROTOCOL_WORD.search(name)} == set()


def names_in(module: ast.Module) -> set[str]:
    """Return the names of variables, attributes and parameters in a module."""
    nodes = list(ast.walk(module))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return names | {node.arg for node in nodes if isinstance(node, ast.arg)}


def test_a_module_is_named_after_its_content() -> None:
    assert [name_of(path) for path in files("project_manager/*.py") if path.stem in VAGUE] == []


@pytest.mark.parametrize("path", files("project_manager/*__init__.py"), ids=name_of)
def test_a_package_init_has_a_docstring_and_no_code(path: Path) -> None:
    module = parsed(path)
    docstring = ast.get_docstring(module)
    assert docstring, "describe the allowed content of this package in one or two lines"
    if path.parent != PACKAGE:
        assert [type(node).__name__ for node in module.body[1:]] == []
