"""Notifications to systemd (sd_notify): ready, stopping, and watchdog messages."""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress

import anyio

REPORTS_PER_INTERVAL = 2
"""Watchdog messages per interval. systemd recommends one per half interval, and ends a process without any."""


class Supervisor:
    """The service manager at NOTIFY_SOCKET, with the watchdog WATCHDOG_USEC. Without a socket nothing is sent."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._interval = _watchdog_seconds(environ)

    def ready(self, status: str) -> None:
        """Report that the service is ready. `systemctl status` shows `status`."""
        self._send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Report that the service finishes the requests in flight and exits."""
        self._send("STOPPING=1\nSTATUS=Stopping")

    async def watch(self, is_healthy: Callable[[], bool]) -> None:
        """Send watchdog messages whenever `is_healthy` returns true. Return at once if no watchdog is configured."""
        while self._interval is not None:
            if is_healthy():
                self._send("WATCHDOG=1")
            await anyio.sleep(self._interval / REPORTS_PER_INTERVAL)

    def _send(self, message: str) -> None:
        """Send a datagram without waiting. Drop it when the service manager does not read."""
        if not self._address.startswith(("/", "@")):
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(message.encode(), address)


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """Return the watchdog interval of this process in seconds, or None without a watchdog."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1_000_000
