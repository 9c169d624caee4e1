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


@pytest.mark.parametrize("path", files("project_manager/*.py"), ids=name_of)
def test_a_module_is_named_after_what_lives_there(path: Path) -> None:
    assert path.stem not in VAGUE


@pytest.mark.parametrize("path", files("project_manager/*__init__.py"), ids=name_of)
def test_a_folder_says_what_lives_there_and_holds_no_code_in_its_own_module(path: Path) -> None:
    module = parsed(path)
    docstring = ast.get_docstring(module)
    assert docstring, "say in a line or two what lives here, and what may not"
    if path.parent != PACKAGE:
        assert [type(node).__name__ for node in module.body[1:]] == []
