"""Run `project-manager` as a user types it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.service import environment

SECONDS = 20
COMMAND = [sys.executable, "-m", "project_manager"]
PLAN = """\
projects:
  - name: Shop
    epics:
      - name: Checkout
        tasks:
          - name: Cart
          - name: Pay
            depends_on: Cart
"""


@dataclass(frozen=True)
class CommandLine:
    """A command line in one folder. Its output must never contain a traceback."""

    folder: Path
    seconds: float = SECONDS

    def run(self, *words: str, stdin: str | None = None, **variables: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=environment(**variables),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=self.seconds,
        )
        assert "Traceback" not in done.stderr
        return done

    def says(self, *words: str, stdin: str | None = None, **variables: str) -> str:
        """Run a command that must succeed and return its standard output."""
        done = self.run(*words, stdin=stdin, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refuses(self, status: int, *words: str, stdin: str | None = None, **variables: str) -> str:
        """Run a command that must exit with `status` and return its standard error. Standard output must stay empty."""
        done = self.run(*words, stdin=stdin, **variables)
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        return done.stderr
