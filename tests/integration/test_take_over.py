"""Take-over of a claimed task with `force`: one step, in which no waiting agent can claim it."""

from typing import Any

import anyio
import pytest

from project_manager.domain.errors import LockHeld, NotReady, OwnReview, Paused, StaleFence
from tests.http_service import HttpService
from tests.integration.claimed_task import claimed_task, each_write
from tests.integration.invariants import check
from tests.operations_client import TIMEOUT, Json, OperationsClient


async def take_over(api: OperationsClient, task_id: int, **more: Any) -> Json:
    return dict(await api.call("acquire_task_lock", task_id=task_id, force=True, **more))


@pytest.mark.promise("lease:take-over")
@pytest.mark.parametrize("who", [{}, {"agent_id": "boss"}], ids=["person", "agent id"])
async def test_a_take_over_ends_the_lease_as_forced_and_begins_the_next_one(api: OperationsClient, who: Json) -> None:
    number, lock = await claimed_task(api, ttl_seconds=600)
    since, taker = await api.last_seq(), who.get("agent_id", "local")
    taken = await take_over(api, number, **who)
    assert (taken["lock"]["holder"], taken["lock"]["fence"], taken["renewed"]) == (taker, lock["fence"] + 1, False)
    assert taken["lock"]["ttl_seconds"] == 300
    seen = await api.get_task(number)
    assert (seen["status"], seen["attempts"], seen["lock"]) == ("IN_PROGRESS", 0, taken["lock"])
    unlocked, locked = await api.events(since, "task.unlocked", "task.locked", "task.status_changed", "task.ready")
    assert (unlocked["agent_id"], unlocked["reason"], unlocked["status"]) == ("ann", "forced", "IN_PROGRESS")
    assert (locked["agent_id"], locked["lock"]) == (taker, taken["lock"])
    assert (await api.logs(number))[-1]["body"] == f"{taker} ended the lease of ann"
    check(api)


@pytest.mark.promise("lease:take-over")
async def test_an_agent_that_waits_does_not_get_the_task_in_between(api: OperationsClient) -> None:
    number, _ = await claimed_task(api)
    got: list[Json] = []

    async def wait() -> None:
        got.append(await api.claim_next("bob", wait_seconds=4))

    async with anyio.create_task_group() as agents:
        agents.start_soon(wait)
        with anyio.fail_after(TIMEOUT):
            while not api.runtime.long_polls.waiting_calls:
                await anyio.lowlevel.checkpoint()
        taken = await take_over(api, number)
        await api.set_status(number, "DONE", fence=taken["lock"]["fence"])
        other = await api.create_task("Water the hedge")
    assert [claimed["task"]["id"] for claimed in got] == [other["id"]]
    assert [(event["task_id"], event["agent_id"]) for event in await api.events(0, "task.locked")] == [
        (number, "ann"),
        (number, "local"),
        (other["id"], "bob"),
    ]
    check(api)


@pytest.mark.promise("lease:take-over", "lease:fencing")
@each_write
async def test_the_previous_holder_is_refused_with_its_fence_and_without(
    api: OperationsClient, operation: str, more: Json
) -> None:
    number, lock = await claimed_task(api)
    await take_over(api, number)
    write = {"task_id": number, "agent_id": "ann", **more}
    await api.call_error(LockHeld, operation, **write)
    refusal = await api.call_error(StaleFence, operation, **write, fence=lock["fence"])
    assert "local" in refusal.message


