"""A generated migration has the attributes that the service reads, and passes the linter."""

import ast
import subprocess
import sys
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

from project_manager.store.revisions import head
from tests.architecture.tree import CHECKOUT

LAST = head()
NEXT = f"{int(LAST) + 1:04}"
COLUMN = '    Column("external_key", OrderedText),\n'


def run(folder: Path, tool: str, *arguments: str) -> None:
    command = [sys.executable, "-m", tool, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("is_generated", [False, True], ids=["empty", "from the tables"])
def test_a_generated_migration_passes_the_linter_and_runs_with_the_previous_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_generated: bool
) -> None:
    monkeypatch.setenv("DATABASE_PATH", str(tmp_path / "service.db"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for folder in ("project_manager", "migrations"):
        copytree(CHECKOUT / folder, tmp_path / folder, ignore=ignore_patterns("__pycache__", "static"))
    for name in ("setup.cfg", "pyproject.toml"):
        copy(CHECKOUT / name, tmp_path)
    if is_generated:
        tables = tmp_path / "project_manager/store/tables.py"
        tables.write_text(tables.read_text().replace(COLUMN, COLUMN + '    Column("milestone", OrderedText),\n'))
        run(tmp_path, "alembic", "upgrade", "head")
    options = ["--autogenerate"] if is_generated else []
    run(tmp_path, "alembic", "revision", *options, "--rev-id", NEXT, "--message", "Add a milestone")
    written = tmp_path / f"migrations/versions/{NEXT}_add_a_milestone.py"
    body = ast.parse(written.read_text()).body
    values = {ast.unparse(node.targets[0]): ast.unparse(node.value) for node in body if isinstance(node, ast.Assign)}
    assert values == {
        "revision": repr(NEXT),
        "down_revision": repr(LAST),
        "branch_labels": "None",
        "depends_on": "None",
        "oldest_release": repr(LAST),
    }
    assert ("milestone" in ast.unparse(body[-1])) == is_generated
    run(tmp_path, "ruff", "check", str(written))
    run(tmp_path, "alembic", "upgrade", "head")
