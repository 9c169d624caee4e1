"""Claims that wait until a task is ready: the order of the queue, and claims of disconnected clients."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
import anyio.abc
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from project_manager.domain.actors import LOCAL, Actor
from project_manager.domain.service_errors import DatabaseBusy
from project_manager.schemas import validation
from project_manager.schemas.leases import ClaimNextTask
from project_manager.schemas.tasks import CreateTask
from project_manager.services import claim_blockers, claim_queue, tasks
from project_manager.services.claim_queue import Changes, LocalWaiter, claim_filters
from project_manager.store import claim_queue as waiters
from project_manager.store.claim_queue import Waiter
from project_manager.store.claim_search import START
from project_manager.store.transaction import Tx
from tests.http_service import HttpService
from tests.integration.invariants import check
from tests.integration.test_claim_next import taken
from tests.operations_client import TIMEOUT, Json, OperationsClient, run_due_jobs
from tests.stored_rows import address_of, read

pytestmark = pytest.mark.slow


def queue(api: OperationsClient) -> list[str]:
    return [row["agent_id"] for row in read(address_of(api.runtime), "SELECT agent_id FROM waiters ORDER BY id")]


async def until_queue_has(api: OperationsClient, number: int) -> None:
    with anyio.fail_after(TIMEOUT):
        while len(queue(api)) != number:
            await run_due_jobs(api.runtime)


class Waiting:
    """Agents that wait for a task, in the order of their arrival."""

    def __init__(self, api: OperationsClient, agents: anyio.abc.TaskGroup) -> None:
        self.api = api
        self.agents = agents
        self.got: dict[str, str | None] = {}
        self.changed = anyio.Event()

    async def enqueue(self, agent: str, **filters: Any) -> anyio.CancelScope:
        """Return when the agent has its place in the queue. Leaving the scope disconnects it."""
        scope = anyio.CancelScope()
        queued = len(queue(self.api))
        self.agents.start_soon(self._wait, agent, scope, filters)
        await until_queue_has(self.api, queued + 1)
        return scope

    async def until_served(self, number: int) -> None:
        with anyio.fail_after(TIMEOUT):
            while len(self.got) < number:
                await self.changed.wait()

    async def _wait(self, agent: str, scope: anyio.CancelScope, filters: Json) -> None:
        with scope:
            self.got[agent] = await taken(self.api, agent, **{"wait_seconds": 4, **filters})
            self.changed.set()
            self.changed = anyio.Event()


@dataclass(frozen=True)
class OrphanWaiter:
    """A place in the queue with a claim that belongs to no process. It accepts any task."""

    waiter: Waiter
    key: None = None

    @property
    def id(self) -> int:
        return self.waiter.id

    def claim(self, tx: Tx, task_id: int) -> tuple[int, bool]:
        command = validation.read(ClaimNextTask, {})
        actor = Actor(self.waiter.agent_id, "agent")
        claim_queue.claim_found(replace(tx, actor=actor), command, task_id=task_id, called_at=tx.now)
        return task_id, True


async def enqueue(api: OperationsClient, *claims: ClaimNextTask) -> list[OrphanWaiter]:
    """Put claims into the queue, without a process that serves them."""

    def enter(tx: Tx) -> list[OrphanWaiter]:
        return [
            OrphanWaiter(
                waiters.enqueue(replace(tx, actor=Actor(claim.agent_id or "orphan", "agent")), claim_filters(tx, claim))
            )
            for claim in claims
        ]

    return await api.runtime.database.writer.run("enqueue", enter, LOCAL, "test")


async def serve(api: OperationsClient, orphans: list[OrphanWaiter]) -> dict[int, int]:
    """Run one pass over the queue and return the tasks given to these waiters, by id."""
    local_waiters = {orphan.id: orphan for orphan in orphans}
    changes = Changes(new_waiters=dict.fromkeys(local_waiters, START))
    work = partial(claim_queue.serve_waiters, local_waiters=local_waiters, changes=changes)
    service: claim_queue.ServeResult[int] = await api.runtime.database.writer.run("serve", work, LOCAL, "test")
    return service.results


@pytest.mark.promise("claim:first-come")
async def test_waiters_are_served_in_the_order_of_arrival(api: OperationsClient) -> None:
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        for agent in ("ann", "bob", "cid"):
            await waiting.enqueue(agent)
        for number, agent in enumerate(("ann", "bob", "cid"), 1):
            await api.create_task(f"task {number}")
            await waiting.until_served(number)
            assert waiting.got[agent] == f"task {number}"
    assert queue(api) == []
    check(api)


@pytest.mark.promise("claim:first-come")
async def test_a_claim_without_a_wait_does_not_overtake_waiters(api: OperationsClient) -> None:
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("ann")
        async with anyio.create_task_group() as rush:
            rush.start_soon(api.create_task, "task 1")
            for _ in range(5):
                rush.start_soon(taken, api, "bob")
        await waiting.until_served(1)
    assert waiting.got == {"ann": "task 1"}


@pytest.mark.promise("claim:first-come")
async def test_no_agent_waits_for_a_task_that_the_first_in_the_queue_does_not_want(api: OperationsClient) -> None:
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        picky = await waiting.enqueue("ann", labels=["iron"])
        await waiting.enqueue("bob")
        await api.create_task("wooden", labels=["wood"])
        await waiting.until_served(1)
        assert waiting.got == {"bob": "wooden"}
        assert await taken(api, "cid") is None
        picky.cancel()


@pytest.mark.promise("claim:first-come")
async def test_no_waiter_is_overtaken_in_a_queue_of_any_length(api: OperationsClient) -> None:
    picky = [validation.read(ClaimNextTask, {"agent_id": f"picky{n}", "labels": ["iron"]}) for n in range(204)]
    last = validation.read(ClaimNextTask, {"agent_id": "last", "labels": ["wood"]})

    orphans = await enqueue(api, *picky, last)
    await api.create_task("wooden", labels=["wood"])
    assert await taken(api, "hasty") is None
    assert await serve(api, orphans[:204]) == {}
    assert await serve(api, orphans) == {orphans[204].id: 1}


@pytest.mark.promise("claim:first-come")
@pytest.mark.parametrize("change", ["created", "finished", "released", "expired", "deferral", "unarchived", "edited"])
async def test_any_change_that_makes_a_task_ready_wakes_waiters(api: OperationsClient, change: str) -> None:
    first = await api.create_task("first", status="BACKLOG")
    prepared: dict[str, Json] = {
        "finished": {"depends_on": [first["id"]]},
        "deferral": {"defer_until": api.clock.later(30)},
        "edited": {"depends_on": [first["id"]]},
    }
    target = first if change == "created" else await api.create_task("target", **prepared.get(change, {}))
    if change in ("released", "expired"):
        await api.claim(target["id"], "zoe", ttl_seconds=30)
    if change == "unarchived":
        await api.call("update_project", project_id=first["project_id"], archived=True)
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("ann")
        match change:
            case "created":
                await api.create_task("target")
            case "finished":
                await api.set_status(first["id"], "DONE")
            case "released":
                await api.release(target["id"], "zoe")
            case "expired" | "deferral":
                await api.advance(30)
            case "unarchived":
                await api.call("update_project", project_id=first["project_id"], archived=False)
            case "edited":
                await api.update_task(target["id"], depends_on=[])
        await waiting.until_served(1)
    assert waiting.got == {"ann": "target"}


@pytest.mark.promise("claim:not-lost")
async def test_a_waiter_that_has_disconnected_gets_no_task_and_the_next_is_served(api: OperationsClient) -> None:
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        gone = await waiting.enqueue("ann")
        await waiting.enqueue("bob")
        gone.cancel()
        await until_queue_has(api, 1)
        await api.create_task("task")
        await waiting.until_served(1)
    assert waiting.got == {"bob": "task"}
    assert [event["agent_id"] for event in await api.events(0, "task.locked")] == ["bob"]


@pytest.mark.promise("claim:not-lost")
async def test_a_task_kept_for_a_waiter_that_disconnects_is_offered_to_the_next_at_once(api: OperationsClient) -> None:
    command = validation.read(ClaimNextTask, {"wait_seconds": 55})
    writer = api.runtime.database.writer
    [orphan] = await enqueue(api, command)
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("bob")
        await api.create_task("task")
        assert await taken(api, "cid") is None
        await writer.run("dequeue", partial(claim_queue.dequeue, waiter_id=orphan.id), api.actor, "")
        await waiting.until_served(1)
    assert waiting.got == {"bob": "task"}


@pytest.mark.slow
@pytest.mark.promise("claim:not-lost")
async def test_a_claim_that_is_being_written_when_the_wait_ends_is_answered(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task becomes ready and the writer is slow, so the claim is written after the end of the wait."""
    answered = threading.Event()
    hold_up(monkeypatch, lambda: answered.wait(1.5))
    claimed = await api.claim_next("ann", wait_seconds=1)
    answered.set()
    assert claimed["task"] is not None
    assert (await api.get_task(claimed["task"]["id"]))["lock"] == claimed["lock"]


