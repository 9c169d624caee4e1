"""Reports to systemd: that the service is up, that it stops, and that it still works (sd_notify and watchdog)."""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress

import anyio

REPORTS_PER_INTERVAL = 2
"""systemd advises to report in half of the interval after which it ends a silent process."""


class Supervisor:
    """The service manager that the variables NOTIFY_SOCKET and WATCHDOG_USEC name. Without them nothing is sent."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._interval = _watchdog_seconds(environ)

    def ready(self, status: str) -> None:
        """Report that the service is up. `status` is shown by `systemctl status`."""
        self._send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Report that the service answers what is in flight and ends."""
        self._send("STOPPING=1\nSTATUS=Stopping")

    async def watch(self, works: Callable[[], bool]) -> None:
        """Report in time, as long as the event loop runs and `works` holds, that the process works.

        Returns at once when no watchdog is asked for.
        """
        while self._interval is not None:
            if works():
                self._send("WATCHDOG=1")
            await anyio.sleep(self._interval / REPORTS_PER_INTERVAL)

    def _send(self, message: str) -> None:
        """Send a datagram without waiting. A manager that does not read gets none."""
        if not self._address.startswith(("/", "@")):
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(message.encode(), address)


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """Return the seconds after which systemd ends this process when it is silent, None without a watchdog."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1_000_000
