"""The running service without its doors: `open_runtime` opens everything, `run` is the only way to a use case."""

import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import anyio
import anyio.to_thread
import orjson

from project_manager import __version__
from project_manager.catalogue import Kind, Operation
from project_manager.clock import Clock, SystemClock, monotonic
from project_manager.config import Settings
from project_manager.contract import commands, faults, views
from project_manager.contract.fields import Command
from project_manager.domain.actors import SYSTEM, Actor, Role
from project_manager.domain.errors import (
    IdempotencyMismatch,
    Internal,
    ProjectManagerError,
    RoleRequired,
    StaleFence,
    WrongAgent,
)
from project_manager.domain.limits import IDEMPOTENCY_HOURS
from project_manager.hub import Hub
from project_manager.logs import log_action
from project_manager.metrics import Metrics
from project_manager.services import events as event_service
from project_manager.services import leases, tokens
from project_manager.store import agents, answers, instances, waiters
from project_manager.store.database import Database, Options, beat, prepare, register
from project_manager.store.transaction import Tx
from project_manager.store.writer import Duties

log = logging.getLogger(__name__)

Door = Literal["rest", "mcp", "cli", "ws"]

SEEN_EVERY_MS = 5_000
SLOW_SECONDS = 0.1
MAINTAIN_EVERY = 600
UNBOUNDED = 1_000_000
HOUR_MS = 3_600_000
MAY_MAKE_READY = frozenset(
    (
        "task.ready",
        "task.created",
        "task.updated",
        "task.unlocked",
        "task.status_changed",
        "project.updated",
        "task.deleted",
    )
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, through which door, under which request id."""

    actor: Actor
    door: Door
    request_id: str
    idempotency_key: str | None = None


@dataclass(slots=True)
class Answer:
    """What an operation answered. `view` is its view, or (when `replayed`) the JSON object of the first answer."""

    view: Any
    status: int
    replayed: bool = False
    stored: bytes | None = field(default=None, repr=False)

    @property
    def body(self) -> bytes:
        """The answer as compact JSON."""
        if self.stored is None:
            self.stored = orjson.dumps(self.view)
        return self.stored


class Runtime:
    """Everything that a door needs. Made by `open_runtime`."""

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self.settings = settings
        self.clock = clock
        self.metrics = metrics
        self.started_at = monotonic()
        self._seen: dict[str, int] = {}
        self.database = Database(
            options_of(settings),
            clock,
            Duties(
                due=self._end_due,
                next_due=leases.next_due,
                committed=self._committed,
                measured=metrics.batch,
                timed=self._timed,
            ),
            self._timed,
        )
        self.hub = Hub(self.database.tail, metrics.subscriber_dropped)

    async def run(self, operation: Operation, raw: Mapping[str, object], caller: Caller) -> Answer:
        """Validates `raw`, checks the role, runs the use case in one transaction, counts and logs.

        Raises ProjectManagerError. When it returns, the effect is durable.
        """
        started = monotonic()
        outcome, actor = "ok", caller.actor
        try:
            check_role(operation, caller.actor)
            command = faults.read(operation.command, raw)
            actor = acting(caller.actor, command)
            answer = await self._perform(operation, command, actor, caller)
        except ProjectManagerError as error:
            outcome = error.code
            raise
        except Exception as error:
            outcome = Internal.code
            log.exception("an operation failed", extra={"action": operation.name})
            raise Internal("the operation failed by a fault of the server") from error
        finally:
            seconds = monotonic() - started
            self.metrics.operation(operation.name, caller.door, outcome, seconds)
            self._note(operation, caller, actor, outcome, seconds)
        return answer

    async def read(self, name: str, work: Callable[[Tx], Any], actor: Actor = SYSTEM) -> Any:
        """Runs `work` on a reader, for doors that need more than one operation's answer (health, metrics)."""
        return await self.database.readers.run(name, work, actor, "")

    async def identify(self, secret: str | None) -> Actor:
        """Who comes with this token. Raises Unauthorized."""
        required = self.settings.auth_required
        actor: Actor = await self.read("identify", lambda tx: tokens.identify(tx, secret, required=required))
        return actor

    async def sweep(self) -> None:
        """Runs what is due now; returns when it is committed."""
        await self.database.writer.run("sweep", lambda tx: None, SYSTEM, "")

    async def _perform(self, operation: Operation, command: Command, actor: Actor, caller: Caller) -> Answer:
        if isinstance(command, commands.ClaimNextTask) and command.wait_seconds:
            return await self._claim_waiting(operation, command, actor, caller)
        if isinstance(command, commands.ListEvents) and command.wait_seconds:
            return await self._events_waiting(operation, command, actor, caller)
        if operation.kind is Kind.READ:
            return await self._read(operation, command, actor, caller)
        return await self._write(operation, command, actor, caller, operation.use_case)

    async def _write(
        self,
        operation: Operation,
        command: Command,
        actor: Actor,
        caller: Caller,
        use_case: Callable[..., Any],
    ) -> Answer:
        key = (
            (getattr(command, "request_id", None) or caller.idempotency_key) if operation.idempotent else None
        )

        def work(tx: Tx) -> Answer:
            if key is not None:
                kept = first_answer(tx, operation, command, key)
                if kept is not None:
                    return kept
            self._mark_seen(tx)
            answer = Answer(use_case(tx, command), operation.status)
            if key is not None and worth_keeping(answer.view):
                answers.keep(tx, key, request_hash(operation, command), answer.body.decode())
            return answer

        answer: Answer = await self.database.writer.run(operation.name, work, actor, caller.request_id)
        return answer

    async def _claim_waiting(
        self, operation: Operation, command: commands.ClaimNextTask, actor: Actor, caller: Caller
    ) -> Answer:
        """Asks at once, then takes a place in the queue and asks again whenever something may have become ready."""
        answer = await self._write(operation, command, actor, caller, operation.use_case)
        if answer.replayed or answer.view.task is not None:
            return answer
        async with self.hub.subscribe(types=MAY_MAKE_READY, limit=UNBOUNDED) as subscription:
            ticket = await self.database.writer.run(
                "enter_queue", lambda tx: leases.enter_queue(tx, command), actor, caller.request_id
            )
            in_turn = partial(leases.claim_in_turn, ticket=ticket)
            try:
                with anyio.move_on_after(command.wait_seconds):
                    while True:
                        answer = await self._write(operation, command, actor, caller, in_turn)
                        if answer.replayed or answer.view.task is not None:
                            break
                        await subscription.next_batch()
            finally:
                with anyio.CancelScope(shield=True):
                    await self.database.writer.run(
                        "leave_queue", lambda tx: waiters.leave(tx, ticket), actor, caller.request_id
                    )
        return answer

    async def _events_waiting(
        self, operation: Operation, command: commands.ListEvents, actor: Actor, caller: Caller
    ) -> Answer:
        wanted = frozenset(command.types) or None
        async with self.hub.subscribe(
            project_id=command.project_id, types=wanted, limit=UNBOUNDED
        ) as subscription:
            with anyio.move_on_after(command.wait_seconds):
                while True:
                    answer = await self._read(operation, command, actor, caller)
                    if answer.view.items or answer.view.resync:
                        return answer
                    await subscription.next_batch()
        return await self._read(operation, command, actor, caller)

    async def _read(self, operation: Operation, command: Command, actor: Actor, caller: Caller) -> Answer:
        work = partial(_call, operation.use_case, command)
        return Answer(
            await self.database.readers.run(operation.name, work, actor, caller.request_id), operation.status
        )

    def _mark_seen(self, tx: Tx) -> None:
        """Notes the actor's sign of life, at most every few seconds."""
        last = self._seen.get(tx.actor.id)
        if last is None or tx.now - last >= SEEN_EVERY_MS:
            agents.seen(tx)
            self._seen[tx.actor.id] = tx.now
            if len(self._seen) > 10_000:
                self._seen.clear()

    def _end_due(self, tx: Tx) -> None:
        for _ in range(leases.end_due(tx)):
            self.metrics.lease("expired")

    def _committed(self) -> None:
        self.database.tail.wake()

    def _timed(self, name: str, seconds: float) -> None:
        self.metrics.query(name, seconds)
        if seconds > SLOW_SECONDS:
            log_action(log, "slow_query", logging.WARNING, query=name, milliseconds=round(seconds * 1000, 1))

    def _note(self, operation: Operation, caller: Caller, actor: Actor, outcome: str, seconds: float) -> None:
        level = logging.INFO if operation.kind is Kind.WRITE or outcome != "ok" else logging.DEBUG
        if log.isEnabledFor(level):
            log_action(
                log,
                operation.name,
                level,
                request_id=caller.request_id,
                actor=actor.id,
                actor_kind=actor.kind,
                door=caller.door,
                outcome=outcome,
                milliseconds=round(seconds * 1000, 2),
            )
        counted = _LEASE_WORDS.get(operation.name)
        if counted is not None:
            self.metrics.lease(counted if outcome == "ok" else _REFUSALS.get(outcome, "conflict"))


_LEASE_WORDS = {
    "claim_next_task": "acquired",
    "acquire_task_lock": "acquired",
    "renew_task_lock": "renewed",
    "release_task_lock": "released",
}
_REFUSALS = {StaleFence.code: "stale_fence"}


def _call(use_case: Callable[[Tx, Command], Any], command: Command, tx: Tx) -> Any:
    return use_case(tx, command)


def check_role(operation: Operation, actor: Actor) -> None:
    if actor.role < operation.role:
        needed, has = Role(operation.role).name.lower(), Role(actor.role).name.lower()
        raise RoleRequired(
            f"{operation.name} needs the role {needed}; your token has {has}", required=needed, role=has
        )


def acting(actor: Actor, command: Command) -> Actor:
    """The actor, or the agent that the command names. Raises WrongAgent when the token is bound to another one."""
    named = getattr(command, "agent_id", None)
    if named is None or isinstance(command, commands.GetAgent | commands.CreateToken):
        return actor
    if actor.bound and named != actor.id:
        raise WrongAgent(
            f"this token is bound to {actor.id!r} and cannot act as {named!r}",
            agent_id=named,
            bound_to=actor.id,
        )
    return Actor(named, "agent", actor.role, actor.bound)


def first_answer(tx: Tx, operation: Operation, command: Command, key: str) -> Answer | None:
    """What was answered to this key before. Raises IdempotencyMismatch when it was another request."""
    kept = answers.find(tx, key)
    if kept is None:
        return None
    if kept[0] != request_hash(operation, command):
        raise IdempotencyMismatch(
            f"the key {key!r} was used for another request",
            faults=[{"field": "request_id", "message": "used before", "hint": ""}],
        )
    return Answer(orjson.loads(kept[1]), operation.status, replayed=True, stored=kept[1].encode())


def request_hash(operation: Operation, command: Command) -> str:
    text = operation.name + command.model_dump_json(exclude={"request_id"}, exclude_unset=True)
    return hashlib.sha256(text.encode()).hexdigest()


def worth_keeping(view: Any) -> bool:
    """An empty claim had no effect, so that asking again with the same key must ask again."""
    return not (isinstance(view, views.ClaimView) and view.task is None)


def options_of(settings: Settings) -> Options:
    return Options(
        path=settings.database_path,
        pool=settings.database_pool_size,
        query_timeout=settings.query_timeout_seconds,
        look_every=settings.lock_cleanup_interval,
        max_attempts=settings.max_attempts,
        auto_migrate=settings.auto_migrate,
    )


@asynccontextmanager
async def open_runtime(
    settings: Settings, *, clock: Clock | None = None, kind: Literal["serve", "mcp", "command"] = "serve"
) -> AsyncIterator[Runtime]:
    """Opens the database (migrating it if that is allowed), starts its threads, registers this process, and keeps house.

    Raises DatabaseRefused before anything is changed when the database must not be opened.
    """
    await anyio.to_thread.run_sync(prepare, options_of(settings))
    runtime = Runtime(settings, clock or SystemClock(), Metrics())
    database = runtime.database
    database.start()
    try:
        await database.writer.run(
            "register", lambda tx: register(tx, database, version=__version__, kind=kind), SYSTEM, ""
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_heartbeat, runtime, kind)
            if kind == "serve":
                tasks.start_soon(_maintain, runtime)
            _watch(runtime)
            try:
                yield runtime
            finally:
                runtime.hub.close()
                tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await _leave(runtime)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(database.close)


async def _leave(runtime: Runtime) -> None:
    try:
        await runtime.database.writer.run(
            "leave", lambda tx: instances.leave(tx, runtime.database.instance), SYSTEM, ""
        )
    except ProjectManagerError as error:
        log.warning("this process could not sign off: %s", error.message, extra={"action": "leave_failed"})


async def _heartbeat(runtime: Runtime, kind: str) -> None:
    database = runtime.database
    while True:
        await anyio.sleep(instances.HEARTBEAT_SECONDS)
        await _quietly(runtime, "heartbeat", lambda tx: beat(tx, database, version=__version__, kind=kind))


async def _maintain(runtime: Runtime) -> None:
    """Forgets old answers, events and processes that are gone."""
    days = runtime.settings.event_retention_days

    def work(tx: Tx) -> None:
        answers.forget(tx, tx.now - IDEMPOTENCY_HOURS * HOUR_MS)
        event_service.retain(tx, days=days)
        instances.forget_silent(tx)
        waiters.forget(tx)

    while True:
        await _quietly(runtime, "maintain", work)
        await anyio.sleep(MAINTAIN_EVERY)


async def _quietly(runtime: Runtime, name: str, work: Callable[[Tx], Any]) -> None:
    """Housekeeping that fails is logged and tried again at its next turn."""
    try:
        await runtime.database.writer.run(name, work, SYSTEM, "")
    except ProjectManagerError as error:
        log.warning("housekeeping failed: %s", error.message, extra={"action": f"{name}_failed"})


def _watch(runtime: Runtime) -> None:
    database, metrics = runtime.database, runtime.metrics
    metrics.watch("writer_queue_depth", lambda: database.writer.depth)
    metrics.watch("subscribers", lambda: runtime.hub.subscribers)
    metrics.watch("events_head", lambda: runtime.hub.head)
    metrics.watch("database_bytes", lambda: database.size()[0])
    metrics.watch("wal_bytes", lambda: database.size()[1])
