"""The claim queue of all instances: claim the next task at once, or wait for it in the order of arrival."""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Generic, Protocol, TypeVar

from project_manager.schemas.leases import ClaimNextTask, ClaimView
from project_manager.services import leases, lookup, pauses, readiness, resolve, review_claims
from project_manager.services.serializers import NO_IDS
from project_manager.store import claim_queue, claim_search, idempotency, links, offers, ready_tasks
from project_manager.store import pauses as store_pauses
from project_manager.store.claim_queue import FilterKey, Queue, Waiter, search_accepts
from project_manager.store.claim_search import START, Candidates, Position, Search
from project_manager.store.ready_tasks import ReadyTask
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

CLAIMS_PER_PASS = 64
"""Maximum number of tasks that one job claims for waiters, so that other writes do not wait long."""
SEARCHES_PER_PASS = 16
"""Maximum number of filters of new waiters that one job searches for, so that other writes do not wait long."""

ClaimResult = TypeVar("ClaimResult")
ClaimResult_co = TypeVar("ClaimResult_co", covariant=True)


@dataclass(frozen=True, slots=True)
class NotClaimed(ClaimView):
    """The result of a claim without a task.

    `waiter` is the caller in the queue, if it entered the queue. `is_contended` is whether tasks are ready, but all are
    reserved for earlier waiters. `continue_after` is set when only a part of the ready tasks was searched: claim again
    with `after` set to it.
    """

    waiter: Waiter | None = None
    is_contended: bool = False
    continue_after: Position | None = None


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
class Changes:
    """The changes since the last pass over the queue, which decide what the next pass has to do.

    `task_ids` are tasks that may have become ready. `new_waiters` are local waiters that may have missed such a change,
    and the positions after which they have not searched. `replayable` are local waiters with an idempotency key that
    another call may have answered.
    """

    task_ids: Collection[int] = ()
    new_waiters: Mapping[int, Position] = field(default_factory=dict)
    replayable: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class ServeResult(Generic[ClaimResult]):
    """The results of the served waiters, by id.

    `left` are ready tasks that the pass has not claimed, and that waiters accepted at its start. Those for waiters of
    other processes come first. If `has_more` is true, another pass can claim the rest for local waiters. `unfinished`
    are the new waiters without a result that have not searched all ready tasks. The next pass goes on after their
    positions.
    """

    results: dict[int, ClaimResult]
    left: list[int]
    has_more: bool
    unfinished: Mapping[int, Position]


def has_claimed(result: ClaimView) -> bool:
    """Return whether a task was claimed. A claim without a task has no effect, so a retry must search again."""
    return result.task is not None


def claim_next(tx: Tx, command: ClaimNextTask, *, called_at: int | None = None, after: Position = START) -> ClaimView:
    """Claim the best ready task: most urgent, then the one that unblocks most, then oldest.

    Atomic: no two agents get the same task. Claims with wait_seconds are served in the order of their arrival. When no
    task is ready, the result has the number of tasks and their blockers. Keep lock.fence and send it with every write.
    """
    return _claim(tx, command, claim_filters(tx, command), tx.now if called_at is None else called_at, after)


def claim_or_enqueue(tx: Tx, command: ClaimNextTask, *, called_at: int, after: Position = START) -> ClaimView:
    """Claim the next task, or enter the queue when no task is ready. Raises ProjectNotFound, EpicNotFound, Invalid."""
    search = claim_filters(tx, command)
    result = _claim(tx, command, search, called_at, after)
    if not isinstance(result, NotClaimed) or result.continue_after is not None:
        return result
    lookup.check_scope(tx, search)
    return replace(result, waiter=claim_queue.enqueue(tx, search))


def claim_filters(tx: Tx, command: ClaimNextTask) -> Search:
    """Return the filters of a claim. Raises ProjectNotFound, EpicNotFound, Invalid."""
    search: Search = {**resolve.scope(tx, command)}
    if command.priority is not None:
        search["priority"] = command.priority
    if command.labels:
        search["labels"] = command.labels
    return search


def _claim(tx: Tx, command: ClaimNextTask, search: Search, called_at: int, after: Position) -> ClaimView:
    if pauses.of_agent(tx, tx.actor.id) is not None:
        return NotClaimed(None, None, "")
    if command.kind == "review":
        return review_claims.claim(tx, command, search) or NotClaimed(None, None, "")
    offered = _first_offered(tx, search)
    if offered is not None:
        return claim_found(tx, command, task_id=offered, called_at=called_at)
    found, end = claim_search.best(tx, search, after)
    if found is None:
        return NotClaimed(None, None, "", continue_after=end)
    queue = claim_queue.queue(tx)
    if queue.waiters and _may_be_reserved(tx, queue, found[0]):
        free, end = _first_free(tx, search, queue, after)
        if free is None:
            return NotClaimed(None, None, "", is_contended=True, continue_after=end)
        return claim_found(tx, command, task_id=free, called_at=called_at)
    return leases.claim(tx, command, *found, called_at=called_at)


