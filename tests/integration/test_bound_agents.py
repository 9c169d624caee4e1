"""An agent id that has a bound token is used by that token and by operators only, over each interface."""

import logging
from typing import Any

import anyio
import pytest

from project_manager.catalogue import BY_NAME, OPERATIONS
from project_manager.domain.actors import LOCAL, Actor, Role
from project_manager.domain.errors import AgentMismatch, AgentRequired
from project_manager.observability.logging import ActionRecord
from project_manager.runtime.calls import Caller
from project_manager.schemas.agents import GetAgent
from project_manager.schemas.flow import GetFlow
from project_manager.schemas.leases import ListLeases
from project_manager.schemas.logs import ListAgentLogs
from project_manager.schemas.tokens import CreateToken
from project_manager.services import tokens
from tests.operations_client import TIMEOUT, Json, OperationsClient, clear_identities

ANNA = Actor("anna", "agent", Role.AGENT, token_id=1)
VIEWER = Actor("vera", "human", Role.VIEWER, token_id=2)
OPERATOR = Actor("olga", "human", token_id=3)
BOUND = Actor("worker", "agent", Role.AGENT, bound=True, token_id=4)
ABOUT_AN_AGENT = (CreateToken, GetAgent, GetFlow, ListAgentLogs, ListLeases)
"""Commands with the id of an agent as a filter or a subject. Each caller may name any agent."""
NAMING_AN_AGENT = [
    row for row in OPERATIONS if "agent_id" in row.command.model_fields and row.command not in ABOUT_AN_AGENT
]
NEEDED: Json = {
    "task_id": 1,
    "knowledge_id": 1,
    "assumption_id": 1,
    "name": "x",
    "body": "x",
    "action_type": "used",
    "text": "#ASSUMPTION: x",
    "reason": "x",
    "status": "DONE",
    "verdict": "validated",
    "digest": "0" * 64,
    "question_id": 1,
    "tasks": [{"name": "x"}],
    "scope": "agent",
    "pause_id": 1,
    "title": "x",
    "content": "x",
    "to_agent": "ann",
    "ids": [1],
}


async def bind(api: OperationsClient, agent_id: str = "worker") -> int:
    """Make a token that is bound to the agent id."""
    raw = {"name": f"for {agent_id}", "role": "agent", "agent_id": agent_id}
    answer = await api.runtime.run(BY_NAME["create_token"], raw, Caller(LOCAL, "cli", "test"))
    clear_identities(api.runtime)
    return int(answer.view.id)


@pytest.mark.parametrize("interface", ["rest", "mcp"])
@pytest.mark.parametrize("operation", NAMING_AN_AGENT, ids=lambda row: row.name)
async def test_no_other_token_acts_as_an_agent_that_has_one(
    api: OperationsClient, operation: Any, interface: Any
) -> None:
    await api.create_task()
    await bind(api)
    raw = {name: value for name, value in NEEDED.items() if name in operation.command.model_fields}
    if operation.name == "review_task":
        raw["verdict"] = "approved"
    if operation.name == "edit_tasks":
        raw = {"ids": [1], "changes": {"priority": 1}}
    for caller in (ANNA, VIEWER):
        if caller.role >= operation.role:
            with pytest.raises(AgentMismatch, match="'worker' is bound to another token"):
                await api.runtime.run(operation, {**raw, "agent_id": "worker"}, Caller(caller, interface, "test"))


async def test_the_log_line_of_a_refused_call_names_its_caller(
    api: OperationsClient, caplog: pytest.LogCaptureFixture
) -> None:
    await api.create_task()
    await bind(api)
    with caplog.at_level(logging.INFO, logger="project_manager"):
        await api.acting_as(ANNA).call_error(AgentMismatch, "acquire_task_lock", task_id=1, agent_id="worker")
    lines = [record.fields for record in caplog.records if isinstance(record, ActionRecord)]
    (line,) = [line for line in lines if line.get("outcome") == "agent_mismatch"]
    assert (line["actor"], line["token_id"], line["task_id"]) == ("anna", 1, 1)


async def test_the_bound_token_an_operator_and_other_ids_still_work(api: OperationsClient) -> None:
    await api.create_task()
    await bind(api)
    for caller, agent in ((BOUND, "worker"), (OPERATOR, "worker"), (LOCAL, "worker"), (ANNA, "another")):
        lock = await api.acting_as(caller).claim(1, agent)
        assert lock["holder"] == agent
        await api.acting_as(caller).release(1, agent)


async def test_a_token_named_like_the_bound_id_does_not_act_as_that_agent(api: OperationsClient) -> None:
    await api.create_task()
    await bind(api)
    namesake = api.acting_as(Actor("worker", "agent", Role.AGENT, token_id=9))
    refusal = await namesake.call_error(AgentMismatch, "acquire_task_lock", task_id=1)
    assert refusal.details == {"agent_id": "worker"}
    assert (await namesake.claim(1, "another"))["holder"] == "another"
    with pytest.raises(AgentMismatch):
        await namesake.stream_text("export_plan")
    caller = Caller(namesake.actor, "mcp", "test")
    with pytest.raises(AgentRequired):
        await api.runtime.run(BY_NAME["acquire_task_lock"], {"task_id": 1}, caller)


async def test_the_id_is_free_again_when_its_token_is_revoked(api: OperationsClient) -> None:
    await api.create_task()
    number = await bind(api)
    anna = api.acting_as(ANNA)
    await anna.call_error(AgentMismatch, "acquire_task_lock", task_id=1, agent_id="worker")
    await api.call("revoke_token", token_id=number)
    clear_identities(api.runtime)
    assert (await anna.claim(1, "worker"))["holder"] == "worker"


async def test_a_call_that_waits_gets_no_task_once_its_agent_id_is_bound(api: OperationsClient) -> None:
    await api.call("create_project", name="Garden")
    anna = api.acting_as(ANNA)
    caught: list[AgentMismatch] = []

    async def wait() -> None:
        caught.append(await anna.call_error(AgentMismatch, "claim_next_task", agent_id="worker", wait_seconds=5))

    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as calls:
            calls.start_soon(wait)
            while not api.runtime.long_polls.waiting_calls:  # noqa: ASYNC110 the queue has no event
                await anyio.sleep(0.001)
            await bind(api)
            task = await api.create_task()
    assert len(caught) == 1
    assert (await api.get_task(task["id"]))["lock"] is None


async def test_an_agent_id_is_looked_up_once_while_it_is_cached(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls of unbound agents cost no read each, those of bound agents and operators none at all."""
    looked_up: list[str] = []
    is_bound = tokens.is_bound

    def counted(tx: Any, agent_id: str) -> bool:
        looked_up.append(agent_id)
        return is_bound(tx, agent_id)

    monkeypatch.setattr(tokens, "is_bound", counted)
    monkeypatch.setattr("project_manager.runtime.authentication.IDENTITY_SECONDS", TIMEOUT)
    await api.create_task()
    for caller, agent in ((ANNA, "another"), (BOUND, "worker"), (OPERATOR, "olaf"), (LOCAL, "luke")):
        for _ in range(3):
            await api.acting_as(caller).call("get_context", agent_id=agent)
    assert looked_up == ["another"]
