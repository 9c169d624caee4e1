"""The commands of docs/deployment.md, run in a copy of the checkout.

This module has the last name in order, because it begins and ends without a stack.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.guide import Block, Page
from tests.deploy.stack import CHECKOUT, Stack, docker

GUIDE = Page(CHECKOUT / "docs" / "deployment.md", languages="bash")
WITHOUT_END = re.compile(r"^(docker compose logs --follow .*)$", re.MULTILINE)
SECONDS_TO_FOLLOW = 3
BUILT_FROM_NOTHING = re.compile(r"^docker compose build --no-cache$", re.MULTILINE)
"""The first commands of scripts/test-deploy. A repetition here has no effect."""


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


@pytest.mark.parametrize("block", GUIDE.blocks(), ids=lambda block: f"line-{block.line}")
def test_a_block_of_the_guide_works_as_documented(folder: Path, block: Block) -> None:
    script = BUILT_FROM_NOTHING.sub("docker compose build", block.text)
    script = WITHOUT_END.sub(rf"timeout {SECONDS_TO_FOLLOW} \1 || [ $? = 124 ]", script)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}\n{docker('ps', '--all')}"
