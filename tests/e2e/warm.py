"""Servers for tests of anything but the start. They are forked from a process that has imported the service.

Importing takes longer than most tests of the dashboard.
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.service import CHECKOUT, TIMEOUT, Service, environment

FORK_SECONDS = 60.0
"""The import of the service takes a second, and many times as long on a busy machine."""

FORKS = """
import json, os, signal, sys
import project_manager.server
from project_manager.cli.main import main
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
for line in sys.stdin:
    server = os.fork()
    if server:
        print(server, flush=True)
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    order = json.loads(line)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    output = os.open(order["output"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for descriptor, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(file, descriptor)
    main(["serve"], prog_name="project-manager")
"""


class Forked:
    """A process that another process has started. Its exit status is unknown and counts as 0."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def poll(self) -> int | None:
        ended, _, _ = select.select([self._descriptor], [], [], 0)
        return 0 if ended else None

    def wait(self, timeout: float | None = None) -> int:
        ended, _, _ = select.select([self._descriptor], [], [], timeout)
        if not ended:
            raise subprocess.TimeoutExpired("serve", timeout or 0)
        return 0

    def send_signal(self, sig: int) -> None:
        signal.pidfd_send_signal(self._descriptor, sig)

    def __del__(self) -> None:
        os.close(self._descriptor)


class Forks:
    """The process from which servers are forked."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def fork(self, folder: Path, output: Path, variables: dict[str, str]) -> Forked:
        """Start a server with these environment variables. Write its output to a file."""
        order = {"folder": str(folder), "output": str(output), "environment": variables}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Forked(int(self.line()))

    def line(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], FORK_SECONDS)
        assert ready, "the process that forks does not answer"
        return self._process.stdout.readline()


@contextmanager
def forks() -> Iterator[Forks]:
    with subprocess.Popen(
        [sys.executable, "-c", FORKS],
        cwd=CHECKOUT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        made = Forks(process)
        assert made.line() == "ready\n"
        yield made
        process.communicate(timeout=TIMEOUT)


class WarmService(Service):
    """A service that starts by a fork."""

    def __init__(self, forks: Forks, folder: Path, *, output: Path | None = None, **settings: object) -> None:
        super().__init__(folder, output=output, **settings)
        self._forks = forks

    def spawn(self, **more: str) -> None:
        self._process = self._forks.fork(self.folder, self.output, environment(**self.settings, **more))
