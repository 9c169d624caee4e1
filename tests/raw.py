"""A bare TCP connection to the service, for requests that no client library sends."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import orjson

from tests.http_service import HttpService

TIMEOUT = 20.0
"""Bound on each wait. Other work on the machine must not fail a test."""


class Raw:
    """A connection, and the data that the server sends on it."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
        self._read = b""

    async def send(self, data: bytes, timeout: float = TIMEOUT) -> None:
        """Send all of it. Raises TimeoutError when the server reads nothing for `timeout` seconds."""
        with anyio.fail_after(timeout):
            await self._stream.send(data)

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """Return status, headers and body of the next response."""
        lines = (await self.head()).split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
        length = int(headers[b"content-length"])
        while len(self._read) < length:
            await self._more()
        body, self._read = self._read[:length], self._read[length:]
        return int(lines[0].split()[1]), headers, body

    async def error(self) -> tuple[int, str]:
        """Return status and code of the next response, which is an error and the last one."""
        status, headers, body = await self.answer()
        assert headers[b"connection"] == b"close"
        error = orjson.loads(body)
        assert list(error) == ["code", "message", "hint", "details", "request_id"]
        assert error["request_id"].encode() == headers[b"x-request-id"]
        return status, error["code"]

    async def rest(self) -> bytes:
        """Return the data that arrives until the server closes."""
        with anyio.fail_after(TIMEOUT):
            while True:
                try:
                    self._read += await self._stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return self._read

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the data that arrives until the server closes, in pieces as they are received."""
        while True:
            try:
                with anyio.fail_after(TIMEOUT):
                    data = await self._stream.receive(4096)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return
            yield data

    async def frame(self) -> tuple[int, bytes]:
        """Return kind and payload of the next WebSocket frame, which must be a short one."""
        while len(self._read) < 2 or len(self._read) < 2 + self._read[1]:
            await self._more()
        assert self._read[1] < 126
        kind, end = self._read[0] & 0x0F, 2 + self._read[1]
        payload, self._read = self._read[2:end], self._read[end:]
        return kind, payload

    async def head(self) -> bytes:
        """Return the head of the next response."""
        while b"\r\n\r\n" not in self._read:
            await self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        return head

    async def _more(self) -> None:
        with anyio.fail_after(TIMEOUT):
            self._read += await self._stream.receive()


@asynccontextmanager
async def connected(service: HttpService, *, receive_buffer: int = 0) -> AsyncIterator[Raw]:
    """Connect. With `receive_buffer`, the kernel buffers no more than that for a client that does not read."""
    raw = socket.socket()
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    before = len(service.connections)
    raw.connect(("127.0.0.1", service.port))
    raw.setblocking(False)
    async with await anyio.abc.SocketStream.from_socket(raw) as stream:
        await until(lambda: len(service.connections) > before or len(service.connections) >= service.connections.limit)
        yield Raw(stream)


async def until(condition: Callable[[], object]) -> None:
    """Let the service work until the condition holds."""
    with anyio.fail_after(TIMEOUT):
        while not condition():  # noqa: ASYNC110 the service has no event for this
            await anyio.sleep(0.001)
