import ast
from pathlib import Path

import pytest

from tests.architecture.tree import files, name_of, parsed

MODULE_LINES = 450
FUNCTION_LINES = 50

CODE = files("project_manager/*.py", "migrations/*.py")
SCRIPTS = tuple(path for path in files("project_manager/web/static/*.js") if "vendor" not in path.parts)


@pytest.mark.parametrize("path", CODE + SCRIPTS, ids=name_of)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES


@pytest.mark.parametrize("path", files("project_manager/*.py"), ids=name_of)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = [
        f"{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= FUNCTION_LINES
    ]
    assert long == []
