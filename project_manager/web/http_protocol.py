"""HTTP connections: uvicorn's protocol, with one request at a time and the limits of `Connections`."""

import asyncio
from collections import OrderedDict
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from project_manager.domain.errors import ProjectManagerError, RequestTimeout
from project_manager.domain.limits import BODY_BYTES
from project_manager.domain.service_errors import ConnectionLimit, Overloaded
from project_manager.web import connections as limits
from project_manager.web.connections import Connection, Connections
from project_manager.web.draining import BodyDiscarder, CoalescingTransport
from project_manager.web.framing import (
    ChunkedBody,
    DroppedTrailers,
    HeadBuffer,
    SizedBody,
    body_of,
    is_too_large,
    without_other_upgrades,
)
from project_manager.web.rejections import malformed, response, too_large
from project_manager.web.whole_response import WholeResponseCycle

READ_AHEAD_BYTES = 64 * 1024
"""Limit on input read ahead while a request is processed. Reading ahead detects a disconnect of the client."""


class CoalescingHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits. It sends the head of a response together with the beginning of the body.

    A second system call for the body would cost a tenth of a small request. Input is parsed to the end of one request.
    Further input stays unread as far as possible until the response is complete. When a response is complete before its
    request, the rest of the body is dropped within the limits of `BodyDiscarder`, so that the client gets the response.
    """

    transport: Any  # a CoalescingTransport until a WebSocket takes over
    flow: "_GatedFlowControl"

    def __init__(self, *, limits: Connections, listener: str, **more: Any) -> None:
        super().__init__(**more)
        self.ws_protocol_class = cast(Any, partial(cast(Any, self.ws_protocol_class), limits=limits, listener=listener))
        self.listener = listener
        self.is_receiving = False
        """Whether the head of a request is complete and its body is not."""
        self._limits = limits
        self._wait_queue: OrderedDict[Connection, None] | None = None
        self._since = 0
        self._head = HeadBuffer()
        self._body: SizedBody | ChunkedBody = SizedBody(0)
        self._rest = bytearray()
        self._read_bytes = self._body_bytes = self._body_mark = 0
        self._holds_bytes = self._is_aborted = False
        self._stalled_since = self._stalled_bytes = 0
        self._closing_since: int | None = None
        self._discard: BodyDiscarder | None = None
        self._websocket: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, CoalescingTransport(transport, self)))
        self.flow = _GatedFlowControl(self.transport)
        transport.set_write_buffer_limits(limits.UNSENT_BYTES)
        if self._limits.add(self):
            self._move(self._limits.heads)
        else:
            self._reject(ConnectionLimit(f"connection limit of {self._limits.limit} reached"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_discarding()
        self._limits.remove(self)
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
        """Return the protocol to switch to. The parser has checked the header Connection, which may occur twice."""
        return b"websocket" if any(name == b"upgrade" for name, _ in self.headers) else None

    @property
    def is_receiving_request(self) -> bool:
        """Return whether the client may send more of a request that it has begun."""
        return self.is_receiving or self._is_aborted or len(self._rest) > 0

    def start_draining(self) -> None:
        """Mark the connection as draining: it waits only for the end of the client's request."""
        self.connections.discard(self)  # a shutdown does not wait for it
        self._rest.clear()
        self._limits.requests.release(self)
        self._move(self._limits.draining)
        self.flow.release()

    # Input

    def data_received(self, data: bytes) -> None:
        parsed = 0 if self._rest else self._parse(data)
        if parsed < len(data):
            self._rest += data[parsed:]
            if len(self._rest) > READ_AHEAD_BYTES:
                self.flow.hold()
        if self.is_receiving or self._head or self._rest or self._holds_bytes:
            self._account()

    def _parse(self, data: bytes | bytearray) -> int:
        """Parse input up to the first request that has to wait, and return the number of parsed bytes."""
        start, size = 0, len(data)
        while start < size and not self.transport.is_closing():
            if self._websocket is not None:
                self._websocket.data_received(bytes(data[start:]))
                return size
            if self.is_receiving:
                start = self._parse_body(data, start)
            elif self.cycle is None or self.cycle.response_complete:
                start = self._read_head(data, start)
            else:
                return start
        return size

    def _read_head(self, data: bytes | bytearray, start: int) -> int:
        """Parse a complete head, or keep its beginning, and return the offset of the remaining input."""
        head, stop = self._head.take(data, start)
        if head is not None:
            self._parse_head(head)
        elif self._head.is_too_large:
            self._reject(too_large(), "headers_too_large")
        elif self._head and self._head.is_malformed:
            self._reject(malformed(), "malformed")
        elif self._head and self._wait_queue is self._limits.idle:
            self._move(self._limits.heads)
        return stop

    def _parse_head(self, head: bytes | bytearray) -> None:
        if is_too_large(head):
            self._reject(too_large(), "headers_too_large")
            return
        self._move(None)
        self._read_bytes = self._body_bytes = self._body_mark = 0
        self._feed(without_other_upgrades(head))
        if self.is_receiving and not self.transport.is_closing():
            self._since = self._limits.now
            self._body = body_of(self.headers)
            if isinstance(self._body, ChunkedBody):
                self.headers = DroppedTrailers()

    def _parse_body(self, data: bytes | bytearray, start: int) -> int:
        """Parse the received part of a body and return the offset of the remaining input."""
        stop = self._body.end(data, start)
        self._read_bytes += stop - start
        self._feed(data[start:stop])
        if self._read_bytes - 2 * self._body_bytes > limits.HEAD_BYTES and self.is_receiving:
            self._reject(too_large(), "headers_too_large")  # chunk sizes, chunk extensions or trailers
        if self._body_bytes - self._body_mark >= limits.PROGRESS_BYTES:
            self._body_mark = self._body_bytes
            self._since = self._limits.now
        return stop

    def _feed(self, piece: bytes | bytearray) -> None:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._reject(malformed(), "malformed")
        except httptools.HttpParserError:
            self._reject(malformed(), "malformed")

    def _account(self) -> None:
        """Count the bytes of the request towards the memory limit. A complete request keeps them until its response."""
        requests = self._limits.requests
        is_answered = self.cycle is None or self.cycle.response_complete
        if self.transport.is_closing():
            requests.release(self)
        elif self.is_receiving or self._head or self._rest:
            held = 0 if is_answered else min(self._body_bytes, BODY_BYTES)
            requests.set_bytes(self, held + len(self._head) + len(self._rest))
            self._holds_bytes = True
            while (victim := requests.victim()) is not None:
                victim.drop_request()
        elif is_answered:
            requests.release(self)
            self._holds_bytes = False
        else:
            requests.pin(self)

    # Callbacks of the parser and of the response

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        WholeResponseCycle.adopt(cycle)
        super()._start_asgi_task(cycle, app)

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
        """Process input that arrived during the request, or wait for the next request.

        uvicorn's method would resume reading even while requests wait, and start a timer for each response.
        """
        self.server_state.total_requests += 1
        if self._holds_bytes:
            self._limits.requests.release(self)
            self._holds_bytes = False
        if self.transport.is_closing():
            return
        if self.is_receiving and self.cycle.response_complete:
            self._discard = BodyDiscarder(self.transport.whole.close)
            self._move(self._limits.draining)
            self.flow.resume_reading()
        elif self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._move(self._limits.idle)
            self._parse_rest()

    def _parse_rest(self) -> None:
        """Parse the buffered input up to the end of the next request."""
        if self._rest:
            del self._rest[: self._parse(self._rest)]
            self._account()
        if len(self._rest) <= READ_AHEAD_BYTES:
            self.flow.release()

    def _stop_discarding(self) -> bool:
        """Stop dropping a body and return whether one was being dropped."""
        discard, self._discard = self._discard, None
        if discard is not None:
            discard.stop()
        return discard is not None

    # Unread responses

    def pause_writing(self) -> None:
        super().pause_writing()
        self._note_unsent()
        while (victim := self._limits.responses.victim()) is not None:
            victim.drop_response()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._limits.responses.release(self)

    def _note_unsent(self) -> None:
        self._stalled_since = self._limits.now
        self._stalled_bytes = self.transport.whole.get_write_buffer_size()
        self._limits.responses.set_bytes(self, self._stalled_bytes)

    # Limits

    def check(self, now: int) -> None:
        """Enforce the time limits. `now` counts seconds."""
        if self.flow.write_paused:
            self._check_response()
        if self.transport.whole.is_closing():
            self._check_end()
            return
        waited = now - self._since
        if self._wait_queue is self._limits.heads:
            if waited > limits.HEAD_SECONDS:
                self._end_head()
        elif self._wait_queue is self._limits.idle:
            if waited > limits.KEEP_ALIVE_SECONDS:
                self.transport.close()
        elif self.is_receiving and self._wait_queue is None and waited > limits.BODY_SECONDS:
            self._end_body()

    def _check_end(self) -> None:
        """Abort a closed connection if the client does not read the rest. `_check_response` does so while paused."""
        if self.flow.write_paused or self._closing_since is None:
            self._closing_since = self._limits.now
        elif self._limits.now - self._closing_since > limits.LINGER_SECONDS:
            self.transport.whole.abort()

    def _end_head(self) -> None:
        """End a connection without a complete head. A client that has sent nothing expects no response."""
        if self._head:
            self._reject(RequestTimeout("timeout while reading the request headers"), "head_timeout")
        else:
            self._limits.count("head_timeout")
            self.transport.close_now()

    def _end_body(self) -> None:
        if self.flow.read_paused:  # the client cannot send more
            self._since = self._limits.now
        else:
            self._reject(RequestTimeout("timeout while reading the request body"), "body_timeout")

    def _check_response(self) -> None:
        unsent = self.transport.whole.get_write_buffer_size()
        if self._stalled_bytes - unsent >= limits.PROGRESS_BYTES:
            self._note_unsent()
        elif self._limits.now - self._stalled_since > limits.RESPONSE_SECONDS:
            self._limits.count("response_timeout")
            self._stalled_since = self._limits.now  # count it once
            self.transport.whole.abort()

    def close_for_new(self) -> None:
        """Close at once, because another connection needs the place."""
        if (self._head or self.is_receiving) and self._wait_queue is not self._limits.draining:
            self._write_error(ConnectionLimit("connection closed: the instance is at its connection limit"))
        self.transport.close_now()

    def drop_request(self) -> None:
        """Free the bytes of the unfinished request, because other connections need the memory."""
        if self._rest:
            self._limits.count("pipeline")
            self._rest.clear()
            self._is_aborted = True
            self.flow.hold()
            self.cycle.keep_alive = False
        else:
            self._reject(Overloaded("memory limit of unfinished requests reached"), "request_memory")
        self._limits.requests.release(self)

    def drop_response(self) -> None:
        """Close without the rest of the response, because other connections need its memory."""
        self._limits.count("response_memory")
        self._limits.responses.release(self)
        self.transport.whole.abort()

    def _reject(self, error: ProjectManagerError, reason: str = "") -> None:
        """Respond to the request that is being received with an error, and close."""
        if reason:
            self._limits.count(reason)
        self._write_error(error)
        self.is_receiving = True  # drop all further input
        self.transport.close()

    def _write_error(self, error: ProjectManagerError) -> None:
        """Write an error response without the application, unless the application has begun one."""
        self._head.clear()
        if self._discard is not None:  # the request has its response
            self.transport.whole.abort()
            return
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started:
                self.transport.whole.abort()
                return
            self.cycle.disconnected = True  # the application sees a disconnect and sends nothing
            self.cycle.message_event.set()
            self.cycle.body.clear()
        self.transport.write(response(error, self.server_state.default_headers))

    def _move(self, place: OrderedDict[Connection, None] | None) -> None:
        """Move the connection to another queue of `Connections`, or to none."""
        if self._wait_queue is not None:
            self._wait_queue.pop(self, None)
        self._wait_queue = place
        if place is not None:
            place[self] = None
            self._since = self._limits.now


class _GatedFlowControl(FlowControl):
    """Flow control that stays paused while input is held, even when the application requests more."""

    is_held = False

    def hold(self) -> None:
        """Pause reading until `release`."""
        self.pause_reading()
        self.is_held = True

    def release(self) -> None:
        """Resume reading after `hold`."""
        self.is_held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()
