"""Expired leases, failed attempts, and statuses that are set in a single call."""

import pytest

from project_manager.clock import rfc3339
from project_manager.domain.errors import (
    LockHeld,
    NotReady,
    ProjectManagerError,
    StaleFence,
)
from tests.desk import Desk
from tests.integration.held import claimed_task
from tests.integration.invariants import check

# expiry


@pytest.mark.promise("lease:expiry")
@pytest.mark.parametrize("status", ["TODO", "BACKLOG", "REVIEW", "BLOCKED"])
async def test_an_expired_task_goes_back_to_where_it_was_claimed_from(desk: Desk, status: str) -> None:
    task = await desk.task()
    await desk.set_status(task["id"], status)
    lock = await desk.claim(task["id"], "ann", ttl_seconds=30)
    since = await desk.head()
    await desk.pass_time(30)
    found = await desk.look(task["id"])
    assert (found["status"], found["lock"], found["attempts"]) == (status, None, 1)
    events = await desk.events(since)
    assert [event["type"] for event in events] == [
        "task.logged",
        "task.status_changed",
        "task.unlocked",
        *(["task.ready"] if status == "TODO" else []),
    ]
    assert all(event["actor"] == {"id": "system", "kind": "system"} for event in events)
    assert (events[2]["reason"], events[2]["agent_id"]) == ("lock_expired", "ann")
    (entry,) = await desk.logs(task["id"])
    assert (entry["kind"], entry["author"]) == ("system", "system")
    assert entry["body"] == f"the lease of ann (fence {lock['fence']}) expired at {lock['expires_at']}"
    check(desk)


@pytest.mark.promise("lease:expiry")
async def test_a_lease_holds_until_its_last_millisecond_and_not_one_longer(desk: Desk) -> None:
    number, lock = await claimed_task(desk, ttl_seconds=10)
    desk.clock.advance(9.999)
    assert (await desk.refused(LockHeld, "acquire_task_lock", task_id=number, agent_id="bob")).details["fence"]
    desk.clock.advance(0.001)
    assert (await desk.claim(number, "bob"))["fence"] > lock["fence"]


@pytest.mark.promise("lease:expiry")
async def test_reads_show_an_expired_lease_as_none_before_it_is_swept(desk: Desk) -> None:
    number, _ = await claimed_task(desk, ttl_seconds=10)
    desk.clock.advance(10)
    assert (await desk.look(number))["lock"] is None


@pytest.mark.promise("lease:expiry")
async def test_an_expired_task_is_offered_again_at_once(desk: Desk) -> None:
    number, _ = await claimed_task(desk, ttl_seconds=10)
    desk.clock.advance(10)
    claimed = await desk.next("bob")
    assert (claimed["task"]["id"], claimed["lock"]["holder"]) == (number, "bob")
    check(desk)


@pytest.mark.promise("lease:expiry")
async def test_the_message_of_a_stale_write_names_the_present_holder_and_the_next_step(desk: Desk) -> None:
    number, _ = await claimed_task(desk, ttl_seconds=10)
    await desk.pass_time(10)
    lock = await desk.claim(number, "bob")
    refusal = await desk.refused(StaleFence, "renew_task_lock", task_id=number, agent_id="ann", fence=1)
    assert "bob" in refusal.message
    assert lock["expires_at"] in refusal.message
    assert "another task" in refusal.hint


# attempts


@pytest.mark.promise("lease:attempts")
@pytest.mark.parametrize("settings", [{"MAX_ATTEMPTS": 2}])
@pytest.mark.parametrize("ending", ["expired", "failed"])
async def test_at_the_cap_of_attempts_a_task_is_blocked_for_a_person(desk: Desk, ending: str) -> None:
    task = await desk.task()
    for _ in range(2):
        await desk.claim(task["id"], "ann", ttl_seconds=10)
        if ending == "expired":
            await desk.pass_time(10)
        else:
            await desk.release(task["id"], "ann", failed=True)
    found = await desk.look(task["id"])
    assert (found["status"], found["attempts"]) == ("BLOCKED", 2)
    assert (await desk.logs(task["id"]))[-1]["body"] == "2 failed attempts: BLOCKED until a person reviews it"
    assert (await desk.next("bob"))["task"] is None
    check(desk)


