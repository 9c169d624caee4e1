"""Send changes of resources from the event hub to MCP clients.

With protocol version 2026-07-28, a listen stream gets the changes from the bus of the SDK. With protocol versions up to
2025-11-25, there are two cases:

- A legacy SSE or stdio connection has its subscriptions in memory.
- A request of an HTTP session may reach any instance, so the subscriptions of sessions are in the database. The
  instance with the stream of the session reads them after a change.

In both cases each client has its own pending set and its own sender. A client that does not read delays no other
client. Several changes of one resource may become one notification.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import anyio
import anyio.abc
import orjson
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated, ServerEvent

from project_manager.domain.errors import ProjectManagerError
from project_manager.mcp.transport.sdk import Client
from project_manager.observability.logging import RateLimitedWarning
from project_manager.runtime.event_hub import UNBOUNDED, Closed, Event, Hub, Overflow, Resync
from project_manager.runtime.resource_subscriptions import ResourceSubscription, ResourceSubscriptions

log = logging.getLogger(__name__)

MAX_URIS = 1000
_LEASES = frozenset(("task.locked", "task.unlocked"))
SEND_TIMEOUT_SECONDS = 10.0
NOTIFY_INTERVAL_SECONDS = 0.05
RENEW_INTERVAL_SECONDS = 600.0


class TooManySubscriptions(Exception):
    """The connection has reached MAX_URIS subscriptions."""


@dataclass(eq=False)
class _NotificationQueue:
    """Sender of notifications to one client, with the pending URIs."""

    client: Client
    stuck_seconds: float
    pending: dict[str, None] = field(default_factory=dict)
    wake: anyio.Event = field(default_factory=anyio.Event)
    gone: bool = False

    def enqueue(self, uri: str) -> None:
        """Add a changed resource to the pending URIs."""
        self.pending[uri] = None
        self.wake.set()

    def detach(self) -> None:
        """Stop the sender."""
        self.gone = True
        self.wake.set()

    async def send_all(self) -> None:
        """Send pending notifications until the connection ends.

        A client that does not read a notification for `stuck_seconds` is disconnected.
        """
        while not self.gone:
            await self.wake.wait()
            self.wake = anyio.Event()
            while self.pending and not self.gone:
                uri = next(iter(self.pending))
                del self.pending[uri]
                with anyio.move_on_after(self.stuck_seconds) as patience:
                    await self._notify(uri)
                if patience.cancelled_caught:
                    self.client.cut()

    async def _notify(self, uri: str) -> None:
        try:
            await self.client.resource_updated(uri)
        except Exception:
            log.exception("cannot notify a client", extra={"action": "announce_failed"})


@dataclass(eq=False)
class _Connection:
    """Legacy SSE or stdio connection, with its subscriptions."""

    sender: _NotificationQueue
    uris: set[str] = field(default_factory=set)


@dataclass(eq=False)
class _SessionStream:
    """Stream of an HTTP session on this instance."""

    sender: _NotificationQueue
    owner: str


class _CountingBus(InMemorySubscriptionBus):
    """The SDK's bus for the listen streams, with a set of the open ones."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: set[object] = set()

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        leave = super().subscribe(listener)
        stream = object()
        self.streams.add(stream)

        def unsubscribe() -> None:
            leave()
            self.streams.discard(stream)

        return unsubscribe


class _SessionStreams:
    """Streams of HTTP sessions on this instance, and the delivery of changes to them."""

    def __init__(self, stored: ResourceSubscriptions) -> None:
        self._stored = stored
        self._held: dict[str, _SessionStream] = {}
        self._changed: set[str] = set()
        self._new_sessions: set[str] = set()
        self._wake = anyio.Event()
        self._trouble = RateLimitedWarning(log, "subscriptions_failed", "cannot read subscriptions")

    def __len__(self) -> int:
        return len(self._held)

    def get(self, session_id: str) -> _SessionStream | None:
        return self._held.get(session_id)

    def attach(self, session_id: str, stream: _SessionStream) -> None:
        """Start to send changes to the stream of a session.

        The session gets a notification of all its subscriptions first, because it may have missed changes.
        """
        self._held[session_id] = stream
        self._begin([session_id])

    def leave(self, session_id: str, stream: _SessionStream) -> None:
        """Stop the sender of the stream, and remove the stream unless a newer one has replaced it."""
        stream.sender.detach()
        if self._held.get(session_id) is stream:
            del self._held[session_id]

    def changed(self, uris: Iterable[str]) -> None:
        """Queue changed resources for the next lookup of subscribers."""
        if self._held:
            self._changed.update(uris)
            self._wake.set()

    def resend_all(self) -> None:
        """Notify all sessions of all their subscriptions, because changes were lost."""
        self._begin(self._held)

    def _begin(self, sessions: Iterable[str]) -> None:
        self._new_sessions.update(sessions)
        self._wake.set()

    async def notify(self) -> None:
        """Send changes to their subscribers until cancelled.

        Subscribers are looked up at most once in LOOK_EVERY_SECONDS, and not for each change.
        """
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            begun, self._new_sessions = self._new_sessions, set()
            changed, self._changed = self._changed, set()
            try:
                self._offer(await self._stored.for_sessions(begun) if begun else ())
                self._offer(await self._stored.subscribers_of(changed) if changed and self._held else ())
                self._trouble.recovered()
            except ProjectManagerError as error:
                self._trouble.failed(error.message)
                self._begin(begun)
                self.changed(changed)
            await anyio.sleep(NOTIFY_INTERVAL_SECONDS)

    def _offer(self, subscriptions: Iterable[ResourceSubscription]) -> None:
        for one in subscriptions:
            stream = self._held.get(one.session_id)
            if stream is not None and stream.owner == one.owner:
                stream.sender.enqueue(one.uri)

    async def renew_loop(self) -> None:
        """Renew the subscriptions of these sessions every KEEP_EVERY_SECONDS, so that they do not expire."""
        while True:
            await anyio.sleep(RENEW_INTERVAL_SECONDS)
            try:
                if self._held:
                    await self._stored.renew(list(self._held))
            except ProjectManagerError as error:
                _warn("cannot renew subscriptions", error)


