"""Leases of named tasks: taken, renewed, fenced, given back, run out."""

from typing import Any

import pytest

from project_manager.clock import rfc3339
from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import (
    FenceRequired,
    IllegalMove,
    Invalid,
    LockHeld,
    NotHeld,
    NotReady,
    ProjectManagerError,
    RoleRequired,
    StaleFence,
    TaskNotFound,
)
from tests.contract.invariants import check
from tests.desk import Desk, Json

WRITES: list[tuple[str, Json]] = [
    ("acquire_task_lock", {}),
    ("renew_task_lock", {}),
    ("release_task_lock", {}),
    ("update_task_status", {"status": "DONE"}),
    ("update_task", {"priority": 0}),
    ("update_task", {"log_entry": "on it"}),
    ("update_task", {"status": "REVIEW"}),
    ("add_task_log", {"body": "half way"}),
]
each_write = pytest.mark.parametrize(
    ("operation", "more"), WRITES, ids=[f"{name}-{'-'.join(more) or 'plain'}" for name, more in WRITES]
)


async def held(desk: Desk, **more: Any) -> tuple[int, Json]:
    """A task that ann has just claimed, and its lock."""
    task = await desk.task()
    return task["id"], await desk.claim(task["id"], "ann", **more)


# taken


@pytest.mark.promise("claim:by-name")
async def test_a_claim_answers_with_the_lock_and_sets_the_status_with_it(desk: Desk) -> None:
    task = await desk.task()
    answer = await desk.do("acquire_task_lock", task_id=task["id"], agent_id="ann")
    expected = {
        "task_id": task["id"],
        "holder": "ann",
        "fence": 1,
        "acquired_at": desk.clock.later(0),
        "expires_at": desk.clock.later(300),
        "ttl_seconds": 300,
    }
    assert answer["lock"] == answer["task"]["lock"] == expected
    assert answer["task"]["status"] == "IN_PROGRESS"
    assert answer["task"]["version"] == task["version"] + 1
    assert (answer["success"], answer["agent_id"], answer["expires_at"], answer["timeout"]) == (
        True,
        "ann",
        desk.clock.later(300),
        300,
    )
    check(desk)


@pytest.mark.parametrize("name", ["ttl_seconds", "timeout", "duration_seconds"])
@pytest.mark.parametrize("seconds", [1, 3600])
async def test_the_length_of_a_lease_is_taken_under_all_of_its_names(desk: Desk, name: str, seconds: int) -> None:
    _, lock = await held(desk, **{name: seconds})
    assert lock["ttl_seconds"] == seconds
    assert lock["expires_at"] == desk.clock.later(seconds)


@pytest.mark.parametrize("seconds", [0, -5, 3601, 10**9, "soon", 1.5, True, None])
async def test_a_length_out_of_range_is_refused_and_nothing_is_held(desk: Desk, seconds: object) -> None:
    task = await desk.task()
    refusal = await desk.refused(Invalid, "acquire_task_lock", task_id=task["id"], agent_id="ann", ttl_seconds=seconds)
    assert [fault["field"] for fault in refusal.details["faults"]] == ["ttl_seconds"]  # type: ignore[attr-defined]
    assert (await desk.look(task["id"]))["lock"] is None


@pytest.mark.promise("claim:by-name")
@pytest.mark.parametrize("status", ["BACKLOG", "REVIEW", "BLOCKED", "IN_PROGRESS"])
async def test_a_task_that_nobody_holds_is_taken_up_by_name_from_other_statuses(desk: Desk, status: str) -> None:
    task = await desk.task()
    await desk.set_status(task["id"], status)
    assert (await desk.claim(task["id"], "ann"))["holder"] == "ann"
    assert (await desk.look(task["id"]))["status"] == "IN_PROGRESS"
    check(desk)


@pytest.mark.promise("claim:by-name")
@pytest.mark.parametrize("status", ["DONE", "CANCELLED"])
async def test_finished_work_is_not_claimed(desk: Desk, status: str) -> None:
    task = await desk.task()
    await desk.set_status(task["id"], status)
    refusal = await desk.refused(IllegalMove, "acquire_task_lock", task_id=task["id"], agent_id="ann")
    assert "reopen" in refusal.hint
    assert (await desk.look(task["id"]))["status"] == status