@pytest.mark.promise("lease:attempts")
@pytest.mark.parametrize("settings", [{"MAX_ATTEMPTS": 0}])
async def test_without_a_cap_a_task_is_offered_after_any_number_of_failures(desk: Desk) -> None:
    task = await desk.task()
    for _ in range(7):
        await desk.claim(task["id"], "ann")
        await desk.release(task["id"], "ann", failed=True)
    assert (await desk.look(task["id"]))["attempts"] == 7
    assert (await desk.next("bob"))["task"]["id"] == task["id"]


@pytest.mark.promise("lease:attempts")
async def test_a_plain_release_is_no_failed_attempt(desk: Desk) -> None:
    number, _ = await claimed_task(desk)
    await desk.release(number, "ann", failed=True)
    await desk.claim(number, "ann")
    await desk.release(number, "ann")
    assert (await desk.look(number))["attempts"] == 1


@pytest.mark.promise("lease:attempts")
@pytest.mark.parametrize("by", ["success", "person", "edit"])
async def test_a_success_or_a_person_resets_failed_attempts(desk: Desk, by: str) -> None:
    number, _ = await claimed_task(desk)
    await desk.release(number, "ann", failed=True)
    if by == "success":
        await desk.set_status(number, "DONE", "ann")
    elif by == "person":
        await desk.set_status(number, "BACKLOG")
    else:
        await desk.edit(number, attempts=0)
    assert (await desk.look(number))["attempts"] == 0


@pytest.mark.promise("lease:attempts")
async def test_an_agent_does_not_reset_the_failed_attempts_of_a_task(desk: Desk) -> None:
    number, _ = await claimed_task(desk)
    await desk.release(number, "ann", failed=True)
    await desk.set_status(number, "BACKLOG", "ann")
    await desk.set_status(number, "TODO", "ann")
    assert (await desk.look(number))["attempts"] == 1


# in a single call


@pytest.mark.promise("lease:single-call")
@pytest.mark.parametrize("status", ["DONE", "REVIEW", "BLOCKED", "CANCELLED", "BACKLOG"])
async def test_a_status_is_set_in_one_call_on_a_task_without_a_lease(desk: Desk, status: str) -> None:
    task = await desk.task()
    moved = await desk.set_status(task["id"], status, "ann")
    assert (moved["status"], moved["previous_status"], moved["lock"], moved["lock_released"]) == (
        status,
        "TODO",
        None,
        True,
    )
    assert moved["task"]["fence"] == task["fence"] + 1
    check(desk)


@pytest.mark.promise("lease:single-call")
async def test_towards_in_progress_a_single_call_keeps_the_lease(desk: Desk) -> None:
    task = await desk.task()
    moved = await desk.set_status(task["id"], "IN_PROGRESS", "ann")
    assert (moved["lock"]["holder"], moved["lock"]["ttl_seconds"], moved["lock_released"]) == ("ann", 300, False)
    await desk.refused(LockHeld, "update_task_status", task_id=task["id"], status="DONE", agent_id="bob")


@pytest.mark.promise("lease:single-call")
@pytest.mark.parametrize("status", ["IN_PROGRESS", "REVIEW", "DONE"])
async def test_a_single_call_does_not_bypass_blockers(desk: Desk, status: str) -> None:
    first = await desk.task("first")
    second = await desk.task("second", depends_on=[first["id"]])
    await desk.refused(NotReady, "update_task_status", task_id=second["id"], status=status, agent_id="ann")
    assert (await desk.look(second["id"]))["status"] == "TODO"


@pytest.mark.promise("lease:single-call")
async def test_a_single_call_makes_the_fences_before_it_stale(desk: Desk) -> None:
    number, lock = await claimed_task(desk, ttl_seconds=10)
    await desk.pass_time(10)
    await desk.set_status(number, "REVIEW", "bob")
    refusal = await desk.refused(
        StaleFence, "update_task_status", task_id=number, agent_id="ann", fence=lock["fence"], status="DONE"
    )
    assert refusal.details["fence"] == lock["fence"] + 1


async def test_a_failed_write_is_rolled_back(desk: Desk) -> None:
    number, lock = await claimed_task(desk)
    since = await desk.head()
    refusals: list[type[ProjectManagerError]] = [LockHeld, LockHeld]
    await desk.refused(refusals[0], "update_task_status", task_id=number, agent_id="bob", status="DONE", note="mine")
    await desk.refused(refusals[1], "release_task_lock", task_id=number, agent_id="bob", handoff="mine")
    assert await desk.events(since) == await desk.logs(number) == []
    assert (await desk.look(number))["lock"] == lock
    assert rfc3339(desk.clock.now()) < lock["expires_at"]
