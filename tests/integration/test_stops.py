"""Stops: the end of leases, the writes of a stopped agent, and the way back."""

from typing import Any

import pytest

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL, Actor, Role
from project_manager.domain.errors import Invalid, LockRequired, NotHeld, RoleRequired, StaleFence, Stopped
from project_manager.runtime.calls import Caller
from tests.integration.invariants import check
from tests.integration.test_questions import answer, ask
from tests.operations_client import Json, OperationsClient

OPERATOR = Actor("olga", "human", Role.OPERATOR)
AGENT = Actor("codex", "agent", Role.AGENT, bound=True)


@pytest.fixture
def codex(api: OperationsClient) -> OperationsClient:
    return api.acting_as(AGENT)


async def stop(api: OperationsClient, **target: Any) -> Json:
    operator = api.acting_as(OPERATOR)
    sent: Json = await operator.call("send_message", **{"kind": "stop", "body": "Wrong branch", **target})
    return sent


async def resume(api: OperationsClient) -> None:
    (pause,) = (await api.call("list_pauses"))["items"]
    await api.acting_as(OPERATOR).call("end_pause", pause_id=pause["id"])


async def test_a_stop_ends_all_leases_of_the_agent_and_raises_their_fences(
    api: OperationsClient, codex: OperationsClient
) -> None:
    tasks = [(await api.create_task(f"task {number}"))["id"] for number in range(3)]
    locks = [(await codex.call("acquire_task_lock", task_id=task))["lock"] for task in tasks[:2]]
    sent = await stop(api, to_agent="codex")
    assert sent["stopped"] == tasks[:2]
    for task, lock in zip(tasks, locks, strict=False):
        found = await api.get_task(task)
        assert (found["status"], found["lock"], found["fence"]) == ("BLOCKED", None, lock["fence"] + 1)
        assert found["attempts"] == 0
    assert (await api.get_task(tasks[2]))["ready"] is True
    leases = (await api.call("list_leases", agent_id="codex"))["items"]
    assert [lease["reason"] for lease in leases] == ["stopped", "stopped"]
    assert {event["reason"] for event in await api.events(0, "task.unlocked")} == {"stopped"}
    check(api)


async def test_a_stopped_agent_only_acknowledges_logs_and_releases(
    api: OperationsClient, codex: OperationsClient
) -> None:
    task = (await api.create_task())["id"]
    fence = (await codex.call("acquire_task_lock", task_id=task))["lock"]["fence"]
    sent = await stop(api, to_agent="codex")
    for operation, raw in (
        ("update_task_status", {"task_id": task, "status": "DONE", "fence": fence}),
        ("renew_task_lock", {"task_id": task, "fence": fence}),
        ("claim_next_task", {}),
        ("create_project", {"name": "Garden"}),
        ("send_message", {"to_agent": "ann", "body": "help"}),
    ):
        refused = await codex.call_error(Stopped, operation, **raw)
        assert "olga" in refused.message
    logged = await codex.call("add_task_log", task_id=task, kind="handoff", body="half done", fence=fence)
    assert logged["kind"] == "handoff"
    released = await codex.call("release_task_lock", task_id=task, fence=fence, handoff="see the branch")
    assert (released["success"], released["task"]["status"]) == (True, "BLOCKED")
    assert (await codex.call("acknowledge_messages", ids=[sent["id"]]))["acknowledged"] == [sent["id"]]
    context = await codex.call("get_context")
    assert context["paused"]["stopped"] is True
    assert context["next_step"].endswith("Stop working, and acknowledge the message of the stop.")
    await resume(api)
    await codex.call_error(StaleFence, "update_task_status", task_id=task, status="DONE", fence=fence)
    assert (await codex.call("claim_next_task"))["task"] is None


async def test_the_first_refused_write_brings_the_message_of_the_stop(
    api: OperationsClient, codex: OperationsClient
) -> None:
    sent = await stop(api, to_agent="codex")
    refused = await codex.call_error(Stopped, "create_project", name="Garden")
    assert [(message.id, message.body) for message in refused.messages] == [(sent["id"], "Wrong branch")]
    assert "Wrong branch" not in refused.message