@each_write
async def test_a_write_about_a_task_that_does_not_exist_says_so(desk: Desk, operation: str, more: Json) -> None:
    refusal = await desk.refused(TaskNotFound, operation, task_id=7, agent_id="ann", **more)
    assert refusal.details == {"task_id": 7}


# exclusive


@pytest.mark.promise("lease:exclusive")
@each_write
async def test_nobody_but_the_holder_writes(desk: Desk, operation: str, more: Json) -> None:
    number, lock = await held(desk)
    refusal = await desk.refused(LockHeld, operation, task_id=number, agent_id="bob", **more)
    assert refusal.details == {
        "task_id": number,
        "holder": "ann",
        "fence": lock["fence"],
        "expires_at": lock["expires_at"],
    }
    assert "ann" in refusal.message
    assert lock["expires_at"] in refusal.message
    assert "claim_next_task" in refusal.hint
    assert (await desk.look(number))["lock"] == lock


@pytest.mark.promise("lease:exclusive")
async def test_a_comment_of_others_is_welcome_on_a_held_task(desk: Desk) -> None:
    number, lock = await held(desk)
    desk.clock.advance(5)
    await desk.do("add_task_log", task_id=number, agent_id="bob", body="look at #3", kind="comment")
    assert (await desk.look(number))["lock"] == lock


async def test_a_person_edits_a_held_task_without_disturbing_its_holder(desk: Desk) -> None:
    number, lock = await held(desk, fence=None)
    edited = await desk.edit(number, priority=0)
    assert (edited["priority"], edited["lock"]) == (0, lock)
    assert (await desk.set_status(number, "DONE", "ann", fence=lock["fence"]))["status"] == "DONE"


async def test_a_person_takes_a_held_task_away_only_with_force(desk: Desk) -> None:
    number, _ = await held(desk)
    assert "force=true" in (await desk.refused(LockHeld, "update_task_status", task_id=number, status="TODO")).hint
    moved = await desk.set_status(number, "TODO", force=True)
    assert (moved["status"], moved["lock_released"], moved["lock"]) == ("TODO", True, None)
    (unlocked,) = await desk.events(0, "task.unlocked")
    assert (unlocked["reason"], unlocked["agent_id"]) == ("forced", "ann")
    check(desk)


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
async def test_force_takes_a_held_task_away_whatever_is_sent_with_it(
    desk: Desk, who: Json, operation: str, more: Json, logged: list[str]
) -> None:
    number, _ = await held(desk)
    since = await desk.head()
    await desk.do(operation, task_id=number, force=True, **more, **who)
    seen = await desk.look(number)
    assert (seen["status"], seen["lock"]) == ("TODO", None)
    ended = f"{who.get('agent_id', 'local')} ended the lease of ann"
    assert [entry["body"] for entry in await desk.logs(number)] == [*logged, ended]
    (unlocked,) = await desk.events(since, "task.unlocked")
    assert (unlocked["reason"], unlocked["agent_id"]) == ("forced", "ann")
    check(desk)


async def test_force_does_not_make_a_stale_fence_good(desk: Desk) -> None:
    number, lock = await held(desk)
    stale = {"task_id": number, "status": "TODO", "agent_id": "ann", "fence": lock["fence"] + 1, "force": True}
    await desk.refused(StaleFence, "update_task_status", **stale, note="x")
    await desk.refused(StaleFence, "update_task", **stale, priority=0)
    assert (await desk.look(number))["lock"] == lock


@pytest.mark.promise("lease:fence-grows")
async def test_every_lease_of_a_task_has_a_higher_fence_whatever_ended_the_one_before(desk: Desk) -> None:
    task = await desk.task()
    number, fences = task["id"], []
    for ending in ("release", "failed", "expiry", "force", "status", "single call"):
        fences.append((await desk.claim(number, "ann", ttl_seconds=10))["fence"])
        if ending == "expiry":
            await desk.pass_time(10)
        elif ending == "status":
            await desk.set_status(number, "TODO", "ann")
        elif ending == "single call":
            await desk.release(number, "ann")
            await desk.set_status(number, "REVIEW", "bob")
            await desk.set_status(number, "TODO")
        else:
            await desk.release(
                number, "ann" if ending != "force" else None, failed=ending == "failed", force=ending == "force"
            )
    fences.append((await desk.claim(number, "bob"))["fence"])
    assert fences == sorted(set(fences))
    check(desk)


