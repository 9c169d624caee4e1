"""Expired leases, failed attempts, and statuses that are set in a single call."""

from threading import Event

import anyio
import anyio.to_thread
import pytest

from project_manager.clock import rfc3339
from project_manager.domain.errors import LockHeld, NotReady, ProjectManagerError, StaleFence
from tests.integration.claimed_task import claimed_task
from tests.integration.invariants import check
from tests.operations_client import TIMEOUT, OperationsClient
from tests.stored_rows import address_of, rows, snapshot

# expiry


@pytest.mark.promise("lease:expiry")
@pytest.mark.parametrize("status", ["TODO", "BACKLOG", "REVIEW", "BLOCKED"])
async def test_an_expired_task_goes_back_to_where_it_was_claimed_from(api: OperationsClient, status: str) -> None:
    task = await api.create_task()
    await api.set_status(task["id"], status)
    lock = await api.claim(task["id"], "ann", ttl_seconds=30)
    since = await api.last_seq()
    await api.advance(30)
    found = await api.get_task(task["id"])
    assert (found["status"], found["lock"], found["attempts"]) == (status, None, 1)
    events = await api.events(since)
    assert [event["type"] for event in events] == [
        "task.logged",
        "task.status_changed",
        "task.unlocked",
        *(["task.ready"] if status == "TODO" else []),
    ]
    assert all(event["actor"] == {"id": "system", "kind": "system"} for event in events)
    assert (events[2]["reason"], events[2]["agent_id"]) == ("lock_expired", "ann")
    (entry,) = await api.logs(task["id"])
    assert (entry["kind"], entry["author"]) == ("system", "system")
    assert entry["body"] == f"the lease of ann (fence {lock['fence']}) expired at {lock['expires_at']}"
    check(api)


@pytest.mark.promise("lease:expiry")
async def test_a_lease_holds_until_its_last_millisecond_and_not_one_longer(api: OperationsClient) -> None:
    number, lock = await claimed_task(api, ttl_seconds=10)
    api.clock.advance(9.999)
    assert (await api.call_error(LockHeld, "acquire_task_lock", task_id=number, agent_id="bob")).details["fence"]
    api.clock.advance(0.001)
    assert (await api.claim(number, "bob"))["fence"] > lock["fence"]


@pytest.mark.promise("lease:expiry")
async def test_reads_show_an_expired_lease_as_none_before_it_is_swept(api: OperationsClient) -> None:
    number, _ = await claimed_task(api, ttl_seconds=10)
    api.clock.advance(10)
    assert (await api.get_task(number))["lock"] is None


@pytest.mark.promise("lease:expiry")
async def test_an_expired_task_is_offered_again_at_once(api: OperationsClient) -> None:
    number, _ = await claimed_task(api, ttl_seconds=10)
    api.clock.advance(10)
    claimed = await api.claim_next("bob")
    assert (claimed["task"]["id"], claimed["lock"]["holder"]) == (number, "bob")
    check(api)


@pytest.mark.promise("lease:expiry")
async def test_the_message_of_a_stale_write_names_the_present_holder_and_the_next_step(api: OperationsClient) -> None:
    number, _ = await claimed_task(api, ttl_seconds=10)
    await api.advance(10)
    lock = await api.claim(number, "bob")
    refusal = await api.call_error(StaleFence, "renew_task_lock", task_id=number, agent_id="ann", fence=1)
    assert "bob" in refusal.message
    assert lock["expires_at"] in refusal.message
    assert "another task" in refusal.hint


# attempts


@pytest.mark.promise("lease:attempts")
@pytest.mark.parametrize("settings", [{"MAX_ATTEMPTS": 2}])
@pytest.mark.parametrize("ending", ["expired", "failed"])
async def test_at_the_cap_of_attempts_a_task_is_blocked_for_a_person(api: OperationsClient, ending: str) -> None:
    task = await api.create_task()
    for _ in range(2):
        await api.claim(task["id"], "ann", ttl_seconds=10)
        if ending == "expired":
            await api.advance(10)
        else:
            await api.release(task["id"], "ann", failed=True)
    found = await api.get_task(task["id"])
    assert (found["status"], found["attempts"]) == ("BLOCKED", 2)
    assert (await api.logs(task["id"]))[-1]["body"] == "2 failed attempts: BLOCKED until a person reviews it"
    assert (await api.claim_next("bob"))["task"] is None
    check(api)


@pytest.mark.promise("lease:attempts")
@pytest.mark.parametrize("settings", [{"MAX_ATTEMPTS": 0}])
async def test_without_a_cap_a_task_is_offered_after_any_number_of_failures(api: OperationsClient) -> None:
    task = await api.create_task()
    for _ in range(7):
        await api.claim(task["id"], "ann")
        await api.release(task["id"], "ann", failed=True)
    assert (await api.get_task(task["id"]))["attempts"] == 7
    assert (await api.claim_next("bob"))["task"]["id"] == task["id"]


