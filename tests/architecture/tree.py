"""The files that the architecture tests check."""

import ast
import subprocess
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PACKAGE = CHECKOUT / "project_manager"


@cache
def files(*patterns: str) -> tuple[Path, ...]:
    """Return files of the checkout, tracked or not ignored by git, that match one of the patterns."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    return tuple(path for line in listed.splitlines() if (path := CHECKOUT / line).is_file())


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return all nodes of a file. Walking its tree takes longer than most tests."""
    return tuple(ast.walk(parsed(path)))


def name_of(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()
