"""Fencing tokens: a stale write is refused from every caller."""

import pytest

from project_manager.domain.errors import FenceRequired, StaleFence
from tests.integration.claimed_task import claimed_task, each_write
from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient

# fences


@pytest.mark.parametrize("who", [{}, {"agent_id": "boss"}], ids=["person", "agent id"])
@pytest.mark.parametrize(
    ("operation", "more", "logged"),
    [
        ("update_task_status", {"status": "TODO"}, []),
        ("update_task_status", {"status": "TODO", "note": "too slow"}, ["too slow"]),
        ("update_task", {"status": "TODO"}, []),
        ("update_task", {"status": "TODO", "priority": 0, "log_entry": "too slow"}, ["too slow"]),
    ],
)
async def test_force_takes_over_a_claimed_task_with_any_other_fields(
    api: OperationsClient, who: Json, operation: str, more: Json, logged: list[str]
) -> None:
    number, _ = await claimed_task(api)
    since = await api.last_seq()
    await api.call(operation, task_id=number, force=True, **more, **who)
    seen = await api.get_task(number)
    assert (seen["status"], seen["lock"]) == ("TODO", None)
    ended = f"{who.get('agent_id', 'local')} ended the lease of ann"
    assert [entry["body"] for entry in await api.logs(number)] == [*logged, ended]
    (unlocked,) = await api.events(since, "task.unlocked")
    assert (unlocked["reason"], unlocked["agent_id"]) == ("forced", "ann")
    check(api)


async def test_force_does_not_make_a_stale_fence_good(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    stale = {"task_id": number, "status": "TODO", "agent_id": "ann", "fence": lock["fence"] + 1, "force": True}
    await api.call_error(StaleFence, "update_task_status", **stale, note="x")
    await api.call_error(StaleFence, "update_task", **stale, priority=0)
    assert (await api.get_task(number))["lock"] == lock


@pytest.mark.promise("lease:fence-grows")
async def test_every_lease_of_a_task_has_a_higher_fence_than_the_one_before(api: OperationsClient) -> None:
    task = await api.create_task()
    number, fences = task["id"], []
    for ending in ("release", "failed", "expiry", "force", "status", "single call"):
        fences.append((await api.claim(number, "ann", ttl_seconds=10))["fence"])
        if ending == "expiry":
            await api.advance(10)
        elif ending == "status":
            await api.set_status(number, "TODO", "ann")
        elif ending == "single call":
            await api.release(number, "ann")
            await api.set_status(number, "REVIEW", "bob")
            await api.set_status(number, "TODO")
        else:
            await api.release(
                number, "ann" if ending != "force" else None, failed=ending == "failed", force=ending == "force"
            )
    fences.append((await api.claim(number, "bob"))["fence"])
    assert fences == sorted(set(fences))
    check(api)


@pytest.mark.promise("lease:fencing")
@each_write
async def test_a_stale_fence_is_refused_after_expiry(api: OperationsClient, operation: str, more: Json) -> None:
    number, lock = await claimed_task(api, ttl_seconds=10)
    await api.advance(10)
    refusal = await api.call_error(StaleFence, operation, task_id=number, agent_id="ann", fence=lock["fence"], **more)
    assert refusal.details["holder"] is None
    assert refusal.hint
    found = await api.get_task(number)
    assert (found["status"], found["priority"], found["lock"]) == ("TODO", 2, None)


@pytest.mark.promise("lease:fencing")
@each_write
async def test_a_stale_fence_is_refused_when_another_holds_the_task(
    api: OperationsClient, operation: str, more: Json
) -> None:
    number, lock = await claimed_task(api, ttl_seconds=10)
    await api.advance(10)
    present = await api.claim(number, "bob")
    refusal = await api.call_error(StaleFence, operation, task_id=number, agent_id="ann", fence=lock["fence"], **more)
    assert refusal.details == {
        "task_id": number,
        "holder": "bob",
        "fence": present["fence"],
        "expires_at": present["expires_at"],
        "ended": {"agent_id": "ann", "fence": 1, "ended_at": lock["expires_at"], "reason": "lock_expired"},
    }
    assert (await api.get_task(number))["lock"] == present


@pytest.mark.promise("lease:fencing")
@each_write
async def test_a_stale_fence_of_the_same_agent_is_refused_under_its_new_lease(
    api: OperationsClient, operation: str, more: Json
) -> None:
    number, old = await claimed_task(api, ttl_seconds=10)
    await api.advance(10)
    present = await api.claim(number, "ann")
    await api.call_error(StaleFence, operation, task_id=number, agent_id="ann", fence=old["fence"], **more)
    assert (await api.get_task(number))["lock"] == present


@pytest.mark.promise("lease:fencing")
@each_write
async def test_once_a_holder_has_sent_its_fence_it_must_send_it_with_every_write(
    api: OperationsClient, operation: str, more: Json
) -> None:
    number, lock = await claimed_task(api)
    await api.call("renew_task_lock", task_id=number, agent_id="ann", fence=lock["fence"])
    refusal = await api.call_error(FenceRequired, operation, task_id=number, agent_id="ann", **more)
    assert refusal.details["fence"] == lock["fence"]
    await api.call(operation, task_id=number, agent_id="ann", fence=lock["fence"], **more)
    check(api)


@pytest.mark.promise("lease:fencing")
@pytest.mark.parametrize(
    ("operation", "more"),
    [("add_task_log", {"body": "x"}), ("update_task", {"priority": 1}), ("acquire_task_lock", {})],
)
async def test_a_fence_sent_with_any_write_is_required_afterwards(
    api: OperationsClient, operation: str, more: Json
) -> None:
    number, lock = await claimed_task(api)
    await api.call(operation, task_id=number, agent_id="ann", fence=lock["fence"], **more)
    await api.call_error(FenceRequired, "release_task_lock", task_id=number, agent_id="ann")


@pytest.mark.promise("lease:fencing")
async def test_the_fence_need_not_be_sent_under_the_next_lease(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    await api.release(number, "ann", fence=lock["fence"])
    await api.claim(number, "ann")
    await api.call("renew_task_lock", task_id=number, agent_id="ann")


@pytest.mark.promise("lease:fencing")
async def test_a_comment_under_a_stale_fence_is_refused_too(api: OperationsClient) -> None:
    number, lock = await claimed_task(api, ttl_seconds=10)
    await api.advance(10)
    await api.call_error(
        StaleFence, "add_task_log", task_id=number, agent_id="ann", fence=lock["fence"], body="x", kind="comment"
    )


@pytest.mark.promise("lease:fencing")
async def test_a_fence_from_the_future_is_refused(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    await api.call_error(
        StaleFence, "update_task_status", task_id=number, agent_id="ann", fence=lock["fence"] + 1, status="DONE"
    )
