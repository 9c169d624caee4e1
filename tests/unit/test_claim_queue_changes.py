"""The changes that the next pass over the claim queue compares with the waiters."""

from typing import cast

import pytest

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import Actor
from project_manager.runtime.calls import Call, Caller
from project_manager.runtime.claim_queue import TASKS_PER_PASS, ChangesSinceLastPass, WaitingCall
from project_manager.runtime.event_hub import Event
from project_manager.runtime.execution import CallExecutor
from project_manager.schemas import validation
from project_manager.schemas.leases import ClaimNextTask
from project_manager.services.claim_queue import Changes
from project_manager.store.claim_queue import Waiter
from project_manager.store.claim_search import START, Position
from project_manager.store.events import EventRow

MIDDLE = Position(2, 0, 7)


@pytest.fixture
def changes() -> ChangesSinceLastPass:
    return ChangesSinceLastPass()


def event(task_id: int, kind: str = "task.ready", data: str = "{}", actor: str = "ann") -> Event:
    return Event(EventRow(task_id, kind, 0, actor, "agent", 1, None, task_id, data))


def claimed(task_id: int, actor: str) -> Event:
    return event(task_id, "task.status_changed", '{"status":"IN_PROGRESS"}', actor)


def waiting(waiter_id: int, agent: str) -> WaitingCall:
    """Return a claim with an idempotency key that waits in the queue."""
    actor = Actor(agent, "agent")
    command = validation.read(ClaimNextTask, {"request_id": "key"})
    call = Call(BY_NAME["claim_next_task"], command, Caller(actor, "rest", ""), actor, called_at=0)
    executor = cast(CallExecutor, None)  # it runs claims, and no claim runs here
    return WaitingCall(call, Waiter(waiter_id, agent, None, None, "[]", None, 0), executor)


def test_a_pass_takes_each_change_once_in_the_order_of_the_events(changes: ChangesSinceLastPass) -> None:
    for number in (3, 1, 3, 2):
        assert changes.add_event(event(number))
    assert changes.take(set()) == Changes([3, 1, 2], {}, set())
    assert changes.take(set()) == Changes([], {}, set())


def test_a_pass_takes_a_limited_number_of_tasks_and_the_next_pass_the_rest(changes: ChangesSinceLastPass) -> None:
    for number in range(TASKS_PER_PASS + 1):
        changes.add_event(event(number))
    assert len(changes.take(set()).task_ids) == TASKS_PER_PASS
    assert changes.keep([], has_more=False)
    assert changes.take(set()).task_ids == [TASKS_PER_PASS]
    assert not changes.keep([], has_more=False)


def test_tasks_that_a_pass_leaves_are_compared_again(changes: ChangesSinceLastPass) -> None:
    assert not changes.keep([7], has_more=False)
    assert changes.has_left
    changes.add_event(event(8))
    assert changes.take(set()).task_ids == [7, 8]


def test_the_changes_of_a_failed_pass_are_compared_again(changes: ChangesSinceLastPass) -> None:
    changes.add_event(event(1))
    changes.add_new({5: MIDDLE})
    taken = changes.take({5})
    changes.restore(taken)
    assert changes.take({5}) == taken


def test_a_claim_concerns_only_waiters_with_a_key_of_its_agent(changes: ChangesSinceLastPass) -> None:
    changes.add_waiter(waiting(1, "ann"), is_new=False)
    changes.add_waiter(waiting(2, "bob"), is_new=False)
    assert not changes.add_event(claimed(9, "cid"))
    assert changes.add_event(claimed(9, "ann"))
    assert changes.take({1, 2}) == Changes([], {}, {1})
    changes.remove_waiter(waiting(1, "ann"))
    assert not changes.add_event(claimed(9, "ann"))


def test_another_pass_is_due_while_a_new_waiter_has_more_to_search(changes: ChangesSinceLastPass) -> None:
    changes.add_new({1: MIDDLE})
    assert changes.keep([], has_more=False)
    assert changes.take({1}).new_waiters == {1: MIDDLE}
    assert not changes.keep([], has_more=False)


def test_a_waiter_that_is_new_again_searches_from_the_start(changes: ChangesSinceLastPass) -> None:
    changes.add_new({1: START, 2: MIDDLE})
    changes.add_new({1: MIDDLE, 2: START})
    assert changes.take({1, 2}).new_waiters == {1: START, 2: START}


def test_waiters_that_have_left_are_not_compared(changes: ChangesSinceLastPass) -> None:
    changes.add_new({1: START, 2: MIDDLE})
    assert changes.take({2}) == Changes([], {2: MIDDLE}, {2})
