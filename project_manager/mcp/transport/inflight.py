"""What is being answered at this moment: counted, so that a stop can wait for it, and cancellable by
request id."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, RequestId

Incoming = SessionMessage | Exception
CallKey = tuple[str, str]
"""Session id and request id as text: clients cancel `7` with `"7"`."""


class Calls:
    """The calls in flight over all transports of one door."""

    def __init__(self) -> None:
        self._count = 0
        self._quiet: anyio.Event | None = None
        self._scopes: dict[CallKey, anyio.CancelScope] = {}

    @property
    def count(self) -> int:
        """Calls that have been read and whose answer has not been handed to the wire."""
        return self._count

    def begin(self) -> None:
        self._count += 1

    def end(self) -> None:
        self._count -= 1
        if self._count == 0 and self._quiet is not None:
            self._quiet.set()
            self._quiet = None

    @contextmanager
    def one(self) -> Iterator[None]:
        """Counts one call for as long as the block runs."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    @contextmanager
    def cancellable(self, key: CallKey) -> Iterator[anyio.CancelScope]:
        """A scope that `cancel(key)` ends. Of two calls with one key the later is the one that can be
        cancelled."""
        with anyio.CancelScope() as scope:
            self._scopes[key] = scope
            try:
                yield scope
            finally:
                if self._scopes.get(key) is scope:
                    del self._scopes[key]

    def cancel(self, key: CallKey) -> None:
        scope = self._scopes.get(key)
        if scope is not None:
            scope.cancel()

    async def wait_until_none(self, seconds: float) -> bool:
        """Waits until no call is in flight. False if some still are after that time."""
        with anyio.move_on_after(seconds):
            while self._count:
                self._quiet = self._quiet or anyio.Event()
                await self._quiet.wait()
        return self._count == 0


class MessageReader(Protocol):
    """The reading half of a transport, as the SDK hands it out."""

    async def receive(self) -> Incoming: ...
    async def aclose(self) -> None: ...


class MessageWriter(Protocol):
    """The writing half of a transport, as the SDK hands it out."""

    async def send(self, item: SessionMessage, /) -> None: ...
    async def aclose(self) -> None: ...


class Conversation:
    """The requests of one duplex transport (SSE, stdio) that wait for their answer.

    A request counts from the moment it is read until its answer was taken by the transport, so that
    closing the
    transport when nothing is pending loses no answer.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._pending: set[RequestId] = set()
        self._settled = anyio.Event()

    @property
    def pending(self) -> int:
        return len(self._pending)

    def asked(self, request_id: RequestId) -> None:
        if request_id not in self._pending:
            self._pending.add(request_id)
            self._calls.begin()

    def settle(self, request_id: RequestId | None) -> None:
        if request_id in self._pending:
            self._pending.remove(request_id)
            self._calls.end()
            self._settled.set()
            self._settled = anyio.Event()

    def close(self) -> None:
        """The transport is gone: nobody waits for an answer any more."""
        for request_id in list(self._pending):
            self.settle(request_id)

    async def wait_until_settled(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            while self._pending:
                await self._settled.wait()


class CountingReader:
    """Counts the requests that are read; at the end of the input it calls `at_end` and may wait until they are
    answered."""

    def __init__(
        self,
        inner: MessageReader,
        conversation: Conversation,
        *,
        linger_seconds: float = 0,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._inner = inner
        self._conversation = conversation
        self._linger_seconds = linger_seconds
        self._at_end = at_end

    @property
    def last_context(self) -> object:
        """The sender's context variables of the last message, which the dispatcher looks for."""
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Incoming:
        try:
            item = await self._inner.receive()
        except anyio.EndOfStream:
            self._at_end()
            await self._conversation.wait_until_settled(self._linger_seconds)
            raise
        if isinstance(item, SessionMessage):
            self._note(item.message)
        return item

    def _note(self, message: object) -> None:
        if isinstance(message, JSONRPCRequest):
            self._conversation.asked(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            for request_id in _spellings((message.params or {}).get("requestId")):
                self._conversation.settle(request_id)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Incoming:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class CountingWriter:
    """Settles a request once the transport took its answer."""

    def __init__(self, inner: MessageWriter, conversation: Conversation) -> None:
        self._inner = inner
        self._conversation = conversation

    async def send(self, item: SessionMessage, /) -> None:
        await self._inner.send(item)
        if isinstance(item.message, JSONRPCResponse | JSONRPCError):
            self._conversation.settle(item.message.id)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _spellings(request_id: object) -> tuple[RequestId, ...]:
    if isinstance(request_id, int) and not isinstance(request_id, bool):
        return (request_id, str(request_id))
    if isinstance(request_id, str):
        return (request_id, int(request_id)) if request_id.isascii() and request_id.isdigit() else (request_id,)
    return ()
