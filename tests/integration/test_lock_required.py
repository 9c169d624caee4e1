"""A status without a claim is refused after a lost lease and on a task without attempts left."""

import pytest

from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import InvalidTransition, LockRequired
from tests.http_service import HttpService
from tests.integration.claimed_task import claimed_task
from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient

STATUS: list[tuple[str, Json]] = [
    ("update_task_status", {"status": "DONE"}),
    ("update_task_status", {"status": "DONE", "note": "all green"}),
    ("update_task_status", {"status": "TODO"}),
    ("update_task", {"status": "REVIEW"}),
    ("update_task", {"status": "DONE", "log_entry": "all green", "priority": 0}),
]


async def lose(api: OperationsClient, how: str) -> int:
    """Create a task whose lease ann has lost for the reason `how`, and return its id."""
    number, _ = await claimed_task(api, ttl_seconds=10)
    if how == "lock_expired":
        await api.advance(10)
    else:
        await api.release(number, force=True)
    return number


@pytest.mark.promise("lease:lock-required")
@pytest.mark.parametrize("how", ["lock_expired", "forced"])
@pytest.mark.parametrize(("operation", "more"), STATUS)
async def test_a_former_holder_claims_again_before_it_sets_a_status(
    api: OperationsClient, operation: str, more: Json, how: str
) -> None:
    number = await lose(api, how)
    before, head = await api.get_task(number), await api.last_seq()
    refusal = await api.call_error(LockRequired, operation, task_id=number, agent_id="ann", **more)
    assert f"your lease on task {number} (fence 1) ended at" in refusal.message
    assert "the task is TODO and free" in refusal.message
    assert f"acquire_task_lock (task_id {number})" in refusal.hint
    assert refusal.details["ended"]["reason"] == how  # type: ignore[index]
    assert (await api.get_task(number), await api.last_seq()) == (before, head)
    lock = await api.claim(number, "ann")
    await api.call(operation, task_id=number, agent_id="ann", fence=lock["fence"], **more)
    check(api)


@pytest.mark.promise("lease:lock-required")
async def test_it_stays_so_while_others_work_and_release_and_after_the_task_is_done(api: OperationsClient) -> None:
    number = await lose(api, "forced")
    await api.claim(number, "bob")
    await api.release(number, "bob")
    await api.call_error(LockRequired, "update_task_status", task_id=number, agent_id="ann", status="DONE")
    await api.set_status(number, "DONE", "bob")
    refusal = await api.call_error(LockRequired, "update_task_status", task_id=number, agent_id="ann", status="DONE")
    assert "the task is DONE" in refusal.message
    assert "IN_PROGRESS with reopen=true" in refusal.hint
    await api.call_error(InvalidTransition, "update_task_status", task_id=number, agent_id="ann", status="TODO")
    again: Json = {"task_id": number, "agent_id": "ann", "status": "TODO", "reopen": True}
    await api.call_error(LockRequired, "update_task_status", **again)
    taken = await api.set_status(number, "IN_PROGRESS", "ann", reopen=True)
    assert taken["lock"]["holder"] == "ann"
    check(api)


async def test_in_progress_is_a_claim_and_needs_no_lease_before(api: OperationsClient) -> None:
    number = await lose(api, "lock_expired")
    assert (await api.set_status(number, "IN_PROGRESS", "ann"))["lock"]["fence"] == 2


@pytest.mark.parametrize("ending", [{"failed": True}, {"failed": False}])
async def test_an_agent_that_released_its_lease_itself_may_set_a_status(api: OperationsClient, ending: Json) -> None:
    number = await lose(api, "forced")
    await api.claim(number, "ann")
    await api.release(number, "ann", **ending)
    assert (await api.set_status(number, "REVIEW", "ann"))["status"] == "REVIEW"
    assert (await api.set_status(number, "DONE", "ann"))["status"] == "DONE"


async def test_other_agents_and_people_set_statuses_as_before(api: OperationsClient) -> None:
    number = await lose(api, "forced")
    assert (await api.set_status(number, "REVIEW", "bob"))["status"] == "REVIEW"
    assert (await api.set_status(number, "TODO"))["status"] == "TODO"
    assert (await api.set_status(number, "DONE"))["status"] == "DONE"


async def test_an_operators_agent_sets_a_status_by_force(api: OperationsClient) -> None:
    number = await lose(api, "forced")
    assert (await api.set_status(number, "REVIEW", "ann", force=True))["status"] == "REVIEW"


@pytest.mark.promise("lease:lock-required")
@pytest.mark.parametrize("agent", ["ann", "bob"])
async def test_a_task_that_is_out_of_attempts_is_not_moved_by_an_agent_without_a_lease(
    api: OperationsClient, agent: str
) -> None:
    task = await api.create_task()
    for _ in range(api.runtime.settings.max_attempts):
        await api.claim(task["id"], "cid")
        await api.release(task["id"], "cid", failed=True)
    assert (await api.get_task(task["id"]))["status"] == "BLOCKED"
    refusal = await api.call_error(
        LockRequired, "update_task_status", task_id=task["id"], agent_id=agent, status="TODO"
    )
    assert "BLOCKED after" in refusal.message
    assert "failed attempts" in refusal.message
    assert "acquire_task_lock" in refusal.hint
    lock = await api.claim(task["id"], agent)
    assert (await api.set_status(task["id"], "DONE", agent, fence=lock["fence"]))["status"] == "DONE"


async def test_a_task_that_an_agent_blocked_with_a_question_is_moved_without_a_lease(api: OperationsClient) -> None:
    number, _ = await claimed_task(api)
    await api.set_status(number, "BLOCKED", "ann", note="which colour?")
    assert (await api.set_status(number, "TODO", "bob"))["status"] == "TODO"


async def test_a_person_sets_a_status_after_a_lost_lease_as_before(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.call("acquire_task_lock", task_id=task["id"], ttl_seconds=10)
    await api.advance(10)
    assert (await api.set_status(task["id"], "DONE"))["status"] == "DONE"


async def test_over_rest_the_refusal_is_a_conflict_with_its_code(service: HttpService, api: OperationsClient) -> None:
    number = await lose(api, "forced")
    body = {"agent_id": "ann", "status": "DONE"}
    refused = await service.error(409, "POST", f"/api/tasks/{number}/status", body)
    assert refused["code"] == "lock_required"
    assert (await service.error(409, "PATCH", f"/api/tasks/{number}", body))["code"] == "lock_required"


async def test_an_agents_own_token_does_not_bypass_the_rule(api: OperationsClient) -> None:
    number = await lose(api, "forced")
    ann = api.acting_as(Actor("ann", "agent", Role.AGENT, bound=True))
    await ann.call_error(LockRequired, "update_task_status", task_id=number, status="DONE")
