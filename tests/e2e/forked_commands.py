"""Commands for tests of anything but the start. They are forked from a process that has imported the program.

Importing takes most of the time of a command. A test of imports, pipes, encodings or the environment of the interpreter
starts a new interpreter instead.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.service import CHECKOUT, START_SECONDS, TIMEOUT, environment

# The descriptors 0 to 2 are free for the commands, because the orders come through a socket.
FORKS = """
import gc, json, os, socket, sys
import project_manager.cli.operations, project_manager.server
from project_manager.__main__ import main
gc.freeze()
channel = socket.socket(fileno=int(sys.argv[1]))
orders = channel.makefile("rw")
for line in orders:
    command = os.fork()
    if command:
        print(command, file=orders, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(command, 0)[1]), file=orders, flush=True)
        continue
    orders.detach(), channel.close()
    order = json.loads(line)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    for descriptor, (path, flags) in enumerate(order["files"]):
        file = os.open(path, flags, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    sys.argv[1:] = order["words"]
    main()
"""


class ForkedCommands:
    """The process from which commands are forked, one at a time. It starts with the first one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._received = b""

    def run(
        self, words: Sequence[str], folder: Path, variables: dict[str, str], seconds: float
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command and return its exit status and its output. Raises TimeoutExpired."""
        with TemporaryDirectory(prefix="command-") as place:
            output = [Path(place, name) for name in ("stdout", "stderr")]
            order = {
                "words": list(words),
                "folder": str(folder),
                "environment": variables,
                "files": [(os.devnull, os.O_RDONLY), *((str(path), os.O_WRONLY | os.O_CREAT) for path in output)],
            }
            self._opened().sendall(json.dumps(order).encode() + b"\n")
            command = int(self._line(START_SECONDS))
            try:
                status = int(self._line(seconds))
            except TimeoutError as late:
                os.kill(command, signal.SIGKILL)
                self._line(TIMEOUT)
                raise subprocess.TimeoutExpired(words, seconds) from late
            return subprocess.CompletedProcess(words, status, *(path.read_text() for path in output))

    def close(self) -> None:
        if self._process is not None and self._channel is not None:
            self._channel.close()
            self._process.wait(TIMEOUT)

    def _opened(self) -> socket.socket:
        if self._channel is None:
            self._channel, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", FORKS, str(theirs.fileno())],
                    cwd=CHECKOUT,
                    env=environment(),
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
        return self._channel

    def _line(self, seconds: float) -> str:
        """Return the next line of the process. Raises TimeoutError."""
        channel = self._opened()
        channel.settimeout(seconds)
        while b"\n" not in self._received:
            piece = channel.recv(4096)
            assert piece, "the process that forks has ended"
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()


RUNNING: ForkedCommands | None = None
"""The process that forks, during the tests of commands."""


@contextmanager
def running() -> Iterator[None]:
    global RUNNING
    RUNNING = ForkedCommands()
    try:
        yield
    finally:
        RUNNING.close()
        RUNNING = None