@pytest.mark.promise("lease:fencing")
@each_write
async def test_a_stale_fence_is_refused_after_expiry(desk: Desk, operation: str, more: Json) -> None:
    number, lock = await held(desk, ttl_seconds=10)
    await desk.pass_time(10)
    refusal = await desk.refused(StaleFence, operation, task_id=number, agent_id="ann", fence=lock["fence"], **more)
    assert refusal.details["holder"] is None
    assert refusal.hint
    found = await desk.look(number)
    assert (found["status"], found["priority"], found["lock"]) == ("TODO", 2, None)


@pytest.mark.promise("lease:fencing")
@each_write
async def test_a_stale_fence_is_refused_when_another_holds_the_task(desk: Desk, operation: str, more: Json) -> None:
    number, lock = await held(desk, ttl_seconds=10)
    await desk.pass_time(10)
    present = await desk.claim(number, "bob")
    refusal = await desk.refused(StaleFence, operation, task_id=number, agent_id="ann", fence=lock["fence"], **more)
    assert refusal.details == {
        "task_id": number,
        "holder": "bob",
        "fence": present["fence"],
        "expires_at": present["expires_at"],
    }
    assert (await desk.look(number))["lock"] == present


@pytest.mark.promise("lease:fencing")
@each_write
async def test_a_stale_fence_of_the_same_agent_is_refused_under_its_new_lease(
    desk: Desk, operation: str, more: Json
) -> None:
    number, old = await held(desk, ttl_seconds=10)
    await desk.pass_time(10)
    present = await desk.claim(number, "ann")
    await desk.refused(StaleFence, operation, task_id=number, agent_id="ann", fence=old["fence"], **more)
    assert (await desk.look(number))["lock"] == present


@pytest.mark.promise("lease:fencing")
@each_write
async def test_once_a_holder_has_sent_its_fence_it_must_send_it_with_every_write(
    desk: Desk, operation: str, more: Json
) -> None:
    number, lock = await held(desk)
    await desk.do("renew_task_lock", task_id=number, agent_id="ann", fence=lock["fence"])
    refusal = await desk.refused(FenceRequired, operation, task_id=number, agent_id="ann", **more)
    assert refusal.details["fence"] == lock["fence"]
    await desk.do(operation, task_id=number, agent_id="ann", fence=lock["fence"], **more)
    check(desk)


@pytest.mark.promise("lease:fencing")
@pytest.mark.parametrize(
    ("operation", "more"),
    [("add_task_log", {"body": "x"}), ("update_task", {"priority": 1}), ("acquire_task_lock", {})],
)
async def test_a_fence_sent_with_any_write_is_required_afterwards(desk: Desk, operation: str, more: Json) -> None:
    number, lock = await held(desk)
    await desk.do(operation, task_id=number, agent_id="ann", fence=lock["fence"], **more)
    await desk.refused(FenceRequired, "release_task_lock", task_id=number, agent_id="ann")


@pytest.mark.promise("lease:fencing")
async def test_the_fence_need_not_be_sent_under_the_next_lease(desk: Desk) -> None:
    number, lock = await held(desk)
    await desk.release(number, "ann", fence=lock["fence"])
    await desk.claim(number, "ann")
    await desk.do("renew_task_lock", task_id=number, agent_id="ann")


@pytest.mark.promise("lease:fencing")
async def test_a_comment_under_a_stale_fence_is_refused_too(desk: Desk) -> None:
    number, lock = await held(desk, ttl_seconds=10)
    await desk.pass_time(10)
    await desk.refused(
        StaleFence, "add_task_log", task_id=number, agent_id="ann", fence=lock["fence"], body="x", kind="comment"
    )


