"""The claim queue under load: the cost of a claim, a pass and a new task, and the guarantees for waiters."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from project_manager.domain.actors import Actor
from project_manager.schemas import validation
from project_manager.schemas.leases import ClaimNextTask
from project_manager.schemas.tasks import CreateTask
from project_manager.services import claim_queue, tasks
from project_manager.services.claim_queue import Changes, NotClaimed, claim_filters
from project_manager.store import claim_queue as waiters
from project_manager.store import claim_search
from project_manager.store.claim_search import COMPARED_CONFLICTS, COMPARED_LABELS, PART
from project_manager.store.sqlite import driver
from project_manager.store.transaction import BatchState, Tx
from tests.integration.claim_queue_model import claim_all_parts
from tests.integration.test_claim_long_poll import OrphanWaiter

NOW = 1_790_000_000_000
TASKS = 40_000
WAITERS = 150
STEP = 100
CONFLICTS_OF_A_TASK = 256
STEPS_OF_A_PART = 100 * PART
STEPS_OF_THE_CONFLICTS = 20 * COMPARED_CONFLICTS
FEW_STEPS = 5_000
"""Steps of SQLite's virtual machine. A claim takes some hundred, a scan of 40,000 tasks more than 400,000."""


@dataclass
class Large:
    """A database with 40,000 ready tasks in two projects. No task has a label that a waiter asks for."""

    connection: Any
    steps: int = 0

    def tx(self, agent: str = "ann") -> Tx:
        return Tx(self.connection, NOW, Actor(agent, "agent"), "test", 5, BatchState())

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the steps of SQLite's virtual machine from 0, in hundreds."""

        def count() -> None:
            self.steps += STEP

        self.steps = 0
        self.connection.set_progress_handler(count, STEP)
        yield
        self.connection.set_progress_handler(None, STEP)


