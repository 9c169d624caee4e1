"""The commands of docs/deployment.md, run in a copy of the checkout.

This module has the last name in order, because it begins and ends without a stack.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.stack import CHECKOUT, Stack, docker

GUIDE = CHECKOUT / "docs" / "deployment.md"
BLOCK = re.compile(r"^( *)```bash\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
WITHOUT_END = re.compile(r"^(docker compose logs --follow .*)$", re.MULTILINE)
SECONDS_TO_FOLLOW = 3
BUILT_FROM_NOTHING = re.compile(r"^docker compose build --no-cache$", re.MULTILINE)
"""The first commands of scripts/test-deploy. A repetition here has no effect."""


def blocks() -> list[tuple[int, str]]:
    """Yield each block with the number of its first line."""
    text = GUIDE.read_text()
    found = [(text.count("\n", 0, match.start()) + 1, match[1], match[2]) for match in BLOCK.finditer(text)]
    return [(line, re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)) for line, indent, body in found]


@pytest.fixture(scope="module")
def folder(running: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a copy of the checkout with the stack stopped, the starting point of an operator."""
    copy = tmp_path_factory.mktemp("checkout", numbered=False)
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout.splitlines()
    present = [name for name in names if (CHECKOUT / name).is_file()]
    subprocess.run(["tar", "cf", copy / "all.tar", *present], cwd=CHECKOUT, check=True)
    subprocess.run(["tar", "xf", "all.tar"], cwd=copy, check=True)
    running.down()
    yield copy
    running.down()


@pytest.mark.parametrize(("line", "block"), blocks(), ids=[f"line-{line}" for line, _ in blocks()])
def test_a_block_of_the_guide_works_as_documented(folder: Path, line: int, block: str) -> None:
    block = BUILT_FROM_NOTHING.sub("docker compose build", block)
    script = WITHOUT_END.sub(rf"timeout {SECONDS_TO_FOLLOW} \1 || [ $? = 124 ]", block)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}\n{docker('ps', '--all')}"
