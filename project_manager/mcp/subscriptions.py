"""Changes of resources, from the event hub to clients of both eras.

2026: a listen stream takes them from the bus. 2025: a legacy SSE or stdio connection keeps its subscriptions with
itself; a session over HTTP may reach any instance with each request, so that its subscriptions are in the database, and
whichever instance holds its stream looks there when something has changed. Each 2025 client has a pending set and a
sender of its own, so that one which does not read delays nobody, and a resource that changes often is announced once.
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
from project_manager.observability.logging import Trouble
from project_manager.runtime.event_hub import UNBOUNDED, Closed, Event, Hub, Overflow, Resync
from project_manager.runtime.resource_subscriptions import ResourceSubscription, ResourceSubscriptions

log = logging.getLogger(__name__)

MAX_URIS = 1000
_LEASES = frozenset(("task.locked", "task.unlocked"))
STUCK_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.05
KEEP_EVERY_SECONDS = 600.0


class TooManySubscriptions(Exception):
    """The connection subscribes to more resources than it may."""


@dataclass(eq=False)
class _Sender:
    """What one client has yet to be told."""

    client: Client
    stuck_seconds: float
    pending: dict[str, None] = field(default_factory=dict)
    wake: anyio.Event = field(default_factory=anyio.Event)
    gone: bool = False

    def offer(self, uri: str) -> None:
        self.pending[uri] = None
        self.wake.set()

    def leave(self) -> None:
        self.gone = True
        self.wake.set()

    async def send_all(self) -> None:
        """Announces what is pending, for as long as the connection lasts."""
        while not self.gone:
            await self.wake.wait()
            self.wake = anyio.Event()
            while self.pending and not self.gone:
                uri = next(iter(self.pending))
                del self.pending[uri]
                with anyio.move_on_after(self.stuck_seconds) as patience:
                    await self._tell(uri)
                if patience.cancelled_caught:
                    self.client.cut()

    async def _tell(self, uri: str) -> None:
        try:
            await self.client.resource_updated(uri)
        except Exception:
            log.exception("a client cannot be told of a change", extra={"action": "announce_failed"})


@dataclass(eq=False)
class _Connection:
    """A legacy SSE or stdio connection with its subscriptions."""

    sender: _Sender
    uris: set[str] = field(default_factory=set)


@dataclass(eq=False)
class _Stream:
    """The stream of a session over HTTP, held here."""

    sender: _Sender
    owner: str


class _Bus(InMemorySubscriptionBus):
    """The SDK's bus for the listen streams, which knows whether there are any."""

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


