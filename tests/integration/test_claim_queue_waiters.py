"""Waiters in the claim queue: delivery, refusals, internal errors, shutdown and conflicts."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from project_manager.domain.errors import IdempotencyMismatch, ShuttingDown
from project_manager.schemas.leases import ClaimNextTask
from project_manager.services import claim_blockers, claim_queue
from project_manager.services.claim_queue import QueuedClaim
from project_manager.store.transaction import Tx
from tests.desk import PATIENCE, Desk
from tests.integration.invariants import check, read
from tests.integration.test_claim_queue import claim_of
from tests.integration.test_claim_waiting import Waiting, queue, serve, until_queue_has
from tests.integration.test_claim_waiting import come as queued


@pytest.fixture
def passes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the number of places in each pass over the queue."""
    found: list[int] = []
    real = claim_queue.serve_waiters

    def counted(tx: Tx, *, places: Mapping[int, QueuedClaim[Any]]) -> claim_queue.ServeResult[Any]:
        found.append(len(places))
        return real(tx, places=places)

    monkeypatch.setattr(claim_queue, "serve_waiters", counted)
    return found


@pytest.mark.promise("claim:first-come")
async def test_each_of_many_waiters_gets_the_task_with_its_label_and_a_task_causes_one_pass(
    desk: Desk, passes: list[int]
) -> None:
    number = 20
    async with anyio.create_task_group() as agents:
        waiting = Waiting(desk, agents)
        for n in range(number):
            await waiting.come(f"agent-{n}", labels=[f"label-{n}"])
        passes.clear()
        for n in reversed(range(number)):
            await desk.task(f"task {n}", labels=[f"label-{n}"])
        await waiting.until_served(number)
    assert waiting.got == {f"agent-{n}": f"task {n}" for n in range(number)}
    assert len(passes) <= number + 1
    assert queue(desk) == []
    check(desk)


async def test_changes_that_make_no_task_ready_cause_no_pass(desk: Desk, passes: list[int]) -> None:
    number = (await desk.task("held"))["id"]
    with anyio.fail_after(PATIENCE):
        while desk.runtime.hub.head < await desk.head():  # its own event must not arrive after ann and cause a pass
            await desk.runtime.run_due_jobs()
    async with anyio.create_task_group() as agents:
        waiting = Waiting(desk, agents)
        await waiting.come("ann", labels=["late"])
        with anyio.fail_after(PATIENCE):
            while not passes:
                await desk.runtime.run_due_jobs()
        passes.clear()
        lock = await desk.claim(number, "zoe")
        await desk.do("add_task_log", task_id=number, agent_id="zoe", body="on it", fence=lock["fence"])
        await desk.do("renew_task_lock", task_id=number, agent_id="zoe", fence=lock["fence"])
        await desk.task("late", labels=["late"])
        await waiting.until_served(1)
    assert len(passes) == 1


async def test_a_process_subscribes_once_for_all_of_its_waiters_and_not_without_them(desk: Desk) -> None:
    before = desk.runtime.hub.subscribers
    async with anyio.create_task_group() as agents:
        waiting = Waiting(desk, agents)
        scopes = [await waiting.come(f"agent-{n}") for n in range(3)]
        assert desk.runtime.hub.subscribers == before + 1
        for scope in scopes:
            scope.cancel()
    await until_queue_has(desk, 0)
    with anyio.fail_after(PATIENCE):
        while desk.runtime.hub.subscribers != before:
            await desk.runtime.run_due_jobs()


@pytest.mark.promise("claim:not-lost")
async def test_the_second_call_with_a_key_gets_the_answer_of_the_first_while_both_wait(desk: Desk) -> None:
    got = []

    async def wait(**wish: Any) -> None:
        got.append(await desk.next("ann", wait_seconds=4, key="k", **wish))

    async with anyio.create_task_group() as agents:
        for number in (1, 2):
            agents.start_soon(wait)
            await until_queue_has(desk, number)
        await desk.task("only")
        await desk.task("other")
    assert got[0] == got[1]
    assert [task["lock_holder"] for task in read(desk.runtime.database.path, "SELECT lock_holder FROM tasks")] == [
        "ann",
        None,
    ]
    check(desk)


