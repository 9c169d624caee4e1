import os
import socket
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from project_manager.observability.systemd import Supervisor


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Return the value of NOTIFY_SOCKET, and the socket that receives the reports."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@pm-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0"))
        receiver.setblocking(False)
        yield name, receiver


def received(receiver: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(receiver.recv(4096).decode())
        except BlockingIOError:
            return found


def test_the_manager_is_notified_of_start_and_stop(manager: tuple[str, socket.socket]) -> None:
    name, receiver = manager
    supervisor = Supervisor({"NOTIFY_SOCKET": name})
    supervisor.ready("Serving")
    supervisor.stopping()
    assert received(receiver) == ["READY=1\nSTATUS=Serving", "STOPPING=1\nSTATUS=Stopping"]


async def test_the_watchdog_is_not_notified_while_the_service_does_not_work(manager: tuple[str, socket.socket]) -> None:
    name, receiver = manager
    works = iter([True, True, False, False, True])
    supervisor = Supervisor({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "200", "WATCHDOG_PID": str(os.getpid())})
    with anyio.fail_after(5), pytest.raises(RuntimeError):
        await supervisor.watch(lambda: next(works))
    assert received(receiver) == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize(
    "variables",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "200", "WATCHDOG_PID": "1"}],
    ids=["none", "off", "malformed", "of-another-process"],
)
async def test_without_a_watchdog_for_this_process_nothing_is_reported(variables: dict[str, str]) -> None:
    with anyio.fail_after(5):
        await Supervisor(variables).watch(lambda: True)


@pytest.mark.parametrize("name", ["", "relative", "/no/such/socket", "@not-bound"])
def test_a_manager_that_is_not_there_is_ignored(name: str) -> None:
    Supervisor({"NOTIFY_SOCKET": name}).ready("Serving")
