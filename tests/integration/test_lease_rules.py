"""The rules of leases in any order of steps, on a real database and an independent model."""

from collections.abc import Callable, Collection
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from typing import Any

import orjson
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
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
from project_manager.clock import rfc3339
from project_manager.domain.actors import LOCAL, Actor
from project_manager.domain.errors import ProjectManagerError
from project_manager.runtime.calls import Caller
from project_manager.runtime.open import open_runtime
from project_manager.schemas import validation
from project_manager.schemas.board import GetBoardState
from project_manager.schemas.leases import ClaimNextTask
from project_manager.services import board, claim_queue
from project_manager.store.transaction import Tx
from tests.faults import history
from tests.integration.invariants import check_database
from tests.integration.lease_model import UNCONFIRMED, Model, No, Task
from tests.operations_client import run_due_jobs
from tests.stored_rows import CreateDatabase, settings_of

BEGIN = 1_800_000_000_000
CAP = 2
TTLS = st.sampled_from([1, 10, 60])
LONG_TTLS = st.sampled_from([1, 10, 60, 600])
AGENTS = st.sampled_from(["ada", "bob", "cyd"])
STATUSES = st.sampled_from(["BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "BLOCKED", "DONE", "CANCELLED"])
HOLDER = "the holder"
CALLERS = st.sampled_from([HOLDER, HOLDER, "ada", "bob", "cyd"])
FENCES = st.sampled_from([None, None, "present", "present", "older", "newer"])
SHARE = {"present": 0, "older": -1, "newer": 1}


class HandClock:
    def __init__(self) -> None:
        self.instant = BEGIN

    def now(self) -> int:
        return self.instant

    def boottime(self) -> int:
        return self.instant

    def boot_id(self) -> str:
        return ""


class Leases(RuleBasedStateMachine):
    """A state machine over model and service. After each rule, both must agree on the response and on every task."""

    tasks: Bundle[int] = Bundle("tasks")

    def __init__(self, create_database: CreateDatabase) -> None:
        super().__init__()
        self.clock = HandClock()
        self.model = Model(BEGIN, CAP)
        self.stack = ExitStack()
        self.address = self.stack.enter_context(create_database())
        self.portal = self.stack.enter_context(start_blocking_portal())
        opened = self.portal.wrap_async_context_manager(
            open_runtime(settings_of(self.address, MAX_ATTEMPTS=CAP), clock=self.clock)
        )
        self.runtime = self.stack.enter_context(opened)
        self.last_board = board.EncodedBoard()

    def teardown(self) -> None:
        try:
            self.check_log()
        finally:
            self.stack.close()

    @initialize(target=tasks)
    def begin(self) -> Any:
        return multiple(*(self.create(priority=2, links=[], deferred=0) for _ in range(3)))

    @rule(
        target=tasks,
        priority=st.sampled_from([2, 2, 1]),
        links=st.lists(st.tuples(tasks, st.booleans()), max_size=2),
        deferred=st.sampled_from([0, 0, 0, 5_000]),
    )
    def create(self, priority: int, links: list[tuple[int, bool]], deferred: int) -> int:
        depends = {task for task, depends in links if depends} & self.model.tasks.keys()
        conflicts = ({task for task, depends in links if not depends} & self.model.tasks.keys()) - depends
        request: dict[str, Any] = {"name": "t", "project_name": "p", "priority": priority}
        request |= {"depends_on": sorted(depends), "conflicts_with": sorted(conflicts)}
        if deferred:
            request["defer_until"] = rfc3339(self.model.now + deferred)
        until = self.model.now + deferred if deferred else 0
        found: int = self.both("create_task", request, lambda: self.model.create(priority, depends, conflicts, until))[
            "id"
        ]
        return found

    @rule(agent=AGENTS, ttl=TTLS)
    def claim_next(self, agent: str, ttl: int) -> None:
        wanted: list[int | None] = []
        request = {"agent_id": agent, "ttl_seconds": ttl}
        answer = self.both("claim_next_task", request, lambda: wanted.append(self.model.claim_next(agent, ttl * 1000)))
        assert (None if answer.task is None else answer.task["id"]) == wanted[0]

    @rule(agent=AGENTS, ttl=LONG_TTLS)
    def claim_after_a_wait(self, agent: str, ttl: int) -> None:
        """Claim as a waiter of ten seconds. The model does not know the wait itself."""
        wanted = self.model.claim_next(agent, ttl * 1000, waited=True)
        command = validation.read(ClaimNextTask, {"ttl_seconds": ttl})
        claim = partial(claim_queue.claim_next, command=command, called_at=self.clock.instant - 10_000)
        answer = self.portal.call(self.runtime.database.writer.run, "claim", claim, Actor(agent, "agent"), "")
        assert (None if answer.task is None else answer.task["id"]) == wanted

    @rule(agent=AGENTS)
    def look_around(self, agent: str) -> None:
        claimed = {task.id for task in self.model.tasks.values() if task.holder == agent}
        context = self.both("get_context", {"agent_id": agent}, lambda: None)
        assert {holding.task["id"] for holding in context.holding} == claimed

    @rule(agent=CALLERS, task=tasks, ttl=TTLS, fence=FENCES, force=st.sampled_from([False, False, True]))
    def acquire(self, agent: str, task: int, ttl: int, fence: str | None, force: bool) -> None:
        agent, request = self.request_for(agent, task, fence, ttl_seconds=ttl, force=force)
        self.both(
            "acquire_task_lock",
            request,
            lambda: self.model.acquire(agent, self.at(task), ttl * 1000, request["fence"], force),
        )

    @rule(agent=CALLERS, task=tasks, ttl=st.none() | TTLS, fence=FENCES)
    def renew(self, agent: str, task: int, ttl: int | None, fence: str | None) -> None:
        agent, request = self.request_for(agent, task, fence, ttl_seconds=ttl)
        length = None if ttl is None else ttl * 1000
        self.both("renew_task_lock", request, lambda: self.model.renew(agent, self.at(task), length, request["fence"]))

    @rule(agent=CALLERS, task=tasks, fence=FENCES, failed=st.booleans())
    def release(self, agent: str, task: int, fence: str | None, failed: bool) -> None:
        agent, request = self.request_for(agent, task, fence, failed=failed)
        self.both(
            "release_task_lock", request, lambda: self.model.release(agent, self.at(task), request["fence"], failed)
        )

    @rule(agent=CALLERS, task=tasks, fence=FENCES)
    def report(self, agent: str, task: int, fence: str | None) -> None:
        agent, request = self.request_for(agent, task, fence, body="so far so good")
        self.both("add_task_log", request, lambda: self.model.log(agent, self.at(task), request["fence"]))

    @rule(
        agent=st.none() | CALLERS, task=tasks, status=STATUSES, fence=FENCES, reopen=st.booleans(), force=st.booleans()
    )
    def move(self, agent: str | None, task: int, status: str, fence: str | None, reopen: bool, force: bool) -> None:
        request: dict[str, Any] = {"task_id": task, "fence": None}
        if agent is not None:
            agent, request = self.request_for(agent, task, fence)
        request |= {"status": status, "reopen": reopen, "force": force}
        self.both(
            "update_task_status",
            request,
            lambda: self.model.set_status(agent, self.at(task), status, request["fence"], reopen, force),
        )

    @rule(task=tasks)
    def finish(self, task: int) -> None:
        """Finish a claimed task with its fence, as agents usually do."""
        agent, request = self.request_for(HOLDER, task, "present", status="DONE")
        self.both(
            "update_task_status",
            request,
            lambda: self.model.set_status(agent, self.at(task), "DONE", request["fence"], reopen=False, force=False),
        )

    @rule(task=tasks, depends_on=st.sets(tasks, max_size=3))
    def depend(self, task: int, depends_on: set[int]) -> None:
        if task not in self.model.tasks:
            return
        wanted = depends_on & self.model.tasks.keys()
        request = {"task_id": task, "depends_on": sorted(wanted)}
        self.both("update_task", request, lambda: self.model.depend(self.at(task), wanted))

    @rule(task=tasks, parent=st.none() | tasks)
    def adopt(self, task: int, parent: int | None) -> None:
        if task not in self.model.tasks or parent not in {None, *self.model.tasks}:
            return
        request = {"task_id": task, "parent_id": parent}
        self.both("update_task", request, lambda: self.model.adopt(self.at(task), parent), keep=("parent_id",))

    @rule(task=consumes(tasks), force=st.booleans())
    def delete(self, task: int, force: bool) -> None:
        request = {"task_id": task, "force": force}
        self.both("delete_task", request, lambda: self.model.delete(self.at(task), force))

    @rule(milliseconds=st.sampled_from([1, 999, 1000, 5_000, 10_000, 60_000, 120_000]))
    def time_passes(self, milliseconds: int) -> None:
        self.clock.instant += milliseconds
        self.model.advance(milliseconds)
        self.portal.call(run_due_jobs, self.runtime)

    @invariant()
    def they_agree_on_every_task(self) -> None:
        check_database(self.address, now=self.model.now, max_attempts=CAP)
        seen = {task["id"]: self.seen(task) for task in self.ask("list_tasks", {"limit": 500}).items}
        assert seen == {task.id: self.expected(task) for task in self.model.tasks.values()}

    @invariant()
    def a_board_from_kept_chunks_equals_a_new_one(self) -> None:
        kept, new = self.portal.call(self.runtime.read, "boards", self.boards)
        assert kept == new

    def boards(self, tx: Tx) -> tuple[bytes, bytes]:
        """Return the board from the chunks of the last one, and the board from nothing."""
        command = GetBoardState()
        return orjson.dumps(board.state(tx, command, self.last_board)), orjson.dumps(board.state(tx, command))

    def at(self, task: int) -> Task:
        return self.model.tasks[task]

    def request_for(self, agent: str, task: int, fence: str | None, **more: Any) -> tuple[str, dict[str, Any]]:
        """Return the agent and the arguments of a request."""
        caller = (self.at(task).holder or "ada") if agent == HOLDER else agent
        number = None if fence is None else max(1, self.at(task).fence + SHARE[fence])
        return caller, {"task_id": task, "agent_id": caller, "fence": number, **more}

    def ask(self, name: str, request: dict[str, Any], keep: Collection[str] = ()) -> Any:
        given = {key: value for key, value in request.items() if value is not None or key in keep}
        return self.portal.call(self.runtime.run, BY_NAME[name], given, Caller(LOCAL, "rest", "")).view

    def both(self, name: str, request: dict[str, Any], in_model: Callable[[], Any], keep: Collection[str] = ()) -> Any:
        """Call model and service, and return the view. `keep` are the arguments that are sent as null too."""
        self.model.call(request.get("agent_id"))
        before = deepcopy(self.model.tasks)
        wanted, answer, got = "ok", None, "ok"
        try:
            in_model()
        except No as refusal:
            wanted, self.model.tasks = str(refusal), before
        try:
            answer = self.ask(name, request, keep)
        except ProjectManagerError as refusal:
            got = refusal.code
        assert got == wanted
        return answer

    @staticmethod
    def seen(task: Any) -> tuple[Any, ...]:
        lock = task["lock"]
        claimed = lock and (lock.holder, lock.fence, lock.expires_at, lock.ttl_seconds)
        return task["status"], task["fence"], task["attempts"], task["ready"], claimed

    def expected(self, task: Task) -> tuple[Any, ...]:
        length = min(task.ttl, UNCONFIRMED) if task.unconfirmed else task.ttl
        claimed = task.holder and (task.holder, task.fence, rfc3339(task.expires_at), length // 1000)
        return task.status, task.fence, task.attempts, self.model.ready(task), claimed

    def check_log(self) -> None:
        """Check that the log alone has no gap, one holder at a time, and the current state."""
        events: list[dict[str, Any]] = []
        while True:
            page = self.ask("wait_for_events", {"since": events[-1]["seq"] if events else 0, "limit": 500})
            events += page.items
            if not page.items or page.items[-1]["seq"] == page.head:
                break
        history.check_numbers(events)
        history.check_one_holder(events)
        statuses = {event["task_id"]: event["status"] for event in events if "status" in event and event["task_id"]}
        present = self.model.tasks
        assert {number: status for number, status in statuses.items() if number in present} == {
            task.id: task.status for task in present.values()
        }


@pytest.mark.slow
@pytest.mark.promise("lease:exclusive", "lease:fence-grows", "graph:counters", "outbox:whole-truth", "outbox:no-gap")
def test_the_service_agrees_with_the_model_after_any_sequence_of_operations(create_database: CreateDatabase) -> None:
    create: Any = partial(Leases, create_database)
    run_state_machine_as_test(
        create,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            phases=[Phase.generate],  # report a failure at once: its steps are readable without shrinking
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
