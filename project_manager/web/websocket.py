"""`/ws/updates`: live events, from any `seq` on, without a gap.

Code 1013 closes the connection of a client that does not read. The client reconnects with the last `seq` it received.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import anyio
import orjson
from starlette.routing import WebSocketRoute

from project_manager import __version__
from project_manager.clock import monotonic, rfc3339
from project_manager.domain.actors import Role
from project_manager.domain.errors import ProjectManagerError, RouteNotFound
from project_manager.domain.service_errors import ShuttingDown
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.event_hub import Closed, Event, Overflow, Resync, Subscription
from project_manager.schemas import validation
from project_manager.schemas.events import FollowEvents
from project_manager.web.errors import POLICY_CLOSE, UNAUTHORIZED_CLOSE, response_of, send_error
from project_manager.web.middleware import Receive, Scope, Send
from project_manager.web.websocket_protocol import WriteFrame, encode_frame, frame_writer

PATH = "/ws/updates"
GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013
SEND_SECONDS = 10
SLOW_CLOSE_SECONDS = 30
RESYNC_SECONDS = 0.5
"""Pause of a client while the hub has not seen the epoch that another instance has begun."""
_CLOSE_REASONS = {True: "the token was revoked", False: "authentication required: reconnect with a token"}


class _SendTimeouts:
    """Timeouts of senders: SEND_SECONDS for a batch. One timer for all senders costs less than a frame."""

    def __init__(self) -> None:
        self._since: dict[anyio.CancelScope, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begins(self, sender: anyio.CancelScope) -> None:
        """Start the timeout of a sender."""
        self._since[sender] = monotonic()
        if self._timer is None:
            self._schedule()

    def ends(self, sender: anyio.CancelScope) -> None:
        """Stop the timeout of a sender."""
        self._since.pop(sender, None)

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SEND_SECONDS / 4, self._cancel_stalled)

    def _cancel_stalled(self) -> None:
        self._timer = None
        latest = monotonic() - SEND_SECONDS
        for sender in [sender for sender, since in self._since.items() if since <= latest]:
            sender.cancel()
        if self._since:
            self._schedule()


@dataclass(frozen=True, slots=True)
class _Client:
    """One WebSocket. `send` waits until the client reads. `write` does not wait, and is None on another server."""

    send: Send
    write: WriteFrame | None
    is_batched: bool
    is_traced: bool

    def frames(self, events: Sequence[Event]) -> list[bytes]:
        """Return one frame for all events, or one for each. Operators get the traced form."""
        if self.is_traced:
            events = [event.with_trace for event in events]
        if self.is_batched:
            return [encode_frame(_batch(events))]
        return [event.frame or _frame(event) for event in events]


class EventsWebSocket:
    """ASGI application of the WebSocket. `open` is the number of open connections."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.open = 0
        self._send_timeouts = _SendTimeouts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        if self.open >= self._runtime.settings.websocket_max_connections:
            self._runtime.metrics.websocket_refused()
            await _close(send, TRY_AGAIN_LATER, "too many connections")
            return
        self.open += 1
        self._runtime.metrics.websocket_opened()
        reason = "lost"
        try:
            reason = await self._serve(scope, receive, send)
        finally:
            self.open -= 1
            self._runtime.metrics.websocket_closed(reason)

    def routes(self) -> list[WebSocketRoute]:
        """Return the route of the events, then a route that refuses every other WebSocket path."""
        return [WebSocketRoute(PATH, endpoint=self), WebSocketRoute("/{path:path}", endpoint=WebSocketNotFound(PATH))]

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> str:
        try:
            params = validation.read(FollowEvents, dict(parse_qsl(scope["query_string"].decode("latin-1"))))
        except ProjectManagerError as error:
            await _close(send, POLICY_CLOSE, error.message)
            return "refused"
        outcome = ["lost"]
        async with anyio.create_task_group() as tasks:
            is_traced = scope["state"]["actor"].role >= Role.OPERATOR
            client = _Client(send, frame_writer(scope), params.batch, is_traced)
            secret = scope["state"].get("secret")
            tasks.start_soon(self._feed, params, client, secret, outcome, tasks.cancel_scope)
            while (await receive())["type"] != "websocket.disconnect":
                pass
            outcome[0] = outcome[0] if outcome[0] != "lost" else "client"
            tasks.cancel_scope.cancel()
        return outcome[0]

    async def _feed(
        self, command: FollowEvents, client: _Client, secret: str | None, outcome: list[str], scope: anyio.CancelScope
    ) -> None:
        try:
            with anyio.CancelScope() as revoked, self._runtime.revocation_watch.registered(secret, revoked.cancel):
                await self._follow(command, client)
            outcome[0] = "revoked" if secret is not None else "uninvited"
            await _close(client.send, UNAUTHORIZED_CLOSE, _CLOSE_REASONS[secret is not None])
        except (Overflow, TimeoutError):
            outcome[0] = "slow"
            reason = "too slow; reconnect with since=<last seq>"
            await _close(client.send, TRY_AGAIN_LATER, reason, timeout=SLOW_CLOSE_SECONDS)
        except (Closed, ShuttingDown):
            outcome[0] = "stopped"
            await _close(client.send, GOING_AWAY, "the server is shutting down")
        except ProjectManagerError as error:
            outcome[0] = "unavailable"
            await _close(client.send, TRY_AGAIN_LATER, error.message)
        except OSError:
            outcome[0] = "lost"
        scope.cancel()

    async def _follow(self, command: FollowEvents, client: _Client) -> None:
        write = None if client.write is None else partial(self._write_events, client, client.write)
        follow = partial(self._runtime.follow, project_id=command.project_id, write=write)
        head = await self._runtime.latest_seq()
        hello = self._hello(head)
        await _send(client.send, hello)
        since, resync = (head if command.since is None else command.since), False
        # The client does not know of an epoch that begins after its hello.
        epoch = hello["epoch"] if command.epoch is None else command.epoch
        while True:
            try:
                async with follow(since, epoch=epoch) as subscription:
                    if resync:
                        await _send(client.send, {"type": "resync", "epoch": self._runtime.hub.epoch, "seq": since})
                    await self._send_events(subscription, client)
            except Resync:
                if resync:  # perhaps the database has a new epoch that the hub does not know yet
                    await anyio.sleep(RESYNC_SECONDS)
                since, epoch, resync = await self._runtime.latest_seq(), None, True

    async def _send_events(self, subscription: Subscription, client: _Client) -> None:
        """Send the events that the client did not take at once. Raises TimeoutError when it reads too slowly."""
        with anyio.CancelScope() as scope:
            try:
                while True:
                    events = await subscription.next_batch()
                    self._send_timeouts.begins(scope)
                    for frame in client.frames(events):
                        await client.send({"type": "websocket.send", "frame": frame})
                    self._send_timeouts.ends(scope)
                    self._runtime.metrics.events_sent(len(events))
            finally:
                self._send_timeouts.ends(scope)
        if not subscription.is_dropped:
            self._runtime.metrics.subscriber_dropped()
        raise TimeoutError

    def _write_events(self, client: _Client, write: WriteFrame, events: Sequence[Event]) -> int:
        """Write events to a client that has received all earlier ones, and return how many it took."""
        written = 0
        for frame in client.frames(events):
            if not write(frame):
                break
            written += len(events) if client.is_batched else 1
        self._runtime.metrics.events_sent(written)
        return written

    def _hello(self, head: int) -> dict[str, Any]:
        return {
            "type": "hello",
            "epoch": self._runtime.hub.epoch,
            "seq": head,
            "server_time": rfc3339(self._runtime.now()),
            "version": __version__,
        }


class WebSocketNotFound:
    """ASGI application that refuses a WebSocket at an unknown path. `where` is the location of the events."""

    def __init__(self, where: str) -> None:
        self._hint = f"The only WebSocket endpoint is {where}."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = RouteNotFound(f"no WebSocket endpoint at {scope['path'][:200]}", hint=self._hint)
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send_error(scope, receive, send, error)
            return
        request_id = scope["state"]["request_id"]
        response = response_of(error, request_id)
        response.headers["X-Request-ID"] = request_id
        await response(scope, receive, send)


async def _send(send: Send, frame: dict[str, Any]) -> None:
    await send({"type": "websocket.send", "text": orjson.dumps(frame).decode()})


async def _close(send: Send, code: int, reason: str, *, timeout: float = 1) -> None:
    with anyio.move_on_after(timeout), suppress(OSError):  # the client may have disconnected
        await send({"type": "websocket.close", "code": code, "reason": reason[:120]})


def _frame(event: Event) -> bytes:
    if event.frame is None:
        event.frame = encode_frame(event.text)
    return event.frame


def _batch(events: Sequence[Event]) -> str:
    return '{"type":"batch","events":[' + ",".join(event.text for event in events) + "]}"
