"""Leases of tasks by id: claim, exclusion, renewal, release."""

import pytest

from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import Invalid, InvalidTransition, LockHeld, NotHeld, RoleRequired, TaskNotFound
from tests.integration.claimed_task import claimed_task, each_write
from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient

# claim


@pytest.mark.promise("claim:by-name")
async def test_a_claim_answers_with_the_lock_and_sets_the_status_with_it(api: OperationsClient) -> None:
    task = await api.create_task()
    answer = await api.call("acquire_task_lock", task_id=task["id"], agent_id="ann")
    expected = {
        "task_id": task["id"],
        "holder": "ann",
        "fence": 1,
        "acquired_at": api.clock.later(0),
        "expires_at": api.clock.later(300),
        "ttl_seconds": 300,
        "kind": "work",
    }
    assert answer["lock"] == answer["task"]["lock"] == expected
    assert answer["task"]["status"] == "IN_PROGRESS"
    assert answer["task"]["version"] == task["version"] + 1
    assert (answer["success"], answer["agent_id"], answer["expires_at"], answer["timeout"]) == (
        True,
        "ann",
        api.clock.later(300),
        300,
    )
    check(api)


@pytest.mark.parametrize("name", ["ttl_seconds", "timeout", "duration_seconds"])
@pytest.mark.parametrize("seconds", [1, 3600])
async def test_the_length_of_a_lease_is_accepted_under_all_of_its_names(
    api: OperationsClient, name: str, seconds: int
) -> None:
    _, lock = await claimed_task(api, **{name: seconds})
    assert lock["ttl_seconds"] == seconds
    assert lock["expires_at"] == api.clock.later(seconds)


@pytest.mark.parametrize("seconds", [0, -5, 3601, 10**9, "soon", 1.5, True, None])
async def test_a_length_out_of_range_is_refused_and_nothing_is_claimed(api: OperationsClient, seconds: object) -> None:
    task = await api.create_task()
    refusal = await api.call_error(
        Invalid, "acquire_task_lock", task_id=task["id"], agent_id="ann", ttl_seconds=seconds
    )
    assert [fault["field"] for fault in refusal.details["errors"]] == ["ttl_seconds"]  # type: ignore[attr-defined]
    assert (await api.get_task(task["id"]))["lock"] is None


@pytest.mark.promise("claim:by-name")
@pytest.mark.parametrize("status", ["BACKLOG", "REVIEW", "BLOCKED", "IN_PROGRESS"])
async def test_a_task_without_a_lease_is_claimed_by_id_from_other_statuses(api: OperationsClient, status: str) -> None:
    task = await api.create_task()
    await api.set_status(task["id"], status)
    assert (await api.claim(task["id"], "ann"))["holder"] == "ann"
    assert (await api.get_task(task["id"]))["status"] == "IN_PROGRESS"
    check(api)


@pytest.mark.promise("claim:by-name")
@pytest.mark.parametrize("status", ["DONE", "CANCELLED"])
async def test_finished_work_is_not_claimed(api: OperationsClient, status: str) -> None:
    task = await api.create_task()
    await api.set_status(task["id"], status)
    refusal = await api.call_error(InvalidTransition, "acquire_task_lock", task_id=task["id"], agent_id="ann")
    assert "reopen" in refusal.hint
    assert (await api.get_task(task["id"]))["status"] == status


@each_write
async def test_a_write_to_an_unknown_task_is_refused_as_not_found(
    api: OperationsClient, operation: str, more: Json
) -> None:
    refusal = await api.call_error(TaskNotFound, operation, task_id=7, agent_id="ann", **more)
    assert refusal.details == {"task_id": 7}


# exclusion


@pytest.mark.promise("lease:exclusive")
@each_write
async def test_only_the_holder_writes(api: OperationsClient, operation: str, more: Json) -> None:
    number, lock = await claimed_task(api)
    refusal = await api.call_error(LockHeld, operation, task_id=number, agent_id="bob", **more)
    assert refusal.details == {
        "task_id": number,
        "holder": "ann",
        "fence": lock["fence"],
        "expires_at": lock["expires_at"],
    }
    assert "ann" in refusal.message
    assert lock["expires_at"] in refusal.message
    assert "claim_next_task" in refusal.hint
    assert (await api.get_task(number))["lock"] == lock