class Subscriptions:
    """Subscriptions of MCP clients to resources, and the delivery of changes."""

    def __init__(self, hub: Hub, stored: ResourceSubscriptions, stuck_seconds: float = SEND_TIMEOUT_SECONDS) -> None:
        self._hub = hub
        self._stored = stored
        self._stuck_seconds = stuck_seconds
        self._bus = _CountingBus()
        self._connections: dict[int, _Connection] = {}
        self._streams = _SessionStreams(stored)
        self._tasks: anyio.abc.TaskGroup | None = None
        self.listen = ListenHandler(self._bus, max_subscriptions=1024)

    def __len__(self) -> int:
        """Return the number of clients with a protocol version up to 2025-11-25 that this instance can notify."""
        return len(self._connections) + len(self._streams)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run the delivery from the hub to subscribers while the context is open."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._feed)
            tasks.start_soon(self._streams.notify)
            tasks.start_soon(self._streams.renew_loop)
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    async def subscribe(self, client: Client, uri: str, owner: str) -> None:
        """Subscribe the client to changes of `uri`. Raises TooManySubscriptions, ProjectManagerError."""
        if client.session_id is not None:
            if not await self._stored.add(ResourceSubscription(uri, client.session_id, owner), MAX_URIS):
                raise TooManySubscriptions
            return
        connection = self._connections.get(id(client))
        if connection is None:
            connection = self._connections[id(client)] = _Connection(self._sender(client))
            client.when_gone(lambda: self._remove(client))
        if len(connection.uris) >= MAX_URIS:
            raise TooManySubscriptions
        connection.uris.add(uri)

    async def unsubscribe(self, client: Client, uri: str, owner: str) -> None:
        """Cancel the subscription of the client to `uri`. Raises ProjectManagerError."""
        if client.session_id is not None:
            await self._stored.remove(ResourceSubscription(uri, client.session_id, owner))
            return
        connection = self._connections.get(id(client))
        if connection is not None:
            connection.uris.discard(uri)
            connection.sender.pending.pop(uri, None)

    def attach_stream(self, session_id: str, owner: str, client: Client) -> Callable[[], None]:
        """Register the stream of a session on this instance. Return the function to call when the stream ends."""
        stream = _SessionStream(self._sender(client), owner)
        self._streams.attach(session_id, stream)
        return lambda: self._streams.leave(session_id, stream)

    async def end_session(self, session_id: str, owner: str) -> None:
        """Remove the subscriptions of a session that its client has ended."""
        try:
            await self._stored.end_session(session_id, owner)
        except ProjectManagerError as error:  # no stream uses them, and they expire later
            _warn("cannot remove subscriptions", error)

    def _sender(self, client: Client) -> _NotificationQueue:
        sender = _NotificationQueue(client, self._stuck_seconds)
        if self._tasks is not None:
            self._tasks.start_soon(sender.send_all)
        return sender

    def _remove(self, client: Client) -> None:
        connection = self._connections.pop(id(client), None)
        if connection is not None:
            connection.sender.detach()

    async def _feed(self) -> None:
        while True:
            try:
                async with self._hub.subscribe(limit=UNBOUNDED) as events:
                    while True:
                        batch = await events.next_batch()
                        if len(self) or self._bus.streams:
                            await self.announce(uris_of(batch))
            except (Overflow, Resync):  # events were lost: any subscribed resource may have changed
                await self.announce({uri for connection in self._connections.values() for uri in connection.uris})
                self._streams.resend_all()
            except Closed:
                return

    async def announce(self, uris: Iterable[str]) -> None:
        """Queue a notification for every subscriber of these resources. Do not wait for clients."""
        self._streams.changed(uris)
        for uri in uris:
            for connection in self._connections.values():
                if uri in connection.uris:
                    connection.sender.enqueue(uri)
            await self._bus.publish(ResourceUpdated(uri=uri))


def _warn(what: str, error: ProjectManagerError) -> None:
    log.warning("%s: %s", what, error.message, extra={"action": "subscriptions_failed"})


def uris_of(events: Iterable[Event]) -> dict[str, None]:
    """Return the URIs of the resources that these events change, each once, in order."""
    uris: dict[str, None] = {}
    for event in events:
        if event.task_id is not None:
            uris[f"pm://task/{event.task_id}"] = None
        if event.project_id is not None:
            uris[f"pm://project/{event.project_id}/board"] = None
        for agent_id in (event.actor_id, _lease_holder(event)):
            if agent_id is not None:
                uris[agent_uri(agent_id)] = None
    return uris


def agent_uri(agent_id: str) -> str:
    return f"pm://agent/{quote(agent_id, safe='')}"


def _lease_holder(event: Event) -> str | None:
    """Return the holder of a lease that began or ended. The actor differs if an operator or expiry ended the lease."""
    if event.type not in _LEASES:
        return None
    holder = orjson.loads(event.data).get("agent_id")
    return holder if isinstance(holder, str) else None