@pytest.mark.promise("lease:fencing")
async def test_a_fence_from_the_future_is_refused(desk: Desk) -> None:
    number, lock = await held(desk)
    await desk.refused(
        StaleFence, "update_task_status", task_id=number, agent_id="ann", fence=lock["fence"] + 1, status="DONE"
    )


# renewed


@pytest.mark.promise("lease:renewal")
async def test_the_holder_claiming_again_renews_under_the_same_fence(desk: Desk) -> None:
    number, lock = await held(desk)
    desk.clock.advance(100)
    again = await desk.do("acquire_task_lock", task_id=number, agent_id="ann", ttl_seconds=300)
    assert again["renewed"] is True
    assert again["lock"] == {**lock, "expires_at": desk.clock.later(300)}


@pytest.mark.promise("lease:renewal")
async def test_a_heartbeat_keeps_the_length_of_the_lease(desk: Desk) -> None:
    number, lock = await held(desk, ttl_seconds=77)
    desk.clock.advance(50)
    renewed = (await desk.do("renew_task_lock", task_id=number, agent_id="ann"))["lock"]
    assert renewed == {**lock, "expires_at": desk.clock.later(77)}


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
    desk: Desk, operation: str, more: Json
) -> None:
    number, lock = await held(desk, ttl_seconds=77)
    desk.clock.advance(50)
    await desk.do(operation, task_id=number, agent_id="ann", **more)
    assert (await desk.look(number))["lock"] == {**lock, "expires_at": desk.clock.later(77)}
    check(desk)


@pytest.mark.promise("lease:renewal", "lease:fencing")
@pytest.mark.parametrize("author", [{"agent_id": "ann"}, {}], ids=["agent", "person"])
async def test_a_comment_without_the_fence_is_welcome_and_does_not_keep_a_fenced_lease_alive(
    desk: Desk, author: Json
) -> None:
    holder = author.get("agent_id", "local")
    number = (await desk.task())["id"]
    lock = (await desk.do("acquire_task_lock", task_id=number, **author))["lock"]
    await desk.do("renew_task_lock", task_id=number, fence=lock["fence"], **author)
    desk.clock.advance(50)
    comment = {"task_id": number, "body": "still here?", "kind": "comment", **author}
    assert (await desk.do("add_task_log", **comment))["author"] == holder
    assert (await desk.look(number))["lock"] == lock
    await desk.do("add_task_log", **comment, fence=lock["fence"])
    assert (await desk.look(number))["lock"] == {**lock, "expires_at": desk.clock.later(300)}
    check(desk)


@pytest.mark.promise("lease:renewal")
async def test_a_renewal_is_told_of_only_when_it_changes_the_length(desk: Desk) -> None:
    number, _ = await held(desk, ttl_seconds=60)
    since = await desk.head()
    await desk.do("renew_task_lock", task_id=number, agent_id="ann")
    assert await desk.events(since) == []
    await desk.do("renew_task_lock", task_id=number, agent_id="ann", ttl_seconds=120)
    (event,) = await desk.events(since)
    assert (event["type"], event["renewed"], event["timeout"]) == ("task.locked", True, 120)


async def test_a_lease_that_nobody_has_cannot_be_renewed_or_given_back(desk: Desk) -> None:
    task = await desk.task()
    for operation in ("renew_task_lock", "release_task_lock"):
        assert "acquire_task_lock" in (await desk.refused(NotHeld, operation, task_id=task["id"], agent_id="ann")).hint


# given back


@pytest.mark.promise("lease:release")
@pytest.mark.parametrize("status", ["TODO", "BACKLOG", "REVIEW", "BLOCKED"])
async def test_a_released_task_goes_back_to_where_it_was_claimed_from(desk: Desk, status: str) -> None:
    task = await desk.task()
    await desk.set_status(task["id"], status)
    await desk.claim(task["id"], "ann")
    released = await desk.release(task["id"], "ann")
    assert released["task"]["status"] == status
    assert (released["task"]["lock"], released["task"]["attempts"]) == (None, 0)
    (event,) = await desk.events(0, "task.unlocked")
    assert (event["reason"], event["agent_id"], event["status"]) == ("explicit_release", "ann", status)
    check(desk)