@pytest.mark.promise("lease:exclusive")
async def test_other_agents_may_comment_on_a_claimed_task(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    api.clock.advance(5)
    await api.call("add_task_log", task_id=number, agent_id="bob", body="look at #3", kind="comment")
    assert (await api.get_task(number))["lock"] == lock


async def test_a_person_edits_a_claimed_task_without_disturbing_its_holder(api: OperationsClient) -> None:
    number, lock = await claimed_task(api, fence=None)
    edited = await api.update_task(number, priority=0)
    assert (edited["priority"], edited["lock"]) == (0, lock)
    assert (await api.set_status(number, "DONE", "ann", fence=lock["fence"]))["status"] == "DONE"


async def test_a_person_takes_over_a_claimed_task_only_with_force(api: OperationsClient) -> None:
    number, _ = await claimed_task(api)
    assert "force=true" in (await api.call_error(LockHeld, "update_task_status", task_id=number, status="TODO")).hint
    moved = await api.set_status(number, "TODO", force=True)
    assert (moved["status"], moved["lock_released"], moved["lock"]) == ("TODO", True, None)
    (unlocked,) = await api.events(0, "task.unlocked")
    assert (unlocked["reason"], unlocked["agent_id"]) == ("forced", "ann")
    check(api)


# renewal


@pytest.mark.promise("lease:renewal")
async def test_the_holder_claiming_again_renews_under_the_same_fence(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    api.clock.advance(100)
    again = await api.call("acquire_task_lock", task_id=number, agent_id="ann", ttl_seconds=300)
    assert again["renewed"] is True
    assert again["lock"] == {**lock, "expires_at": api.clock.later(300)}


@pytest.mark.promise("lease:renewal")
async def test_a_heartbeat_keeps_the_length_of_the_lease(api: OperationsClient) -> None:
    number, lock = await claimed_task(api, ttl_seconds=77)
    api.clock.advance(50)
    renewed = (await api.call("renew_task_lock", task_id=number, agent_id="ann"))["lock"]
    assert renewed == {**lock, "expires_at": api.clock.later(77)}


@pytest.mark.promise("lease:renewal")
@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("update_task", {"priority": 1}),
        ("update_task", {"log_entry": "x"}),
        ("add_task_log", {"body": "x"}),
        ("add_task_log", {"body": "x", "kind": "comment"}),
        ("update_task_status", {"status": "IN_PROGRESS"}),
        ("update_task_status", {"status": "IN_PROGRESS", "note": "x"}),
    ],
)
async def test_every_write_of_the_holder_renews_by_the_length_of_its_own_lease(
    api: OperationsClient, operation: str, more: Json
) -> None:
    number, lock = await claimed_task(api, ttl_seconds=77)
    api.clock.advance(50)
    await api.call(operation, task_id=number, agent_id="ann", **more)
    assert (await api.get_task(number))["lock"] == {**lock, "expires_at": api.clock.later(77)}
    check(api)


@pytest.mark.promise("lease:renewal", "lease:fencing")
@pytest.mark.parametrize("author", [{"agent_id": "ann"}, {}], ids=["agent", "person"])
async def test_a_comment_without_the_fence_is_accepted_and_does_not_renew_a_fenced_lease(
    api: OperationsClient, author: Json
) -> None:
    holder = author.get("agent_id", "local")
    number = (await api.create_task())["id"]
    lock = (await api.call("acquire_task_lock", task_id=number, **author))["lock"]
    await api.call("renew_task_lock", task_id=number, fence=lock["fence"], **author)
    api.clock.advance(50)
    comment = {"task_id": number, "body": "still here?", "kind": "comment", **author}
    assert (await api.call("add_task_log", **comment))["author"] == holder
    assert (await api.get_task(number))["lock"] == lock
    await api.call("add_task_log", **comment, fence=lock["fence"])
    assert (await api.get_task(number))["lock"] == {**lock, "expires_at": api.clock.later(300)}
    check(api)