@pytest.mark.promise("claim:not-lost")
async def test_a_waiter_that_is_refused_delays_no_other(desk: Desk) -> None:
    async def mismatch() -> None:
        await desk.refused(
            IdempotencyMismatch, "claim_next_task", key="k", agent_id="ann", labels=["b"], wait_seconds=4
        )

    async with anyio.create_task_group() as agents:
        waiting = Waiting(desk, agents)
        await waiting.come("ann", labels=["a"], key="k")
        agents.start_soon(mismatch)
        await until_queue_has(desk, 2)
        await waiting.come("cid", labels=["b"])
        async with anyio.create_task_group() as makers:
            makers.start_soon(lambda: desk.task("a", labels=["a"]))
            makers.start_soon(lambda: desk.task("b", labels=["b"]))
        await waiting.until_served(2)
    assert waiting.got == {"ann": "a", "cid": "b"}
    check(desk)


@pytest.mark.promise("claim:not-lost")
async def test_a_waiter_with_an_internal_error_delays_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = claim_queue.grant

    def broken(tx: Tx, command: ClaimNextTask, **more: Any) -> Any:
        granted = real(tx, command, **more)
        if tx.actor.id == "ann":
            raise ValueError("a fault")
        return granted

    monkeypatch.setattr(claim_queue, "grant", broken)
    refused: list[str] = []

    async def fail() -> None:
        with pytest.raises(Exception, match="internal server error"):
            await desk.next("ann", wait_seconds=4)
        refused.append("ann")

    async with anyio.create_task_group() as agents:
        waiting = Waiting(desk, agents)
        agents.start_soon(fail)
        await until_queue_has(desk, 1)
        await waiting.come("bob")
        await desk.task("task")
        await waiting.until_served(1)
    assert (refused, waiting.got) == (["ann"], {"bob": "task"})
    check(desk)


@pytest.mark.promise("claim:not-lost")
async def test_a_waiter_with_an_expired_place_is_served_after_its_process_was_stopped(desk: Desk) -> None:
    async with anyio.create_task_group() as agents:
        waiting = Waiting(desk, agents)
        await waiting.come("ann", ttl_seconds=60)
        await desk.pass_time(20)
        await desk.runtime.database.writer.run("forget", claim_queue.drop_expired_waiters, desk.actor, "")
        assert queue(desk) == []
        await desk.task("task")
        await waiting.until_served(1)
    assert waiting.got == {"ann": "task"}


async def test_waiters_are_notified_when_the_server_stops(desk: Desk) -> None:
    refused: list[str] = []

    async def wait(agent: str) -> None:
        with pytest.raises(Exception, match="the server is shutting down"):
            await desk.next(agent, wait_seconds=50)
        refused.append(agent)

    async with anyio.create_task_group() as agents:
        for number, agent in enumerate(("ann", "bob"), 1):
            agents.start_soon(wait, agent)
            await until_queue_has(desk, number)
        desk.runtime.hub.close()
    assert sorted(refused) == ["ann", "bob"]
    assert queue(desk) == []


@pytest.mark.promise("claim:not-lost")
async def test_a_waiter_that_is_served_while_the_hub_stops_gets_its_task(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, hub, real = asyncio.get_running_loop(), desk.runtime.hub, claim_queue.serve_waiters

    def serve(tx: Tx, *, places: Mapping[int, QueuedClaim[Any]]) -> claim_queue.ServeResult[Any]:
        served = real(tx, places=places)
        if served.results:
            loop.call_soon_threadsafe(hub.close)
            for _ in range(10):  # steps of the loop, so that each subscriber sees the stop of the hub
                turn = threading.Event()
                loop.call_soon_threadsafe(turn.set)
                turn.wait(PATIENCE)
        return served

    monkeypatch.setattr(claim_queue, "serve_waiters", serve)
    async with anyio.create_task_group() as agents:
        waiting = Waiting(desk, agents)
        await waiting.come("ann")
        await desk.task("task")
        await waiting.until_served(1)
    assert waiting.got == {"ann": "task"}
    check(desk)


async def test_nothing_runs_for_the_queue_after_the_hub_has_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    real = desk.runtime.long_polls._serve_all

    async def counted() -> None:
        nonlocal tries
        tries += 1
        await real()

    async def wait() -> None:
        with pytest.raises(ShuttingDown):
            await desk.next("ann", wait_seconds=50)

    monkeypatch.setattr(desk.runtime.long_polls, "_serve_all", counted)
    async with anyio.create_task_group() as agents:
        agents.start_soon(wait)
        await until_queue_has(desk, 1)
        desk.runtime.hub.close()
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
    assert tries <= 3  # one subscriber, one refusal, one departing waiter


async def test_the_blockers_are_counted_once_for_a_commit_and_not_by_the_writer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int | None] = []
    real = claim_blockers.count

    def count(tx: Tx, project_id: int | None) -> claim_blockers.TaskCounts:
        counted.append(project_id)
        return real(tx, project_id)

    monkeypatch.setattr(claim_blockers, "count", count)
    await desk.task("later", status="BACKLOG")
    agents = [f"agent-{n}" for n in range(10)]
    for agent in agents:
        await desk.next(agent)
    counted.clear()
    for agent in agents:
        assert (await desk.next(agent))["held_back"] == [{"reason": "in the backlog", "tasks": 1}]
        assert (await desk.next(agent, project_id=1))["tasks"] == 1
    assert len(counted) <= 4  # the tail may see the last earlier commit only now
    await desk.task("more", status="BACKLOG")
    assert (await desk.next("agent-0"))["tasks"] == 2


