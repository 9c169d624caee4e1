"""The fold of events into roll-ups, for events that the service does not write any more or writes rarely."""

from typing import Any

import pytest

from project_manager.domain.flow import ALL, HOUR_MS, FlowHour, FlowState, Fold, FoldedEvent

READY = {"status": "TODO", "ready": True, "holder": None}
TAKEN = {"status": "IN_PROGRESS", "ready": False, "holder": "ann"}
CLAIM = {"agent_id": "ann", "status": "IN_PROGRESS", "lock": {"kind": "work"}, "renewed": False, "task": TAKEN}


class Events:
    """A fold of events of task 1, one after the other."""

    def __init__(self) -> None:
        self.fold = Fold(FlowState())

    def add(self, kind: str, at: int, **data: Any) -> None:
        self.fold.apply(FoldedEvent(f"task.{kind}", at, "ann", True, 1, None, 1, data))

    @property
    def hour(self) -> FlowHour:
        return self.fold.state.hours[ALL, 0]


@pytest.fixture
def events() -> Events:
    return Events()


def test_an_event_of_an_earlier_release_has_failed_if_it_counts_an_attempt(events: Events) -> None:
    events.add("created", 0, status="TODO", task=READY)
    for attempts in (1, 1, 2):
        events.add("locked", 0, **CLAIM)
        events.add("unlocked", 0, agent_id="ann", reason="explicit_release", attempts=attempts, task=READY)
    assert events.hour.failed == 2


def test_a_task_that_becomes_ready_and_is_claimed_in_one_commit_has_waited_no_time(events: Events) -> None:
    events.add("created", 0, status="TODO", task=TAKEN)  # the row is that of the end of the commit
    events.add("locked", 0, **CLAIM)
    assert (events.hour.ready, events.hour.ready_ms) == ({0: 1}, 0)


def test_an_earlier_event_of_the_commit_of_a_claim_does_not_end_the_wait(events: Events) -> None:
    events.add("created", 0, status="TODO", task=READY)
    events.add("updated", 60_000, changes={}, task=TAKEN)
    events.add("locked", 60_000, **CLAIM)
    assert events.hour.ready_ms == 60_000


def test_a_wait_begins_again_when_the_task_was_not_ready_meanwhile(events: Events) -> None:
    events.add("created", 0, status="TODO", task=READY)
    events.add("not_ready", 10_000, status="TODO", task=READY | {"ready": False})
    events.add("ready", 50_000, status="TODO", task=READY)
    events.add("locked", 60_000, **CLAIM)
    assert events.hour.ready_ms == 10_000


def test_no_time_is_negative_when_the_clock_was_set_back(events: Events) -> None:
    events.add("created", HOUR_MS - 1, status="TODO", task=READY)
    events.add("locked", HOUR_MS - 1, **CLAIM)
    done = {"status": "DONE", "previous_status": "IN_PROGRESS", "agent_id": "ann"}
    events.add("status_changed", 5, **done, task=TAKEN)
    events.add("unlocked", 5, agent_id="ann", reason="auto_release", attempts=0, task=TAKEN)
    assert (events.hour.completed, events.hour.cycle_ms, events.hour.leased_ms) == (1, 0, 0)


def test_the_times_of_a_task_with_removed_events_are_unknown(events: Events) -> None:
    events.add("locked", 1000, **CLAIM)
    events.add("status_changed", 1000, status="IN_PROGRESS", previous_status="BACKLOG", agent_id="ann", task=TAKEN)
    review = {"status": "REVIEW", "previous_status": "IN_PROGRESS", "agent_id": "ann"}
    events.add("status_changed", 61_000, **review, task=None)
    events.add("status_changed", 91_000, status="DONE", previous_status="REVIEW", agent_id="bob", task=None)
    assert events.hour.ready == {}
    assert (events.hour.cycle_ms, events.hour.review_ms) == (90_000, 30_000)
    assert {status: number for status, number in (events.hour.counts or {}).items() if number} == {"DONE": 1}
