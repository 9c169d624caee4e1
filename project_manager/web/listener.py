"""Accept connections of one listening socket."""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

AT_ONCE = 16
"""Connections accepted before other work gets its turn. They count, and make others close, only after it."""
PAUSE_SECONDS = 0.5
"""Until connections are accepted again after the system had none to give."""


class Acceptance(Protocol):
    """Learns whether connections can be accepted."""

    def accept_failed(self, error: OSError) -> None: ...
    def accept_succeeded(self) -> None: ...


class Listener:
    """Accepts connections and gives each a protocol.

    uvloop's own servers close their socket for good when the system runs out of files or memory, and drop waiting
    connections without a word when the process does. Here they wait in the backlog, with a warning.
    """

    def __init__(self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol], report: Acceptance) -> None:
        self._socket = listening
        self._protocol = protocol
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._is_closed = False

    def start(self) -> None:
        """Accept connections from now on."""
        self._pause = None
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more connections. Those that are open stay."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._pause is None:
            self._loop.remove_reader(self._socket.fileno())
        else:
            self._pause.cancel()
        self._socket.close()

    async def wait_closed(self) -> None:
        """Return at once: nothing is left to close."""

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, _address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._loop.remove_reader(self._socket.fileno())
                self._pause = self._loop.call_later(PAUSE_SECONDS, self.start)
                self._report.accept_failed(error)
                return
            self._report.accept_succeeded()
            accepted.setblocking(False)
            task = self._loop.create_task(self._open(accepted))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket) -> object:
        return await self._loop.connect_accepted_socket(self._protocol, accepted)
