"""Long polls for tasks, served in the order of arrival, and for events. They wait on the event loop, not on a thread.

`LongPolls` keeps the waiting calls of this process and runs `claim_queue.serve_waiters` on the writer. That use case
picks a task for each waiter and calls `WaitingCall.claim` back in its transaction.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio
import anyio.lowlevel

from project_manager.domain.actors import SYSTEM
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.events.event_types import READINESS_EVENTS, REVIEW_EVENTS
from project_manager.domain.service_errors import ShuttingDown
from project_manager.observability.logging import log_action
from project_manager.operations.definition import WaitsFor
from project_manager.runtime.background import BackgroundJobs, Job
from project_manager.runtime.calls import Call, OperationResult
from project_manager.runtime.claim_queue import ChangesSinceLastPass, WaitingCall
from project_manager.runtime.event_hub import UNBOUNDED, Closed, Hub, Overflow, Subscription
from project_manager.runtime.execution import CallExecutor, UseCase
from project_manager.schemas import validation
from project_manager.schemas.leases import ClaimNextTask, NothingReadyView, ReleaseTaskLock
from project_manager.services import claim_blockers, claim_queue, leases
from project_manager.services.claim_blockers import TaskCounts
from project_manager.store.claim_search import START
from project_manager.store.database import Database
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

MAX_CACHED_COUNTS = 1000
LEFT_TASKS_SECONDS = 5.0
"""Time until tasks left for waiters of other instances are compared again. Such a waiter can leave without an event."""

Written = TypeVar("Written")


class TaskCountCache:
    """Cache of task counts for the responses to claims without a ready task.

    Concurrent calls share one count, because counting is slow.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: dict[int | None, tuple[int, TaskCounts]] = {}
        self._counting = anyio.Lock()

    async def get_view(self, call: Call) -> NothingReadyView:
        """Return the result, with counts not older than the claim. Raises ProjectNotFound, EpicNotFound, Invalid."""
        command, since = call.command, self._generation
        read = partial(self._database.readers.run, "nothing_ready", actor=call.actor, request_id=call.caller.request_id)
        found: NothingReadyView | None = await read(partial(self._read, command=command, since=since))
        if found is not None:
            return found
        async with self._counting:
            counted: NothingReadyView = await read(
                partial(self._read, command=command, since=since, generation=self._generation)  # type: ignore[arg-type]
            )
        return counted

    @property
    def _generation(self) -> int:
        return self._database.tail.generation

    def _read(
        self, tx: Tx, *, command: ClaimNextTask, since: int, generation: int | None = None
    ) -> NothingReadyView | None:
        """Return the view, or None if no cached count is as new as `since`. With `generation`, count and cache it."""
        project_id = claim_blockers.project_of(tx, command)
        cached = self._counts.get(project_id)
        if cached is None or cached[0] < since:
            if generation is None:
                return None
            if len(self._counts) > MAX_CACHED_COUNTS:
                self._counts.clear()
            cached = self._counts[project_id] = (generation, claim_blockers.count(tx, project_id))
        return claim_blockers.nothing_ready(tx, command, cached[1])


