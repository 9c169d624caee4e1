"""The claim queue after missed events, a suspended process, and the death of another instance."""

from functools import partial
from typing import Any

import anyio
import pytest

from project_manager.domain.service_errors import DatabaseBusy
from project_manager.runtime import long_poll
from project_manager.services import claim_queue
from project_manager.store import claim_search
from project_manager.store.claim_queue import Queue, Waiter
from tests.integration.invariants import check
from tests.integration.test_claim_long_poll import Waiting, enqueue, queue, serve
from tests.integration.test_claim_next import taken
from tests.integration.test_claim_queue import claim_of
from tests.operations_client import TIMEOUT, OperationsClient, run_due_jobs

AGENTS = [f"agent-{n}" for n in range(5)]
EXPIRED_AFTER = 20
LONG = 55
"""Seconds to wait for a task, longer than a test. At the end of its wait, a call searches again."""


@pytest.fixture
def short_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_queue, "CLAIMS_PER_PASS", 2)


async def run_heartbeat(api: OperationsClient) -> None:
    assert await api.runtime.jobs.run_once("heartbeat")


async def all_events_published(api: OperationsClient) -> None:
    head = await api.last_seq()
    with anyio.fail_after(TIMEOUT):
        while api.runtime.hub.head < head:
            await run_due_jobs(api.runtime)


@pytest.mark.slow
@pytest.mark.promise("claim:not-lost")
@pytest.mark.usefixtures("short_passes")
async def test_waiters_get_more_tasks_than_one_pass_claims_after_their_events_were_missed(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        for agent in AGENTS:
            await waiting.enqueue(agent, wait_seconds=LONG)
        await miss_events(api, monkeypatch)
        await waiting.until_served(len(AGENTS))
    assert waiting.got == {agent: f"task of {agent}" for agent in AGENTS}
    check(api)


@pytest.mark.slow
@pytest.mark.promise("claim:not-lost")
@pytest.mark.usefixtures("short_passes")
async def test_waiters_get_tasks_behind_many_parts_of_their_search_after_their_events_were_missed(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_search, "COMPARED_LABELS", 4)
    for number in range(20):
        await api.create_task(f"task {number}", labels=["common"])
    await api.create_task("later", project_name="Shed", status="BACKLOG")
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        for agent in AGENTS:
            await waiting.enqueue(agent, wait_seconds=LONG, labels=["common"], project_name="Shed")
        await miss_events(api, monkeypatch, labels=["common"], project_name="Shed")
        await waiting.until_served(len(AGENTS))
    assert waiting.got == {agent: f"task of {agent}" for agent in AGENTS}
    check(api)


async def miss_events(api: OperationsClient, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Create a task for each agent. After the first one, a pass fails, and the process has no subscription for 1 s."""
    real = claim_queue.serve_waiters
    subscribers = api.runtime.hub.subscribers

    def busy(*_: object, **__: object) -> None:
        raise DatabaseBusy("the database is locked by another process")

    monkeypatch.setattr(claim_queue, "serve_waiters", busy)
    await api.create_task(f"task of {AGENTS[0]}", **fields)
    with anyio.fail_after(TIMEOUT):
        while api.runtime.hub.subscribers == subscribers:
            await run_due_jobs(api.runtime)
    monkeypatch.setattr(claim_queue, "serve_waiters", real)
    for agent in AGENTS[1:]:
        await api.create_task(f"task of {agent}", **fields)


@pytest.mark.promise("claim:not-lost")
@pytest.mark.usefixtures("short_passes")
async def test_waiters_get_all_tasks_that_were_reserved_for_those_of_a_dead_instance(api: OperationsClient) -> None:
    await enqueue(api, *[claim_of(agent_id=f"dead {agent}") for agent in AGENTS])
    for agent in AGENTS:
        await api.create_task(f"task of {agent}")
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        for agent in AGENTS:
            await waiting.enqueue(agent, wait_seconds=LONG)
        api.clock.advance(EXPIRED_AFTER)
        await run_heartbeat(api)
        await waiting.until_served(len(AGENTS))
    assert waiting.got == {agent: f"task of {agent}" for agent in AGENTS}
    check(api)


@pytest.mark.promise("claim:not-lost")
@pytest.mark.usefixtures("short_passes")
async def test_a_waiter_gets_a_task_behind_those_that_are_reserved_for_another_instance(api: OperationsClient) -> None:
    first, second, last = await enqueue(api, *[claim_of(agent_id=f"other {agent}") for agent in AGENTS[:3]])
    for agent in AGENTS[:3]:
        await api.create_task(f"task of {agent}")
    await all_events_published(api)
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("ann", wait_seconds=LONG)
        leave = partial(claim_queue.dequeue, waiter_id=last.id)
        await api.runtime.database.writer.run("dequeue", leave, api.actor, "")
        await waiting.until_served(1)
    assert waiting.got == {"ann": f"task of {AGENTS[2]}"}
    assert len(await serve(api, [first, second])) == 2


@pytest.mark.promise("claim:not-lost")
async def test_a_waiter_gets_the_task_reserved_for_one_of_a_dead_instance_behind_tasks_that_are_not_ready(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_search, "PART", 2)
    monkeypatch.setattr(long_poll, "LEFT_TASKS_SECONDS", 0.01)
    held = (await api.create_task("held"))["id"]
    for number in range(3):
        await api.create_task(f"in conflict {number}", conflicts_with=[held])
    await api.claim(held, "zoe", ttl_seconds=600)
    await enqueue(api, claim_of(agent_id="dead"))
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("ann", wait_seconds=LONG)
        await api.create_task("task")
        await all_events_published(api)
        api.clock.advance(EXPIRED_AFTER)
        await run_heartbeat(api)
        await waiting.until_served(1)
    assert waiting.got == {"ann": "task"}
    assert await api.events(0, "task.ready") == []
    check(api)


@pytest.mark.promise("claim:first-come")
async def test_a_claim_overtakes_no_waiter_of_a_process_that_was_suspended(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_queue, "drop_expired_waiters", lambda _: None)
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("ann", labels=["garden"], wait_seconds=LONG)
        await api.create_task("first")
        api.clock.advance(EXPIRED_AFTER)
        assert await taken(api, "zoe") == "first"  # the writer reads the queue without ann and keeps it
        await run_heartbeat(api)
        assert queue(api) == ["ann"]
        async with anyio.create_task_group() as rush:
            rush.start_soon(partial(api.create_task, "task", labels=["garden"]))
            for _ in range(5):
                rush.start_soon(taken, api, "bob")
        await waiting.until_served(1)
    assert waiting.got == {"ann": "task"}


async def test_the_kept_queue_forgets_a_waiter_at_its_expiry(api: OperationsClient) -> None:
    await api.create_task("first")
    assert await taken(api, "zoe") == "first"  # the writer reads the empty queue and keeps it
    await enqueue(api, claim_of(agent_id="orphan"))
    await api.create_task("task")
    assert await taken(api, "bob") is None
    api.clock.advance(EXPIRED_AFTER)
    assert await taken(api, "bob") == "task"


def test_a_queue_is_valid_until_the_first_expiry_also_of_a_later_waiter() -> None:
    def waiter(number: int, expires_at: int) -> Waiter:
        return Waiter(number, "ann", None, None, "[]", None, expires_at)

    found = Queue([waiter(1, 30)])
    found.add(waiter(2, 20))
    assert found.valid_until == 20