@pytest.mark.promise("lease:attempts")
async def test_a_plain_release_is_no_failed_attempt(api: OperationsClient) -> None:
    number, _ = await claimed_task(api)
    await api.release(number, "ann", failed=True)
    await api.claim(number, "ann")
    await api.release(number, "ann")
    assert (await api.get_task(number))["attempts"] == 1


@pytest.mark.promise("lease:attempts")
@pytest.mark.parametrize("by", ["success", "person", "edit"])
async def test_a_success_or_a_person_resets_failed_attempts(api: OperationsClient, by: str) -> None:
    number, _ = await claimed_task(api)
    await api.release(number, "ann", failed=True)
    if by == "success":
        await api.set_status(number, "DONE", "ann")
    elif by == "person":
        await api.set_status(number, "BACKLOG")
    else:
        await api.update_task(number, attempts=0)
    assert (await api.get_task(number))["attempts"] == 0


@pytest.mark.promise("lease:attempts")
async def test_an_agent_does_not_reset_the_failed_attempts_of_a_task(api: OperationsClient) -> None:
    number, _ = await claimed_task(api)
    await api.release(number, "ann", failed=True)
    await api.set_status(number, "BACKLOG", "ann")
    await api.set_status(number, "TODO", "ann")
    assert (await api.get_task(number))["attempts"] == 1


# in a single call


@pytest.mark.promise("lease:single-call")
@pytest.mark.parametrize("status", ["DONE", "REVIEW", "BLOCKED", "CANCELLED", "BACKLOG"])
async def test_a_status_is_set_in_one_call_on_a_task_without_a_lease(api: OperationsClient, status: str) -> None:
    task = await api.create_task()
    moved = await api.set_status(task["id"], status, "ann")
    assert (moved["status"], moved["previous_status"], moved["lock"], moved["lock_released"]) == (
        status,
        "TODO",
        None,
        True,
    )
    assert moved["task"]["fence"] == task["fence"] + 1
    check(api)


@pytest.mark.promise("lease:single-call")
async def test_towards_in_progress_a_single_call_keeps_the_lease(api: OperationsClient) -> None:
    task = await api.create_task()
    moved = await api.set_status(task["id"], "IN_PROGRESS", "ann")
    assert (moved["lock"]["holder"], moved["lock"]["ttl_seconds"], moved["lock_released"]) == ("ann", 300, False)
    await api.call_error(LockHeld, "update_task_status", task_id=task["id"], status="DONE", agent_id="bob")


@pytest.mark.promise("lease:single-call")
@pytest.mark.parametrize("status", ["IN_PROGRESS", "REVIEW", "DONE"])
async def test_a_single_call_does_not_bypass_blockers(api: OperationsClient, status: str) -> None:
    first = await api.create_task("first")
    second = await api.create_task("second", depends_on=[first["id"]])
    await api.call_error(NotReady, "update_task_status", task_id=second["id"], status=status, agent_id="ann")
    assert (await api.get_task(second["id"]))["status"] == "TODO"


@pytest.mark.promise("lease:single-call")
async def test_a_single_call_makes_the_fences_before_it_stale(api: OperationsClient) -> None:
    number, lock = await claimed_task(api, ttl_seconds=10)
    await api.advance(10)
    await api.set_status(number, "REVIEW", "bob")
    refusal = await api.call_error(
        StaleFence, "update_task_status", task_id=number, agent_id="ann", fence=lock["fence"], status="DONE"
    )
    assert refusal.details["fence"] == lock["fence"] + 1


async def test_a_failed_write_is_rolled_back(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    since = await api.last_seq()
    refusals: list[type[ProjectManagerError]] = [LockHeld, LockHeld]
    await api.call_error(refusals[0], "update_task_status", task_id=number, agent_id="bob", status="DONE", note="mine")
    await api.call_error(refusals[1], "release_task_lock", task_id=number, agent_id="bob", handoff="mine")
    assert await api.events(since) == await api.logs(number) == []
    assert (await api.get_task(number))["lock"] == lock
    assert rfc3339(api.clock.now()) < lock["expires_at"]


async def test_a_read_of_another_thread_from_before_a_claim_does_not_delay_the_expiry(api: OperationsClient) -> None:
    task = await api.create_task()
    has_begun, has_claimed = Event(), Event()

    def read() -> None:
        with snapshot(address_of(api.runtime)) as before:
            rows(before, "SELECT * FROM tasks")  # the snapshot begins with the first read
            has_begun.set()
            assert has_claimed.wait(TIMEOUT)
            api.runtime.database.writer.others_committed(before)

    async with anyio.create_task_group() as threads:
        threads.start_soon(anyio.to_thread.run_sync, read)
        await anyio.to_thread.run_sync(has_begun.wait, TIMEOUT)
        await api.claim(task["id"], "ann", ttl_seconds=10)
        has_claimed.set()
    await api.advance(10)
    assert (await api.events())[-1]["type"] == "task.ready"
