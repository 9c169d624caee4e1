"""Twelve situations of an agent, each with the calls that it needs and the tokens of each answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from mcp import Client

from project_manager.mcp.server import build_server
from project_manager.runtime.calls import ClientConnection
from tests.integration.mcp_product import Agent
from tests.operations_client import Json, OperationsClient


class CountingAgent:
    """An agent that records the calls and the tokens of their answers. A token is four bytes."""

    def __init__(self, client: Client) -> None:
        self._agent = Agent(client)
        self.calls: list[tuple[str, float]] = []

    async def ok(self, tool: str, **arguments: Any) -> Json:
        answer: Json = await self._agent.ok(tool, **arguments)
        self.calls.append((tool, len(orjson.dumps(answer)) / 4))
        return answer

    async def fails(self, tool: str, **arguments: Any) -> str:
        text = await self._agent.fails(tool, **arguments)
        self.calls.append((tool, len(text.encode()) / 4))
        return text

    def needed(self, *budget: tuple[str, int]) -> None:
        """Check that the agent made exactly these calls, each within its number of tokens."""
        assert [tool for tool, _ in self.calls] == [tool for tool, _ in budget]
        assert [call for call, (_, most) in zip(self.calls, budget, strict=True) if call[1] > most] == []


@asynccontextmanager
async def agent_of(api: OperationsClient, agent_id: str = "ann") -> AsyncIterator[CountingAgent]:
    """Yield an agent on a connection with a fixed agent id and the project `Garden`."""
    server = build_server(api.runtime, stdio=ClientConnection((agent_id,), ("Garden",)))
    async with Client(server, mode="legacy") as client:
        yield CountingAgent(client)


async def test_a_new_session_knows_nothing(api: OperationsClient) -> None:
    await api.create_task()
    await api.create_task("Sell", project_name="Shop", priority=0)
    async with agent_of(api) as ann:
        assert (await ann.ok("get_context"))["ready_tasks"] == 1  # only those of its project
        assert (await ann.ok("claim_next_task"))["task"]["name"] == "Paint the fence"
        ann.needed(("get_context", 45), ("claim_next_task", 75))


async def test_the_context_was_compacted(api: OperationsClient) -> None:
    await api.create_task()
    async with agent_of(api, "auto") as ann:
        claim = await ann.ok("claim_next_task")
        ann.calls.clear()
        context = await ann.ok("get_context")
        assert context["agent_id"] == claim["agent_id"]
        assert context["holding"][0]["lock"]["fence"] == claim["lock"]["fence"]
        ann.needed(("get_context", 160))


async def test_two_tasks_at_once(api: OperationsClient) -> None:
    await api.create_task()
    await api.create_task("Buy paint")
    async with agent_of(api) as ann:
        first = await ann.ok("claim_next_task")
        second = await ann.ok("claim_next_task")
        assert [lease["task_id"] for lease in second["also_holding"]] == [first["task"]["id"]]
        assert [lease["task_id"] for lease in (await ann.ok("renew_task_lock"))["leases"]] == [1, 2]
        ann.needed(("claim_next_task", 75), ("claim_next_task", 115), ("renew_task_lock", 40))


async def test_all_leases_are_renewed_in_one_answer_of_45_tokens(api: OperationsClient) -> None:
    await api.create_task()
    async with agent_of(api, "auto") as ann:
        await ann.ok("claim_next_task")
        await ann.ok("renew_task_lock")
        ann.needed(("claim_next_task", 80), ("renew_task_lock", 30))


async def test_a_task_is_split_into_subtasks(api: OperationsClient) -> None:
    await api.create_task()
    async with agent_of(api) as ann:
        fence = (await ann.ok("claim_next_task"))["lock"]["fence"]
        for name in ("Sand it", "Prime it"):
            await ann.ok("create_task", name=name, parent_id=1)
        await ann.ok("release_task_lock", task_id=1, fence=fence, handoff="split into two subtasks")
        assert (await ann.ok("claim_next_task"))["task"]["name"] == "Sand it"
        create = ("create_task", 25)
        ann.needed(("claim_next_task", 75), create, create, ("release_task_lock", 15), ("claim_next_task", 75))
    assert not (await api.get_task(1))["ready"]


async def test_a_bug_blocks_the_task(api: OperationsClient) -> None:
    await api.create_task()
    await api.create_task("Buy paint", blocks=[1])
    await api.set_status(2, "DONE")
    async with agent_of(api) as ann:
        fence = (await ann.ok("claim_next_task"))["lock"]["fence"]
        bug = (await ann.ok("create_task", name="The brush is broken", priority=0, blocks=[1]))["id"]
        await ann.ok("release_task_lock", task_id=1, fence=fence, handoff="blocked by the brush")
        assert (await ann.ok("claim_next_task"))["task"]["id"] == bug
        ann.needed(("claim_next_task", 80), ("create_task", 25), ("release_task_lock", 15), ("claim_next_task", 80))
    assert (await api.get_task(1))["depends_on"] == [2, bug]


async def test_an_agent_asks_what_the_others_do(api: OperationsClient) -> None:
    for number in range(3):
        await api.claim((await api.create_task(f"Task {number}"))["id"], f"agent-{number}")
    async with agent_of(api) as ann:
        rows = (await ann.ok("list_tasks", status=["IN_PROGRESS"]))["items"]
        assert [row["holder"] for row in rows] == ["agent-0", "agent-1", "agent-2"]
        ann.needed(("list_tasks", 60))


async def test_an_agent_works_on_one_epic(api: OperationsClient) -> None:
    await api.create_task("Other", priority=0)
    await api.create_task("Log in", epic_name="auth")
    async with agent_of(api) as ann:
        assert (await ann.ok("claim_next_task", epic_name="Auth"))["task"]["name"] == "Log in"
        assert (await ann.fails("claim_next_task", epic_name="auht")).startswith("EPIC_NOT_FOUND: ")
        ann.needed(("claim_next_task", 75), ("claim_next_task", 40))


async def test_an_agent_forgot_to_renew_for_twenty_minutes(api: OperationsClient) -> None:
    await api.create_task()
    async with agent_of(api) as ann:
        fence = (await ann.ok("claim_next_task"))["lock"]["fence"]
        await api.advance(1200)
        error = await ann.fails("update_task_status", task_id=1, status="DONE", fence=fence)
        assert error.startswith("STALE_FENCE: ")
        assert "Claim it again with acquire_task_lock (task_id 1)" in error
        fence = (await ann.ok("acquire_task_lock", task_id=1))["lock"]["fence"]
        await ann.ok("update_task_status", task_id=1, status="DONE", fence=fence)
        refused, again, done = ("update_task_status", 110), ("acquire_task_lock", 80), ("update_task_status", 25)
        ann.needed(("claim_next_task", 75), refused, again, done)


async def test_the_next_agent_learns_the_state_of_the_task(api: OperationsClient) -> None:
    await api.create_task()
    async with agent_of(api) as ann, agent_of(api, "bob") as bob:
        fence = (await ann.ok("claim_next_task"))["lock"]["fence"]
        await ann.ok("remember", title="Paint", content="It is in the shed.")
        await ann.ok("release_task_lock", task_id=1, fence=fence, handoff="Half of the boards are painted.")
        claim = await bob.ok("claim_next_task")
        assert claim["handoff"]["body"] == "Half of the boards are painted."
        assert [item["content"] for item in claim["knowledge"]] == ["It is in the shed."]
        ann.needed(("claim_next_task", 75), ("remember", 25), ("release_task_lock", 15))
        bob.needed(("claim_next_task", 130))


async def test_an_agent_keeps_away_from_the_files_of_another(api: OperationsClient) -> None:
    await api.create_task(paths=["src/auth/**"])
    await api.create_task("Log in", paths=["src/auth/login.py"])
    await api.create_task("Paint", priority=4)
    async with agent_of(api) as ann, agent_of(api, "bob") as bob:
        fence = (await ann.ok("claim_next_task"))["lock"]["fence"]
        assert (await bob.ok("claim_next_task"))["task"]["name"] == "Paint"  # the other one has overlapping paths
        await ann.ok("renew_task_lock", task_id=1, fence=fence, paths=["docs/auth.md"])
        refused = await bob.fails("renew_task_lock", task_id=3, paths=["docs/*.md"])
        assert "ann" in refused
        ann.needed(("claim_next_task", 85), ("renew_task_lock", 45))
        bob.needed(("claim_next_task", 75), ("renew_task_lock", 90))


async def test_an_agent_needs_a_decision_of_a_person(api: OperationsClient) -> None:
    await api.create_task()
    async with agent_of(api) as ann:
        fence = (await ann.ok("claim_next_task"))["lock"]["fence"]
        asked = await ann.ok("ask", task_id=1, fence=fence, text="Which colour?", options=["red", "green"])
        assert asked["status"] == "BLOCKED"
        (question,) = (await api.call("list_questions", task_id=1))["items"]
        await api.call("answer_question", task_id=1, question_id=question["id"], text="green")
        claim = await ann.ok("claim_next_task")
        assert "green" in orjson.dumps(claim).decode()
        ann.needed(("claim_next_task", 75), ("ask", 45), ("claim_next_task", 130))


async def test_an_agent_finishes_with_evidence(api: OperationsClient) -> None:
    task = await api.create_task(acceptance=["no bare wood"])
    await api.call("update_project", project_id=task["project_id"], policy={"evidence": "each_criterion"})
    async with agent_of(api) as ann:
        fence = (await ann.ok("claim_next_task"))["lock"]["fence"]
        done: Json = {"task_id": 1, "status": "DONE", "fence": fence}
        assert (await ann.fails("update_task_status", **done)).startswith("POLICY_UNMET: ")
        evidence = [{"criterion": 0, "body": "looked at each board"}]
        assert (await ann.ok("update_task_status", **done, evidence=evidence))["status"] == "DONE"
        ann.needed(("claim_next_task", 90), ("update_task_status", 75), ("update_task_status", 25))
