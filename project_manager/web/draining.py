"""Delivery of the last response of a connection while the client is still sending."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from project_manager.web.http_protocol import CoalescingHttpProtocol

DISCARDED_BYTES = 128 * 1024 * 1024
"""Limit on bytes of a request body that are read and dropped."""
DISCARD_SECONDS = 30.0
DISCARD_IDLE_SECONDS = 5.0
JOINED_BYTES = 16 * 1024
"""Size above which a body is not joined to its head in a copy, so that a thousand slow clients share one body."""


class BodyDiscarder:
    """Limits for reading the rest of a request body after the response: bytes, seconds, seconds without a byte.

    Closing a socket with unread input resets the connection, and the client loses the response (RFC 9112, section 9.6).
    `exceeded` is called once, when a limit is reached.
    """

    def __init__(self, exceeded: Callable[[], object]) -> None:
        self._exceeded = exceeded
        self._loop = asyncio.get_running_loop()
        self._latest = self._loop.time() + DISCARD_SECONDS
        self._bytes = self._bytes_before = 0
        self._timer = self._loop.call_later(DISCARD_IDLE_SECONDS, self._check_progress)

    def take(self, number: int) -> None:
        """Count bytes that were read and dropped."""
        self._bytes += number
        if self._bytes > DISCARDED_BYTES:
            self._end()

    def stop(self) -> None:
        """Stop the timer, because the body is complete or the connection is lost."""
        self._timer.cancel()

    def _check_progress(self) -> None:
        if self._bytes == self._bytes_before or self._loop.time() >= self._latest:
            self._end()
            return
        self._bytes_before = self._bytes
        self._timer = self._loop.call_later(DISCARD_IDLE_SECONDS, self._check_progress)

    def _end(self) -> None:
        self.stop()
        self._exceeded()


class CoalescingTransport:
    """Transport that buffers the head of a response until the next write, or the next callback of the loop.

    It closes when the whole request has been read.
    """

    def __init__(self, transport: asyncio.Transport, protocol: "CoalescingHttpProtocol") -> None:
        self.whole = transport
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self._protocol: CoalescingHttpProtocol | None = protocol
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._is_draining = False

    def write(self, data: bytes) -> None:
        """Buffer data that is the head of a response. Write other data behind the buffered head."""
        if self._head:
            head, self._head = self._head, b""
            if len(data) > JOINED_BYTES:
                self.whole.write(head)  # not writelines: asyncio before Python 3.13.2 does not pause the protocol there
                self.whole.write(data)
                return
            data = head + data
        elif data.startswith(b"HTTP/1"):
            self._head = data
            self._loop.call_soon(self._write_head)
            return
        self.whole.write(data)

    def write_response(self, head: bytes, body: bytes) -> None:
        """Write a whole response, behind a buffered `100 Continue`, with one write up to JOINED_BYTES of body."""
        self._write_head()
        if len(body) > JOINED_BYTES:
            self.whole.write(head)
            self.whole.write(body)
        else:
            self.whole.write(head + body)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.whole.set_protocol(protocol)

    def is_closing(self) -> bool:
        return self._is_draining or self.whole.is_closing()

    def close(self) -> None:
        """Send the end of the response, and close when the client has sent its whole request."""
        if self.is_closing() or self._protocol is None:
            return
        self._write_head()
        if not self._protocol.is_receiving_request:
            self.whole.close()
            return
        self._is_draining = True
        self.whole.set_protocol(_DrainProtocol(self.whole, self._protocol))
        self._protocol.start_draining()
        with suppress(OSError):  # the connection may already be lost
            self.whole.write_eof()

    def close_now(self) -> None:
        """Write the buffered head and close. Abort when the client does not read it at once."""
        self._write_head()
        if self.whole.get_write_buffer_size():
            self.whole.abort()
        else:
            self.whole.close()

    def lost(self) -> None:
        """Release the protocol, because a reference cycle stays in memory until the next full garbage collection."""
        self._protocol = None
        self._head = b""

    def _write_head(self) -> None:
        if self._head and not self.whole.is_closing():
            self.whole.write(self._head)
        self._head = b""


class _DrainProtocol(asyncio.Protocol):
    """Protocol of a connection after its last response. It drops all further input."""

    def __init__(self, transport: asyncio.Transport, before: "CoalescingHttpProtocol") -> None:
        self._before = before
        self._discard = BodyDiscarder(transport.close)
        self.pause_writing = before.pause_writing  # type: ignore[method-assign]
        self.resume_writing = before.resume_writing  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        self._discard.take(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._discard.stop()
        self._before.connection_lost(exc)
