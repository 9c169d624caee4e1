"""Acceptance of connections on one listening socket."""

import asyncio
import socket
from collections.abc import Callable

from project_manager.web.connections import Connections

AT_ONCE = 16
"""Connections accepted in one callback of the loop. The connection limit is enforced only after it."""
PAUSE_SECONDS = 0.5
"""Pause before the listener accepts again after the system failed to accept a connection."""


class Listener:
    """Listening socket that accepts connections and creates a protocol for each.

    When the process has no file descriptors or memory left, uvloop's servers close their socket or drop connections.
    This listener leaves the connections in the backlog and tries again later.
    """

    def __init__(self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol], limits: Connections) -> None:
        self._socket = listening
        self._protocol = protocol
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._is_closed = False

    def start(self) -> None:
        """Start accepting connections."""
        self._pause = None
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Stop accepting connections. Open connections stay open."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._pause is None:
            self._loop.remove_reader(self._socket.fileno())
        else:
            self._pause.cancel()
        self._socket.close()

    async def wait_closed(self) -> None:
        """Return at once, because `close` leaves nothing to wait for."""

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, _address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._loop.remove_reader(self._socket.fileno())
                self._pause = self._loop.call_later(PAUSE_SECONDS, self.start)
                self._limits.accept_failed(error)
                return
            self._limits.accept_succeeded()
            accepted.setblocking(False)
            task = self._loop.create_task(self._open(accepted))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket) -> object:
        return await self._loop.connect_accepted_socket(self._protocol, accepted)
