import subprocess
import sys

import pytest

from tests.architecture.tree import CHECKOUT


@pytest.mark.slow
def test_the_generated_pages_and_schemas_are_those_that_scripts_docs_writes() -> None:
    command = [sys.executable, "scripts/pages.py", "--check"]
    assert subprocess.run(command, cwd=CHECKOUT, timeout=60, check=False, capture_output=True, text=True).stdout == ""
