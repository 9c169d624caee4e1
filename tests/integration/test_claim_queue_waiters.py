"""Waiters in the claim queue: delivery, refusals, internal errors, shutdown and conflicts."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from project_manager.domain.errors import IdempotencyMismatch
from project_manager.domain.service_errors import ShuttingDown
from project_manager.schemas.leases import ClaimNextTask
from project_manager.services import claim_blockers, claim_queue
from project_manager.services.claim_queue import Changes, LocalWaiter
from project_manager.store.transaction import Tx
from tests.integration.invariants import check
from tests.integration.test_claim_long_poll import Waiting, queue, serve, until_queue_has
from tests.integration.test_claim_long_poll import enqueue as queued
from tests.integration.test_claim_queue import claim_of
from tests.operations_client import TIMEOUT, OperationsClient, run_due_jobs
from tests.stored_rows import address_of, read


@pytest.fixture
def passes(api: OperationsClient, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the number of local_waiters in each pass over the queue."""
    found: list[int] = []
    real = claim_queue.serve_waiters

    def counted(
        tx: Tx, *, local_waiters: Mapping[int, LocalWaiter[Any]], changes: Changes
    ) -> claim_queue.ServeResult[Any]:
        found.append(len(local_waiters))
        return real(tx, local_waiters=local_waiters, changes=changes)

    monkeypatch.setattr(claim_queue, "serve_waiters", counted)
    return found


@pytest.mark.promise("claim:first-come")
async def test_each_of_many_waiters_gets_the_task_with_its_label_and_a_task_causes_one_pass(
    api: OperationsClient, passes: list[int]
) -> None:
    number = 20
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        for n in range(number):
            await waiting.enqueue(f"agent-{n}", labels=[f"label-{n}"])
        passes.clear()
        for n in reversed(range(number)):
            await api.create_task(f"task {n}", labels=[f"label-{n}"])
        await waiting.until_served(number)
    assert waiting.got == {f"agent-{n}": f"task {n}" for n in range(number)}
    assert len(passes) <= number + 1
    assert queue(api) == []
    check(api)


async def test_changes_that_make_no_task_ready_cause_no_pass(api: OperationsClient, passes: list[int]) -> None:
    number = (await api.create_task("held"))["id"]
    with anyio.fail_after(TIMEOUT):
        while api.runtime.hub.head < await api.last_seq():  # its own event must not arrive after ann and cause a pass
            await run_due_jobs(api.runtime)
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("ann", labels=["late"])
        with anyio.fail_after(TIMEOUT):
            while not passes:
                await run_due_jobs(api.runtime)
        passes.clear()
        lock = await api.claim(number, "zoe")
        await api.call("add_task_log", task_id=number, agent_id="zoe", body="on it", fence=lock["fence"])
        await api.call("renew_task_lock", task_id=number, agent_id="zoe", fence=lock["fence"])
        await api.create_task("late", labels=["late"])
        await waiting.until_served(1)
    assert len(passes) == 1


async def test_a_process_subscribes_once_for_all_of_its_waiters_and_not_without_them(api: OperationsClient) -> None:
    before = api.runtime.hub.subscribers
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        scopes = [await waiting.enqueue(f"agent-{n}") for n in range(3)]
        assert api.runtime.hub.subscribers == before + 1
        for scope in scopes:
            scope.cancel()
    await until_queue_has(api, 0)
    with anyio.fail_after(TIMEOUT):
        while api.runtime.hub.subscribers != before:
            await run_due_jobs(api.runtime)


@pytest.mark.promise("claim:not-lost")
async def test_the_second_call_with_a_key_gets_the_answer_of_the_first_while_both_wait(api: OperationsClient) -> None:
    got = []

    async def wait(**filters: Any) -> None:
        got.append(await api.claim_next("ann", wait_seconds=4, key="k", **filters))

    async with anyio.create_task_group() as agents:
        for number in (1, 2):
            agents.start_soon(wait)
            await until_queue_has(api, number)
        await api.create_task("only")
        await api.create_task("other")
    assert got[0] == got[1]
    stored = read(address_of(api.runtime), "SELECT lock_holder FROM tasks ORDER BY id")
    assert [task["lock_holder"] for task in stored] == ["ann", None]
    check(api)