@pytest.mark.promise("claim:not-lost")
@pytest.mark.parametrize("key", [None, "again"])
async def test_a_task_claimed_for_a_disconnected_waiter_is_released_unless_it_can_be_replayed(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    here = anyio.lowlevel.current_token()
    with anyio.CancelScope() as scope:
        hold_up(monkeypatch, lambda: anyio.from_thread.run_sync(scope.cancel, token=here))
        await api.claim_next("ann", wait_seconds=4, key=key)
    assert scope.cancelled_caught
    found = await api.get_task(1)
    if key is None:
        assert (found["status"], found["lock"], found["attempts"]) == ("TODO", None, 0)
    else:
        assert (await api.claim_next("ann", wait_seconds=4, key=key))["lock"] == found["lock"]
    assert queue(api) == []
    check(api)


def hold_up(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Run `meanwhile` in the first pass over the queue after a task became ready."""
    real = claim_queue.serve_waiters

    def slow(
        tx: Tx, *, local_waiters: Mapping[int, LocalWaiter[Any]], changes: Changes
    ) -> claim_queue.ServeResult[Any]:
        if not held_up:
            held_up.append(True)
            late = tasks.create(tx, validation.read(CreateTask, {"name": "late"}))
            changes = replace(changes, task_ids=[*changes.task_ids, late["id"]])
            meanwhile()
        return real(tx, local_waiters=local_waiters, changes=changes)

    held_up: list[bool] = []
    monkeypatch.setattr(claim_queue, "serve_waiters", slow)


@pytest.mark.promise("claim:not-lost")
async def test_no_task_is_kept_for_a_disconnected_client(service: HttpService, api: OperationsClient) -> None:
    async with anyio.create_task_group() as clients:
        clients.start_soon(lambda: service.send("POST", "/api/tasks/claim", {"agent_id": "ann", "wait_seconds": 50}))
        await until_queue_has(api, 1)
        clients.cancel_scope.cancel()
    await until_queue_has(api, 0)
    await api.create_task("task")
    assert await taken(api, "bob") == "task"


@pytest.mark.slow
async def test_waiting_ends_with_an_empty_answer_when_nothing_comes(api: OperationsClient) -> None:
    answer = await api.claim_next("ann", wait_seconds=1)
    assert answer["task"] is None
    assert answer["message"]


@pytest.mark.promise("claim:not-lost")
async def test_a_claim_is_answered_although_its_place_in_the_queue_cannot_be_removed(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise DatabaseBusy("the database is locked by another process")

    monkeypatch.setattr(claim_queue, "dequeue", busy)
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("ann")
        await api.create_task("task")
        await waiting.until_served(1)
    assert waiting.got == {"ann": "task"}


async def test_serving_a_waiter_causes_no_extra_event_and_no_count_of_blockers(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int | None] = []
    monkeypatch.setattr(claim_blockers, "count", lambda _, project_id: counted.append(project_id))
    names = [f"agent-{number}" for number in range(5)]
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        for name in names:
            await waiting.enqueue(name)
        for name in names:
            await api.create_task(name)
        await waiting.until_served(5)
    assert sorted(waiting.got) == names
    assert counted == []
    assert await api.events(0, "task.ready") == []
