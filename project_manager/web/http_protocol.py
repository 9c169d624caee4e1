"""HTTP connections: uvicorn's protocol, one request at a time, within the limits of all connections."""

import asyncio
import re
from collections import OrderedDict
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from project_manager.domain.errors import (
    ConnectionLimit,
    Overloaded,
    ProjectManagerError,
    RequestTimeout,
)
from project_manager.domain.limits import BODY_BYTES
from project_manager.web import connections as bounds
from project_manager.web.connections import Connection, Connections
from project_manager.web.draining import Discard, HeadWithBody
from project_manager.web.rejections import malformed, response, too_large

END_OF_HEAD = b"\r\n\r\n"
OTHER_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:(?![ \t]*websocket[ \t]*\r)[^\r\n]*", re.IGNORECASE)
"""The header Upgrade of a protocol that is not served, such as h2c."""
ANY_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:[^\r\n]*", re.IGNORECASE)
BODY_ANNOUNCED = re.compile(rb"\r\n(?:content-length[ \t]*:[ \t]*0*[1-9]|transfer-encoding[ \t]*:)", re.IGNORECASE)
REST_BYTES = 64 * 1024
"""Input that is read ahead while a request is being answered: to read on shows whether the client is still there."""
CHUNKED = -1
"""The length of a body that is sent in chunks."""