def _first_offered(tx: Tx, search: Search) -> int | None:
    """Return the id of the best task that is offered to the actor and that the filters accept, or None."""
    return next((task.id for task in offers.ready_of(tx, tx.actor.id) if search_accepts(search, task)), None)


def claim_found(tx: Tx, command: ClaimNextTask, *, task_id: int, called_at: int) -> ClaimView:
    """Claim a task that a search has found for this command, and return the claim."""
    found = ready_tasks.get_with_context(tx, task_id)
    if found is None:
        raise RuntimeError(f"task {task_id} was found in this transaction, but not read")
    return leases.claim(tx, command, *found, called_at=called_at)


def _may_be_reserved(tx: Tx, queue: Queue, task: TaskRow) -> bool:
    """Return whether a waiter accepts the task, or a ready task that cannot be leased at the same time."""
    if queue.accepts(task):
        return True
    if task.conflicts_with == task.paths == NO_IDS:
        return False
    return any(queue.accepts(other) for other in ready_tasks.among(tx, links.excluded_by(tx, task.id)))


def _first_free(tx: Tx, search: Search, queue: Queue, after: Position) -> tuple[int | None, Position | None]:
    """Return the first task in a part that is not reserved for a waiter, or None, and the position of the next part."""
    reservations = _Reservations(queue)
    limit = 1
    while True:
        task_ids, end = claim_search.part(tx, search, limit, after)
        reservations.extend(tx, {*task_ids, *links.excluded_by_any(tx, task_ids)})
        free = next((task_id for task_id in task_ids if task_id not in reservations.task_ids), None)
        if free is not None or len(task_ids) < limit:
            return free, end
        limit = max(4 * limit, len(reservations.task_ids) + 1)


