"""The claim queue of all instances: claim the next task at once, or wait for it in the order of arrival."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from project_manager.schemas.leases import ClaimNextTask, ClaimView
from project_manager.services import leases, lookup, resolve, transitions
from project_manager.store import claim_queue, idempotency, links, ready_tasks
from project_manager.store.claim_queue import Queue, Waiter
from project_manager.store.ready_tasks import Candidates, Search
from project_manager.store.transaction import Tx

CLAIMS_PER_PASS = 64
"""Maximum number of tasks that one job claims for waiters, so that other writes do not wait long."""

ClaimResult = TypeVar("ClaimResult")
ClaimResult_co = TypeVar("ClaimResult_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Enqueued(ClaimView):
    """The result of a claim without a ready task. `waiter` is the caller in the queue."""

    waiter: Waiter | None = None


class LocalWaiter(Protocol[ClaimResult_co]):
    """A waiter of this process, which `serve_waiters` calls back with a task. See `runtime.long_poll.WaitingCall`."""

    @property
    def waiter(self) -> Waiter: ...

    @property
    def key(self) -> tuple[str, str] | None:
        """The actor id and the idempotency key of the claim, or None without a key."""

    def claim(self, tx: Tx, task_id: int) -> tuple[ClaimResult_co, bool]:
        """Claim the task for the waiter. Return the result and whether the task was claimed."""


@dataclass(frozen=True, slots=True)
class ServeResult(Generic[ClaimResult]):
    """The results of the served waiters, by id. If `has_more` is true, a further pass may serve other waiters."""

    results: dict[int, ClaimResult]
    has_more: bool


def has_claimed(result: ClaimView) -> bool:
    """Return whether a task was claimed. A claim without a task has no effect, so a retry must search again."""
    return result.task is not None


def claim_next(tx: Tx, command: ClaimNextTask, *, called_at: int | None = None) -> ClaimView:
    """Claim the best ready task: most urgent, then the one that unblocks most, then oldest.

    Atomic: no two agents get the same task. Claims with wait_seconds are served in the order of their arrival. When no
    task is ready, the result has the number of tasks and their blockers. Keep lock.fence and send it with every write.
    """
    return _claim(tx, command, claim_filters(tx, command), tx.now if called_at is None else called_at)


def claim_or_enqueue(tx: Tx, command: ClaimNextTask, *, called_at: int) -> ClaimView:
    """Claim the next task, or enter the queue when no task is ready. Raises ProjectNotFound, EpicNotFound, Invalid."""
    search = claim_filters(tx, command)
    claimed = _claim(tx, command, search, called_at)
    if claimed.task is not None:
        return claimed
    lookup.check_scope(tx, search)
    return Enqueued(None, None, "", claim_queue.enqueue(tx, search))


def claim_filters(tx: Tx, command: ClaimNextTask) -> Search:
    """Return the filters of a claim. Raises ProjectNotFound, EpicNotFound, Invalid."""
    search: Search = {**resolve.scope(tx, command)}
    if command.priority is not None:
        search["priority"] = command.priority
    if command.labels:
        search["labels"] = command.labels
    return search


def _claim(tx: Tx, command: ClaimNextTask, search: Search, called_at: int) -> ClaimView:
    found = ready_tasks.best(tx, search)
    if found is None:
        return Enqueued(None, None, "")
    queue = claim_queue.queue(tx)
    if queue.accepts(found[0]):
        free = Candidates(search).first(tx, _reserved_task_ids(tx, queue))
        found = None if free is None else ready_tasks.get_with_context(tx, free)
    return Enqueued(None, None, "") if found is None else leases.claim(tx, command, *found, called_at=called_at)


def claim_found(tx: Tx, command: ClaimNextTask, *, task_id: int, called_at: int) -> ClaimView:
    """Claim a task that a search has found for this command, and return the claim."""
    found = ready_tasks.get_with_context(tx, task_id)
    if found is None:
        raise RuntimeError(f"task {task_id} was found in this transaction, but not read")
    return leases.claim(tx, command, *found, called_at=called_at)


def _reserved_task_ids(tx: Tx, queue: Queue) -> set[int]:
    """Return the ids of the tasks reserved for the waiters, one each, and of the tasks that conflict with them."""
    reserved: set[int] = set()
    searches = _CandidateCache()
    for waiter in queue.waiters:
        task_id = searches.first(tx, waiter, reserved)
        if task_id is not None:
            reserved |= _with_conflicts(tx, task_id)
    return reserved


def _with_conflicts(tx: Tx, task_id: int) -> set[int]:
    """Return the id of the task and of the tasks that conflict with it. Its lease makes all of them not ready.

    An earlier search may have found them while they were ready.
    """
    return {task_id, *links.conflicts_of(tx, task_id)}


class _CandidateCache:
    """The candidates of each kind of waiter. Waiters with the same filters share one search."""

    def __init__(self) -> None:
        self._by_filter_key: dict[tuple[object, ...], Candidates | None] = {}

    def first(self, tx: Tx, waiter: Waiter, without: set[int]) -> int | None:
        """Return the best task for the waiter outside `without`, or None. An empty search is not repeated."""
        if waiter.filter_key not in self._by_filter_key:
            self._by_filter_key[waiter.filter_key] = Candidates(waiter.search())
        candidates = self._by_filter_key[waiter.filter_key]
        if candidates is None:
            return None
        task_id = candidates.first(tx, without)
        if task_id is None:
            self._by_filter_key[waiter.filter_key] = None
        return task_id


def serve_waiters(tx: Tx, *, local_waiters: Mapping[int, LocalWaiter[ClaimResult]]) -> ServeResult[ClaimResult]:
    """Claim ready tasks for `local_waiters` (by id), in the order in which the waiters of all instances arrived."""
    results = _replay(tx, local_waiters, {})
    unavailable: set[int] = set()
    searches = _CandidateCache()
    for waiter in _ordered_waiters(tx, local_waiters):
        task_id = None if waiter.id in results else searches.first(tx, waiter, unavailable)
        if task_id is None:
            continue
        claimed = True
        if waiter.id in local_waiters:
            results[waiter.id], claimed = local_waiters[waiter.id].claim(tx, task_id)
            claim_queue.dequeue(tx, waiter.id)
        if claimed:
            unavailable |= _with_conflicts(tx, task_id)
        if len(results) >= CLAIMS_PER_PASS:
            return ServeResult(results, True)
    return ServeResult(results | _replay(tx, local_waiters, results), False)


def _replay(
    tx: Tx, local_waiters: Mapping[int, LocalWaiter[ClaimResult]], served: Mapping[int, ClaimResult]
) -> dict[int, ClaimResult]:
    """Serve the waiters with an idempotency key that another call has answered. Return the results by id."""
    keyed = {
        waiter_id: local
        for waiter_id, local in local_waiters.items()
        if local.key is not None and waiter_id not in served
    }
    if not keyed:
        return {}
    answered = idempotency.find_present(tx, {local.key for local in keyed.values() if local.key is not None})
    results = {waiter_id: local.claim(tx, 0)[0] for waiter_id, local in keyed.items() if local.key in answered}
    for waiter_id in results:
        claim_queue.dequeue(tx, waiter_id)
    return results


def _ordered_waiters(tx: Tx, local_waiters: Mapping[int, LocalWaiter[ClaimResult]]) -> list[Waiter]:
    """Return the waiters in the order of arrival.

    Waiters of this process are included even if their heartbeat expired while the process was suspended.
    """
    queue = claim_queue.queue(tx).waiters
    present = {waiter.id for waiter in queue}
    expired = [local.waiter for waiter_id, local in local_waiters.items() if waiter_id not in present]
    return sorted([*queue, *expired]) if expired else queue


def dequeue(tx: Tx, waiter_id: int) -> None:
    """Remove a waiter from the queue. Emit `task.ready` for a task reserved for it, which a later waiter may get."""
    waiter = claim_queue.dequeue(tx, waiter_id)
    if waiter is None or not claim_queue.after(tx, waiter_id):
        return
    transitions.emit_ready(tx, ready_tasks.ids(tx, waiter.search(), 1))


def drop_expired_waiters(tx: Tx) -> None:
    """Remove the waiters with an expired heartbeat."""
    for waiter_id in claim_queue.expired(tx):
        dequeue(tx, waiter_id)
