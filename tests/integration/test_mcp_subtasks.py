"""Subtasks, links and knowledge as a model uses them, with the calls and the tokens of each situation."""

from pathlib import Path
from typing import Any

import orjson

from project_manager.mcp.tools import tool_list
from tests.integration.mcp_product import agent, product


def tokens(value: Any) -> float:
    return len(orjson.dumps(value)) / 4


def test_the_tools_are_listed_within_their_budgets() -> None:
    listed = {tool["name"]: tool for tool in tool_list("core", "plain")["tools"]}
    assert tokens(listed["create_tasks"]) <= 170
    assert tokens(listed["remember"]) <= 90


def test_every_dialect_describes_the_tasks_of_a_list() -> None:
    nodes: dict[str, Any] = {}
    for dialect in ("plain", "nullable", "strict"):
        listed = {tool["name"]: tool for tool in tool_list("core", dialect)["tools"]}
        nodes[dialect] = listed["create_tasks"]["inputSchema"]["properties"]["tasks"]["items"]
        assert (nodes[dialect]["type"], nodes[dialect]["additionalProperties"]) == ("object", False)
    assert nodes["plain"]["required"] == ["name"]
    assert nodes["nullable"]["properties"]["ref"] == {"type": "string", "nullable": True}
    assert nodes["strict"]["required"] == list(nodes["strict"]["properties"])
    assert nodes["strict"]["properties"]["ref"] == {"type": ["string", "null"]}


async def test_an_agent_splits_its_task_with_two_calls(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="whole", project_name="Shop")
        await someone.ok("claim_next_task", agent_id="ann")
        parts = [
            {"name": "first", "ref": "first", "parent": "1"},
            {"name": "second", "ref": "second", "parent": "#1", "depends_on": ["first"]},
            {"name": "third", "parent": "1", "ref": "", "acceptance": [], "description": ""},
        ]
        created = await someone.ok("create_tasks", tasks=parts, agent_id="ann")
        assert created == {"ids": {"first": 2, "second": 3}, "task_ids": [4]}
        released = await someone.ok("release_task_lock", task_id=1, agent_id="ann", handoff="split")
        assert tokens(created) + tokens(released) <= 45
        assert (await someone.ok("claim_next_task", agent_id="ann"))["task"]["parent_id"] == 1
        details = await someone.ok("get_task_details", task_id=1)
        assert details["progress"] == {"total": 3, "done": 0, "open": 3}
        assert [task["name"] for task in details["subtasks"]] == ["first", "second", "third"]
        rows = await someone.ok("list_tasks", project_name="Shop")
        assert all("subtasks" not in row for row in rows["items"])


async def test_a_filled_call_of_a_strict_client_creates_the_tasks(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        blank = {"ref": None, "parent": None, "depends_on": None, "description": None, "acceptance": None}
        created = await someone.ok("create_tasks", tasks=[{"name": "one", **blank}], project_name="Shop")
        assert created["task_ids"] == [1]


async def test_an_agent_reports_a_bug_that_blocks_its_task_with_one_call(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="mine", project_name="Shop")
        await someone.ok("claim_next_task", agent_id="ann")
        bug = await someone.ok("create_task", name="bug", blocks=[1], agent_id="ann")
        assert (bug["id"], bug["project_id"]) == (2, 1)
        await someone.ok("release_task_lock", task_id=1, agent_id="ann")
        edited = await someone.ok("update_task", task_id=1, agent_id="ann", add_depends_on=[2])
        assert tokens(edited) <= 45
        assert (await someone.ok("claim_next_task", agent_id="ann"))["task"]["id"] == 2


async def test_an_agent_saves_a_finding_and_the_next_claim_returns_it(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="one", project_name="Shop")
        await someone.ok("create_task", name="two", project_name="Shop")
        first = await someone.ok("claim_next_task", agent_id="ann")
        assert "knowledge" not in first
        saved = await someone.ok("remember", title="Tests", content="run scripts/test", agent_id="ann")
        assert saved == {"knowledge_id": 1, "operation": "created", "version": 1}
        claim = await someone.ok("claim_next_task", agent_id="bob")
        assert claim["knowledge"] == [{"id": 1, "title": "Tests", "content": "run scripts/test"}]
        context = await someone.ok("get_context", agent_id="bob")
        assert context["knowledge"] == claim["knowledge"]