@pytest.mark.promise("lease:release")
async def test_a_task_that_was_in_progress_and_held_by_nobody_goes_back_to_todo(desk: Desk) -> None:
    task = await desk.task()
    await desk.set_status(task["id"], "IN_PROGRESS")
    await desk.claim(task["id"], "ann")
    assert (await desk.release(task["id"], "ann"))["task"]["status"] == "TODO"


@pytest.mark.promise("lease:release")
async def test_a_handoff_note_is_in_the_log_for_whoever_takes_the_task_next(desk: Desk) -> None:
    number, _ = await held(desk)
    await desk.release(number, "ann", handoff="the parser is done, the tests are not")
    (entry,) = await desk.logs(number)
    assert (entry["kind"], entry["author"], entry["body"]) == (
        "handoff",
        "ann",
        "the parser is done, the tests are not",
    )


@pytest.mark.promise("lease:release")
async def test_an_operator_ends_the_lease_of_another_which_is_recorded(desk: Desk) -> None:
    number, _ = await held(desk)
    released = await desk.release(number, force=True)
    assert (released["agent_id"], released["task"]["status"], released["task"]["attempts"]) == ("ann", "TODO", 0)
    (entry,) = await desk.logs(number)
    assert (entry["kind"], entry["body"]) == ("system", "local ended the lease of ann")
    (event,) = await desk.events(0, "task.unlocked")
    assert (event["reason"], event["agent_id"], event["actor"]) == ("forced", "ann", {"id": "local", "kind": "human"})


@pytest.mark.promise("lease:release", "door:roles")
@pytest.mark.parametrize(
    ("operation", "more"),
    [("release_task_lock", {}), ("update_task_status", {"status": "TODO"}), ("update_task", {"status": "TODO"})],
)
async def test_force_is_for_operators_only(desk: Desk, operation: str, more: Json) -> None:
    number, lock = await held(desk)
    bob = desk.used_by(Actor("bob", "agent", Role.AGENT))
    await bob.refused(RoleRequired, operation, task_id=number, force=True, **more)
    assert (await desk.look(number))["lock"] == lock


@pytest.mark.promise("lease:release")
@pytest.mark.parametrize("status", ["DONE", "REVIEW", "BLOCKED", "CANCELLED"])
async def test_the_statuses_that_end_work_end_the_lease(desk: Desk, status: str) -> None:
    number, lock = await held(desk)
    moved = await desk.set_status(number, status, "ann", fence=lock["fence"])
    assert (moved["status"], moved["lock_released"], moved["lock"]) == (status, True, None)
    (event,) = await desk.events(0, "task.unlocked")
    assert event["reason"] == "auto_release"
    check(desk)


# run out


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
    assert entry["body"] == f"the lease of ann (fence {lock['fence']}) ran out at {lock['expires_at']}"
    check(desk)


@pytest.mark.promise("lease:expiry")
async def test_a_lease_holds_until_its_last_millisecond_and_not_one_longer(desk: Desk) -> None:
    number, lock = await held(desk, ttl_seconds=10)
    desk.clock.advance(9.999)
    assert (await desk.refused(LockHeld, "acquire_task_lock", task_id=number, agent_id="bob")).details["fence"]
    desk.clock.advance(0.001)
    assert (await desk.claim(number, "bob"))["fence"] > lock["fence"]


@pytest.mark.promise("lease:expiry")
async def test_who_reads_sees_an_expired_lease_as_none_before_anything_swept_it(desk: Desk) -> None:
    number, _ = await held(desk, ttl_seconds=10)
    desk.clock.advance(10)
    assert (await desk.look(number))["lock"] is None


@pytest.mark.promise("lease:expiry")
async def test_an_expired_task_is_offered_again_at_once(desk: Desk) -> None:
    number, _ = await held(desk, ttl_seconds=10)
    desk.clock.advance(10)
    claimed = await desk.next("bob")
    assert (claimed["task"]["id"], claimed["lock"]["holder"]) == (number, "bob")
    check(desk)


