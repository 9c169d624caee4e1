import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import CHECKOUT, PACKAGE, files, name_of, parsed

VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "misc", "base"}


def test_imports_only_go_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([linter, "--no-cache"], cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_module_is_named_after_its_content() -> None:
    assert [name_of(path) for path in files("project_manager/*.py") if path.stem in VAGUE] == []


@pytest.mark.parametrize("path", files("project_manager/*__init__.py"), ids=name_of)
def test_a_package_init_has_a_docstring_and_no_code(path: Path) -> None:
    module = parsed(path)
    docstring = ast.get_docstring(module)
    assert docstring, "describe the allowed content of this package in one or two lines"
    if path.parent != PACKAGE:
        assert [type(node).__name__ for node in module.body[1:]] == []