class OneWrite(HttpToolsProtocol):
    """uvicorn's protocol, which sends the head of an answer together with the beginning of its body.

    Apart they are two system calls and two packets, a tenth of what a small request costs.

    Input is parsed to the end of one request. What follows waits, unread as far as possible, until that is answered.
    An answer that is complete before the body of its request reaches the client all the same: the rest of the body is
    read and dropped, within the bounds of `Discard`, before the connection is closed or used again.
    """

    transport: Any  # a HeadWithBody until a WebSocket takes over
    flow: "_Flow"

    def __init__(self, *, limits: Connections, listener: str, **more: Any) -> None:
        super().__init__(**more)
        self.ws_protocol_class = cast(Any, partial(cast(Any, self.ws_protocol_class), limits=limits, listener=listener))
        self.listener = listener
        self.is_receiving = False
        """The head of a request has been read, and its body not to the end."""
        self._limits = limits
        self._place: OrderedDict[Connection, None] | None = None
        self._since = 0
        self._head = bytearray()
        self._tail = b""
        """The last bytes of a chunked body that were parsed, where a blank line may have begun."""
        self._rest = bytearray()
        self._unread = self._read_bytes = self._body_bytes = self._body_mark = 0
        self._holds_bytes = self._is_cut = False
        self._stalled_since = self._stalled_bytes = 0
        self._closing_since: int | None = None
        self._discard: Discard | None = None
        self._websocket: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, HeadWithBody(transport, self)))
        self.flow = _Flow(self.transport)
        transport.set_write_buffer_limits(bounds.UNSENT_BYTES)
        if self._limits.enter(self):
            self._move(self._limits.heads)
        else:
            self._refuse(ConnectionLimit(f"{self._limits.limit} connections are open, as many as an instance holds"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_discarding()
        self._limits.leave(self)
        self.pipeline.clear()
        self._rest.clear()
        self._head.clear()
        super().connection_lost(exc)
        self.transport.lost()

    def handle_websocket_upgrade(self) -> None:
        self.transport = self.transport.whole
        super().handle_websocket_upgrade()
        self._websocket = self.transport.get_protocol()
        self._limits.replace(self, self._websocket)

    def _get_upgrade(self) -> bytes | None:
        """Return the protocol to switch to. The parser has read the header Connection, which may be given twice."""
        return b"websocket" if any(name == b"upgrade" for name, _ in self.headers) else None

    @property
    def may_be_sending(self) -> bool:
        """Whether the client may send more of what it has begun."""
        return self.is_receiving or self._is_cut or len(self._rest) > 0

    def drains(self) -> None:
        """Note that only the end of the client's request is awaited."""
        self.connections.discard(self)  # a shutdown does not wait for it
        self._rest.clear()
        self._limits.requests.drop(self)
        self._move(self._limits.draining)
        self.flow.release()

    # Input

    def data_received(self, data: bytes) -> None:
        taken = 0 if self._rest else self._take(data)
        if taken < len(data):
            self._rest += data[taken:]
            if len(self._rest) > REST_BYTES:
                self.flow.hold()
        if self.is_receiving or self._head or self._rest or self._holds_bytes:
            self._account()

    def _take(self, data: bytes | bytearray) -> int:
        """Parse the input up to the first request that has to wait for its answer. Return how much is parsed."""
        start, size = 0, len(data)
        while start < size and not self.transport.is_closing():
            if self._websocket is not None:
                self._websocket.data_received(bytes(data[start:]))
                return size
            if self.is_receiving:
                start = self._take_body(data, start)
            elif self.cycle is None or self.cycle.response_complete:
                start = self._take_head(data, start)
            else:
                return start
        return size

    def _take_head(self, data: bytes | bytearray, start: int) -> int:
        """Parse a head when its end is there, else keep its beginning. Return where the input goes on.

        The parser gets whole heads only: it joins the pieces of a line in quadratic time.
        """
        known = len(self._head)
        if known == 0:
            if data[start] in b"\r\n":  # RFC 9112, section 2.2: blank lines before a request
                return len(data) - len(data[start:].lstrip(b"\r\n"))
            stop = data.find(END_OF_HEAD, start) + 4
            if stop >= 4:
                self._parse_head(data[start:stop])
                return stop
            if self._place is self._limits.idle:
                self._move(self._limits.heads)
        self._head += data[start : start + bounds.HEAD_BYTES + 4 - known]
        end = self._head.find(END_OF_HEAD, max(known - 3, 0)) + 4
        if end >= 4:
            head = bytes(self._head[:end])
            self._head.clear()
            self._parse_head(head)
            return start + end - known
        if len(self._head) > bounds.HEAD_BYTES:
            self._refuse(too_large(), "head_too_large")
        elif not self._head[:1].isalpha() or self._head.find(b"\n\n", max(known - 1, 0)) >= 0:
            self._refuse(malformed(), "malformed")
        return len(data)

    def _parse_head(self, head: bytes | bytearray) -> None:
        size = len(head)
        if size > bounds.HEAD_BYTES or (size > 512 and head.count(b"\r\n") > bounds.HEADER_LINES + 2):
            self._refuse(too_large(), "head_too_large")
            return
        self._move(None)
        self._read_bytes = self._body_bytes = self._body_mark = 0
        if b"\r\nupgrade" in head.lower():  # httptools would take the body of such a request for the next one
            # A WebSocket begins with a GET without a body. Of other requests the header is ignored (RFC 9110, 7.8).
            may_open = head[:4] == b"GET " and BODY_ANNOUNCED.search(head) is None
            head = (OTHER_UPGRADE if may_open else ANY_UPGRADE).sub(b"", head)
        self._feed(head)
        if self.is_receiving and not self.transport.is_closing():
            self._since = self._limits.now
            self._unread = next((int(value) for name, value in self.headers if name == b"content-length"), CHUNKED)
            if self._unread == CHUNKED:
                self._tail = b""
                self.headers = _Trailers()

    def _take_body(self, data: bytes | bytearray, start: int) -> int:
        """Parse as much of a body as is there. Return where the input goes on."""
        if self._unread == CHUNKED:
            stop = self._blank_line(data, start)
        else:
            stop = min(len(data), start + self._unread)
            self._unread -= stop - start
        self._read_bytes += stop - start
        self._feed(data[start:stop])
        if self._read_bytes - 2 * self._body_bytes > bounds.HEAD_BYTES and self.is_receiving:
            self._refuse(too_large(), "head_too_large")  # sizes and extensions of chunks, or trailers
        if self._body_bytes - self._body_mark >= bounds.PROGRESS_BYTES:
            self._body_mark = self._body_bytes
            self._since = self._limits.now
        return stop

    def _blank_line(self, data: bytes | bytearray, start: int) -> int:
        """Return the end of the next blank line of a chunked body, else that of the data.

        A chunked message ends with a blank line, though a blank line may also be part of it. The parser gets nothing
        behind one: it would keep the beginning of the next head.
        """
        known = len(self._tail)
        straddling = (self._tail + data[start : start + 3]).find(END_OF_HEAD)
        found = start - known + straddling if straddling >= 0 else data.find(END_OF_HEAD, start)
        if straddling >= 0 or found >= 0:
            self._tail = b""
            return found + 4
        self._tail = bytes((self._tail + data[max(start, len(data) - 3) :])[-3:])
        return len(data)

    def _feed(self, piece: bytes | bytearray) -> None:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._refuse(malformed(), "malformed")
        except httptools.HttpParserError:
            self._refuse(malformed(), "malformed")

    def _account(self) -> None:
        """Count the bytes of the request against the budget of all requests."""
        requests = self._limits.requests
        is_answered = self.cycle is None or self.cycle.response_complete
        if self.transport.is_closing():
            requests.drop(self)
        elif self.is_receiving or self._head or self._rest:
            held = 0 if is_answered else min(self._body_bytes, BODY_BYTES)
            requests.hold(self, held + len(self._head) + len(self._rest))
            self._holds_bytes = True
            while (victim := requests.to_give_way()) is not None:
                victim.drop_request()
        elif is_answered:
            requests.drop(self)
            self._holds_bytes = False
        else:
            requests.fix(self)

    # Callbacks of the parser and of the answer

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.is_receiving = True

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._discard is not None:
            self._discard.take(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.is_receiving = False
        super().on_message_complete()
        if self._stop_discarding() and not self.transport.is_closing():
            self._move(self._limits.idle)

    def on_response_complete(self) -> None:
        """Go on with what the client has sent meanwhile, or wait for its next request.

        uvicorn reads on after each answer, also while requests wait, and starts a timer for each.
        """
        self.server_state.total_requests += 1
        if self._holds_bytes:
            self._limits.requests.drop(self)
            self._holds_bytes = False
        if self.transport.is_closing():
            return
        if self.is_receiving and self.cycle.response_complete:
            self._discard = Discard(self.transport.whole.close)
            self._move(self._limits.draining)
            self.flow.resume_reading()
        elif self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._move(self._limits.idle)
            self._take_rest()

    def _take_rest(self) -> None:
        """Go on with the input that was kept, up to the end of the next request."""
        if self._rest:
            del self._rest[: self._take(self._rest)]
            self._account()
        if len(self._rest) <= REST_BYTES:
            self.flow.release()

    def _stop_discarding(self) -> bool:
        """Stop dropping a body. Returns whether one was being dropped."""
        discard, self._discard = self._discard, None
        if discard is not None:
            discard.stop()
        return discard is not None

    # Answers that are not taken

    def pause_writing(self) -> None:
        super().pause_writing()
        self._note_unsent()
        while (victim := self._limits.answers.to_give_way()) is not None:
            victim.drop_answer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._limits.answers.drop(self)

    def _note_unsent(self) -> None:
        self._stalled_since = self._limits.now
        self._stalled_bytes = self.transport.whole.get_write_buffer_size()
        self._limits.answers.hold(self, self._stalled_bytes)

    # Limits

    def check(self, now: int) -> None:
        """Enforce the limits in time. `now` counts seconds."""
        if self.flow.write_paused:
            self._check_answer()
        if self.transport.whole.is_closing():
            self._check_end()
            return
        waited = now - self._since
        if self._place is self._limits.heads:
            if waited > bounds.HEAD_SECONDS:
                self._end_head()
        elif self._place is self._limits.idle:
            if waited > bounds.KEEP_ALIVE_SECONDS:
                self.transport.close()
        elif self.is_receiving and self._place is None and waited > bounds.BODY_SECONDS:
            self._end_body()

    def _check_end(self) -> None:
        """Cut a closed connection whose client does not take the last bytes. Before them, `_check_answer` decides."""
        if self.flow.write_paused or self._closing_since is None:
            self._closing_since = self._limits.now
        elif self._limits.now - self._closing_since > bounds.LINGER_SECONDS:
            self.transport.whole.abort()

    def _end_head(self) -> None:
        """End a connection whose head does not come. A client that has sent nothing expects no answer."""
        if self._head:
            self._refuse(RequestTimeout("the head of the request did not arrive in time"), "head_timeout")
        else:
            self._limits.count("head_timeout")
            self.transport.close_now()

    def _end_body(self) -> None:
        if self.flow.read_paused:  # the client cannot send on
            self._since = self._limits.now
        else:
            self._refuse(RequestTimeout("the body of the request did not arrive in time"), "body_timeout")

    def _check_answer(self) -> None:
        unsent = self.transport.whole.get_write_buffer_size()
        if self._stalled_bytes - unsent >= bounds.PROGRESS_BYTES:
            self._note_unsent()
        elif self._limits.now - self._stalled_since > bounds.ANSWER_SECONDS:
            self._limits.count("answer_timeout")
            self._stalled_since = self._limits.now  # counted once
            self.transport.whole.abort()

    def make_room(self) -> None:
        """Close at once: another connection needs the place."""
        if (self._head or self.is_receiving) and self._place is not self._limits.draining:
            self._write_error(ConnectionLimit("this instance needs the connection for another request"))
        self.transport.close_now()

    def drop_request(self) -> None:
        """Give up the bytes of the unfinished request: they are needed for others."""
        if self._rest:
            self._limits.count("pipeline")
            self._rest.clear()
            self._is_cut = True
            self.flow.hold()
            self.cycle.keep_alive = False
        else:
            self._refuse(Overloaded("unfinished requests hold as much memory as they may"), "request_memory")
        self._limits.requests.drop(self)

    def drop_answer(self) -> None:
        """Close without the rest of the answer: its bytes are needed for others."""
        self._limits.count("answer_memory")
        self._limits.answers.drop(self)
        self.transport.whole.abort()

    def _refuse(self, error: ProjectManagerError, reason: str = "") -> None:
        """Answer the request that is being received with an error, and close."""
        if reason:
            self._limits.count(reason)
        self._write_error(error)
        self.is_receiving = True  # all further input is dropped
        self.transport.close()

    def _write_error(self, error: ProjectManagerError) -> None:
        """Write an answer without the application, unless it has begun one."""
        self._head.clear()
        if self._discard is not None:  # the request has its answer
            self.transport.whole.abort()
            return
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started:
                self.transport.whole.abort()
                return
            self.cycle.disconnected = True  # the application reads that the client is gone, and sends nothing
            self.cycle.message_event.set()
            self.cycle.body.clear()
        self.transport.write(response(error, self.server_state.default_headers))

    def _move(self, place: OrderedDict[Connection, None] | None) -> None:
        """Wait in this place from now on."""
        if self._place is not None:
            self._place.pop(self, None)
        self._place = place
        if place is not None:
            place[self] = None
            self._since = self._limits.now


class _Flow(FlowControl):
    """Flow control that does not read on while input is held back, even when the application asks for it."""

    is_held = False

    def hold(self) -> None:
        self.pause_reading()
        self.is_held = True

    def release(self) -> None:
        self.is_held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()


class _Trailers(list[tuple[bytes, bytes]]):
    """Drops the fields behind a chunked body: nothing reads them, and they must not pass for headers."""

    def append(self, field: tuple[bytes, bytes]) -> None:
        pass