@pytest.fixture(scope="module")
def filled(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "pm.db"
    path.write_bytes(template.read_bytes())
    with closing(driver.connect(str(path))) as connection:
        connection.execute("BEGIN")
        for number in (1, 2):
            connection.execute(
                "INSERT INTO projects (id, name, name_key, description, version, created_at, updated_at) "
                "VALUES (?1, ?2, ?2, '', 1, 0, 0)",
                (number, f"project {number}"),
            )
        connection.execute(
            "INSERT INTO epics (id, project_id, name, name_key, description, status, position, version, created_at, "
            "updated_at) VALUES (1, 1, 'epic', 'epic', '', 'ACTIVE', 1, 1, 0, 0), "
            "(2, 1, 'empty', 'empty', '', 'ACTIVE', 2, 1, 0, 0)"
        )
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO tasks (project_id, epic_id, name, description, status, priority, labels, acceptance, "
            "created_by, created_at, updated_at, version, fence, attempts, lock_fenced, open_dependencies, unblocks, "
            "deferred, archived) "
            "SELECT 1, 1, 'task ' || i, '', 'TODO', 2, '[\"common\", \"other\"]', '[]', 'test', "
            "0, 0, 1, 0, 0, 0, 0, 0, 0, 0 FROM n",
            (TASKS,),
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def large(filled: Path) -> Iterator[Large]:
    with closing(driver.connect(str(filled))) as connection:
        connection.execute("BEGIN")
        yield Large(connection)
        connection.execute("ROLLBACK")


def claim_of(**fields: Any) -> ClaimNextTask:
    return validation.read(ClaimNextTask, fields)


def enqueue(large: Large, number: int, filters: Callable[[int], dict[str, Any]]) -> dict[int, OrphanWaiter]:
    """Put waiters into the queue and return them by id."""
    tx = large.tx()
    found = [
        OrphanWaiter(
            waiters.enqueue(replace(tx, actor=Actor(f"agent-{n}", "agent")), claim_filters(tx, claim_of(**filters(n))))
        )
        for n in range(number)
    ]
    return {orphan.id: orphan for orphan in found}


@pytest.mark.parametrize(
    "filters",
    [
        {"labels": ["rare"]},
        {"labels": ["common", "rare"]},
        {"labels": ["rare", "common"], "project_id": 1},
        {"project_id": 2},
        {"epic_id": 2},
        {"epic_name": "empty", "project_name": "project 1"},
        {"priority": 1},
    ],
    ids=str,
)
def test_a_claim_without_a_result_does_not_walk_the_ready_tasks(large: Large, filters: dict[str, Any]) -> None:
    with large.counted():
        assert claim_queue.claim_next(large.tx(), claim_of(**filters)).task is None
    assert large.steps < FEW_STEPS + 2 * STEP * TASKS // 1000  # the tasks of a common label are counted to 1,000


def test_a_task_with_all_labels_is_found_behind_many_that_have_one_of_them(large: Large) -> None:
    tx = large.tx()
    made = tasks.create(tx, validation.read(CreateTask, {"name": "both", "project_id": 1, "labels": ["common", "x"]}))
    with large.counted():
        claimed = claim_queue.claim_next(tx, claim_of(labels=["common", "x"]))
    assert claimed.task is not None
    assert claimed.task["id"] == made["id"]
    assert large.steps < FEW_STEPS * 2


def test_one_pass_over_the_queue_serves_a_new_task_to_the_waiter_that_wants_it(large: Large) -> None:
    local_waiters = enqueue(large, WAITERS, lambda n: {"labels": [f"label-{n}"]})
    tx = large.tx()
    with large.counted():
        new = tasks.create(tx, validation.read(CreateTask, {"name": "new", "project_id": 2, "labels": ["label-140"]}))
        assert large.steps < FEW_STEPS
        served = claim_queue.serve_waiters(tx, local_waiters=local_waiters, changes=Changes([new["id"]]))
    assert list(served.results) == [list(local_waiters)[140]]
    assert large.steps < WAITERS * 200


def test_a_claim_with_many_waiters_queries_none_of_their_filters(large: Large) -> None:
    enqueue(large, WAITERS, lambda n: {"labels": [f"label-{n}"]})
    tx = large.tx()
    with large.counted():
        assert claim_queue.claim_next(tx, claim_of()).task is not None
    assert large.steps < FEW_STEPS


@pytest.mark.slow
@pytest.mark.parametrize(
    "filters",
    [
        lambda _: {},
        lambda n: {"labels": [f"label-{n}"]},
        lambda n: {"labels": ["new", f"label-{n}"]},
        lambda n: {"labels": ["common", f"label-{n}"]},
        lambda n: {"epic_id": 1 + n % 2, "priority": n % 5},
        lambda n: {"labels": ["common", "other", "new"]},
    ],
    ids=["none", "own label", "new and own label", "common and own label", "epic and priority", "several labels"],
)
def test_a_pass_for_a_thousand_waiters_reads_the_new_task_only(
    large: Large, filters: Callable[[int], dict[str, Any]]
) -> None:
    large.connection.execute("UPDATE tasks SET status = 'BACKLOG', attempts = 0")
    local_waiters = enqueue(large, 1000, filters)
    tx = large.tx()
    waiters.queue(tx)
    new = tasks.create(tx, validation.read(CreateTask, {"name": "new", "project_id": 2, "labels": ["new"]}))
    with large.counted():
        claim_queue.serve_waiters(tx, local_waiters=local_waiters, changes=Changes([new["id"]]))
    assert large.steps < FEW_STEPS


def claim_in_parts(large: Large, tx: Tx, command: ClaimNextTask) -> tuple[Any, list[int]]:
    """Claim a task. Return it with the steps of SQLite in each part of the search."""
    after, steps = claim_search.START, list[int]()
    while True:
        with large.counted():
            result = claim_queue.claim_next(tx, command, after=after)
        steps.append(large.steps)
        if not isinstance(result, NotClaimed):
            assert result.task is not None
            return result.task, steps
        assert result.continue_after is not None
        after = result.continue_after


def test_a_search_by_labels_looks_at_a_part_of_the_tasks_and_continues(large: Large) -> None:
    tx = large.tx()
    last = tasks.create(tx, validation.read(CreateTask, {"name": "last", "project_id": 2, "labels": ["common"]}))
    found, steps = claim_in_parts(large, tx, claim_of(labels=["common"], project_id=2))
    assert found["id"] == last["id"]
    assert len(steps) == TASKS // COMPARED_LABELS + 1
    assert max(steps) < 40 * COMPARED_LABELS


def test_a_later_part_of_a_search_by_labels_finds_the_task_behind_a_reserved_one(large: Large) -> None:
    enqueue(large, 1, lambda _: {"project_id": 2})
    tx = large.tx()
    for name in ("reserved", "free"):
        tasks.create(tx, validation.read(CreateTask, {"name": name, "project_id": 2, "labels": ["common"]}))
    claimed = claim_all_parts(tx, claim_of(labels=["common"], project_id=2)).task
    assert claimed is not None
    assert claimed["name"] == "free"


def test_a_search_by_labels_goes_on_behind_a_part_with_only_reserved_tasks(large: Large) -> None:
    large.connection.execute("UPDATE tasks SET project_id = 2, epic_id = NULL WHERE id = 1")
    enqueue(large, 1, lambda _: {"project_id": 2})
    tx = large.tx()
    tasks.create(tx, validation.read(CreateTask, {"name": "free", "project_id": 2, "labels": ["common"]}))
    result = claim_queue.claim_next(tx, claim_of(labels=["common"], project_id=2))
    assert isinstance(result, NotClaimed)
    assert result.is_contended
    claimed = claim_all_parts(tx, claim_of(labels=["common"], project_id=2)).task
    assert claimed is not None
    assert claimed["name"] == "free"


def test_a_search_by_labels_that_nothing_matches_ends(large: Large) -> None:
    after: claim_search.Position | None = claim_search.START
    for _ in range(TASKS // COMPARED_LABELS + 1):
        assert after is not None
        result = claim_queue.claim_next(large.tx(), claim_of(labels=["common"], project_id=2), after=after)
        assert isinstance(result, NotClaimed)
        after = result.continue_after
    assert after is None


def block(large: Large) -> None:
    """Let each ready task conflict with a leased one. A leased task has the largest number of conflicts."""
    execute = large.connection.execute
    number = -(-TASKS // CONFLICTS_OF_A_TASK)
    execute(
        "INSERT INTO tasks (id, project_id, name, description, status, priority, labels, acceptance, created_by, "
        "created_at, updated_at, version, fence, attempts, lock_holder, lock_acquired_at, lock_expires_at, lock_ttl, "
        "lock_fenced, lock_from, open_dependencies, unblocks, deferred, archived) "
        "SELECT id + ?1, 1, name, '', 'IN_PROGRESS', 2, '[]', '[]', 'test', 0, 0, 1, 1, 0, 'bob', 1, ?2, 900000, 0, "
        "'TODO', 0, 0, 0, 0 FROM tasks WHERE id <= ?3",
        (2 * TASKS, NOW + 900_000, number),
    )
    execute(
        "INSERT INTO task_conflicts SELECT id, ?1 + 1 + (id - 1) / ?2 FROM tasks WHERE id <= ?3",
        (2 * TASKS, CONFLICTS_OF_A_TASK, TASKS),
    )
    execute("INSERT INTO task_conflicts SELECT other_id, task_id FROM task_conflicts")


@pytest.mark.slow
@pytest.mark.parametrize("filters", [{}, {"project_id": 1}, {"epic_id": 1}, {"priority": 2}], ids=str)
@pytest.mark.parametrize("reason", ["conflicts", "attempts"])
def test_a_claim_looks_at_a_part_of_the_tasks_that_are_not_ready_and_continues(
    large: Large, filters: dict[str, Any], reason: str
) -> None:
    if reason == "conflicts":
        block(large)
    else:
        large.connection.execute("UPDATE tasks SET attempts = 5")
    tx = large.tx()
    last = tasks.create(tx, validation.read(CreateTask, {"name": "last", "project_id": 1, "epic_id": 1}))
    found, steps = claim_in_parts(large, tx, claim_of(**filters))
    assert found["id"] == last["id"]
    assert len(steps) == TASKS // PART + 1
    assert max(steps) < STEPS_OF_A_PART


def block_with_many_conflicts(large: Large) -> int:
    """Let each of the first tasks have the largest number of conflicts, one with a leased task. Return the next one."""
    execute, number = large.connection.execute, CONFLICTS_OF_A_TASK
    execute(
        "UPDATE tasks SET status = 'IN_PROGRESS', lock_holder = 'bob', lock_acquired_at = 1, lock_expires_at = ?, "
        "lock_ttl = 900000, lock_from = 'TODO' WHERE id = ?",
        (NOW + 900_000, 2 * number),
    )
    execute("UPDATE tasks SET status = 'BACKLOG' WHERE id > ?1 AND id < 2 * ?1", (number,))
    execute(
        "INSERT INTO task_conflicts SELECT front.id, other.id FROM tasks AS front, tasks AS other "
        "WHERE front.id <= ?1 AND other.id > ?1 AND other.id <= 2 * ?1",
        (number,),
    )
    execute("INSERT INTO task_conflicts SELECT other_id, task_id FROM task_conflicts")
    return 2 * number + 1


MANY_FILTERS: list[dict[str, Any]] = [
    {},
    {"project_id": 1},
    {"epic_id": 1},
    {"priority": 2},
    {"labels": ["common"]},
    {"labels": ["common", "other"]},
    {"labels": ["common"], "project_id": 1},
]


@pytest.mark.parametrize("filters", MANY_FILTERS, ids=str)
def test_a_claim_compares_a_part_of_the_conflicts_of_tasks_that_are_not_ready_and_continues(
    large: Large, filters: dict[str, Any]
) -> None:
    next_task = block_with_many_conflicts(large)
    found, steps = claim_in_parts(large, large.tx(), claim_of(**filters))
    assert found["id"] == next_task
    assert len(steps) == CONFLICTS_OF_A_TASK**2 // COMPARED_CONFLICTS + 1
    assert max(steps) < STEPS_OF_THE_CONFLICTS


@pytest.mark.promise("claim:not-lost")
@pytest.mark.parametrize("filters", MANY_FILTERS, ids=str)
def test_a_new_waiter_gets_a_task_behind_tasks_with_many_conflicts_without_another_change(
    large: Large, filters: dict[str, Any]
) -> None:
    next_task = block_with_many_conflicts(large)
    (waiter_id,) = local_waiters = enqueue(large, 1, lambda _: filters)
    assert serve_new(large, local_waiters, 2 * STEPS_OF_THE_CONFLICTS) == {waiter_id: next_task}


def test_a_waiter_beside_many_tasks_that_are_not_ready_costs_a_part_of_them(large: Large) -> None:
    block(large)
    first, second = local_waiters = enqueue(large, 2, lambda _: {})
    del local_waiters[first]
    tx = large.tx()
    new = tasks.create(tx, validation.read(CreateTask, {"name": "new", "project_id": 2}))
    with large.counted():
        assert claim_queue.claim_next(tx, claim_of(project_id=2)).task is None
        claim_queue.dequeue(tx, first)
        served = claim_queue.serve_waiters(tx, local_waiters=local_waiters, changes=Changes([new["id"]]))
    assert served.results == {second: new["id"]}
    assert large.steps < 4 * STEPS_OF_A_PART


@pytest.mark.promise("claim:first-come")
def test_a_waiter_beside_many_tasks_that_are_not_ready_reserves_one_task(large: Large) -> None:
    block(large)
    half = TASKS // 2
    large.connection.execute("UPDATE tasks SET project_id = 2, epic_id = NULL WHERE id > ? AND id <= ?", (half, TASKS))
    large.connection.execute("DELETE FROM task_conflicts WHERE task_id > ? AND task_id <= ?", (half, TASKS))
    enqueue(large, 3, lambda _: {})
    with large.counted():
        claimed = claim_queue.claim_next(large.tx(), claim_of(project_id=2))
    assert claimed.task is not None
    assert claimed.task["id"] == half + 4
    assert large.steps < 10 * STEPS_OF_A_PART


@pytest.mark.promise("claim:first-come")
def test_a_claim_overtakes_no_waiter_behind_one_beside_many_tasks_that_are_not_ready(large: Large) -> None:
    block(large)
    first, second = local_waiters = enqueue(large, 2, lambda n: {"labels": ["x"]} if n else {"project_id": 1})
    new = [validation.read(CreateTask, {"name": "x", "project_id": number, "labels": ["x"]}) for number in (1, 2)]
    best, other = [tasks.create(large.tx(), command)["id"] for command in new]
    assert claim_queue.claim_next(large.tx(), claim_of(project_id=2)).task is None
    served = claim_queue.serve_waiters(large.tx(), local_waiters=local_waiters, changes=Changes([best, other]))
    assert served.results == {first: best, second: other}


def serve_new(
    large: Large,
    local_waiters: dict[int, OrphanWaiter],
    steps_of_a_pass: int = 2 * STEPS_OF_A_PART + 40 * COMPARED_LABELS,
) -> dict[int, int]:
    """Run passes for new waiters without another change. Return the tasks of the waiters."""
    results: dict[int, int] = {}
    tx, changes = large.tx(), Changes(new_waiters=dict.fromkeys(local_waiters, claim_search.START))
    while changes.new_waiters:
        with large.counted():
            served = claim_queue.serve_waiters(tx, local_waiters=local_waiters, changes=changes)
        assert large.steps < steps_of_a_pass
        results |= served.results
        changes = Changes(task_ids=served.left, new_waiters=served.unfinished)
    return results


@pytest.mark.promise("claim:not-lost")
@pytest.mark.parametrize("filters", [{"labels": ["common"], "project_id": 2}, {}, {"priority": 2}], ids=str)
def test_a_new_waiter_gets_a_task_behind_many_parts_without_another_change(
    large: Large, filters: dict[str, Any]
) -> None:
    block(large)
    (waiter_id,) = local_waiters = enqueue(large, 1, lambda _: filters)
    new = tasks.create(large.tx(), validation.read(CreateTask, {"name": "x", "project_id": 2, "labels": ["common"]}))
    assert serve_new(large, local_waiters) == {waiter_id: new["id"]}


@pytest.mark.promise("claim:not-lost")
def test_a_new_waiter_gets_the_task_behind_those_reserved_for_earlier_waiters_without_another_change(
    large: Large,
) -> None:
    number = claim_queue.CLAIMS_PER_PASS + 1
    enqueue(large, number, lambda _: {})
    (waiter_id,) = local_waiters = enqueue(large, 1, lambda _: {})
    assert serve_new(large, local_waiters) == {waiter_id: number + 1}


def test_a_pass_searches_for_a_part_of_the_new_waiters(large: Large) -> None:
    local_waiters = enqueue(large, WAITERS, lambda n: {"labels": ["common", f"label-{n}"]})
    large.connection.execute("UPDATE tasks SET labels = json_array('common', 'label-' || id) WHERE id < ?", (WAITERS,))
    assert serve_new(large, local_waiters) == {
        waiter_id: number for number, waiter_id in enumerate(local_waiters) if number
    }


def test_a_pass_ends_behind_a_part_without_a_ready_task_and_the_next_one_continues_another_search(large: Large) -> None:
    block_with_many_conflicts(large)
    local_waiters = enqueue(large, 3, lambda n: {"priority": 2 + n})
    changes = Changes(new_waiters=dict.fromkeys(local_waiters, claim_search.START))
    for waiter_id in [*local_waiters] * 2:
        with large.counted():
            served = claim_queue.serve_waiters(large.tx(), local_waiters=local_waiters, changes=changes)
        assert large.steps < STEPS_OF_THE_CONFLICTS
        assert {*served.unfinished.items()} - {*changes.new_waiters.items()} == {
            (waiter_id, served.unfinished[waiter_id])
        }
        changes = Changes(new_waiters=served.unfinished)


def test_a_pass_searches_for_the_earliest_new_waiters_first(large: Large) -> None:
    local_waiters = enqueue(large, claim_queue.SEARCHES_PER_PASS + 1, lambda n: {"labels": [f"label-{n}"]})
    *_, last = local_waiters
    changes = Changes(new_waiters=dict.fromkeys(reversed(local_waiters), claim_search.START))
    served = claim_queue.serve_waiters(large.tx(), local_waiters=local_waiters, changes=changes)
    assert served.unfinished == {last: claim_search.START}


@pytest.mark.parametrize("number", [1000])
def test_the_waiters_of_a_process_that_was_killed_cost_other_claims_a_walk_and_not_its_square(
    large: Large, number: int
) -> None:
    enqueue(large, number, lambda _: {})
    with large.counted():
        claimed = claim_queue.claim_next(large.tx(), claim_of())
    assert claimed.task is not None
    assert claimed.task["id"] == number + 1
    assert large.steps < 180 * number