@pytest.mark.promise("lease:renewal")
async def test_a_renewal_emits_an_event_only_when_it_changes_the_length(api: OperationsClient) -> None:
    number, _ = await claimed_task(api, ttl_seconds=60)
    since = await api.last_seq()
    await api.call("renew_task_lock", task_id=number, agent_id="ann")
    assert await api.events(since) == []
    await api.call("renew_task_lock", task_id=number, agent_id="ann", ttl_seconds=120)
    (event,) = await api.events(since)
    assert (event["type"], event["renewed"], event["timeout"]) == ("task.locked", True, 120)


async def test_a_task_without_a_lease_can_be_neither_renewed_nor_released(api: OperationsClient) -> None:
    task = await api.create_task()
    for operation in ("renew_task_lock", "release_task_lock"):
        assert (
            "acquire_task_lock" in (await api.call_error(NotHeld, operation, task_id=task["id"], agent_id="ann")).hint
        )


# release


@pytest.mark.promise("lease:release")
@pytest.mark.parametrize("status", ["TODO", "BACKLOG", "REVIEW", "BLOCKED"])
async def test_a_released_task_goes_back_to_where_it_was_claimed_from(api: OperationsClient, status: str) -> None:
    task = await api.create_task()
    await api.set_status(task["id"], status)
    await api.claim(task["id"], "ann")
    released = await api.release(task["id"], "ann")
    assert released["task"]["status"] == status
    assert (released["task"]["lock"], released["task"]["attempts"]) == (None, 0)
    (event,) = await api.events(0, "task.unlocked")
    assert (event["reason"], event["agent_id"], event["status"]) == ("explicit_release", "ann", status)
    check(api)


@pytest.mark.promise("lease:release")
async def test_a_task_that_was_in_progress_without_a_holder_returns_to_todo(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.set_status(task["id"], "IN_PROGRESS")
    await api.claim(task["id"], "ann")
    assert (await api.release(task["id"], "ann"))["task"]["status"] == "TODO"


@pytest.mark.promise("lease:release")
async def test_a_handoff_note_is_in_the_log_for_the_next_holder(api: OperationsClient) -> None:
    number, _ = await claimed_task(api)
    await api.release(number, "ann", handoff="the parser is done, the tests are not")
    (entry,) = await api.logs(number)
    assert (entry["kind"], entry["author"], entry["body"]) == (
        "handoff",
        "ann",
        "the parser is done, the tests are not",
    )


@pytest.mark.promise("lease:release")
async def test_an_operator_ends_the_lease_of_another_which_is_recorded(api: OperationsClient) -> None:
    number, _ = await claimed_task(api)
    released = await api.release(number, force=True)
    assert (released["agent_id"], released["task"]["status"], released["task"]["attempts"]) == ("ann", "TODO", 0)
    (entry,) = await api.logs(number)
    assert (entry["kind"], entry["body"]) == ("system", "local ended the lease of ann")
    (event,) = await api.events(0, "task.unlocked")
    assert (event["reason"], event["agent_id"], event["actor"]) == ("forced", "ann", {"id": "local", "kind": "human"})


@pytest.mark.promise("lease:release", "access:roles")
@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("acquire_task_lock", {}),
        ("release_task_lock", {}),
        ("update_task_status", {"status": "TODO"}),
        ("update_task", {"status": "TODO"}),
    ],
)
async def test_force_is_for_operators_only(api: OperationsClient, operation: str, more: Json) -> None:
    number, lock = await claimed_task(api)
    bob = api.acting_as(Actor("bob", "agent", Role.AGENT))
    await bob.call_error(RoleRequired, operation, task_id=number, force=True, **more)
    assert (await api.get_task(number))["lock"] == lock


@pytest.mark.promise("lease:release")
@pytest.mark.parametrize("status", ["DONE", "REVIEW", "BLOCKED", "CANCELLED"])
async def test_the_statuses_that_end_work_end_the_lease(api: OperationsClient, status: str) -> None:
    number, lock = await claimed_task(api)
    moved = await api.set_status(number, status, "ann", fence=lock["fence"])
    assert (moved["status"], moved["lock_released"], moved["lock"]) == (status, True, None)
    (event,) = await api.events(0, "task.unlocked")
    assert event["reason"] == "auto_release"
    check(api)
