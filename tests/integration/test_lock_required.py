"""A status without a claim is refused after a lost lease and on a task without attempts left."""

import pytest

from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import InvalidTransition, LockRequired
from tests.desk import Desk, Json
from tests.integration.held import claimed_task
from tests.integration.invariants import check
from tests.served import Served

STATUS: list[tuple[str, Json]] = [
    ("update_task_status", {"status": "DONE"}),
    ("update_task_status", {"status": "DONE", "note": "all green"}),
    ("update_task_status", {"status": "TODO"}),
    ("update_task", {"status": "REVIEW"}),
    ("update_task", {"status": "DONE", "log_entry": "all green", "priority": 0}),
]


async def lose(desk: Desk, how: str) -> int:
    """Create a task whose lease ann has lost for the reason `how`, and return its id."""
    number, _ = await claimed_task(desk, ttl_seconds=10)
    if how == "lock_expired":
        await desk.pass_time(10)
    else:
        await desk.release(number, force=True)
    return number


@pytest.mark.promise("lease:lock-required")
@pytest.mark.parametrize("how", ["lock_expired", "forced"])
@pytest.mark.parametrize(("operation", "more"), STATUS)
async def test_a_former_holder_claims_again_before_it_sets_a_status(
    desk: Desk, operation: str, more: Json, how: str
) -> None:
    number = await lose(desk, how)
    before, head = await desk.look(number), await desk.head()
    refusal = await desk.refused(LockRequired, operation, task_id=number, agent_id="ann", **more)
    assert f"your lease on task {number} (fence 1) ended at" in refusal.message
    assert "the task is TODO and free" in refusal.message
    assert f"acquire_task_lock (task_id {number})" in refusal.hint
    assert refusal.details["ended"]["reason"] == how  # type: ignore[index]
    assert (await desk.look(number), await desk.head()) == (before, head)
    lock = await desk.claim(number, "ann")
    await desk.do(operation, task_id=number, agent_id="ann", fence=lock["fence"], **more)
    check(desk)


@pytest.mark.promise("lease:lock-required")
async def test_it_stays_so_while_others_work_and_release_and_after_the_task_is_done(desk: Desk) -> None:
    number = await lose(desk, "forced")
    await desk.claim(number, "bob")
    await desk.release(number, "bob")
    await desk.refused(LockRequired, "update_task_status", task_id=number, agent_id="ann", status="DONE")
    await desk.set_status(number, "DONE", "bob")
    refusal = await desk.refused(LockRequired, "update_task_status", task_id=number, agent_id="ann", status="DONE")
    assert "the task is DONE" in refusal.message
    assert "IN_PROGRESS with reopen=true" in refusal.hint
    await desk.refused(InvalidTransition, "update_task_status", task_id=number, agent_id="ann", status="TODO")
    again: Json = {"task_id": number, "agent_id": "ann", "status": "TODO", "reopen": True}
    await desk.refused(LockRequired, "update_task_status", **again)
    taken = await desk.set_status(number, "IN_PROGRESS", "ann", reopen=True)
    assert taken["lock"]["holder"] == "ann"
    check(desk)


async def test_in_progress_is_a_claim_and_needs_no_lease_before(desk: Desk) -> None:
    number = await lose(desk, "lock_expired")
    assert (await desk.set_status(number, "IN_PROGRESS", "ann"))["lock"]["fence"] == 2


@pytest.mark.parametrize("ending", [{"failed": True}, {"failed": False}])
async def test_an_agent_that_released_its_lease_itself_may_set_a_status(desk: Desk, ending: Json) -> None:
    number = await lose(desk, "forced")
    await desk.claim(number, "ann")
    await desk.release(number, "ann", **ending)
    assert (await desk.set_status(number, "REVIEW", "ann"))["status"] == "REVIEW"
    assert (await desk.set_status(number, "DONE", "ann"))["status"] == "DONE"


async def test_other_agents_and_people_set_statuses_as_before(desk: Desk) -> None:
    number = await lose(desk, "forced")
    assert (await desk.set_status(number, "REVIEW", "bob"))["status"] == "REVIEW"
    assert (await desk.set_status(number, "TODO"))["status"] == "TODO"
    assert (await desk.set_status(number, "DONE"))["status"] == "DONE"


async def test_an_operators_agent_sets_a_status_by_force(desk: Desk) -> None:
    number = await lose(desk, "forced")
    assert (await desk.set_status(number, "REVIEW", "ann", force=True))["status"] == "REVIEW"


@pytest.mark.promise("lease:lock-required")
@pytest.mark.parametrize("agent", ["ann", "bob"])
async def test_a_task_that_is_out_of_attempts_is_not_moved_by_an_agent_without_a_lease(desk: Desk, agent: str) -> None:
    task = await desk.task()
    for _ in range(desk.runtime.settings.max_attempts):
        await desk.claim(task["id"], "cid")
        await desk.release(task["id"], "cid", failed=True)
    assert (await desk.look(task["id"]))["status"] == "BLOCKED"
    refusal = await desk.refused(LockRequired, "update_task_status", task_id=task["id"], agent_id=agent, status="TODO")
    assert "BLOCKED after" in refusal.message
    assert "failed attempts" in refusal.message
    assert "acquire_task_lock" in refusal.hint
    lock = await desk.claim(task["id"], agent)
    assert (await desk.set_status(task["id"], "DONE", agent, fence=lock["fence"]))["status"] == "DONE"


async def test_a_task_that_an_agent_blocked_with_a_question_is_moved_without_a_lease(desk: Desk) -> None:
    number, _ = await claimed_task(desk)
    await desk.set_status(number, "BLOCKED", "ann", note="which colour?")
    assert (await desk.set_status(number, "TODO", "bob"))["status"] == "TODO"


async def test_a_person_sets_a_status_after_a_lost_lease_as_before(desk: Desk) -> None:
    task = await desk.task()
    await desk.do("acquire_task_lock", task_id=task["id"], ttl_seconds=10)
    await desk.pass_time(10)
    assert (await desk.set_status(task["id"], "DONE"))["status"] == "DONE"


async def test_over_rest_the_refusal_is_a_conflict_with_its_code(served: Served, desk: Desk) -> None:
    number = await lose(desk, "forced")
    body = {"agent_id": "ann", "status": "DONE"}
    refused = await served.refused(409, "POST", f"/api/tasks/{number}/status", body)
    assert refused["code"] == "lock_required"
    assert (await served.refused(409, "PATCH", f"/api/tasks/{number}", body))["code"] == "lock_required"


async def test_an_agents_own_token_does_not_bypass_the_rule(desk: Desk) -> None:
    number = await lose(desk, "forced")
    ann = desk.used_by(Actor("ann", "agent", Role.AGENT, bound=True))
    await ann.refused(LockRequired, "update_task_status", task_id=number, status="DONE")
