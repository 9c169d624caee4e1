"""The running service. Interfaces run every operation through `Runtime.run` or `Runtime.stream`."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import orjson

from project_manager.clock import monotonic
from project_manager.config.settings import Settings
from project_manager.domain.actors import SYSTEM, Actor
from project_manager.domain.errors import (
    LockHeld,
    LockRequired,
    NotReady,
    Paused,
    ProjectManagerError,
    StaleFence,
    Unauthorized,
)
from project_manager.domain.events.reviews import TaskReviewed
from project_manager.domain.paths import GlobComparisons
from project_manager.domain.service_errors import Internal, ShuttingDown
from project_manager.observability.logging import bind_context, log_action
from project_manager.observability.metrics import Metrics
from project_manager.operations.definition import Kind, Operation
from project_manager.operations.demo import DEMO_AGENTS
from project_manager.runtime import idempotency
from project_manager.runtime.authentication import IdentityCache
from project_manager.runtime.authorization import check_role, effective_actor, rate_limit_actor
from project_manager.runtime.background import BackgroundJobs
from project_manager.runtime.calls import Call, Caller, OperationResult, task_id_of_input, task_of
from project_manager.runtime.demo import DemoAgents
from project_manager.runtime.disk_failure import DiskFailureHandler
from project_manager.runtime.event_hub import Closed, Event, Hub, Resync, Subscription, Write
from project_manager.runtime.execution import CallExecutor
from project_manager.runtime.identities import ConnectionIdentities
from project_manager.runtime.long_poll import LongPolls
from project_manager.runtime.rate_limit import RateLimits
from project_manager.runtime.refused_tokens import RefusedTokens
from project_manager.runtime.revocation import RevocationWatch
from project_manager.runtime.snapshots import Parts, Snapshots
from project_manager.schemas import validation
from project_manager.schemas.commands import Command
from project_manager.services import leases, messages
from project_manager.store import events, meta
from project_manager.store.backend import Backend
from project_manager.store.database import Database, Options
from project_manager.store.transaction import Tx
from project_manager.store.writer import WriterHooks

log = logging.getLogger(__name__)

LEASE_ERROR_OUTCOMES = {
    LockHeld.code: "conflict",
    NotReady.code: "conflict",
    Paused.code: "conflict",
    StaleFence.code: "stale_fence",
    LockRequired.code: "lock_required",
}
"""Error codes that the lease metric counts, with their outcome label."""
SLOW_QUERY_SECONDS = 0.1
MAX_OLDER_EVENTS = 20_000
MAX_OLDER_CHARACTERS = 8 * 1024 * 1024


class Runtime:
    """The parts of the service that an interface needs. `open_runtime` creates it."""

    def __init__(self, settings: Settings, backend: Backend, metrics: Metrics) -> None:
        self.settings = settings
        self.clock = backend.clock
        self.metrics = metrics
        self.started_at = monotonic()
        self.disk_failure_handler = DiskFailureHandler()
        self.jobs = BackgroundJobs(metrics)
        self._rate_limits = RateLimits(settings.rate_limit_per_second)
        self._identities = IdentityCache(self.read, required=settings.auth_required)
        self._connection_identities = ConnectionIdentities(self.read, self._write)
        self.refused_tokens = RefusedTokens(metrics.token_refused)
        self._snapshots = Snapshots()
        self._prepare_limiter = anyio.CapacityLimiter(1)
        self.database = Database(
            backend,
            _database_options(settings),
            WriterHooks(
                due=self._expire_leases,
                next_due=leases.next_due,
                on_commit=self._committed,
                on_batch=metrics.batch,
                on_query=self._timed,
                on_lost_write=self.disk_failure_handler,
            ),
            self._timed,
        )
        self.hub = Hub(self.database.tail, metrics.subscriber_dropped)
        self._executor = CallExecutor(self.database, self._identities)
        self.long_polls = LongPolls(self.hub, self.database, self._executor, self.jobs)
        self.demo = DemoAgents(self)
        self._starters = {DEMO_AGENTS: self.demo.start}
        self.revocation_watch = RevocationWatch(self.read, self.jobs, required=settings.auth_required)

    async def run(self, operation: Operation, raw: Mapping[str, object], caller: Caller) -> OperationResult:
        """Run an operation for a caller and return its result.

        Check the role, validate `raw`, run the use case in one transaction, then count and log the call. The effect is
        durable when the method returns. Raises ProjectManagerError.
        """
        started = monotonic()
        outcome, actor = "cancelled", caller.actor
        command: Command | None = None
        result: OperationResult | None = None
        bind_context(caller.request_id, caller.actor.token_id)
        try:
            check_role(operation, caller.actor)
            counted = rate_limit_actor(operation, raw, caller, self._connection_identities.known_agent_id)
            self._rate_limits.check(caller.actor, counted, started)
            command = await _validate(operation, raw)
            if operation.authorize is not None:
                operation.authorize(command, caller.actor, caller.interface)
            command = await self._connection_identities.with_project(operation, command, caller)
            identity = await self._connection_identities.of(operation, command, caller)
            command = identity.command
            agent = effective_actor(caller, operation, command, identity.agent)
            await self._identities.check_agent(caller.actor, agent)
            actor = agent
            if identity.is_kept:
                await self._connection_identities.keep(caller, agent.id)
            result = await self._execute(Call(operation, command, caller, actor, self.now()))
            if identity.is_shown:
                result.issued_id = agent.id
            if operation.starts and not result.replayed:
                self._starters[operation.starts](result.view)
            outcome = "ok"
        except ProjectManagerError as error:
            outcome = error.code
            await self._suggest(error, caller)
            raise
        except Closed as error:
            outcome = ShuttingDown.code
            raise ShuttingDown("the server is shutting down; the wait ended and nothing was changed") from error
        except Exception as error:
            outcome = Internal.code
            log.exception("operation failed", extra={"action": operation.name})
            raise Internal("internal server error") from error
        finally:
            task_id = task_id_of_input(raw) if command is None else task_of(command, result)
            self._record(operation, caller, actor, outcome, started, task_id)
        return result

    @asynccontextmanager
    async def stream(
        self, operation: Operation, raw: Mapping[str, object], caller: Caller
    ) -> AsyncIterator[tuple[Any, Callable[[], Awaitable[str]]]]:
        """Run a streamed operation. Yield its command and a function that returns the next piece, empty at the end.

        Raises ProjectManagerError.
        """
        started = monotonic()
        outcome = "cut_off"
        bind_context(caller.request_id, caller.actor.token_id)
        try:
            check_role(operation, caller.actor)
            command = validation.read(operation.command, raw)
            work = partial(operation.use_case, command=command)
            if caller.actor.is_agent:
                await self._identities.check_agent(caller.actor, caller.actor)
                await self._executor.confirm_leases(caller.actor, caller, self.now())
            async with self.database.long_reads.open(operation.name, work, caller.actor, caller.request_id) as pieces:
                yield command, pieces.next
            outcome = "ok"
        except ProjectManagerError as error:
            outcome = error.code
            await self._suggest(error, caller)
            raise
        finally:
            self._record(operation, caller, caller.actor, outcome, started)

    async def is_repeated(self, operation: Operation, command: Command, caller: Caller) -> bool:
        """Return whether `run` would return a stored response, because a request with this idempotency key took effect.

        Raises ProjectManagerError, such as IdempotencyMismatch.
        """
        identity = await self._connection_identities.of(operation, command, caller)
        agent = effective_actor(caller, operation, identity.command, identity.agent)
        call = Call(operation, identity.command, caller, agent, self.now())
        return await self.read("find_replay", partial(idempotency.find_replay, call=call), agent) is not None

    async def read(self, name: str, work: Callable[[Tx], Any], actor: Actor = SYSTEM) -> Any:
        """Run `work` on a reader, for interfaces that need more than the result of one operation (health, metrics)."""
        return await self.database.readers.run(name, work, actor, "")

    async def _write(self, name: str, work: Callable[[Tx], Any], actor: Actor) -> Any:
        """Run `work` on the writer. It is a write of the runtime itself, not of an operation."""
        return await self.database.writer.run(name, work, actor, "")

    async def identify(self, secret: str | None) -> Actor:
        """Return the actor of a token. A revoked token is accepted for up to IDENTITY_SECONDS. Raises Unauthorized."""
        return await self._identities.identify(secret)

    def now(self) -> int:
        """Return database time in milliseconds since the epoch."""
        return self.database.clock.now()

    def is_alive(self) -> bool:
        """Return whether the threads of the database run. If not, the process needs a restart."""
        return self.database.is_healthy()

    def world_accessible_files(self) -> list[Path]:
        """Return the database files that other users of this host can access. Blocks on the file system."""
        return self.database.backend.world_accessible_files()

    async def latest_seq(self) -> int:
        """Return the number of the newest committed event, which the hub may not have seen yet."""
        return int(await self.read("events_head", events.head))

    @asynccontextmanager
    async def follow(
        self,
        since: int,
        *,
        epoch: str | None = None,
        project_id: int | None = None,
        types: frozenset[str] | None = None,
        write: Write | None = None,
    ) -> AsyncIterator[Subscription]:
        """Yield a subscription to the events after `since`, older ones first and then live ones, without a gap.

        `write` is that of `Hub.subscribe`. Raises Resync if events after `since` are gone or too many, `since` is
        beyond the head, or `epoch` differs.
        """
        self._check_epoch(epoch)
        is_in_memory = self.hub.has_since(since) and since <= self.hub.head
        older = [] if is_in_memory else await self.read("older_events", partial(_read_older_events, since=since))
        self._check_epoch(epoch)  # a new one may have begun during the read
        subscribed = self.hub.subscribe(since, project_id=project_id, types=types, older=older, write=write)
        async with subscribed as subscription:
            yield subscription

    def _check_epoch(self, epoch: str | None) -> None:
        """Raise Resync if events belong to another epoch than this one."""
        if epoch not in (None, self.hub.epoch):
            raise Resync

    async def _suggest(self, error: ProjectManagerError, caller: Caller) -> None:
        """Add the suggestion to the error. Without an available reader the error stays as it is."""
        if error.suggest is not None:
            with suppress(ProjectManagerError):
                await self.database.readers.run("suggest", error.suggest, caller.actor, caller.request_id)

    async def _execute(self, call: Call) -> OperationResult:
        operation = call.operation
        if operation.waits is not None:
            result = self.long_polls.run(call)
            is_revocable = call.wait_seconds and not call.caller.is_internal
            return await (self._until_revoked(call.caller, result) if is_revocable else result)
        if operation.snapshot is not None:
            return await self._snapshot(call, operation.snapshot)
        if operation.kind is Kind.READ:
            return await self._executor.read(call)
        use_case, prepared = operation.use_case, None
        if operation.prepare is not None:
            # Preparation needs no transaction. On a thread it delays neither the writer nor the event loop.
            prepare = partial(operation.prepare, call.command, call.caller.request_id)
            prepared = await anyio.to_thread.run_sync(prepare, limiter=self._prepare_limiter)
            use_case = partial(use_case, prepared=prepared)
        if operation.reads_first is not None:
            find = partial(operation.reads_first, command=call.command)
            prepared = await self.database.readers.run(operation.name, find, call.actor, call.caller.request_id)
            use_case = partial(use_case, prepared=prepared)
        read = None if operation.compare_globs is None else operation.compare_globs(call.command, prepared)
        if read is not None:
            comparisons = await self._compare_globs(call, read)
            return await self._executor.write_with_names(call, use_case, comparisons)
        return await self._executor.write_with_names(call, use_case)

    async def _compare_globs(self, call: Call, read: Callable[[Tx], GlobComparisons]) -> GlobComparisons:
        """Compare new globs with those of their projects before the transaction, and return the comparisons."""
        comparisons: GlobComparisons = await self.database.readers.run(
            "compare_globs", read, call.actor, call.caller.request_id
        )
        for found in comparisons.values():
            if len(found.new) != len(found.overlapping):
                await anyio.to_thread.run_sync(found.compare, limiter=self._prepare_limiter)
        return comparisons

    async def _until_revoked(self, caller: Caller, wait: Awaitable[OperationResult]) -> OperationResult:
        """Return the result of the wait. Raises Unauthorized when the token is revoked during the wait."""
        result: OperationResult | None = None
        with anyio.CancelScope() as scope, self.revocation_watch.registered(caller.secret, scope.cancel):
            result = await wait
        if result is None:
            raise Unauthorized("access was revoked during the wait; if a task was claimed, its lease ends by itself")
        return result

    async def _snapshot(self, call: Call, no_parts: Callable[[], Parts]) -> OperationResult:
        """Return a large result. A reader encodes it at most once per commit, and all callers share the result."""
        if call.actor.is_agent:
            await self._executor.confirm_leases(call.actor, call.caller, call.called_at)
        key = call.operation.name + call.command.model_dump_json()

        async def encode(parts: Parts) -> bytes:
            work = partial(_encoded, call.operation.use_case, call.command, parts)
            body: bytes = await self.database.readers.run(call.operation.name, work, call.actor, call.caller.request_id)
            return body

        snapshot = await self._snapshots.get(key, lambda: self.database.tail.generation, no_parts, encode)
        return OperationResult(None, snapshot=snapshot)

    def _expire_leases(self, tx: Tx) -> None:
        """End the leases, deferrals and messages that are due. The writer calls this in its transaction."""
        with self.jobs.observed("expire_leases"):
            leases.expire_due(tx)
            messages.expire_due(tx)

    def _committed(self, lease_outcomes: Sequence[str], written: events.WrittenEvents) -> None:
        self.database.tail.committed(written)
        for outcome in lease_outcomes:
            self.metrics.lease(outcome)
        for verdict in written.payloads(TaskReviewed.type):
            self.metrics.review(verdict["verdict"])

    def _timed(self, name: str, seconds: float) -> None:
        self.metrics.query(name, seconds)
        if seconds > SLOW_QUERY_SECONDS:
            log_action(log, "slow_query", logging.WARNING, query=name, milliseconds=round(seconds * 1000, 1))

    def _record(
        self,
        operation: Operation,
        caller: Caller,
        actor: Actor,
        outcome: str,
        started: float,
        task_id: int | None = None,
    ) -> None:
        """Count and log a call that began at `started`, in seconds of `monotonic`."""
        seconds = monotonic() - started
        self.metrics.operation(operation.name, caller.interface, outcome, seconds)
        level = logging.INFO if operation.kind is Kind.WRITE or outcome != "ok" else logging.DEBUG
        if log.isEnabledFor(level):
            ids = {"request_id": caller.request_id, "token_id": actor.token_id, "task_id": task_id}
            log_action(
                log,
                operation.name,
                level,
                **{name: value for name, value in ids.items() if value is not None},
                actor=actor.id,
                actor_kind=actor.kind,
                interface=caller.interface,
                outcome=outcome,
                milliseconds=round(seconds * 1000, 2),
            )
        refused = LEASE_ERROR_OUTCOMES.get(outcome)
        if refused is not None:
            self.metrics.lease(refused)


def _database_options(settings: Settings) -> Options:
    """Return the options of the database from the settings."""
    return Options(
        pool=settings.database_pool_size,
        query_timeout=settings.query_timeout_seconds,
        poll_interval=settings.lock_cleanup_interval,
        max_attempts=settings.max_attempts,
    )


async def _validate(operation: Operation, raw: Mapping[str, object]) -> Command:
    """Return the validated command. A thread validates large input, so that the event loop is not blocked."""
    if operation.prepare is None and not validation.is_large(raw):
        return validation.read(operation.command, raw)
    return await anyio.to_thread.run_sync(validation.read, operation.command, raw)


def _read_older_events(tx: Tx, *, since: int) -> list[Event]:
    if since > events.head(tx) or since < meta.event_floor(tx):
        raise Resync
    rows = events.all_after(tx, since, number=MAX_OLDER_EVENTS, characters=MAX_OLDER_CHARACTERS)
    if rows is None:
        raise Resync
    return [Event(row) for row in rows]


def _encoded(use_case: Callable[[Tx, Command, Parts], Any], command: Command, parts: Parts, tx: Tx) -> bytes:
    return orjson.dumps(use_case(tx, command, parts))
