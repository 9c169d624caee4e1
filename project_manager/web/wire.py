"""How answers reach the socket."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State


class OneWrite(HttpToolsProtocol):
    """uvicorn's protocol, with the head of an answer sent together with the beginning of its body. Apart they are two
    system calls and two packets, a tenth of what a small request costs.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, _HeadWithBody(transport)))

    def handle_websocket_upgrade(self) -> None:
        self.transport = cast(_HeadWithBody, self.transport).whole
        super().handle_websocket_upgrade()


class _HeadWithBody:
    """A transport that keeps the head of an answer until more is written, or the turn of the loop is over."""

    __slots__ = ("_head", "_loop", "get_extra_info", "is_closing", "pause_reading", "resume_reading", "whole")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.whole = transport
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self._loop = asyncio.get_running_loop()
        self._head = b""

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

    def close(self) -> None:
        self._write_head()
        self.whole.close()

    def _write_head(self) -> None:
        if self._head and not self.whole.is_closing():
            self.whole.write(self._head)
        self._head = b""


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
