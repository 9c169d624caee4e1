"""Refused writes under a lease name the ended lease, its end, the state of the task, and the next step."""

import pytest

from project_manager.domain.errors import LockHeld, NotHeld, StaleFence
from tests.integration.claimed_task import claimed_task, each_write
from tests.operations_client import Json, OperationsClient

FROM_10_10 = "2026-11-23T10:00:10.000Z"


@pytest.mark.promise("lease:error-remedy")
@each_write
async def test_after_an_expired_lease_the_free_task_can_be_claimed_again(
    api: OperationsClient, operation: str, more: Json
) -> None:
    number, lock = await claimed_task(api, ttl_seconds=10)
    await api.advance(10)
    write = {"task_id": number, "agent_id": "ann", "fence": lock["fence"], **more}
    refusal = await api.call_error(StaleFence, operation, **write)
    assert refusal.message == (
        f"fence 1 of task {number} is stale: your lease ended at {FROM_10_10}: it expired; the task is TODO and free"
    )
    assert f"acquire_task_lock (task_id {number})" in refusal.hint
    again = await api.claim(number, "ann")
    await api.call(operation, **{**write, "fence": again["fence"]})


@pytest.mark.promise("lease:error-remedy")
async def test_a_take_over_is_reported_to_the_former_holder_with_its_fence_and_without(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    taken = (await api.call("acquire_task_lock", task_id=number, force=True))["lock"]
    write: Json = {"task_id": number, "agent_id": "ann", "body": "half way"}
    for refusal in (
        await api.call_error(StaleFence, "add_task_log", **write, fence=lock["fence"]),
        await api.call_error(LockHeld, "add_task_log", **write),
        await api.call_error(LockHeld, "renew_task_lock", task_id=number, agent_id="ann"),
    ):
        assert "fence 1" in refusal.message
        assert "your lease" in refusal.message
        assert "it was ended by force" in refusal.message
        assert f"locked by local with fence 2 until {taken['expires_at']}" in refusal.message
        assert "another task" in refusal.hint
        assert (refusal.details["holder"], refusal.details["fence"]) == ("local", 2)
        assert refusal.details["ended"]["reason"] == "forced"  # type: ignore[index]


async def test_an_agent_that_never_claimed_the_task_learns_its_holder_only(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    refusal = await api.call_error(LockHeld, "acquire_task_lock", task_id=number, agent_id="bob")
    assert refusal.message == f"task {number} is locked by ann until {lock['expires_at']}"
    assert "ended" not in refusal.details


@pytest.mark.parametrize(("more", "words"), [({}, "it was released"), ({"failed": True}, "it was released as failed")])
async def test_the_fence_of_another_agents_lease_is_named_as_such(
    api: OperationsClient, more: Json, words: str
) -> None:
    number, lock = await claimed_task(api)
    await api.call("release_task_lock", task_id=number, agent_id="ann", **more)
    refusal = await api.call_error(StaleFence, "renew_task_lock", task_id=number, agent_id="bob", fence=lock["fence"])
    assert "fence 1 of task 1 is stale: the lease of ann ended at" in refusal.message
    assert refusal.message.endswith(f"{words}; the task is TODO and free")


@pytest.mark.promise("lease:error-remedy")
async def test_a_fence_that_never_was_is_not_called_an_old_one(api: OperationsClient) -> None:
    task = await api.create_task()
    write = {"task_id": task["id"], "agent_id": "ann", "status": "DONE", "fence": 99}
    refusal = await api.call_error(StaleFence, "update_task_status", **write)
    assert (
        refusal.message == "fence 99 was never issued for task 1: the task never had a lease; the task is TODO and free"
    )
    await api.claim(task["id"], "ann")
    refusal = await api.call_error(StaleFence, "update_task_status", **write)
    assert "fence 99 was never issued for task 1: its newest fence is 1" in refusal.message
    assert refusal.hint == "Your agent id has the lease with fence 1. Send it, unless another session uses your id."
    await api.release(task["id"], "ann")
    refusal = await api.call_error(StaleFence, "update_task_status", **write)
    assert "is stale" not in refusal.message


async def test_an_own_older_fence_names_the_present_one(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    await api.release(number, "ann")
    await api.claim(number, "ann")
    refusal = await api.call_error(StaleFence, "renew_task_lock", task_id=number, agent_id="ann", fence=lock["fence"])
    assert "fence 1 of task 1 is stale: your lease ended" in refusal.message
    assert "fence 2" in refusal.hint


async def test_a_lost_lease_is_reported_also_when_no_lease_is_left_to_use(api: OperationsClient) -> None:
    number, _ = await claimed_task(api, ttl_seconds=10)
    await api.advance(10)
    for operation in ("renew_task_lock", "release_task_lock"):
        refusal = await api.call_error(NotHeld, operation, task_id=number, agent_id="ann")
        assert "it expired; the task is TODO and free" in refusal.message
        assert "acquire_task_lock" in refusal.hint
    refusal = await api.call_error(NotHeld, "renew_task_lock", task_id=number, agent_id="bob")
    assert refusal.message == f"task {number} is not locked: bob has no lease on it"


async def test_the_blockers_are_named_if_the_task_cannot_be_claimed_again(api: OperationsClient) -> None:
    number, lock = await claimed_task(api, ttl_seconds=10)
    await api.advance(10)
    first = await api.create_task("Buy paint")
    await api.update_task(number, depends_on=[first["id"]])
    refusal = await api.call_error(StaleFence, "renew_task_lock", task_id=number, agent_id="ann", fence=lock["fence"])
    words = f"the task is TODO, not locked, and cannot be claimed: depends on unfinished task #{first['id']}"
    assert words in refusal.message
    assert "acquire_task_lock" not in refusal.hint
    await api.update_task(number, depends_on=[])
    await api.set_status(number, "CANCELLED")
    refusal = await api.call_error(StaleFence, "renew_task_lock", task_id=number, agent_id="ann", fence=lock["fence"])
    assert refusal.message.endswith("; the task is CANCELLED")
    assert refusal.hint == "Claim another task with claim_next_task. A person can reopen it."