async def test_one_pass_over_the_queue_gives_no_task_that_conflicts_with_one_that_it_has_given(desk: Desk) -> None:
    places = await queued(desk, *[claim_of(agent_id=f"agent-{n}") for n in range(5)])
    first, second, third = [(await desk.task(f"task {n}"))["id"] for n in range(3)]
    await desk.task("in conflict", conflicts_with=[third])
    last = (await desk.task("last"))["id"]
    served = await serve(desk, places)
    assert [served.get(place.id) for place in places] == [first, second, third, last, None]
    check(desk)


async def test_a_task_that_conflicts_with_a_promised_one_is_left(desk: Desk) -> None:
    await queued(desk, claim_of(agent_id="waiter"))
    promised = (await desk.task("promised"))["id"]
    await desk.task("in conflict", conflicts_with=[promised])
    assert (await desk.next("newcomer"))["task"] is None


async def test_ready_tasks_that_conflict_with_a_claimed_one_are_not_counted_as_ready(desk: Desk) -> None:
    held = (await desk.task("held"))["id"]
    for name in ("one", "two"):
        await desk.task(name, conflicts_with=[held])
    await desk.task("free", conflicts_with=[])
    await desk.claim(held, "ann")
    nothing = await desk.next("bob", priority=0)
    assert {entry["reason"]: entry["tasks"] for entry in nothing["held_back"]} == {
        "in progress": 1,
        "waiting for dependencies, defer_until or a conflicting task": 2,
        "ready but excluded by your filters or reserved for earlier waiters": 1,
    }
    assert (await desk.do("get_context", agent_id="bob"))["ready_tasks"] == 1


async def test_labels_of_claimable_tasks_follow_every_change(desk: Desk) -> None:
    first = (await desk.task("first", labels=["a", "b"]))["id"]
    second = (await desk.task("second", labels=["a"], depends_on=[first]))["id"]
    other = await desk.task("other", labels=["c"], project_name="Shed", defer_until=desk.clock.later(30))
    steps: list[Callable[[], Any]] = [
        lambda: desk.edit(first, labels=["b", "d"], priority=0),
        lambda: desk.claim(first, "ann"),
        lambda: desk.release(first, "ann"),
        lambda: desk.next("ann", labels=["d"]),
        lambda: desk.release(first, "ann", failed=True),
        lambda: desk.claim(first, "ann", ttl_seconds=10),
        lambda: desk.pass_time(10),
        lambda: desk.set_status(first, "BACKLOG"),
        lambda: desk.claim(first, "ann"),
        lambda: desk.do("acquire_task_lock", task_id=first, force=True),
        lambda: desk.set_status(first, "TODO"),
        lambda: desk.set_status(first, "DONE", "bob"),
        lambda: desk.edit(second, labels=[]),
        lambda: desk.edit(second, labels=["a", "é"]),
        lambda: desk.pass_time(60),
        lambda: desk.do("update_project", project_id=other["project_id"], archived=True),
        lambda: desk.do("update_project", project_id=other["project_id"], archived=False),
        lambda: desk.set_status(first, "TODO", reopen=True),
        lambda: desk.edit(second, depends_on=[]),
        lambda: desk.do("delete_task", task_id=first),
        lambda: desk.do("delete_task", task_id=other["id"]),
    ]
    check(desk)
    for step in steps:
        await step()
        check(desk)
    assert {row["label"] for row in read(desk.runtime.database.path, "SELECT label FROM claimable_labels")} == {
        "a",
        "é",
    }
    assert json.loads(read(desk.runtime.database.path, "SELECT labels FROM tasks")[0]["labels"]) == ["a", "é"]
