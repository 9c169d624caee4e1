"""The cost of claims among many tasks that are blocked by paths, in steps of SQLite's virtual machine."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from project_manager.domain.actors import Actor
from project_manager.schemas import validation
from project_manager.schemas.leases import AcquireTaskLock, ClaimNextTask
from project_manager.schemas.tasks import CreateTasks, UpdateTaskStatus
from project_manager.services import claim_queue, leases, statuses, tasks
from project_manager.store.claim_search import PART
from project_manager.store.sqlite import driver
from project_manager.store.transaction import BatchState, Tx
from tests.integration.test_claim_queue import NOW, STEP, Large

pytestmark = pytest.mark.slow

TASKS = 4_000
GLOBS = 400
PLAIN, WITH_PATHS = 1, 2
CLAIMS = 200


def tx_of(connection: Any, agent: str) -> Tx:
    return Tx(connection, NOW, Actor(agent, "agent"), "test", 5, BatchState())


def paths_of(number: int) -> list[str]:
    """Return globs of which every second one is below `hot`."""
    return [f"{'free' if number % 2 else 'hot'}/{number % GLOBS}/**"]


@pytest.fixture(scope="module")
def filled(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with two projects of 4,000 tasks. One lease blocks half of those of the second project."""
    path = tmp_path_factory.mktemp("paths") / "pm.db"
    path.write_bytes(template.read_bytes())
    with closing(driver.connect(str(path))) as connection:
        connection.execute("BEGIN")
        tx = tx_of(connection, "ann")
        for name, with_paths in (("Plain", False), ("Paths", True)):
            tx.new_names = frozenset({name})
            for start in range(0, TASKS, 500):
                new = [{"name": "t", "paths": paths_of(n) if with_paths else []} for n in range(start, start + 500)]
                tasks.create_many(tx, validation.read(CreateTasks, {"project_name": name, "tasks": new}))
        wide = [{"name": "wide", "paths": ["hot/**"]}]
        made = tasks.create_many(tx, validation.read(CreateTasks, {"project_id": WITH_PATHS, "tasks": wide}))
        leases.acquire(tx, validation.read(AcquireTaskLock, {"task_id": made.items[0]["id"], "ttl_seconds": 3600}))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def large(filled: Path) -> Iterator[Large]:
    with closing(driver.connect(str(filled))) as connection:
        connection.execute("BEGIN")
        yield Large(connection)
        connection.execute("ROLLBACK")


def claim(large: Large, project: int) -> Any:
    command = validation.read(ClaimNextTask, {"project_id": project})
    found = claim_queue.claim_next(tx_of(large.connection, "bob"), command)
    assert found.task is not None
    return found


def finish(large: Large, claimed: Any) -> None:
    fields = {"task_id": claimed.task["id"], "status": "DONE", "fence": claimed.lock.fence}
    statuses.update_status(tx_of(large.connection, "bob"), validation.read(UpdateTaskStatus, fields))


def test_a_claim_among_blocked_tasks_takes_few_more_steps_than_one_without_paths(large: Large) -> None:
    steps = dict.fromkeys((PLAIN, WITH_PATHS), 0)
    for _ in range(CLAIMS):
        for project in steps:
            with large.counted():
                claimed = claim(large, project)
            steps[project] += large.steps
            finish(large, claimed)
    # A step takes less time than a claim has besides its statements. tests/bench measures the CPU.
    assert steps[WITH_PATHS] < 3 * steps[PLAIN]


def test_the_blocked_tasks_of_a_part_are_parked_by_one_search(large: Large) -> None:
    parked = "SELECT count(*) FROM tasks WHERE archived <> 0"
    claim(large, WITH_PATHS)
    assert large.connection.execute(parked).fetchone()[0] == PART // 2
    for _ in range(PART // 2 - 1):
        finish(large, claim(large, WITH_PATHS))
    assert large.connection.execute(parked).fetchone()[0] == PART // 2


def test_the_end_of_a_lease_without_blocked_tasks_reads_no_task(large: Large) -> None:
    steps = dict.fromkeys((PLAIN, WITH_PATHS), 0)
    for project in steps:
        claimed = claim(large, project)
        with large.counted():
            finish(large, claimed)
        steps[project] = large.steps
    assert steps[WITH_PATHS] < steps[PLAIN] + 3 * STEP