class _Streams:
    """The streams of sessions that this instance holds, and what their sessions subscribed to."""

    def __init__(self, stored: ResourceSubscriptions) -> None:
        self._stored = stored
        self._held: dict[str, _Stream] = {}
        self._changed: set[str] = set()
        self._begun: set[str] = set()
        self._wake = anyio.Event()
        self._trouble = Trouble(log, "subscriptions_failed", "subscriptions cannot be read")

    def __len__(self) -> int:
        return len(self._held)

    def get(self, session_id: str) -> _Stream | None:
        return self._held.get(session_id)

    def enter(self, session_id: str, stream: _Stream) -> None:
        """From now on the session hears of changes here, and at once of all its subscriptions: it may have missed
        some.
        """
        self._held[session_id] = stream
        self._begin([session_id])

    def leave(self, session_id: str, stream: _Stream) -> None:
        stream.sender.leave()
        if self._held.get(session_id) is stream:
            del self._held[session_id]

    def changed(self, uris: Iterable[str]) -> None:
        if self._held:
            self._changed.update(uris)
            self._wake.set()

    def missed(self) -> None:
        """Changes were lost: anything may have changed."""
        self._begin(self._held)

    def _begin(self, sessions: Iterable[str]) -> None:
        self._begun.update(sessions)
        self._wake.set()

    async def announce(self) -> None:
        """Looks for the subscribers of what changed; not for each change, but some times a second."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            begun, self._begun = self._begun, set()
            changed, self._changed = self._changed, set()
            try:
                self._offer(await self._stored.of(begun) if begun else ())
                self._offer(await self._stored.wanting(changed) if changed and self._held else ())
                self._trouble.is_over()
            except ProjectManagerError as error:
                self._trouble.goes_on(error.message)
                self._begin(begun)
                self.changed(changed)
            await anyio.sleep(LOOK_EVERY_SECONDS)

    def _offer(self, subscriptions: Iterable[ResourceSubscription]) -> None:
        for one in subscriptions:
            stream = self._held.get(one.session_id)
            if stream is not None and stream.owner == one.owner:
                stream.sender.offer(one.uri)

    async def keep(self) -> None:
        """Says from time to time that these sessions listen still, lest their subscriptions be forgotten."""
        while True:
            await anyio.sleep(KEEP_EVERY_SECONDS)
            try:
                if self._held:
                    await self._stored.keep(list(self._held))
            except ProjectManagerError as error:
                _warn("subscriptions cannot be kept now", error)


class Subscriptions:
    """Who is subscribed to which resource."""

    def __init__(self, hub: Hub, stored: ResourceSubscriptions, stuck_seconds: float = STUCK_SECONDS) -> None:
        self._hub = hub
        self._stored = stored
        self._stuck_seconds = stuck_seconds
        self._bus = _Bus()
        self._connections: dict[int, _Connection] = {}
        self._streams = _Streams(stored)
        self._tasks: anyio.abc.TaskGroup | None = None
        self.listen = ListenHandler(self._bus, max_subscriptions=1024)

    def __len__(self) -> int:
        """Clients of 2025 that can be told of something here."""
        return len(self._connections) + len(self._streams)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Feeds subscribers from the hub."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._feed)
            tasks.start_soon(self._streams.announce)
            tasks.start_soon(self._streams.keep)
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    async def subscribe(self, client: Client, uri: str, owner: str) -> None:
        """From now on the client hears of changes of `uri`. Raises TooManySubscriptions, ProjectManagerError."""
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
        """From now on it does not. Raises ProjectManagerError."""
        if client.session_id is not None:
            await self._stored.remove(ResourceSubscription(uri, client.session_id, owner))
            return
        connection = self._connections.get(id(client))
        if connection is not None:
            connection.uris.discard(uri)
            connection.sender.pending.pop(uri, None)

    def join(self, session_id: str, owner: str, client: Client) -> Callable[[], None]:
        """The stream of this session begins here; the answer is to be called when it ends."""
        stream = _Stream(self._sender(client), owner)
        self._streams.enter(session_id, stream)
        return lambda: self._streams.leave(session_id, stream)

    async def end_session(self, session_id: str, owner: str) -> None:
        """Its client has ended it."""
        try:
            await self._stored.end_session(session_id, owner)
        except ProjectManagerError as error:  # they are forgotten in time, and nobody hears of them before
            _warn("subscriptions cannot be removed", error)

    def _sender(self, client: Client) -> _Sender:
        sender = _Sender(client, self._stuck_seconds)
        if self._tasks is not None:
            self._tasks.start_soon(sender.send_all)
        return sender

    def _remove(self, client: Client) -> None:
        connection = self._connections.pop(id(client), None)
        if connection is not None:
            connection.sender.leave()

    async def _feed(self) -> None:
        while True:
            try:
                async with self._hub.subscribe(limit=UNBOUNDED) as events:
                    while True:
                        batch = await events.next_batch()
                        if len(self) or self._bus.streams:
                            await self.announce(uris_of(batch))
            except (Overflow, Resync):  # events were missed: whatever is subscribed to may have changed
                await self.announce({uri for connection in self._connections.values() for uri in connection.uris})
                self._streams.missed()
            except Closed:
                return

    async def announce(self, uris: Iterable[str]) -> None:
        """Tells every subscriber of these resources that they changed. Nobody is waited for."""
        self._streams.changed(uris)
        for uri in uris:
            for connection in self._connections.values():
                if uri in connection.uris:
                    connection.sender.offer(uri)
            await self._bus.publish(ResourceUpdated(uri=uri))


def _warn(what: str, error: ProjectManagerError) -> None:
    log.warning("%s: %s", what, error.message, extra={"action": "subscriptions_failed"})


def uris_of(events: Iterable[Event]) -> dict[str, None]:
    """The resources that these events change, each once, in order."""
    uris: dict[str, None] = {}
    for event in events:
        if event.task_id is not None:
            uris[f"pm://task/{event.task_id}"] = None
        if event.project_id is not None:
            uris[f"pm://project/{event.project_id}/board"] = None
        for agent_id in (event.actor_id, _holder(event)):
            if agent_id is not None:
                uris[agent_uri(agent_id)] = None
    return uris


def agent_uri(agent_id: str) -> str:
    return f"pm://agent/{quote(agent_id, safe='')}"


def _holder(event: Event) -> str | None:
    """Whose lease began or ended: it may have been ended by somebody else, or by the clock."""
    if event.type not in _LEASES:
        return None
    holder = orjson.loads(event.data).get("agent_id")
    return holder if isinstance(holder, str) else None
