"""A model of the rules of leases, for any sequence of operations by several agents while time passes.

The model knows tasks from responses and keeps no counters. After each step it derives the ready tasks, the holders and
the fences.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from project_manager.catalogue import BY_NAME
from project_manager.clock import parse_rfc3339, rfc3339
from project_manager.domain.actors import LOCAL, SYSTEM, Actor
from project_manager.domain.errors import (
    FenceRequired,
    InvalidTransition,
    LockHeld,
    LockRequired,
    NotReady,
    ProjectManagerError,
    StaleFence,
)
from project_manager.domain.statuses import Status
from project_manager.schemas import validation
from project_manager.services import leases
from project_manager.store.migrations import upgrade
from project_manager.store.sqlite import driver
from project_manager.store.transaction import Tx
from tests.integration.invariants import check_database

CAP = 2
AGENTS = st.sampled_from(["ann", "bob", "cid"])
STATUSES = st.sampled_from(list(Status))


@dataclass
class Modelled:
    """A task as the responses describe it."""

    number: int
    priority: int
    depends_on: set[int]
    conflicts: set[int] = field(default_factory=set)
    defer_until: int = 0
    status: Status = Status.TODO
    came_from: Status = Status.TODO
    holder: str | None = None
    expires_at: int = 0
    fenced: bool = False
    fence: int = 0
    fences: list[int] = field(default_factory=list)
    attempts: int = 0
    lost_to: set[str] = field(default_factory=set)


class LeaseMachine(RuleBasedStateMachine):
    """One database, its clock, and the model of its content."""

    folder: Path
    tasks = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp(dir=self.folder)) / "pm.db"
        shutil.copyfile(self.folder / "template.db", self.path)
        self.connection = driver.connect(str(self.path))
        self.connection.execute("PRAGMA synchronous=OFF")
        self.now = parse_rfc3339("2026-11-23T10:00:00Z")
        self.model: dict[int, Modelled] = {}

    def teardown(self) -> None:
        self.connection.close()
        shutil.rmtree(self.path.parent)

    # execution of operations

    def transaction(self, actor: Actor, work: Callable[[Tx], Any]) -> Any:
        """Run a transaction like the writer: expire leases, run the work in its savepoint, commit."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        leases.expire_due(Tx(execute, self.now, SYSTEM, "", CAP))
        execute("SAVEPOINT job")
        try:
            return work(Tx(execute, self.now, actor, "", CAP))
        except ProjectManagerError as error:
            execute("ROLLBACK TO job")
            return error
        finally:
            execute("RELEASE job")
            execute("COMMIT")
            self.expire()

    def do(self, operation: str, agent: str | None = None, **raw: Any) -> Any:
        row = BY_NAME[operation]
        command = validation.read(row.command, raw)
        actor = LOCAL if agent is None else Actor(agent, "agent")
        return self.transaction(actor, lambda tx: row.use_case(tx, command))

    # the state of the model

    def expire(self) -> None:
        for task in self.model.values():
            if task.holder is not None and task.expires_at <= self.now:
                task.attempts += 1
                self.put(task, Status.BLOCKED if task.attempts >= CAP else task.came_from, lost=True)

    def put(self, task: Modelled, status: Status, *, lost: bool = False) -> None:
        if task.holder is not None:
            (task.lost_to.add if lost else task.lost_to.discard)(task.holder)
        task.status, task.holder, task.fenced = status, None, False

    def needs_lease(self, task: Modelled, agent: str | None, status: Status) -> bool:
        """Return whether an agent must claim the free task before it sets this status."""
        if agent is None or task.holder is not None or status is Status.IN_PROGRESS:
            return False
        return agent in task.lost_to or (task.status is Status.BLOCKED and task.attempts >= CAP)

    def take(self, task: Modelled, agent: str, seconds: int) -> None:
        again = task.status in (Status.IN_PROGRESS, Status.DONE, Status.CANCELLED)
        task.came_from = Status.TODO if again else task.status
        task.status, task.holder, task.expires_at = Status.IN_PROGRESS, agent, self.now + seconds * 1000

    def note_fence(self, task: Modelled, fence: int) -> None:
        assert fence > max(task.fences, default=0), f"fence {fence} of task {task.number} is not new"
        task.fences.append(fence)
        task.fence = fence

    def blocked_by_others(self, task: Modelled) -> bool:
        return (
            any(self.model[other].status is not Status.DONE for other in task.depends_on)
            or any(self.model[other].holder is not None for other in task.conflicts)
            or task.defer_until > self.now
        )

    def ready(self, task: Modelled) -> bool:
        return task.status is Status.TODO and task.attempts < CAP and not self.blocked_by_others(task)

    def unblocks(self, task: Modelled) -> int:
        closed = (Status.DONE, Status.CANCELLED)
        return sum(task.number in other.depends_on and other.status not in closed for other in self.model.values())

    def refuses(self, outcome: Any, task: Modelled, agent: str, fence: int | None) -> bool:
        """Return whether the write had to be refused for its fence or holder. Assert the error in that case."""
        if task.holder is None:
            expected: type[ProjectManagerError] | None = None if fence is None else StaleFence
        elif task.holder != agent:
            expected = StaleFence if fence is not None and fence < task.fence else LockHeld
        elif fence is None:
            expected = FenceRequired if task.fenced else None
        else:
            expected = None if fence == task.fence else StaleFence
        if expected is not None:
            assert type(outcome) is expected, f"{outcome!r} instead of {expected.__name__}"
        return expected is not None

    def fence_to_send(self, task: Modelled, choice: str) -> int | None:
        return {"none": None, "present": task.fence or None, "old": task.fences[0] if task.fences else None}[choice]

    # operations

    @initialize(target=tasks)
    def begin(self) -> Any:
        return multiple(*(self.create(priority, set(), set(), 0) for priority in (2, 1, 2)))

    @rule(
        target=tasks,
        priority=st.integers(0, 4),
        depends_on=st.sets(tasks, max_size=2),
        conflicts=st.sets(tasks, max_size=2),
        defer=st.sampled_from([0, 0, 40]),
    )
    def create(self, priority: int, depends_on: set[int], conflicts: set[int], defer: int) -> int:
        depends_on &= self.model.keys()
        conflicts &= self.model.keys()
        until = self.now + defer * 1000
        raw: dict[str, Any] = {"defer_until": rfc3339(until)} if defer else {}
        links: dict[str, Any] = {"depends_on": sorted(depends_on), "conflicts_with": sorted(conflicts)}
        view = self.do("create_task", name="task", priority=priority, **links, **raw)
        self.model[view.id] = Modelled(view.id, priority, depends_on, set(conflicts), until if defer else 0)
        for other in conflicts:
            self.model[other].conflicts.add(view.id)
        assert view.ready is self.ready(self.model[view.id])
        return int(view.id)

    @rule(agent=AGENTS, seconds=st.integers(1, 60))
    def claim_next(self, agent: str, seconds: int) -> None:
        view = self.do("claim_next_task", agent, ttl_seconds=seconds)
        ready = [task for task in self.model.values() if self.ready(task)]
        if view.task is None:
            assert ready == []
            return
        best = min(ready, key=lambda task: (task.priority, -self.unblocks(task), task.number))
        assert view.task.id == best.number
        self.take(best, agent, seconds)
        self.note_fence(best, view.lock.fence)

    @rule(number=tasks, agent=AGENTS, seconds=st.integers(1, 60))
    def take_over(self, number: int, agent: str, seconds: int) -> None:
        task = self.model.get(number)
        if task is None or task.holder in (None, agent):
            return
        outcome = self.do("acquire_task_lock", agent, task_id=number, ttl_seconds=seconds, force=True)
        if self.blocked_by_others(task):
            assert isinstance(outcome, NotReady)
            return
        came_from = task.came_from
        self.put(task, Status.IN_PROGRESS, lost=True)
        self.take(task, agent, seconds)
        task.came_from = came_from
        self.note_fence(task, outcome.lock.fence)

    @rule(number=tasks, agent=AGENTS, seconds=st.integers(1, 60), choice=st.sampled_from(["none", "present", "old"]))
    def claim(self, number: int, agent: str, seconds: int, choice: str) -> None:
        if number not in self.model:
            return
        task = self.model[number]
        fence = self.fence_to_send(task, choice)
        outcome = self.do("acquire_task_lock", agent, task_id=number, ttl_seconds=seconds, fence=fence)
        if self.refuses(outcome, task, agent, fence):
            return
        if task.holder == agent:
            assert outcome.lock.fence == task.fence
            task.expires_at, task.fenced = self.now + seconds * 1000, task.fenced or fence is not None
        elif isinstance(outcome, ProjectManagerError):
            closed = task.status in (Status.DONE, Status.CANCELLED)
            assert closed or self.blocked_by_others(task) or (task.status is Status.TODO and task.attempts >= CAP), (
                outcome
            )
        else:
            assert not self.blocked_by_others(task)
            self.take(task, agent, seconds)
            self.note_fence(task, outcome.lock.fence)

    @rule(number=tasks, agent=AGENTS, failed=st.booleans(), choice=st.sampled_from(["none", "present", "old"]))
    def release(self, number: int, agent: str, failed: bool, choice: str) -> None:
        if number not in self.model:
            return
        task = self.model[number]
        fence = self.fence_to_send(task, choice)
        outcome = self.do("release_task_lock", agent, task_id=number, failed=failed, fence=fence)
        if self.refuses(outcome, task, agent, fence) or task.holder is None:
            assert isinstance(outcome, ProjectManagerError)
            return
        task.attempts += failed
        self.put(task, Status.BLOCKED if failed and task.attempts >= CAP else task.came_from)
        assert outcome.task.status == task.status

    @rule(
        number=tasks,
        agent=AGENTS | st.none(),
        status=STATUSES,
        reopen=st.booleans(),
        choice=st.sampled_from(["none", "present", "old"]),
    )
    def set_status(self, number: int, agent: str | None, status: Status, reopen: bool, choice: str) -> None:
        if number not in self.model:
            return
        task = self.model[number]
        fence = self.fence_to_send(task, choice) if agent else None
        before, needs_lease = task.holder, self.needs_lease(task, agent, status)
        outcome = self.do("update_task_status", agent, task_id=number, status=status, reopen=reopen, fence=fence)
        if needs_lease and fence is None:
            assert isinstance(outcome, LockRequired | InvalidTransition)
            return
        assert not isinstance(outcome, LockRequired)
        if self.refuses(outcome, task, agent or "local", fence) or isinstance(outcome, ProjectManagerError):
            return
        assert outcome.status == status
        if (agent is None or status is Status.DONE) and outcome.previous_status != status:
            task.attempts = 0
        if outcome.lock is None:
            self.put(task, status)
            if outcome.task.fence > task.fence:
                task.lost_to.discard(agent or "")
        elif before == agent and before is not None:
            assert outcome.lock.fence == task.fence
            task.fenced = task.fenced or fence is not None
            task.expires_at = parse_rfc3339(outcome.lock.expires_at)
        else:
            self.take(task, outcome.lock.holder, outcome.lock.ttl_seconds)
            self.note_fence(task, outcome.lock.fence)
        task.fence = max(task.fence, outcome.task.fence)

    @rule(number=tasks, depends_on=st.sets(tasks, max_size=3))
    def depend(self, number: int, depends_on: set[int]) -> None:
        if number not in self.model:
            return
        wanted = depends_on & self.model.keys()
        outcome = self.do("update_task", task_id=number, depends_on=sorted(wanted))
        if self.reaches(wanted, number):
            assert outcome.details["cycle"][0] == outcome.details["cycle"][-1] == number
        else:
            self.model[number].depends_on = wanted
            assert outcome.depends_on == sorted(wanted)

    def reaches(self, start: set[int], goal: int) -> bool:
        seen, ahead = set(start), list(start)
        while ahead:
            for number in self.model[ahead.pop()].depends_on - seen:
                seen.add(number)
                ahead.append(number)
        return goal in seen

    @rule(number=consumes(tasks))
    def delete(self, number: int) -> None:
        outcome = self.do("delete_task", task_id=number, force=True)
        closed = (Status.DONE, Status.CANCELLED)
        others = [task for task in self.model.values() if number in task.depends_on]
        if any(task.status not in closed for task in others):
            assert isinstance(outcome, ProjectManagerError)
            return
        assert outcome.deleted == "task"
        del self.model[number]
        for task in self.model.values():
            task.depends_on.discard(number)
            task.conflicts.discard(number)

    @rule(seconds=st.integers(1, 45))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1000
        self.transaction(SYSTEM, lambda tx: None)

    @invariant()
    def the_model_agrees(self) -> None:
        for number, task in self.model.items():
            view = self.do("get_task", task_id=number)
            holder = None if view.lock is None else view.lock.holder
            assert (view.status, holder, view.attempts) == (task.status, task.holder, task.attempts), f"task {number}"
            assert view.ready is self.ready(task), f"task {number}: {view.why_not_ready}"
        check_database(self.path, now=self.now)


@pytest.mark.promise("lease:exclusive", "lease:fence-grows", "graph:counters", "outbox:whole-truth", "outbox:no-gap")
def test_leases_match_the_model_after_any_sequence_of_operations(tmp_path: Path) -> None:
    upgrade(str(tmp_path / "template.db"))

    class Machine(LeaseMachine):
        folder = tmp_path

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            phases=[Phase.generate],  # report a failure at once: its steps are readable without shrinking
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