class _Reservations:
    """The tasks reserved for waiters, one each, in the order of arrival.

    A waiter matters only if it accepts one of the tasks in question, or one that is reserved for a waiter that matters.
    `task_ids` contains the tasks reserved for these waiters, and the tasks that conflict with them.

    The best task of a waiter is not known when its search has stopped. That waiter and the later ones then also have
    the first task in question that they accept. So no claim overtakes them, and a claim still costs little.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._filter_keys: set[FilterKey] = set()
        self._has_stopped = False
        self.task_ids: set[int] = set()

    def extend(self, tx: Tx, task_ids: Collection[int]) -> None:
        """Reserve for the waiters that accept these tasks. They contain the tasks of the last call."""
        new = self._accepting(tx, task_ids) - self._filter_keys
        is_outdated = bool(new) or self._has_stopped
        while is_outdated:
            self._filter_keys |= new
            self.task_ids = self._reserve(tx, task_ids)
            new = self._accepting(tx, self.task_ids) - self._filter_keys
            is_outdated = bool(new)

    def _accepting(self, tx: Tx, task_ids: Collection[int]) -> set[FilterKey]:
        if len(self._filter_keys) == self._queue.number_of_filters:
            return set()
        return {key for task in ready_tasks.among(tx, task_ids) for key in self._queue.filters_that_accept(task)}

    def _reserve(self, tx: Tx, in_question: Collection[int]) -> set[int]:
        reserved: set[int] = set()
        searches = _Searches()
        offers: _Offers | None = None
        for waiter in self._queue.waiters.values():
            if waiter.filter_key not in self._filter_keys:
                continue
            chosen = [searches.first(tx, waiter, reserved)]
            if searches.has_stopped:
                offers = offers or _Offers(self._queue, ready_tasks.among(tx, in_question))
                chosen.append(offers.first(waiter, reserved))
            for task_id in chosen:
                if task_id is not None:
                    reserved |= _with_conflicts(tx, task_id)
        self._has_stopped = searches.has_stopped
        return reserved


def _with_conflicts(tx: Tx, task_id: int) -> set[int]:
    """Return the id of the task and of the tasks that its lease makes not ready, by a conflict or by paths.

    An earlier search may have found them while they were ready.
    """
    return {task_id, *links.excluded_by(tx, task_id)}


class _Searches:
    """The searches of waiters. Those with the same filters share one. `has_stopped` is whether any search has."""

    def __init__(self) -> None:
        self._by_filter_key: dict[FilterKey, Candidates] = {}
        self.has_stopped = False

    def first(self, tx: Tx, waiter: Waiter, without: set[int]) -> int | None:
        """Return the best task for the waiter outside `without`, or None when none is found."""
        if waiter.filter_key not in self._by_filter_key:
            self._by_filter_key[waiter.filter_key] = Candidates(waiter.search())
        candidates = self._by_filter_key[waiter.filter_key]
        task_id = candidates.first(tx, without)
        self.has_stopped = self.has_stopped or candidates.has_stopped
        return task_id


class _Offers:
    """Ready tasks that waiters accept, by the filters of these waiters. `task_ids` are all of them."""

    def __init__(self, queue: Queue, found: list[ReadyTask]) -> None:
        self._by_filter_key: dict[FilterKey, deque[int]] = {}
        self.task_ids: set[int] = set()
        for task in found:
            for key in queue.filters_that_accept(task):
                self._by_filter_key.setdefault(key, deque()).append(task.id)
                self.task_ids.add(task.id)

    def first(self, waiter: Waiter, without: set[int]) -> int | None:
        """Return the first task in claim order that the waiter accepts outside `without`, or None.

        `without` must only grow.
        """
        accepted = self._by_filter_key.get(waiter.filter_key)
        while accepted and accepted[0] in without:
            accepted.popleft()
        return accepted[0] if accepted else None


def serve_waiters(
    tx: Tx, *, local_waiters: Mapping[int, LocalWaiter[ClaimResult]], changes: Changes
) -> ServeResult[ClaimResult]:
    """Claim ready tasks for `local_waiters` (by id), in the order in which the waiters of all instances arrived.

    A waiter has searched when it arrived. Since then only a changed task can be ready for it, so a pass compares the
    changed tasks with the filters. It searches only for the waiters that it serves. Its cost therefore does not grow
    with the number of other filters and ready tasks.
    """
    results = _replay(tx, local_waiters, changes.replayable)
    new_waiters = {waiter_id: after for waiter_id, after in changes.new_waiters.items() if waiter_id not in results}
    results |= _serve_offers(tx, local_waiters, changes.task_ids, new_waiters, results)
    new_waiters = {waiter_id: after for waiter_id, after in new_waiters.items() if waiter_id not in results}
    next_ready, unfinished = _search(tx, local_waiters, new_waiters)
    found = ready_tasks.among(tx, {*changes.task_ids, *next_ready})
    if not found:
        return ServeResult(results, [], False, unfinished)
    queue = _with_expired(tx, local_waiters)
    offers, searches = _Offers(queue, found), _Searches()
    left = offers.task_ids.copy()
    unavailable: set[int] = set()
    reserved: list[int] = []
    for waiter in sorted(queue.waiters.values()):
        if not left or len(results) >= CLAIMS_PER_PASS:
            break
        offered = None if waiter.id in results else offers.first(waiter, unavailable)
        if offered is None:
            continue
        # A search finds the best task, also among the tasks of later passes. It can stop before the offered one.
        task_id = searches.first(tx, waiter, unavailable) or offered
        claimed = True
        if waiter.id in local_waiters:
            results[waiter.id], claimed = local_waiters[waiter.id].claim(tx, task_id)
            claim_queue.dequeue(tx, waiter.id)
        else:
            reserved.append(task_id)
        if claimed:
            taken = _with_conflicts(tx, task_id)
            unavailable |= taken
            left -= taken
    has_more = bool(left) and len(results) >= CLAIMS_PER_PASS
    results |= _replay(tx, local_waiters, _same_key(local_waiters, results))
    unfinished = {waiter_id: after for waiter_id, after in unfinished.items() if waiter_id not in results}
    return ServeResult(results, [*reserved, *left], has_more, unfinished)


def _serve_offers(
    tx: Tx,
    local_waiters: Mapping[int, LocalWaiter[ClaimResult]],
    task_ids: Collection[int],
    new_waiters: Collection[int],
    served: Collection[int],
) -> dict[int, ClaimResult]:
    """Claim tasks that are offered to agents of local waiters. Return results by id of the waiter."""
    results: dict[int, ClaimResult] = {}
    found = offers.among(tx, task_ids)
    for agent in dict.fromkeys(local_waiters[waiter_id].waiter.agent_id for waiter_id in new_waiters):
        found += [(agent, task) for task in offers.ready_of(tx, agent)]
    for agent, task in found:
        if results and not offers.among(tx, [task.id]):
            continue  # it conflicts with a task that was claimed in this pass
        for waiter_id, local in sorted(local_waiters.items()):
            if waiter_id in results or waiter_id in served or local.waiter.agent_id != agent:
                continue
            if search_accepts(local.waiter.search(), task):
                results[waiter_id], _ = local.claim(tx, task.id)
                claim_queue.dequeue(tx, waiter_id)
                break
    return results


def _search(
    tx: Tx, local_waiters: Mapping[int, LocalWaiter[ClaimResult]], new_waiters: Mapping[int, Position]
) -> tuple[set[int], dict[int, Position]]:
    """Return the next ready tasks of new waiters, and the waiters that have more to search, with their positions.

    The least advanced searches come first, so that a long one does not delay the others. Of these, the searches of the
    earliest waiters come first. The pass ends its searches behind a part without a ready task, which costs most.
    """
    searches: dict[tuple[FilterKey, Position], list[Waiter]] = {}
    for waiter_id, after in sorted(new_waiters.items(), key=lambda item: (item[1], item[0])):
        waiter = local_waiters[waiter_id].waiter
        searches.setdefault((waiter.filter_key, after), []).append(waiter)
    next_ready: set[int] = set()
    unfinished = dict(new_waiters)
    for (_, after), waiters in islice(searches.items(), SEARCHES_PER_PASS):
        task_ids, end = claim_search.part(tx, waiters[0].search(), CLAIMS_PER_PASS, after)
        next_ready.update(task_ids)
        for waiter in waiters:
            if end is None:
                del unfinished[waiter.id]
            else:
                unfinished[waiter.id] = end
        if not task_ids and end is not None:
            break
    return next_ready, unfinished


def _replay(
    tx: Tx, local_waiters: Mapping[int, LocalWaiter[ClaimResult]], waiter_ids: Collection[int]
) -> dict[int, ClaimResult]:
    """Serve those of these waiters with an idempotency key that another call has answered. Return results by id."""
    keys = {waiter_id: key for waiter_id in waiter_ids if (key := local_waiters[waiter_id].key) is not None}
    if not keys:
        return {}
    answered = idempotency.find_present(tx, set(keys.values()))
    results = {waiter_id: local_waiters[waiter_id].claim(tx, 0)[0] for waiter_id in keys if keys[waiter_id] in answered}
    for waiter_id in results:
        claim_queue.dequeue(tx, waiter_id)
    return results


def _same_key(local_waiters: Mapping[int, LocalWaiter[ClaimResult]], served: Collection[int]) -> list[int]:
    """Return the ids of the waiters that are not served and have the idempotency key of a served one."""
    keys = {local_waiters[waiter_id].key for waiter_id in served} - {None}
    return [n for n, local in local_waiters.items() if local.key in keys and n not in served] if keys else []


def _with_expired(tx: Tx, local_waiters: Mapping[int, LocalWaiter[ClaimResult]]) -> Queue:
    """Return the queue with all waiters of this process, also those that expired while the process was suspended.

    Waiters of paused agents are not in it.
    """
    queue, paused = claim_queue.queue(tx), store_pauses.paused_agents(tx)
    absent = [local.waiter for waiter_id, local in local_waiters.items() if waiter_id not in queue.waiters]
    expired = [waiter for waiter in absent if waiter.agent_id not in paused]
    return Queue([*queue.waiters.values(), *expired]) if expired else queue


def dequeue(tx: Tx, waiter_id: int) -> None:
    """Remove a waiter from the queue. Emit `task.ready` for a task reserved for it, which a later waiter may get."""
    _dequeue_all(tx, [waiter_id])


def drop_expired_waiters(tx: Tx) -> None:
    """Remove the waiters with an expired heartbeat, as `dequeue` does."""
    _dequeue_all(tx, claim_queue.expired(tx))


def _dequeue_all(tx: Tx, waiter_ids: Collection[int]) -> None:
    """Remove these waiters. Emit `task.ready` for as many tasks as waiters of each filter, if a waiter remains behind.

    One event for each waiter would name the same task, because it searches after the same filter. A task behind the
    first part has no event. The next pass of another instance offers it to a later waiter.
    """
    removed: dict[FilterKey, list[Waiter]] = {}
    for waiter_id in sorted(waiter_ids):
        waiter = claim_queue.dequeue(tx, waiter_id)
        if waiter is not None:
            removed.setdefault(waiter.filter_key, []).append(waiter)
    for waiters in removed.values():
        if claim_queue.after(tx, waiters[0].id):
            readiness.emit_ready(tx, claim_search.part(tx, waiters[0].search(), len(waiters))[0])
