"""Run `project-manager` as a user types it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import forked_commands
from tests.e2e.service import environment

SECONDS = 20
COMMAND = [sys.executable, "-m", "project_manager"]
READ_AT_START = ("PYTHON", "LANG", "LC_", "LD_", "TZ")
"""Prefixes of the variables that the interpreter or the system reads when a program starts, and not at a fork."""
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
        forks = forked_commands.RUNNING
        if forks is None or stdin is not None or any(name.startswith(READ_AT_START) for name in variables):
            done = self._start(words, stdin, environment(**variables))
        else:
            done = forks.run(words, self.folder, environment(**variables), self.seconds)
        assert "Traceback" not in done.stderr
        return done

    def _start(
        self, words: tuple[str, ...], stdin: str | None, variables: dict[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=variables,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=self.seconds,
        )

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
