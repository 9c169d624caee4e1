"""Take-over of a claimed task with `force`: one step, in which no waiting agent can claim it."""

from typing import Any

import anyio
import pytest

from project_manager.domain.errors import LockHeld, NotReady, StaleFence
from tests.desk import PATIENCE, Desk, Json
from tests.integration.held import claimed_task, each_write
from tests.integration.invariants import check
from tests.served import Served


async def take_over(desk: Desk, task_id: int, **more: Any) -> Json:
    return dict(await desk.do("acquire_task_lock", task_id=task_id, force=True, **more))


@pytest.mark.promise("lease:take-over")
@pytest.mark.parametrize("who", [{}, {"agent_id": "boss"}], ids=["person", "agent id"])
async def test_a_take_over_ends_the_lease_as_forced_and_begins_the_next_one(desk: Desk, who: Json) -> None:
    number, lock = await claimed_task(desk, ttl_seconds=600)
    since, taker = await desk.head(), who.get("agent_id", "local")
    taken = await take_over(desk, number, **who)
    assert (taken["lock"]["holder"], taken["lock"]["fence"], taken["renewed"]) == (taker, lock["fence"] + 1, False)
    assert taken["lock"]["ttl_seconds"] == 300
    seen = await desk.look(number)
    assert (seen["status"], seen["attempts"], seen["lock"]) == ("IN_PROGRESS", 0, taken["lock"])
    unlocked, locked = await desk.events(since, "task.unlocked", "task.locked", "task.status_changed", "task.ready")
    assert (unlocked["agent_id"], unlocked["reason"], unlocked["status"]) == ("ann", "forced", "IN_PROGRESS")
    assert (locked["agent_id"], locked["lock"]) == (taker, taken["lock"])
    assert (await desk.logs(number))[-1]["body"] == f"{taker} ended the lease of ann"
    check(desk)


@pytest.mark.promise("lease:take-over")
async def test_an_agent_that_waits_does_not_get_the_task_in_between(desk: Desk) -> None:
    number, _ = await claimed_task(desk)
    got: list[Json] = []

    async def wait() -> None:
        got.append(await desk.next("bob", wait_seconds=4))

    async with anyio.create_task_group() as agents:
        agents.start_soon(wait)
        with anyio.fail_after(PATIENCE):
            while not desk.runtime.long_polls.places:
                await anyio.lowlevel.checkpoint()
        taken = await take_over(desk, number)
        await desk.set_status(number, "DONE", fence=taken["lock"]["fence"])
        other = await desk.task("Water the hedge")
    assert [claimed["task"]["id"] for claimed in got] == [other["id"]]
    assert [(event["task_id"], event["agent_id"]) for event in await desk.events(0, "task.locked")] == [
        (number, "ann"),
        (number, "local"),
        (other["id"], "bob"),
    ]
    check(desk)


@pytest.mark.promise("lease:take-over", "lease:fencing")
@each_write
async def test_the_previous_holder_is_refused_with_its_fence_and_without(
    desk: Desk, operation: str, more: Json
) -> None:
    number, lock = await claimed_task(desk)
    await take_over(desk, number)
    write = {"task_id": number, "agent_id": "ann", **more}
    await desk.refused(LockHeld, operation, **write)
    refusal = await desk.refused(StaleFence, operation, **write, fence=lock["fence"])
    assert "local" in refusal.message


async def test_a_task_that_was_taken_over_returns_to_where_it_was_first_claimed_from(desk: Desk) -> None:
    task = await desk.task()
    await desk.set_status(task["id"], "REVIEW")
    await desk.claim(task["id"], "ann")
    await take_over(desk, task["id"])
    assert (await desk.release(task["id"]))["task"]["status"] == "REVIEW"
    check(desk)


async def test_a_conflicting_task_does_not_become_ready_by_a_take_over(desk: Desk) -> None:
    number, _ = await claimed_task(desk)
    rival = await desk.task("Cut the hedge", conflicts_with=[number])
    since = await desk.head()
    await take_over(desk, number)
    assert await desk.events(since, "task.ready") == []
    assert (await desk.look(rival["id"]))["ready"] is False
    check(desk)


async def test_force_claims_a_free_task_and_renews_an_own_lease_as_without_it(desk: Desk) -> None:
    task = await desk.task()
    first = await take_over(desk, task["id"], agent_id="ann")
    again = await take_over(desk, task["id"], agent_id="ann")
    assert (first["renewed"], again["renewed"]) == (False, True)
    assert again["lock"]["fence"] == first["lock"]["fence"]
    assert await desk.events(0, "task.unlocked") == []


async def test_force_does_not_make_an_unready_task_ready(desk: Desk) -> None:
    number, lock = await claimed_task(desk)
    first = await desk.task("Buy paint")
    await desk.edit(number, depends_on=[first["id"]])
    refusal = await desk.refused(NotReady, "acquire_task_lock", task_id=number, force=True)
    assert refusal.details["waiting_for"] == [first["id"]]
    assert (await desk.look(number))["lock"] == lock


async def test_a_take_over_over_rest_is_one_request(served: Served, desk: Desk) -> None:
    number, lock = await claimed_task(desk)
    taken = await served.ok("POST", f"/api/tasks/{number}/lock", {"force": True})
    assert (taken["lock"]["holder"], taken["lock"]["fence"]) == ("local", lock["fence"] + 1)
