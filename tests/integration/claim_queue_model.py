"""The definition of the claim queue: each waiter in turn takes its best task that is left."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from project_manager.domain.actors import Actor
from project_manager.schemas import validation
from project_manager.schemas.leases import ClaimNextTask, ClaimView
from project_manager.schemas.tasks import CreateTask
from project_manager.services import claim_queue, tasks
from project_manager.services.claim_queue import Changes, NotClaimed, claim_filters
from project_manager.store import claim_queue as waiters
from project_manager.store import claim_search, ready_tasks
from project_manager.store.claim_queue import Waiter
from project_manager.store.transaction import BatchState, Tx
from tests.integration.test_claim_long_poll import OrphanWaiter
from tests.stored_rows import Address, execute, writing

NOW = 1_790_000_000_000
PROJECTS = ("red", "blue")
LABELS = ("a", "b", "c")


@dataclass
class Situation:
    """Ready tasks and a queue of waiters, at random. Every second waiter belongs to another process."""

    tx: Tx
    waiters: list[Waiter]

    def ready(self) -> list[Any]:
        """Return (id, project_id, priority, labels, conflicts) of the ready tasks in claim order."""
        rows = execute(
            self.tx,
            "SELECT id, project_id, priority, labels FROM tasks WHERE status = 'TODO' AND attempts < ? "
            "ORDER BY priority, unblocks DESC, id",
            self.tx.max_attempts,
        ).fetchall()
        leased = {row[0] for row in execute(self.tx, "SELECT id FROM tasks WHERE lock_expires_at > ?", NOW)}
        conflicts: dict[int, list[int]] = {}
        for task_id, other_id in execute(self.tx, "SELECT task_id, other_id FROM task_conflicts ORDER BY 1, 2"):
            conflicts.setdefault(task_id, []).append(other_id)
        tasks = [(*row[:3], set(json.loads(row[3])), conflicts.get(row[0], [])) for row in rows]
        return [task for task in tasks if leased.isdisjoint(task[4])]

    def lease(self, source: random.Random) -> None:
        """Let about a third of the tasks have a lease, which may have expired."""
        for task in self.ready():
            if source.random() < 0.3:
                execute(
                    self.tx,
                    "UPDATE tasks SET status = 'IN_PROGRESS', lock_holder = 'zoe', lock_acquired_at = 1, "
                    "lock_expires_at = ?, lock_ttl = 1, lock_from = 'TODO' WHERE id = ?",
                    NOW + source.choice((0, 1)),
                    task[0],
                )

    def use_up_attempts(self, source: random.Random) -> None:
        """Leave no attempts for about half of the tasks, and change the number of tasks that each unblocks."""
        for task in self.ready():
            changes = (source.randrange(3), source.choice((0, self.tx.max_attempts)), task[0])
            execute(self.tx, "UPDATE tasks SET unblocks = ?, attempts = ? WHERE id = ?", *changes)

    def expected(self) -> dict[int, int]:
        """Return the task of each waiter that gets one."""
        given: dict[int, int] = {}
        left = self.ready()
        for waiter in self.waiters:
            for task in left:
                if accepts(waiter, task):
                    given[waiter.id] = task[0]
                    left = [other for other in left if other[0] not in (task[0], *task[4])]
                    break
        return given


def accepts(waiter: Waiter, task: Any) -> bool:
    return (
        waiter.project_id in (None, task[1])
        and (waiter.priority is None or task[2] <= waiter.priority)
        and set(json.loads(waiter.labels)) <= task[3]
    )


def random_filters(source: random.Random) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    if source.random() < 0.3:
        filters["project_name"] = source.choice(PROJECTS)
    if source.random() < 0.3:
        filters["priority"] = source.randrange(5)
    if source.random() < 0.6:
        filters["labels"] = source.sample(LABELS, source.randint(1, 2))
    return filters


@contextmanager
def transaction(address: Address) -> Iterator[Tx]:
    """Yield a transaction on an empty database."""
    with writing(address) as tx:
        names = frozenset(PROJECTS)
        yield Tx(tx.connection, NOW, Actor("ann", "agent"), "test", 5, BatchState(), new_names=names)


@contextmanager
def situation(tx: Tx, source: random.Random) -> Iterator[Situation]:
    """Create tasks and waiters at random, and remove them at the end."""
    tx.connection.execute("SAVEPOINT situation")
    made: list[int] = []
    for name in PROJECTS:
        create(tx, name=name, project_name=name, status="BACKLOG")
    for number in range(source.randint(1, 8)):
        made.append(
            create(
                tx,
                name=f"task {number}",
                project_name=source.choice(PROJECTS),
                priority=source.randrange(5),
                labels=source.sample(LABELS, source.randint(0, 3)),
                conflicts_with=[source.choice(made)] if made and source.random() < 0.2 else [],
            )
        )
    yield Situation(tx, [enqueue(tx, number, random_filters(source)) for number in range(source.randint(1, 8))])
    tx.connection.execute("ROLLBACK TO situation")
    tx.connection.execute("RELEASE situation")
    tx.batch = BatchState()


def create(tx: Tx, **fields: Any) -> int:
    return tasks.create(tx, validation.read(CreateTask, fields))["id"]


def enqueue(tx: Tx, number: int, filters: dict[str, Any]) -> Waiter:
    search = claim_filters(tx, validation.read(ClaimNextTask, filters))
    return waiters.enqueue(replace(tx, actor=Actor(f"agent-{number}", "agent")), search)


def compare_pass(tx: Tx, seed: int) -> int:
    """Compare a pass over the queue with the definition. Return the number of waiters that got a task."""
    with situation(tx, random.Random(seed)) as present:
        expected = present.expected()
        local = {waiter.id: OrphanWaiter(waiter) for waiter in present.waiters[::2]}
        changes = Changes(task_ids=[task[0] for task in present.ready()])
        served = claim_queue.serve_waiters(tx, local_waiters=local, changes=changes)
        assert served.results == {waiter: task for waiter, task in expected.items() if waiter in local}, seed
        assert {task for waiter, task in expected.items() if waiter not in local} <= set(served.left), seed
        return len(served.results)


def compare_parts(tx: Tx, seed: int) -> int:
    """Compare the parts of searches with the ready tasks in claim order. Return the number of parts."""
    source = random.Random(seed)
    parts = 0
    with situation(tx, source) as present:
        present.use_up_attempts(source)
        present.lease(source)
        for waiter in present.waiters:
            expected = [task[0] for task in present.ready() if accepts(waiter, task)]
            found: list[int] = []
            after: claim_search.Position | None = claim_search.START
            while after is not None:
                task_ids, after = claim_search.part(tx, waiter.search(), source.randint(1, 3), after)
                found += task_ids
                parts += 1
            assert found == expected, seed
    return parts


def compare_readiness(tx: Tx, seed: int) -> int:
    """Compare the readiness of a few tasks, and of many, with the definition. Return the number of ready tasks."""
    source = random.Random(seed)
    with situation(tx, source) as present:
        few = [task[0] for task in present.ready()]
        present.lease(source)
        expected = [task[0] for task in present.ready()]
        for task_ids in (few, [*few, *range(10_000, 10_000 + ready_tasks.MANY_TASKS)]):
            assert [task.id for task in ready_tasks.among(tx, task_ids)] == expected, seed
            assert {state.id for state in ready_tasks.states(tx, task_ids) if state.is_ready} == {*expected}, seed
    return len(expected)


def compare_claim(tx: Tx, seed: int) -> int:
    """Compare a claim without a wait with the definition. Return 1 if it got a task, else 0."""
    source = random.Random(seed)
    with situation(tx, source) as present:
        command = validation.read(ClaimNextTask, random_filters(source))
        reserved = set(present.expected().values())
        blocked = reserved | {other for task in present.ready() if task[0] in reserved for other in task[4]}
        caller = enqueue(tx, 0, command.model_dump(exclude_unset=True))
        waiters.dequeue(tx, caller.id)
        free = (task[0] for task in present.ready() if task[0] not in blocked and accepts(caller, task))
        claimed = claim_queue.claim_next(tx, command).task
        assert (None if claimed is None else claimed["id"]) == next(free, None), seed
        return int(claimed is not None)


def check_claim_in_parts(tx: Tx, seed: int) -> int:
    """Claim beside tasks without attempts left, and check that no waiter is overtaken. Return 1 if it got a task."""
    source = random.Random(seed)
    with situation(tx, source) as present:
        tx.connection.execute("DELETE FROM task_conflicts")
        present.use_up_attempts(source)
        command = validation.read(ClaimNextTask, random_filters(source))
        expected = present.expected()
        claimed = claim_all_parts(tx, command).task
        assert claimed is None or claimed["id"] not in expected.values(), seed
        return int(claimed is not None)


def claim_all_parts(tx: Tx, command: ClaimNextTask) -> ClaimView:
    """Claim without a wait, and continue the search until its end."""
    result = claim_queue.claim_next(tx, command)
    while isinstance(result, NotClaimed) and result.continue_after is not None:
        result = claim_queue.claim_next(tx, command, after=result.continue_after)
    return result
