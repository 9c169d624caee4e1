"""Waiters of this process in the claim queue, and changes that the next pass over the queue compares with them."""

import logging
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

import anyio

from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.events.tasks import TaskStatusChanged
from project_manager.domain.service_errors import Internal
from project_manager.domain.statuses import Status
from project_manager.observability.logging import bind_context
from project_manager.runtime.authentication import check_agent_in_transaction
from project_manager.runtime.calls import Call, OperationResult
from project_manager.runtime.event_hub import Closed, Event
from project_manager.runtime.execution import CallExecutor
from project_manager.services import claim_queue
from project_manager.services.claim_queue import Changes
from project_manager.store.claim_queue import Waiter
from project_manager.store.claim_search import START, Position
from project_manager.store.transaction import Tx, savepoint

log = logging.getLogger(__name__)

TASKS_PER_PASS = 128
"""Maximum number of changed tasks that one pass compares with the waiters, so that other writes do not wait long."""


@dataclass(slots=True)
class WaitingCall:
    """A call that waits in the claim queue. `result` is set before the event `settled`."""

    call: Call
    waiter: Waiter
    executor: CallExecutor
    settled: anyio.Event = field(default_factory=anyio.Event)
    result: OperationResult | ProjectManagerError | type[Closed] | None = None

    @property
    def key(self) -> tuple[str, str] | None:
        """The actor id and the idempotency key, or None without a key."""
        return None if self.call.key is None else (self.call.actor.id, self.call.key)

    def claim(self, tx: Tx, task_id: int) -> tuple[OperationResult | ProjectManagerError, bool]:
        """Claim the task. Return the result, which can be an error, and whether the task was claimed."""
        own = replace(tx, actor=self.call.actor, request_id=self.call.caller.request_id)
        bind_context(own.request_id, own.actor.token_id)
        use_case = partial(claim_queue.claim_found, task_id=task_id, called_at=self.call.called_at)
        try:
            with savepoint(tx):
                # A token may have been bound to the agent id during the wait.
                check_agent_in_transaction(own, self.call.caller.actor, own.actor)
                result = self.executor.write_in(own, self.call, use_case)
        except ProjectManagerError as error:
            return error, False
        except tx.connection.dialect.driver_error:  # it concerns the whole batch
            raise
        except Exception:
            log.exception("queued claim failed", extra={"action": "write_failed", "operation": "claim_next_task"})
            return Internal("internal server error; no task was claimed"), False
        return result, not result.replayed

    def settle(self, result: OperationResult | ProjectManagerError | type[Closed]) -> None:
        self.result = result
        self.settled.set()


class ChangesSinceLastPass:
    """The changes since the last pass over the claim queue."""

    def __init__(self) -> None:
        self._task_ids: dict[int, None] = {}  # a set in the order of insertion
        self._left: list[int] = []
        self._new_waiters: dict[int, Position] = {}
        self._replayable: set[int] = set()
        self._keyed: dict[str, set[int]] = {}

    def add_waiter(self, waiting: WaitingCall, *, is_new: bool) -> None:
        """Add a waiter. With `is_new`, a task may have become ready for it without an event for `add_event`."""
        if is_new:
            self._new_waiters[waiting.waiter.id] = START
        if waiting.key is not None:
            self._keyed.setdefault(waiting.key[0], set()).add(waiting.waiter.id)

    def add_new(self, waiters: Mapping[int, Position]) -> None:
        """Note that tasks after these positions may have become ready for the waiters without an event."""
        for waiter_id, after in waiters.items():
            self._new_waiters[waiter_id] = min(after, self._new_waiters.get(waiter_id, after))

    def remove_waiter(self, waiting: WaitingCall) -> None:
        """Remove a waiter that `add_waiter` has added."""
        if waiting.key is not None:
            actor = waiting.key[0]
            self._keyed[actor].discard(waiting.waiter.id)
            if not self._keyed[actor]:
                del self._keyed[actor]

    def add_event(self, event: Event) -> bool:
        """Add a change of readiness, and return whether a pass is due.

        A claim makes no task ready. But it can be the answer for a waiter with the same actor and idempotency key.
        """
        if event.type == TaskStatusChanged.type and event.field("status") == Status.IN_PROGRESS:
            keyed = self._keyed.get(event.field("actor_id"), set())
            self._replayable |= keyed
            return bool(keyed)
        self._task_ids[event.field("task_id")] = None
        return True

    def take(self, waiters: Set[int]) -> Changes:
        """Remove and return the changes that the next pass compares with these waiters."""
        task_ids = list(islice(self._task_ids, TASKS_PER_PASS))
        for task_id in task_ids:
            del self._task_ids[task_id]
        new = {waiter_id: after for waiter_id, after in self._new_waiters.items() if waiter_id in waiters}
        changes = Changes([*self._left, *task_ids], new, (self._replayable & waiters) | new.keys())
        self._left, self._new_waiters, self._replayable = [], {}, set()
        return changes

    def restore(self, changes: Changes) -> None:
        """Add the changes of a pass that has failed."""
        self._left += changes.task_ids
        self.add_new(changes.new_waiters)
        self._replayable |= {*changes.replayable}

    @property
    def has_left(self) -> bool:
        """Return whether a pass has left ready tasks for waiters of other instances."""
        return bool(self._left)

    def keep(self, task_ids: list[int], *, has_more: bool) -> bool:
        """Add the ready tasks that a pass has left for waiters, and return whether another pass is due.

        Unless `has_more`, no waiter of this process can have them now. Those for waiters of other instances come first.
        Each of these instances has a pass of its own, so a part of the tasks is enough here.
        """
        self._left += task_ids if has_more else task_ids[:TASKS_PER_PASS]
        return has_more or bool(self._task_ids or self._new_waiters)