async def test_a_task_that_was_taken_over_returns_to_where_it_was_first_claimed_from(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.set_status(task["id"], "REVIEW")
    await api.claim(task["id"], "ann")
    await take_over(api, task["id"])
    assert (await api.release(task["id"]))["task"]["status"] == "REVIEW"
    check(api)


async def test_a_conflicting_task_does_not_become_ready_by_a_take_over(api: OperationsClient) -> None:
    number, _ = await claimed_task(api)
    rival = await api.create_task("Cut the hedge", conflicts_with=[number])
    since = await api.last_seq()
    await take_over(api, number)
    assert await api.events(since, "task.ready") == []
    assert (await api.get_task(rival["id"]))["ready"] is False
    check(api)


async def test_force_claims_a_free_task_and_renews_an_own_lease_as_without_it(api: OperationsClient) -> None:
    task = await api.create_task()
    first = await take_over(api, task["id"], agent_id="ann")
    again = await take_over(api, task["id"], agent_id="ann")
    assert (first["renewed"], again["renewed"]) == (False, True)
    assert again["lock"]["fence"] == first["lock"]["fence"]
    assert await api.events(0, "task.unlocked") == []


async def test_force_does_not_make_an_unready_task_ready(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    first = await api.create_task("Buy paint")
    await api.update_task(number, depends_on=[first["id"]])
    refusal = await api.call_error(NotReady, "acquire_task_lock", task_id=number, force=True)
    assert refusal.details["waiting_for"] == [first["id"]]
    assert (await api.get_task(number))["lock"] == lock


async def test_a_take_over_over_rest_is_one_request(service: HttpService, api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    taken = await service.ok("POST", f"/api/tasks/{number}/lock", {"force": True})
    assert (taken["lock"]["holder"], taken["lock"]["fence"]) == ("local", lock["fence"] + 1)


async def reviewed_task(api: OperationsClient, **more: Any) -> Json:
    """Return the response to a claim for review of the work of ann."""
    number, lock = await claimed_task(api)
    await api.set_status(number, "REVIEW", "ann", fence=lock["fence"], summary="painted")
    return await api.claim_next("bob", kind="review", **more)


@pytest.mark.parametrize("who", [{}, {"agent_id": "boss"}], ids=["person", "agent id"])
async def test_a_take_over_of_a_review_continues_the_review_of_the_same_work(api: OperationsClient, who: Json) -> None:
    claimed = await reviewed_task(api)
    number, digest = claimed["task"]["id"], claimed["submission"]["digest"]
    conflicting = await api.create_task("Cut the hedge", conflicts_with=[number])
    since = await api.last_seq()
    taken = await take_over(api, number, **who)
    assert (taken["task"]["status"], taken["lock"]["kind"]) == ("REVIEW", "review")
    assert taken["lock"]["fence"] == claimed["lock"]["fence"] + 1
    assert (taken["submission"]["digest"], taken["submission"]["is_current"]) == (digest, True)
    types = [event["type"] for event in await api.events(since)]
    assert types == ["task.logged", "task.unlocked", "task.locked"]
    assert (await api.get_task(conflicting["id"]))["ready"] is True
    verdict = {"task_id": number, "digest": digest, "verdict": "approved"}
    await api.call_error(LockHeld, "review_task", **verdict, agent_id="bob")
    assert (await api.call("review_task", **verdict, **who))["status"] == "DONE"
    check(api)


async def test_a_review_that_was_taken_over_waits_for_a_reviewer_after_its_release(api: OperationsClient) -> None:
    claimed = await reviewed_task(api)
    await take_over(api, claimed["task"]["id"], agent_id="boss")
    released = await api.release(claimed["task"]["id"], "boss", failed=True)
    assert (released["task"]["status"], released["task"]["attempts"]) == ("REVIEW", 0)
    again = await api.claim_next("cid", kind="review")
    assert again["submission"]["digest"] == claimed["submission"]["digest"]
    check(api)


async def test_the_author_does_not_take_over_the_review_of_its_own_work(api: OperationsClient) -> None:
    claimed = await reviewed_task(api)
    number = claimed["task"]["id"]
    refusal = await api.call_error(OwnReview, "acquire_task_lock", task_id=number, agent_id="ann", force=True)
    assert "release_task_lock" in refusal.hint
    assert (await api.get_task(number))["lock"]["holder"] == "bob"
    await api.release(number, "ann", force=True)
    assert (await api.claim(number, "ann"))["kind"] == "work"
    check(api)


async def test_a_review_is_taken_over_while_conflicting_work_runs_and_not_while_it_is_paused(
    api: OperationsClient,
) -> None:
    claimed = await reviewed_task(api)
    number = claimed["task"]["id"]
    conflicting = await api.create_task("Cut the hedge", conflicts_with=[number])
    await api.claim(conflicting["id"], "cid")
    assert (await take_over(api, number, agent_id="boss"))["lock"]["kind"] == "review"
    await api.call("start_pause", scope="task", id=str(number))
    await api.call_error(Paused, "acquire_task_lock", task_id=number, agent_id="cid", force=True)
    check(api)


async def test_a_review_of_a_submission_that_was_voided_is_taken_over_for_work(api: OperationsClient) -> None:
    claimed = await reviewed_task(api)
    number = claimed["task"]["id"]
    await api.update_task(number, name="Paint the gate", force=True)
    taken = await take_over(api, number, agent_id="boss")
    assert (taken["task"]["status"], taken["lock"]["kind"]) == ("IN_PROGRESS", "work")
    check(api)


async def test_a_forced_status_review_ends_the_review_and_keeps_the_submission(api: OperationsClient) -> None:
    claimed = await reviewed_task(api)
    number = claimed["task"]["id"]
    moved = await api.set_status(number, "REVIEW", force=True)
    assert (moved["lock"], moved["submission"]) == (None, None)
    again = await api.claim_next("cid", kind="review")
    assert again["submission"]["digest"] == claimed["submission"]["digest"]
    check(api)
