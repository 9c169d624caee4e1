"""Checks of the event log and of the responses that clients received."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx

PAGE = 500


@dataclass(frozen=True, slots=True)
class ObservedLease:
    """A lease as its holder observed it, from the response to the claim until just before its release.

    Times are seconds of one clock that all clients of a test share.
    """

    task_id: int
    agent: str
    fence: int
    begin: float
    end: float


def all_events(http: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = http.get("/api/events", params={"since": found[-1]["seq"] if found else 0, "limit": PAGE}).json()
        found += page["items"]
        if not page["items"] or found[-1]["seq"] == page["head"]:
            return found


def check_numbers(events: Iterable[dict[str, Any]]) -> None:
    """Check that the events have every number from 1 on, once, in order."""
    numbers = [event["seq"] for event in events]
    assert numbers == list(range(1, len(numbers) + 1))


def check_one_holder(events: Iterable[dict[str, Any]]) -> dict[int, list[tuple[str, int]]]:
    """Check that no task has two holders and that fences grow. Return agent and fence of each lease by task."""
    holder: dict[int, str | None] = defaultdict(lambda: None)
    leases: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for event in events:
        task = event["task_id"]
        if event["type"] == "task.locked" and not event.get("renewed"):
            fence = event["lock"]["fence"]
            assert holder[task] is None, f"task {task} was claimed while it had a holder: {event}"
            assert not leases[task] or fence > leases[task][-1][1], f"a fence repeats: {event}"
            holder[task] = event["agent_id"]
            leases[task].append((event["agent_id"], fence))
        elif event["type"] == "task.unlocked":
            assert holder[task] == event["agent_id"], f"the lease of another agent was ended: {event}"
            holder[task] = None
    return leases


def check_observed_leases(leases: Iterable[ObservedLease]) -> None:
    """Check that leases of one task did not overlap for the clients and that later ones have higher fences."""
    by_task: dict[int, list[ObservedLease]] = defaultdict(list)
    for lease in leases:
        by_task[lease.task_id].append(lease)
    for claims in by_task.values():
        claims.sort(key=lambda lease: lease.fence)
        for earlier, later in pairwise(claims):
            assert earlier.fence < later.fence, (earlier, later)
            assert earlier.end <= later.end, (earlier, later)
            assert later.begin >= earlier.begin, (earlier, later)


def finished(events: Iterable[dict[str, Any]]) -> list[int]:
    """Return ids of tasks in the order of completion. A task that was finished twice appears twice."""
    return [
        event["task_id"]
        for event in events
        if event["type"] == "task.status_changed" and event["status"] == "DONE" and event["previous_status"] != "DONE"
    ]
