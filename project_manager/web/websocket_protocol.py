"""WebSocket connections: uvicorn's protocol, with the limits of `Connections`."""

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State

from project_manager.web.connections import LINGER_SECONDS, Connections

MESSAGE_FRAMES = 256
"""Limit on frames of one message. Empty frames count towards no limit in bytes."""
PIECE_BYTES = 4096
"""Bytes of input that are parsed in one step. A frame of a few bytes costs many times its size."""
PENDING_BYTES = 64 * 1024
"""Limit on unparsed input. Above it the protocol pauses reading."""

_EXTENSION = "project_manager.frames"
"""Name of the ASGI extension that writes encoded frames."""


WriteFrame = Callable[[bytes], bool]
"""Write an encoded frame without waiting. Return False, and write nothing, if the client takes no more."""


def encode_frame(text: str) -> bytes:
    """Return the text as one unmasked WebSocket frame, the same for every client."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


def frame_writer(scope: Any) -> WriteFrame | None:
    """Return the function that writes frames to the client of a WebSocket, or None on another server."""
    write: WriteFrame | None = scope.get("extensions", {}).get(_EXTENSION, {}).get("write")
    return write


class PreframedWebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol. It also sends encoded frames: `{"type": "websocket.send", "frame": bytes}`.

    `write_frame` sends one without a task, when the client has read enough. `frame_writer` finds it in the ASGI scope.
    """

    def __init__(self, *, limits: Connections, listener: str, **more: Any) -> None:
        super().__init__(**more)
        self.listener = listener
        self._limits = limits
        self._pending = bytearray()
        self._closing_since: int | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._limits.remove(self)
        self._pending.clear()
        super().connection_lost(exc)

    # Input

    def data_received(self, data: bytes) -> None:
        self._pending += data
        self._parse()
        if len(self._pending) > PENDING_BYTES:
            self.transport.pause_reading()

    async def receive(self) -> Any:
        message = await super().receive()
        self._resume()
        return message

    def _parse(self) -> None:
        """Parse input until a message waits for the application, or output waits for the client."""
        while self._pending and self._may_parse():
            piece = bytes(self._pending[:PIECE_BYTES])
            del self._pending[:PIECE_BYTES]
            super().data_received(piece)
            if self.conn.handshake_exc is not None:  # uvicorn does not respond to such a request
                self.transport.write(b"".join(self.conn.data_to_send()))
                self.transport.close()

    def _may_parse(self) -> bool:
        if self.read_paused or not self.writable.is_set() or self.transport.is_closing():
            return False
        return self.handshake_complete or not self.handshake_initiated

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) < MESSAGE_FRAMES:
            super().handle_cont(event)
        else:
            self._fail(CloseCode.MESSAGE_TOO_BIG, f"a message has at most {MESSAGE_FRAMES} frames")

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent and not _is_utf8(b"".join(self.frames)):
            self._fail(CloseCode.INVALID_DATA, "a text message has to be UTF-8")
        else:
            super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """Close a connection with an invalid frame, even before the handshake is complete."""
        if self.conn.close_sent is None:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.ABNORMAL_CLOSURE})
            self.close_sent = True
            self.transport.close()
        elif not self.close_sent:
            super().handle_parser_exception()

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.frames = []
        if not self.close_sent:
            self.conn.fail(code, reason)
            self.handle_parser_exception()

    # Output

    async def run_asgi(self) -> None:
        extensions: Any = self.scope["extensions"]
        extensions[_EXTENSION] = {"write": self.write_frame}
        try:
            await super().run_asgi()
        finally:
            del extensions[_EXTENSION]  # a reference cycle would keep the protocol in memory

    def write_frame(self, frame: bytes) -> bool:
        """Write an encoded frame unless the client takes no more. Return whether it was written."""
        if not self.writable.is_set() or self.close_sent or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    async def send(self, message: Any) -> None:
        frame = message.get("frame")
        if frame is None:
            if self.close_sent and message["type"] in ("websocket.send", "websocket.close"):
                raise ClientDisconnected  # the protocol has closed the connection for an invalid frame
            await super().send(message)
            if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
                self.handshake_complete = True  # otherwise uvicorn logs a refusal as an error of the application
            elif message["type"] == "websocket.accept":
                self._resume()
            return
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            raise ClientDisconnected
        self.transport.write(frame)

    def pause_writing(self) -> None:
        """Pause reading while the client does not read, because each ping would add a pong."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._resume()

    def _resume(self) -> None:
        """Parse pending input, and resume reading when all of it is parsed."""
        self._parse()
        if not self._pending and not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    # Limits

    def check(self, now: int) -> None:
        """Abort a closed connection when its client does not read the rest. `now` counts seconds."""
        if self.transport.is_closing():
            self._closing_since = now if self._closing_since is None else self._closing_since
            if now - self._closing_since > LINGER_SECONDS:
                self.transport.abort()

    def close_for_new(self) -> None:
        """Close at once, because another connection needs the place."""
        self.transport.abort()

    drop_request = drop_response = close_for_new


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
