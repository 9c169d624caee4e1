"""How answers reach the socket, also when the request is still being sent."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State

DISCARDED_BYTES = 128 * 1024 * 1024
DISCARD_SECONDS = 30.0
DISCARD_IDLE_SECONDS = 5.0


class Discard:
    """Limits for reading the rest of a request body after the answer: bytes, seconds, seconds without a byte.

    Closing a socket with unread input resets the connection, and the client loses the answer (RFC 9112, section 9.6).
    So the rest of the body is read and dropped. Calls `exceeded` once when a bound is reached.
    """

    def __init__(self, exceeded: Callable[[], object]) -> None:
        self._exceeded = exceeded
        self._loop = asyncio.get_running_loop()
        self._latest = self._loop.time() + DISCARD_SECONDS
        self._bytes = self._bytes_before = 0
        self._timer = self._loop.call_later(DISCARD_IDLE_SECONDS, self._look)

    def take(self, number: int) -> None:
        """Count bytes that were read and dropped."""
        self._bytes += number
        if self._bytes > DISCARDED_BYTES:
            self._end()

    def stop(self) -> None:
        """Stop counting: the body is complete, or the connection is lost."""
        self._timer.cancel()

    def _look(self) -> None:
        if self._bytes == self._bytes_before or self._loop.time() >= self._latest:
            self._end()
            return
        self._bytes_before = self._bytes
        self._timer = self._loop.call_later(DISCARD_IDLE_SECONDS, self._look)

    def _end(self) -> None:
        self.stop()
        self._exceeded()


class OneWrite(HttpToolsProtocol):
    """uvicorn's protocol, with the head of an answer sent together with the beginning of its body. Apart they are two
    system calls and two packets, a tenth of what a small request costs.

    An answer that is complete before the body of its request reaches the client all the same: the rest of the body is
    read and dropped, within the bounds of `Discard`, before the connection is closed or used again.
    """

    transport: Any  # a _HeadWithBody until a WebSocket takes over
    is_receiving = False
    """The head of a request has been read, and its body not to the end."""
    _discard: Discard | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, _HeadWithBody(transport, self)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_discarding()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self.transport = self.transport.whole
        super().handle_websocket_upgrade()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.is_receiving = True

    def on_body(self, body: bytes) -> None:
        if self._discard is not None:
            self._discard.take(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.is_receiving = False
        super().on_message_complete()
        if self._stop_discarding() and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.is_receiving and self.cycle.response_complete and not self.transport.is_closing():
            self._discard = Discard(self.transport.whole.close)

    def send_400_response(self, msg: str) -> None:
        self.is_receiving = True  # all further input is treated as a body
        super().send_400_response(msg)

    def _stop_discarding(self) -> bool:
        """Stop dropping a body. Returns whether one was being dropped."""
        discard, self._discard = self._discard, None
        if discard is not None:
            discard.stop()
        return discard is not None


class _HeadWithBody:
    """A transport that keeps the head of an answer until more is written or the loop runs its next callback. It
    closes when the request has been read to its end.
    """

    __slots__ = (
        "_head",
        "_is_draining",
        "_loop",
        "_protocol",
        "get_extra_info",
        "pause_reading",
        "resume_reading",
        "whole",
    )

    def __init__(self, transport: asyncio.Transport, protocol: OneWrite) -> None:
        self.whole = transport
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._is_draining = False

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1"):
            self._head = data
            self._loop.call_soon(self._write_head)
            return
        self.whole.write(data)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.whole.set_protocol(protocol)

    def is_closing(self) -> bool:
        return self._is_draining or self.whole.is_closing()

    def close(self) -> None:
        """Send the end of the answer, and close when the client has sent its whole request."""
        if self.is_closing():
            return
        self._write_head()
        if not self._protocol.is_receiving:
            self.whole.close()
            return
        self._is_draining = True
        self._protocol.connections.discard(self._protocol)  # a shutdown does not wait for it
        self._protocol.flow.resume_reading()
        self.whole.set_protocol(_Draining(self.whole, self._protocol))
        self.whole.write_eof()

    def _write_head(self) -> None:
        if self._head and not self.whole.is_closing():
            self.whole.write(self._head)
        self._head = b""


class _Draining(asyncio.Protocol):
    """Protocol of a connection whose last answer has been written. It drops all further input."""

    def __init__(self, transport: asyncio.Transport, before: OneWrite) -> None:
        self._before = before
        self._discard = Discard(transport.close)
        self.pause_writing = before.pause_writing  # type: ignore[method-assign]
        self.resume_writing = before.resume_writing  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        self._discard.take(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._discard.stop()
        self._before.connection_lost(exc)


def framed(text: str) -> bytes:
    """The text as one WebSocket frame of a server, the same for every client."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


class SameForAll(WebSocketsSansIOProtocol):
    """uvicorn's protocol, which also takes `{"type": "websocket.send", "frame": bytes}`: a frame that was made once for
    all who get it. To frame an event anew for each of a thousand listeners costs more than to send it.
    """

    async def send(self, message: Any) -> None:
        frame = message.get("frame")
        if frame is None:
            await super().send(message)
            if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
                self.handshake_complete = True  # else uvicorn logs a refusal as an error of the application
            return
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            raise ClientDisconnected
        self.transport.write(frame)
