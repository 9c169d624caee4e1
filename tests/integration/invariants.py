"""Invariants of the database after any operation, recomputed from the rows themselves."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from project_manager.domain.flow import FlowState, Fold, FoldedEvent, scopes_of
from project_manager.domain.paths import overlaps, parse_glob
from project_manager.domain.readiness import Withheld
from project_manager.store import history_check
from project_manager.store.transaction import Tx
from tests.integration.work_invariants import check_work
from tests.operations_client import OperationsClient
from tests.stored_rows import Address, Row, address_of, rows, snapshot


def check(api: OperationsClient) -> None:
    """Fail with the first rows that differ from their sources."""
    runtime = api.runtime
    now = runtime.database.writer.now()
    check_database(address_of(runtime), now=now, max_attempts=runtime.settings.max_attempts)


def check_database(address: Address, *, now: int, max_attempts: int) -> None:
    with ThreadPoolExecutor(1) as thread:  # the package may not block the event loop of the test
        thread.submit(_check_database, address, now, max_attempts).result(60)


def _check_database(address: Address, now: int, max_attempts: int) -> None:
    with snapshot(address) as tx:
        tasks = {row["id"]: row for row in rows(tx, "SELECT * FROM tasks")}
        check_counters(tx, tasks)
        check_parents(tasks)
        check_labels(tx, tasks)
        check_paths(tx, tasks)
        check_claimable_labels(tx, tasks)
        check_leases(tasks, now=now)
        check_ended_leases(rows(tx, "SELECT * FROM ended_leases"), tasks)
        events = rows(tx, "SELECT * FROM events ORDER BY seq")
        check_events(events, tasks)
        check_work(tx, tasks, events)
        check_flow(events, tasks)
        check_compact_rows(tx, events, tasks, max_attempts=max_attempts)
        if isinstance(address, Path):  # a server has no connection that may violate them
            assert rows(tx, "PRAGMA foreign_key_check") == []
        # The hash chain is intact, and the tables match the events.
        assert history_check.check(tx).differences == ()


def check_flow(events: list[Row], tasks: dict[int, Row]) -> None:
    """Assert that a fold of all events has the status, the epic and the lease of each task."""
    if events and events[0]["seq"] > 1:
        return  # retention has removed events
    fold = Fold(FlowState())
    for row in events:
        by_agent, data = row["actor_kind"] == "agent", json.loads(row["data"])
        place = (row["project_id"], row["epic_id"], row["task_id"])
        fold.apply(FoldedEvent(row["type"], row["at"], row["actor_id"], by_agent, *place, data))
    known = {number: task for number, task in fold.state.tasks.items() if task is not None}
    assert {number: (task.status, task.epic_id, task.holder) for number, task in known.items()} == {
        number: (row["status"], row["epic_id"], row["lock_holder"]) for number, row in tasks.items()
    }
    for scope, counts in fold.state.counts.items():
        inside = [task.status for task in known.values() if scope in scopes_of(task)]
        assert {status: number for status, number in counts.items() if number} == Counter(inside), scope
    held = Counter(row["lock_holder"] for row in tasks.values() if row["lock_holder"] is not None)
    assert {name: agent.leases for name, agent in fold.state.agents.items() if agent.leases} == held


def check_counters(tx: Tx, tasks: dict[int, Row]) -> None:
    links = rows(tx, "SELECT task_id, depends_on_id FROM task_dependencies")
    archived = {row["id"] for row in rows(tx, "SELECT id FROM projects WHERE archived_at IS NOT NULL")}
    waits = dict.fromkeys(tasks, 0)
    unblocks = dict.fromkeys(tasks, 0)
    for link in links:
        waits[link["task_id"]] += tasks[link["depends_on_id"]]["status"] != "DONE"
        unblocks[link["depends_on_id"]] += tasks[link["task_id"]]["status"] not in ("DONE", "CANCELLED")
    for number, row in tasks.items():
        if row["parent_id"] is not None and row["status"] not in ("DONE", "CANCELLED"):
            waits[row["parent_id"]] += 1
            assert tasks[row["parent_id"]]["status"] != "DONE", f"task {number} is open, and its parent is DONE"
    assert {number: row["open_dependencies"] for number, row in tasks.items()} == waits
    assert {number: row["unblocks"] for number, row in tasks.items()} == unblocks
    assert {number for number, row in tasks.items() if row["archived"] & Withheld.ARCHIVED} == {
        number for number, row in tasks.items() if row["project_id"] in archived
    }
    conflicts = {(row["task_id"], row["other_id"]) for row in rows(tx, "SELECT * FROM task_conflicts")}
    assert conflicts == {(other, task) for task, other in conflicts}


def check_parents(tasks: dict[int, Row]) -> None:
    """Assert that each parent is in the project of its subtasks, and that tasks have five levels at most."""
    for number, row in tasks.items():
        levels, above = 1, row
        while above["parent_id"] is not None:
            assert tasks[above["parent_id"]]["project_id"] == row["project_id"], f"parent of task {number}"
            levels, above = levels + 1, tasks[above["parent_id"]]
            assert levels <= 5, f"levels of task {number}"


def check_paths(tx: Tx, tasks: dict[int, Row]) -> None:
    """Assert that the overlaps are those of the globs, leases reserve their paths, and parked tasks may be blocked."""
    globs = {row["id"]: row for row in rows(tx, "SELECT * FROM path_globs")}
    by_task = {number: set[int]() for number in tasks}
    for row in rows(tx, "SELECT * FROM task_paths"):
        by_task[row["task_id"]].add(row["glob_id"])
    for number, row in tasks.items():
        assert sorted(globs[one]["glob"] for one in by_task[number]) == sorted(json.loads(row["paths"]))
        assert all(globs[one]["project_id"] == row["project_id"] for one in by_task[number])
    pairs = {(row["glob_id"], row["other_id"]) for row in rows(tx, "SELECT * FROM glob_overlaps")}
    parsed = [(row["id"], row["project_id"], parse_glob(row["glob"])) for row in globs.values()]
    assert pairs == {
        (one[0], other[0]) for one in parsed for other in parsed if one[1] == other[1] and overlaps(one[2], other[2])
    }
    reservations = rows(tx, "SELECT * FROM path_reservations")
    live = {(row["task_id"], row["glob_id"]) for row in reservations if not row["ended"]}
    assert live == {
        (number, one)
        for number, row in tasks.items()
        if row["lock_holder"] is not None and row["lock_kind"] is None
        for one in by_task[number]
    }
    parked = {number: set[int]() for number, row in tasks.items() if row["archived"] & Withheld.PATHS}
    for row in rows(tx, "SELECT * FROM parked_paths"):
        parked[row["task_id"]].add(row["glob_id"])
    reserved = {row["glob_id"] for row in reservations}
    for number, own in parked.items():
        assert own == by_task[number]
        assert any((one, other) in pairs for one in own for other in reserved), f"task {number} is parked for nothing"


def check_labels(tx: Tx, tasks: dict[int, Row]) -> None:
    present = [(row["label"], row["task_id"]) for row in rows(tx, "SELECT * FROM task_labels")]
    assert sorted(present) == sorted(
        (label, number) for number, row in tasks.items() for label in json.loads(row["labels"])
    )


def check_claimable_labels(tx: Tx, tasks: dict[int, Row]) -> None:
    """Assert that the table has the labels of exactly the tasks in the partial indexes, in the order of claims."""
    present = {tuple(row.values()) for row in rows(tx, "SELECT * FROM claimable_labels")}
    assert present == {
        (label, row["priority"], -row["unblocks"], number, row["project_id"], row["epic_id"])
        for number, row in tasks.items()
        for label in json.loads(row["labels"])
        if row["status"] == "TODO" and not (row["open_dependencies"] or row["deferred"] or row["archived"])
    }


def check_leases(tasks: dict[int, Row], *, now: int) -> None:
    for number, row in tasks.items():
        if row["lock_holder"] is not None:
            assert row["status"] == ("REVIEW" if row["lock_kind"] else "IN_PROGRESS"), f"task {number}"
            assert row["lock_acquired_at"] < row["lock_expires_at"], f"task {number}"
            assert row["lock_expires_at"] <= now + row["lock_ttl"], f"task {number}"
        assert row["deferred"] == 0 or row["defer_until"] is not None, f"task {number}"
        assert (row["completed_at"] is not None) == (row["status"] == "DONE"), f"task {number}"
        assert (row["offered_to"] is not None) == bool(row["archived"] & Withheld.OFFERED), f"task {number}"
        assert row["offered_to"] is None or row["status"] == "TODO", f"task {number}"
        assert row["submission_id"] is None or "REVIEW" in (row["status"], row["lock_from"]), f"task {number}"


def check_ended_leases(ended: list[Row], tasks: dict[int, Row]) -> None:
    """Assert that no fence of a task occurs twice and that each ended lease is older than the present one."""
    for row in ended:
        number, fence = row["task_id"], row["fence"]
        assert row["acquired_at"] <= row["ended_at"], f"fence {fence} of task {number}"
        task = tasks.get(number)
        if task is not None:
            assert fence < task["fence"] + (task["lock_holder"] is None), f"fence {fence} of task {number}"
    newest = {row["task_id"]: row["agent_id"] for row in sorted(ended, key=lambda row: int(row["fence"]))}
    for number, task in tasks.items():
        assert task["worked_by"] == newest.get(number), f"worked_by of task {number}"
    seconds: Counter[int] = Counter()
    for row in ended:  # those for a review do not count
        if row["reason"] == "unconfirmed":
            continue
        seconds[row["task_id"]] += max(0, min(row["ended_at"], row["expires_at"]) - row["acquired_at"] + 500) // 1000
    for number, task in tasks.items():
        assert task["worked_seconds"] <= seconds[number], f"worked_seconds of task {number}"


def check_events(events: list[Row], tasks: dict[int, Row]) -> None:
    """Assert that event numbers have no gap and that a replay gives each task's status, holder, fence and version."""
    assert [row["seq"] for row in events] == list(range(1, len(events) + 1))
    assert [row["at"] for row in events] == sorted(row["at"] for row in events)
    states: dict[int, Row] = {}
    for row in events:
        if row["task_id"] is not None:
            replay(states, row["task_id"], row["type"], json.loads(row["data"]))
    kept = {number: {name: row[name] for name in ("status", "lock_holder")} for number, row in tasks.items()}
    assert {number: {"status": one["status"], "lock_holder": one["holder"]} for number, one in states.items()} == kept
    for number, one in states.items():
        assert one["version"] == tasks[number]["version"], f"version of task {number}"
        assert one["fence"] <= tasks[number]["fence"], f"fence of task {number}"