@pytest.mark.promise("lease:expiry")
async def test_the_present_holder_and_what_to_do_stand_in_the_message_of_a_stale_write(desk: Desk) -> None:
    number, _ = await held(desk, ttl_seconds=10)
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
    assert (await desk.logs(task["id"]))[-1]["body"] == "2 attempts failed: blocked until a person has looked at it"
    assert (await desk.next("bob"))["task"] is None
    check(desk)


@pytest.mark.promise("lease:attempts")
@pytest.mark.parametrize("settings", [{"MAX_ATTEMPTS": 0}])
async def test_without_a_cap_a_task_is_offered_however_often_it_failed(desk: Desk) -> None:
    task = await desk.task()
    for _ in range(7):
        await desk.claim(task["id"], "ann")
        await desk.release(task["id"], "ann", failed=True)
    assert (await desk.look(task["id"]))["attempts"] == 7
    assert (await desk.next("bob"))["task"]["id"] == task["id"]


@pytest.mark.promise("lease:attempts")
async def test_a_plain_release_is_no_failed_attempt(desk: Desk) -> None:
    number, _ = await held(desk)
    await desk.release(number, "ann", failed=True)
    await desk.claim(number, "ann")
    await desk.release(number, "ann")
    assert (await desk.look(number))["attempts"] == 1


@pytest.mark.promise("lease:attempts")
@pytest.mark.parametrize("by", ["success", "person", "edit"])
async def test_a_success_or_a_person_forgets_failed_attempts(desk: Desk, by: str) -> None:
    number, _ = await held(desk)
    await desk.release(number, "ann", failed=True)
    if by == "success":
        await desk.set_status(number, "DONE", "ann")
    elif by == "person":
        await desk.set_status(number, "BACKLOG")
    else:
        await desk.edit(number, attempts=0)
    assert (await desk.look(number))["attempts"] == 0


@pytest.mark.promise("lease:attempts")
async def test_an_agent_does_not_forget_the_failed_attempts_of_a_task(desk: Desk) -> None:
    number, _ = await held(desk)
    await desk.release(number, "ann", failed=True)
    await desk.set_status(number, "BACKLOG", "ann")
    await desk.set_status(number, "TODO", "ann")
    assert (await desk.look(number))["attempts"] == 1


# in a single call


@pytest.mark.promise("lease:single-call")
@pytest.mark.parametrize("status", ["DONE", "REVIEW", "BLOCKED", "CANCELLED", "BACKLOG"])
async def test_a_status_is_set_in_one_call_on_a_task_that_nobody_holds(desk: Desk, status: str) -> None:
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
async def test_a_single_call_does_not_pass_over_what_holds_a_task_back(desk: Desk, status: str) -> None:
    first = await desk.task("first")
    second = await desk.task("second", depends_on=[first["id"]])
    await desk.refused(NotReady, "update_task_status", task_id=second["id"], status=status, agent_id="ann")
    assert (await desk.look(second["id"]))["status"] == "TODO"


@pytest.mark.promise("lease:single-call")
async def test_a_single_call_makes_the_fences_before_it_stale(desk: Desk) -> None:
    number, lock = await held(desk, ttl_seconds=10)
    await desk.pass_time(10)
    await desk.set_status(number, "REVIEW", "bob")
    refusal = await desk.refused(
        StaleFence, "update_task_status", task_id=number, agent_id="ann", fence=lock["fence"], status="DONE"
    )
    assert refusal.details["fence"] == lock["fence"] + 1


async def test_a_failed_write_leaves_nothing_of_itself_behind(desk: Desk) -> None:
    number, lock = await held(desk)
    since = await desk.head()
    refusals: list[type[ProjectManagerError]] = [LockHeld, LockHeld]
    await desk.refused(refusals[0], "update_task_status", task_id=number, agent_id="bob", status="DONE", note="mine")
    await desk.refused(refusals[1], "release_task_lock", task_id=number, agent_id="bob", handoff="mine")
    assert await desk.events(since) == await desk.logs(number) == []
    assert (await desk.look(number))["lock"] == lock
    assert rfc3339(desk.clock.now()) < lock["expires_at"]