async def test_a_stop_of_a_task_ends_only_its_lease(api: OperationsClient, codex: OperationsClient) -> None:
    tasks = [(await api.create_task(f"task {number}"))["id"] for number in range(2)]
    fences = [(await codex.call("acquire_task_lock", task_id=task))["lock"]["fence"] for task in tasks]
    sent = await stop(api, to_task=tasks[0])
    assert (sent["stopped"], sent["to_agent"]) == ([tasks[0]], "codex")
    refused = await codex.call_error(StaleFence, "renew_task_lock", task_id=tasks[0], fence=fences[0])
    assert "an operator stopped the work" in refused.message
    assert [message.id for message in refused.messages] == [sent["id"]]
    await codex.call_error(LockRequired, "update_task_status", task_id=tasks[0], status="DONE")
    done = await codex.call("update_task_status", task_id=tasks[1], status="DONE", fence=fences[1])
    assert done["status"] == "DONE"
    check(api)


async def test_another_agent_needs_a_lease_to_move_a_stopped_task_and_gets_no_stop(
    api: OperationsClient, codex: OperationsClient
) -> None:
    task = (await api.create_task())["id"]
    await codex.call("acquire_task_lock", task_id=task)
    await stop(api, to_task=task)
    await api.call_error(LockRequired, "update_task_status", task_id=task, status="DONE", agent_id="ann")
    claimed = await api.run("acquire_task_lock", task_id=task, agent_id="ann")
    assert claimed.messages == []
    assert (await api.set_status(task, "DONE", "ann", fence=claimed.view.lock.fence))["status"] == "DONE"


async def test_a_stop_just_after_the_end_of_the_lease_is_rejected(
    api: OperationsClient, codex: OperationsClient
) -> None:
    task = (await api.create_task())["id"]
    await codex.call("acquire_task_lock", task_id=task, ttl_seconds=10)
    api.clock.advance(10)
    refused = await api.acting_as(OPERATOR).call_error(NotHeld, "send_message", to_task=task, kind="stop", body="x")
    assert "pause the task" in refused.hint
    assert (await api.get_task(task))["status"] == "TODO"
    assert (await api.call("list_messages"))["items"] == []


async def test_a_stop_turns_a_pause_into_a_stop(api: OperationsClient, codex: OperationsClient) -> None:
    own = await codex.call("start_pause", scope="agent", reason="lunch")
    await stop(api, to_agent="codex")
    (pause,) = (await api.call("list_pauses"))["items"]
    assert (pause["id"], pause["stopped"], pause["author"]) == (own["id"], True, "olga")
    await codex.call_error(Stopped, "end_pause", pause_id=own["id"])
    await resume(api)
    await codex.call("create_project", name="Shed")


@pytest.mark.parametrize("actor", [AGENT, Actor("anna", "agent", Role.AGENT)])
async def test_only_an_operator_stops(api: OperationsClient, actor: Actor) -> None:
    await api.acting_as(actor).call_error(RoleRequired, "send_message", to_agent="ann", kind="stop", body="x")


async def test_over_mcp_a_stop_needs_an_operator_token_without_an_agent_id(api: OperationsClient) -> None:
    raw = {"to_agent": "codex", "kind": "stop", "body": "x", "agent_id": "ann"}
    with pytest.raises(RoleRequired):
        await api.runtime.run(BY_NAME["send_message"], raw, Caller(LOCAL, "mcp", "test"))
    sent = await api.runtime.run(BY_NAME["send_message"], raw, Caller(OPERATOR, "mcp", "test"))
    assert sent.view.stopped == []


async def test_a_project_is_paused_and_not_stopped(api: OperationsClient) -> None:
    await api.create_task()
    refused = await api.acting_as(OPERATOR).call_error(Invalid, "send_message", to_project=1, kind="stop", body="x")
    assert "Pause the project" in refused.hint


async def test_a_stop_ends_the_offers_to_the_agent(api: OperationsClient) -> None:
    task = (await api.create_task())["id"]
    await answer(api.acting_as(OPERATOR), await ask(api, task, "codex"))
    assert (await api.get_task(task))["offered_to"]["agent"] == "codex"
    await stop(api, to_agent="codex")
    found = await api.get_task(task)
    assert (found["offered_to"], found["ready"]) == (None, True)
    check(api)


async def test_a_stop_of_a_reviewer_leaves_the_work_in_review(api: OperationsClient) -> None:
    task = (await api.create_task())["id"]
    await api.set_status(task, "REVIEW", "ann", summary="painted")
    claimed = await api.claim_next("codex", kind="review")
    await stop(api, to_agent="codex")
    left = await api.get_task(task)
    assert (left["status"], left["lock"], left["blocked_by"]) == ("REVIEW", None, None)
    again = await api.claim_next("bob", kind="review")
    assert again["submission"]["digest"] == claimed["submission"]["digest"]
    assert again["lock"]["fence"] > claimed["lock"]["fence"]
    check(api)