def check_compact_rows(tx: Tx, events: list[Row], tasks: dict[int, Row], *, max_attempts: int) -> None:
    """Assert that the compact row in the newest event of each task equals the task, also if another one blocks it."""
    held = {number for number, row in tasks.items() if row["lock_holder"] is not None}
    at_work = {number for number in held if tasks[number]["lock_kind"] is None}
    links = rows(tx, "SELECT task_id, other_id FROM task_conflicts")
    in_conflict = {link["task_id"] for link in links if link["other_id"] in at_work}
    newest = {row["task_id"]: json.loads(row["data"]) for row in events if row["type"].startswith("task.")}
    for number, task in tasks.items():
        row = newest[number].get("task")
        if row is None:  # a restore, which begins a new history
            continue
        withheld = task["archived"]
        if row["ready"]:  # a lease that blocks a task by paths emits no event of that task
            withheld &= ~Withheld.PATHS
        blocked = task["open_dependencies"] or task["deferred"] or withheld or number in in_conflict
        capped = 0 < max_attempts <= task["attempts"]
        assert row == {
            **{name: task[name] for name in ("id", "name", "status", "priority")},
            "ready": task["status"] == "TODO" and number not in held and not blocked and not capped,
            "holder": task["lock_holder"],
            "worked_by": task["lock_holder"] or task["worked_by"],
        }, f"compact row of task {number}"


def replay(states: dict[int, Row], task: int, kind: str, data: Row) -> None:
    if kind == "task.created":
        assert task not in states
        states[task] = {"status": data["status"], "holder": None, "fence": 0, "version": data["version"]}
        return
    one = states[task]
    if kind == "task.deleted":
        assert one["holder"] is None, f"task {task} was deleted while it was held"
        del states[task]
        return
    assert data.get("version", one["version"]) >= one["version"], f"version of task {task} in {kind}"
    one["version"] = data.get("version", one["version"])
    if kind == "task.status_changed":
        assert data["previous_status"] == one["status"], f"task {task}"
        one["status"] = data["status"]
    elif kind == "task.locked":
        if data.get("renewed"):
            assert (one["holder"], one["fence"]) == (data["agent_id"], data["lock"]["fence"]), f"task {task}"
        else:
            assert one["holder"] is None, f"task {task} has two holders"
            assert data["lock"]["fence"] > one["fence"], f"a fence of task {task} came twice"
        one.update(holder=data["agent_id"], fence=data["lock"]["fence"])
    elif kind == "task.unlocked":
        assert one["holder"] == data["agent_id"], f"task {task}"
        one["holder"] = None
