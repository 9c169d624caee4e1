import ast

from tests.architecture.tree import files, name_of, nodes

MODULE_LINES = 450
FUNCTION_LINES = 50

CODE = files("project_manager/*.py", "migrations/*.py")
SCRIPTS = tuple(path for path in files("project_manager/web/static/*.js") if "vendor" not in path.parts)


def test_a_module_can_be_read_in_one_sitting() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in CODE + SCRIPTS}
    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_a_function_fits_on_a_screen() -> None:
    long = [
        f"{name_of(path)}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in files("project_manager/*.py")
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= FUNCTION_LINES
    ]
    assert long == []