@pytest.mark.promise("claim:not-lost")
async def test_a_waiter_that_is_refused_delays_no_other(api: OperationsClient) -> None:
    async def mismatch() -> None:
        await api.call_error(
            IdempotencyMismatch, "claim_next_task", key="k", agent_id="ann", labels=["b"], wait_seconds=4
        )

    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("ann", labels=["a"], key="k")
        agents.start_soon(mismatch)
        await until_queue_has(api, 2)
        await waiting.enqueue("cid", labels=["b"])
        await api.create_task("a", labels=["a"])  # one after the other: the first to get a task with the key keeps it
        await waiting.until_served(1)
        await api.create_task("b", labels=["b"])
        await waiting.until_served(2)
    assert waiting.got == {"ann": "a", "cid": "b"}
    check(api)


@pytest.mark.promise("claim:not-lost")
async def test_a_waiter_with_an_internal_error_delays_no_other(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = claim_queue.claim_found

    def broken(tx: Tx, command: ClaimNextTask, **more: Any) -> Any:
        claimed = real(tx, command, **more)
        if tx.actor.id == "ann":
            raise ValueError("a fault")
        return claimed

    monkeypatch.setattr(claim_queue, "claim_found", broken)
    refused: list[str] = []

    async def fail() -> None:
        with pytest.raises(Exception, match="internal server error"):
            await api.claim_next("ann", wait_seconds=4)
        refused.append("ann")

    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        agents.start_soon(fail)
        await until_queue_has(api, 1)
        await waiting.enqueue("bob")
        await api.create_task("task")
        await waiting.until_served(1)
    assert (refused, waiting.got) == (["ann"], {"bob": "task"})
    check(api)


@pytest.mark.promise("claim:not-lost")
async def test_a_waiter_with_an_expired_place_is_served_after_its_process_was_stopped(api: OperationsClient) -> None:
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("ann", ttl_seconds=60)
        await api.advance(20)
        await api.runtime.database.writer.run("forget", claim_queue.drop_expired_waiters, api.actor, "")
        assert queue(api) == []
        await api.create_task("task")
        await waiting.until_served(1)
    assert waiting.got == {"ann": "task"}


async def test_waiters_are_notified_when_the_server_stops(api: OperationsClient) -> None:
    refused: list[str] = []

    async def wait(agent: str) -> None:
        with pytest.raises(Exception, match="the server is shutting down"):
            await api.claim_next(agent, wait_seconds=50)
        refused.append(agent)

    async with anyio.create_task_group() as agents:
        for number, agent in enumerate(("ann", "bob"), 1):
            agents.start_soon(wait, agent)
            await until_queue_has(api, number)
        api.runtime.hub.close()
    assert sorted(refused) == ["ann", "bob"]
    assert queue(api) == []


@pytest.mark.promise("claim:not-lost")
async def test_a_waiter_that_is_served_while_the_hub_stops_gets_its_task(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, hub, real = asyncio.get_running_loop(), api.runtime.hub, claim_queue.serve_waiters

    def serve(
        tx: Tx, *, local_waiters: Mapping[int, LocalWaiter[Any]], changes: Changes
    ) -> claim_queue.ServeResult[Any]:
        served = real(tx, local_waiters=local_waiters, changes=changes)
        if served.results:
            loop.call_soon_threadsafe(hub.close)
            for _ in range(10):  # steps of the loop, so that each subscriber sees the stop of the hub
                turn = threading.Event()
                loop.call_soon_threadsafe(turn.set)
                turn.wait(TIMEOUT)
        return served

    monkeypatch.setattr(claim_queue, "serve_waiters", serve)
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("ann")
        await api.create_task("task")
        await waiting.until_served(1)
    assert waiting.got == {"ann": "task"}
    check(api)


async def test_nothing_runs_for_the_queue_after_the_hub_has_stopped(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    real = api.runtime.long_polls._serve_while_waiting

    async def counted() -> None:
        nonlocal tries
        tries += 1
        await real()

    async def wait() -> None:
        with pytest.raises(ShuttingDown):
            await api.claim_next("ann", wait_seconds=50)

    monkeypatch.setattr(api.runtime.long_polls, "_serve_while_waiting", counted)
    async with anyio.create_task_group() as agents:
        agents.start_soon(wait)
        await until_queue_has(api, 1)
        api.runtime.hub.close()
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
    assert tries <= 3  # one subscriber, one refusal, one departing waiter


async def test_the_blockers_are_counted_once_for_a_commit_and_not_by_the_writer(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int | None] = []
    real = claim_blockers.count

    def count(tx: Tx, project_id: int | None) -> claim_blockers.TaskCounts:
        counted.append(project_id)
        return real(tx, project_id)

    monkeypatch.setattr(claim_blockers, "count", count)
    await api.create_task("later", status="BACKLOG")
    agents = [f"agent-{n}" for n in range(10)]
    for agent in agents:
        await api.claim_next(agent)
    counted.clear()
    for agent in agents:
        assert (await api.claim_next(agent))["blockers"] == [
            {"reason": "in the backlog", "tasks": 1, "tasks_is_minimum": False}
        ]
        assert (await api.claim_next(agent, project_id=1))["tasks"] == 1
    assert len(counted) <= 4  # the tail may see the last earlier commit only now
    await api.create_task("more", status="BACKLOG")
    assert (await api.claim_next("agent-0"))["tasks"] == 2


async def test_one_pass_over_the_queue_gives_no_task_that_conflicts_with_one_that_it_has_given(
    api: OperationsClient,
) -> None:
    local_waiters = await queued(api, *[claim_of(agent_id=f"agent-{n}") for n in range(5)])
    first, second, third = [(await api.create_task(f"task {n}"))["id"] for n in range(3)]
    await api.create_task("in conflict", conflicts_with=[third])
    last = (await api.create_task("last"))["id"]
    served = await serve(api, local_waiters)
    assert [served.get(place.id) for place in local_waiters] == [first, second, third, last, None]
    check(api)


async def test_a_task_that_conflicts_with_a_promised_one_is_left(api: OperationsClient) -> None:
    await queued(api, claim_of(agent_id="waiter"))
    promised = (await api.create_task("promised"))["id"]
    await api.create_task("in conflict", conflicts_with=[promised])
    assert (await api.claim_next("newcomer"))["task"] is None


async def test_ready_tasks_that_conflict_with_a_claimed_one_are_not_counted_as_ready(api: OperationsClient) -> None:
    held = (await api.create_task("held"))["id"]
    for name in ("one", "two"):
        await api.create_task(name, conflicts_with=[held])
    await api.create_task("free", conflicts_with=[])
    await api.claim(held, "ann")
    nothing = await api.claim_next("bob", priority=0)
    assert {entry["reason"]: entry["tasks"] for entry in nothing["blockers"]} == {
        "in progress": 1,
        "not ready (dependencies, defer_until, a conflict, a pause, no attempts left or an archived project)": 2,
        "ready but excluded by your filters or reserved for earlier waiters": 1,
    }
    assert (await api.call("get_context", agent_id="bob"))["ready_tasks"] == 1


async def test_labels_of_claimable_tasks_follow_every_change(api: OperationsClient) -> None:
    first = (await api.create_task("first", labels=["a", "b"]))["id"]
    second = (await api.create_task("second", labels=["a"], depends_on=[first]))["id"]
    other = await api.create_task("other", labels=["c"], project_name="Shed", defer_until=api.clock.later(30))
    steps: list[Callable[[], Any]] = [
        lambda: api.update_task(first, labels=["b", "d"], priority=0),
        lambda: api.claim(first, "ann"),
        lambda: api.release(first, "ann"),
        lambda: api.claim_next("ann", labels=["d"]),
        lambda: api.release(first, "ann", failed=True),
        lambda: api.claim(first, "ann", ttl_seconds=10),
        lambda: api.advance(10),
        lambda: api.set_status(first, "BACKLOG"),
        lambda: api.claim(first, "ann"),
        lambda: api.call("acquire_task_lock", task_id=first, force=True),
        lambda: api.set_status(first, "TODO"),
        lambda: api.set_status(first, "DONE", "bob"),
        lambda: api.update_task(second, labels=[]),
        lambda: api.update_task(second, labels=["a", "é"]),
        lambda: api.advance(60),
        lambda: api.call("update_project", project_id=other["project_id"], archived=True),
        lambda: api.call("update_project", project_id=other["project_id"], archived=False),
        lambda: api.set_status(first, "TODO", reopen=True),
        lambda: api.update_task(second, depends_on=[]),
        lambda: api.call("delete_task", task_id=first),
        lambda: api.call("delete_task", task_id=other["id"]),
    ]
    check(api)
    for step in steps:
        await step()
        check(api)
    assert {row["label"] for row in read(address_of(api.runtime), "SELECT label FROM claimable_labels")} == {"a", "é"}
    assert json.loads(read(address_of(api.runtime), "SELECT labels FROM tasks")[0]["labels"]) == ["a", "é"]
