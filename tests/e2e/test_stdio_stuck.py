"""A stdio client that stops reading does not keep the process running."""

import fcntl
import json
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.service import POLL_INTERVAL, TIMEOUT, environment, free_port

COMMAND = [sys.executable, "-m", "project_manager"]
PIPE_BYTES = 4096
ENDED = 2 * TIMEOUT
"""Seconds: two for the client to read, the rest for the exit of an interpreter with many libraries."""
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "pipe", "version": "1"}},
}


@contextmanager
def with_a_full_pipe(tmp_path: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that is writing a response larger than the pipe to its client."""
    pipe = subprocess.PIPE
    variables["DATABASE_PATH"] = str(tmp_path / "pm.db")
    with subprocess.Popen([*COMMAND, *arguments], stdin=pipe, stdout=pipe, env=environment(**variables)) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            wire = process.stdout.fileno()
            fcntl.fcntl(wire, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            send(process, HELLO)
            process.stdout.readline()
            send(process, {"jsonrpc": "2.0", "method": "notifications/initialized"})
            for number in range(2, 12):
                send(process, {"jsonrpc": "2.0", "id": number, "method": "tools/list"})
            wait_until_full(process, wire)
            yield process
        finally:
            process.kill()


def send(process: subprocess.Popen[bytes], message: object) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def wait_until_full(process: subprocess.Popen[bytes], wire: int) -> None:
    for _ in range(int(TIMEOUT / POLL_INTERVAL)):
        if unread(wire) == PIPE_BYTES:
            return
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the process ended with {process.wait(POLL_INTERVAL)}")
    raise AssertionError(f"{unread(wire)} bytes wait in the pipe")


def unread(wire: int) -> int:
    """Return the number of unread bytes in a pipe."""
    found: int = struct.unpack("i", fcntl.ioctl(wire, termios.FIONREAD, bytes(4)))[0]
    return found


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_when_its_client_does_not_read(tmp_path: Path, sent: signal.Signals) -> None:
    with with_a_full_pipe(tmp_path, "mcp") as process:
        process.send_signal(sent)
        assert process.wait(ENDED) == 0


def test_the_end_of_the_input_ends_the_process_when_its_client_does_not_read(tmp_path: Path) -> None:
    with with_a_full_pipe(tmp_path, "mcp") as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(ENDED) == 0


def test_the_process_ends_when_its_output_pipe_closes_and_its_input_stays_open(tmp_path: Path) -> None:
    with with_a_full_pipe(tmp_path, "mcp") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(ENDED) == 0


def test_a_signal_ends_the_service_when_its_stdio_client_does_not_read(tmp_path: Path) -> None:
    port = str(free_port())
    with with_a_full_pipe(tmp_path, "serve", DEFAULT_PORT=port, MCP_TRANSPORT="stdio") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(ENDED) == 0


def test_a_client_that_reads_late_gets_every_response_complete(tmp_path: Path) -> None:
    with with_a_full_pipe(tmp_path, "mcp") as process:
        assert process.stdout is not None
        answers = [json.loads(process.stdout.readline()) for _ in range(10)]
        assert sorted(answer["id"] for answer in answers) == list(range(2, 12))
