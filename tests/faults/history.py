"""Judging what happened, from the event log and from what clients saw."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx

PAGE = 500


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease as its holder saw it: from the answer that gave it to the moment before it was given up (seconds, one
    clock for all clients of a test)."""

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
    """Every number from 1 on, once, in order."""
    numbers = [event["seq"] for event in events]
    assert numbers == list(range(1, len(numbers) + 1))


def check_one_holder(events: Iterable[dict[str, Any]]) -> dict[int, list[tuple[str, int]]]:
    """By the log no task ever has two holders, and each lease has a higher fence than the one before. Who held what
    under which fence."""
    holder: dict[int, str | None] = defaultdict(lambda: None)
    leases: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for event in events:
        task = event["task_id"]
        if event["type"] == "task.locked" and not event.get("renewed"):
            fence = event["lock"]["fence"]
            assert holder[task] is None, f"task {task} was given away while held: {event}"
            assert not leases[task] or fence > leases[task][-1][1], f"a fence repeats: {event}"
            holder[task] = event["agent_id"]
            leases[task].append((event["agent_id"], fence))
        elif event["type"] == "task.unlocked":
            assert holder[task] == event["agent_id"], f"somebody else's lease was ended: {event}"
            holder[task] = None
    return leases


def check_holds(holds: Iterable[Hold]) -> None:
    """By what the clients saw no two of them held a task at once, and later holds have higher fences."""
    by_task: dict[int, list[Hold]] = defaultdict(list)
    for hold in holds:
        by_task[hold.task_id].append(hold)
    for held in by_task.values():
        held.sort(key=lambda hold: hold.fence)
        for earlier, later in pairwise(held):
            assert earlier.fence < later.fence, (earlier, later)
            assert earlier.end <= later.end, (earlier, later)
            assert later.begin >= earlier.begin, (earlier, later)


def finished(events: Iterable[dict[str, Any]]) -> list[int]:
    """Ids of tasks in the order in which they were finished; one that was finished twice stands there twice."""
    return [
        event["task_id"]
        for event in events
        if event["type"] == "task.status_changed" and event["status"] == "DONE" and event["previous_status"] != "DONE"
    ]