class LongPolls:
    """The waiting calls of one process. `waiting_calls` are its waiters in the claim queue, by id."""

    def __init__(self, hub: Hub, database: Database, executor: CallExecutor, jobs: BackgroundJobs) -> None:
        self.waiting_calls: dict[int, WaitingCall] = {}
        self._hub = hub
        self._writer = database.writer
        self._executor = executor
        self._task_counts = TaskCountCache(database)
        self._changes = ChangesSinceLastPass()
        self._pass = anyio.Lock()
        self._pass_due = anyio.Event()
        jobs.register(Job("claim_queue", self._serve, self._wait_until_due, stop=partial(self._cancel_all, Closed)))

    async def run(self, call: Call) -> OperationResult:
        """Run a call of an operation that can wait. `wait_seconds` of the call may be 0."""
        waits = call.operation.waits
        if waits is not None and waits.waits_for is WaitsFor.TASK:
            return await self._claim(call)
        return await self._wait_for_events(call)

    async def _claim(self, call: Call) -> OperationResult:
        """Claim the next task. When no task is ready, the result has the blockers."""
        if not call.wait_seconds:
            result = await self._search(call, call.operation.use_case)
        elif call.command.kind == "review":
            result = await self._wait_for_review(call)
        else:
            result = await self._wait_for_task(call)
        if not _has_task(call, result):
            result.view = await self._task_counts.get_view(call)
            if call.actor.is_agent:
                result.messages = await self._executor.deliver(call)
        return result

    async def _search(self, call: Call, claim: UseCase) -> OperationResult:
        """Run a claim until it has searched all ready tasks. Each run is short, so that other writes do not wait."""
        result = await self._executor.write(call, claim)
        is_contended = False
        while not _has_task(call, result) and result.view.continue_after is not None:
            is_contended = is_contended or result.view.is_contended
            result = await self._executor.write(call, partial(claim, after=result.view.continue_after))
        if is_contended and not _has_task(call, result):
            result.view = replace(result.view, is_contended=True)
        return result

    async def _wait_for_task(self, call: Call) -> OperationResult:
        """Claim the next task, or wait for it in the claim queue. The result may have no task."""
        head = self._hub.head
        claim_or_enqueue = partial(claim_queue.claim_or_enqueue, called_at=call.called_at)
        result = await _shielded(self._search(call, claim_or_enqueue))
        if not _has_task(call, result):
            waiting = WaitingCall(call, result.view.waiter, self._executor)
            waited = await self._wait(waiting, head, is_contended=result.view.is_contended)
            # Ask once more: a task may have been reserved for this waiter.
            claim_again = partial(claim_queue.claim_next, called_at=call.called_at)
            result = waited if waited is not None else await _shielded(self._search(call, claim_again))
        await self._release_if_disconnected(result, call)
        return result

    async def _wait_for_review(self, call: Call) -> OperationResult:
        """Claim submitted work for review, or wait for it. The result may have no task.

        Reviewers have no queue: each event lets all of them look, and one of them gets the lease.
        """
        claim = partial(call.operation.use_case, called_at=call.called_at)
        async with self._hub.subscribe(types=REVIEW_EVENTS, limit=UNBOUNDED) as subscription:
            # After the subscription, so that it misses no work that is submitted meanwhile.
            result = await _shielded(self._search(call, claim))
            with anyio.move_on_after(call.wait_seconds), suppress(Overflow):
                while not _has_task(call, result):
                    await subscription.next_batch()
                    if await self._executor.has_work_to_review(call):
                        result = await _shielded(self._search(call, claim))
        await self._release_if_disconnected(result, call)
        return result

    async def _wait_for_events(self, call: Call) -> OperationResult:
        """Return the next events, or an empty page at the end of the wait."""
        if not call.wait_seconds:
            return await self._executor.read(call)
        command = call.command
        wanted = frozenset(command.types) or None
        async with self._hub.subscribe(project_id=command.project_id, types=wanted, limit=UNBOUNDED) as subscription:
            # A new epoch ends the subscription, and the next read shows it.
            with anyio.move_on_after(call.wait_seconds), suppress(Overflow):
                while True:
                    result = await self._executor.read(call)
                    if result.view.items or result.view.resync or result.messages:
                        return result
                    await subscription.next_batch()
        return await self._executor.read(call)

    async def _wait_until_due(self) -> None:
        await self._pass_due.wait()

    async def _serve(self) -> None:
        """Serve the queue until it has no waiter of this process. An event during a pass causes another pass."""
        self._pass_due = anyio.Event()
        failure: ProjectManagerError | None = None
        listening = self._hub.subscribe(types=READINESS_EVENTS, limit=UNBOUNDED)
        try:
            async with listening as subscription, anyio.create_task_group() as tasks:
                # There was no subscription to the events before.
                self._changes.add_new(dict.fromkeys(self.waiting_calls, START))
                tasks.start_soon(self._listen, subscription, tasks.cancel_scope)
                try:
                    await self._serve_while_waiting()
                except ProjectManagerError as error:  # raised here, it would become an exception group
                    failure = error
                tasks.cancel_scope.cancel()
        except Closed:
            self._cancel_all(Closed)
        finally:
            if self.waiting_calls:  # the subscription has ended first, or a pass has failed
                self._pass_due.set()
        if failure is not None:
            raise failure

    async def _serve_while_waiting(self) -> None:
        while self.waiting_calls:
            self._pass_due = anyio.Event()
            if not await self._serve_once() and self.waiting_calls:
                with anyio.move_on_after(LEFT_TASKS_SECONDS if self._changes.has_left else None):
                    await self._pass_due.wait()

    async def _listen(self, subscription: Subscription, scope: anyio.CancelScope) -> None:
        """Start a pass after each event that may make a task ready."""
        try:
            while True:
                for event in await subscription.next_batch():
                    if self._changes.add_event(event):
                        self._pass_due.set()
        except (Closed, Overflow):  # a pass is shielded, so its results reach their waiters
            scope.cancel()

    async def _serve_once(self) -> bool:
        """Run one pass over the queue. Return whether another one is due."""
        async with self._pass:
            changes = self._changes.take(self.waiting_calls.keys())
            serve = partial(claim_queue.serve_waiters, local_waiters=dict(self.waiting_calls), changes=changes)
            try:
                served = await _shielded(self._writer.run("serve_queue", serve, SYSTEM, ""))
            except ShuttingDown as error:
                self._cancel_all(error)
                return False
            except BaseException:
                self._changes.restore(changes)
                raise
            for waiter_id, result in served.results.items():
                self._remove(waiter_id).settle(result)
            self._changes.add_new(served.unfinished)
        return self._changes.keep(served.left, has_more=served.has_more)

    def _cancel_all(self, reason: ProjectManagerError | type[Closed]) -> None:
        for waiter_id in list(self.waiting_calls):
            self._remove(waiter_id).settle(reason)

    def _remove(self, waiter_id: int) -> WaitingCall:
        waiting = self.waiting_calls.pop(waiter_id)
        self._changes.remove_waiter(waiting)
        return waiting

    async def _wait(self, waiting: WaitingCall, head: int, *, is_contended: bool) -> OperationResult | None:
        """Wait in the queue. Return None without a task.

        `head` is the number of the newest event before the claim. `is_contended` is whether all tasks that are ready
        for this claim are reserved for earlier waiters.
        """
        if self._hub.closed:
            await _shielded(self._dequeue(waiting))
            raise Closed
        self.waiting_calls[waiting.waiter.id] = waiting
        # A task may have become ready after `head` and before this line. A reserved task may have become free.
        is_new = self._hub.head != head or is_contended
        self._changes.add_waiter(waiting, is_new=is_new)
        if len(self.waiting_calls) == 1 or is_new:
            self._pass_due.set()
        try:
            with anyio.move_on_after(waiting.call.wait_seconds):
                await waiting.settled.wait()
        except anyio.get_cancelled_exc_class():
            await _shielded(self._dequeue(waiting))
            if isinstance(waiting.result, OperationResult):
                await self._release_if_disconnected(waiting.result, waiting.call)
            raise
        if not isinstance(waiting.result, OperationResult):
            await _shielded(self._dequeue(waiting))
        if waiting.result is None or isinstance(waiting.result, OperationResult):
            return waiting.result
        raise waiting.result

    async def _dequeue(self, waiting: WaitingCall) -> None:
        """Remove the waiter. A pass over the queue that began before may still serve it."""
        waiter_id = waiting.waiter.id
        dequeue = partial(claim_queue.dequeue, waiter_id=waiter_id)
        with _log_errors("dequeue"):
            await self._writer.run("dequeue", dequeue, waiting.call.actor, waiting.call.caller.request_id)
        async with self._pass:
            if waiter_id in self.waiting_calls:
                self._remove(waiter_id)
        if not self.waiting_calls:
            self._pass_due.set()

    async def _release_if_disconnected(self, result: OperationResult, call: Call) -> None:
        """Release the task when the caller has disconnected, unless a retry with its idempotency key can replay it."""
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            if _has_task(call, result) and not result.replayed and call.key is None:
                release = self._writer.run(
                    "release_disconnected", _release_command(result), call.actor, call.caller.request_id
                )
                with _log_errors("release_disconnected"):
                    await _shielded(release)
            raise


def _has_task(call: Call, result: OperationResult) -> bool:
    return result.replayed or call.has_effect(result.view)


def _release_command(result: OperationResult) -> Callable[[Tx], object]:
    lock = result.view.lock
    command = validation.read(ReleaseTaskLock, {"task_id": lock.task_id, "fence": lock.fence})
    return partial(leases.release, command=command)


@contextmanager
def _log_errors(step: str) -> Iterator[None]:
    """Log an error of a cleanup step instead of raising it. The expiry of the waiter or lease does the same later."""
    try:
        yield
    except ProjectManagerError as error:
        log_action(log, step, logging.WARNING, outcome=error.code)


async def _shielded(write: Awaitable[Written]) -> Written:
    """Await a write without cancellation. It takes effect, so a deadline must not lose its result."""
    with anyio.CancelScope(shield=True):
        written = await write
    return written  # noqa: RET504 for the type checker a cancel scope may swallow an exception, so no return in it
