"""Calls from clients that fill every argument, in both protocol versions and each dialect of the schemas."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from mcp import Client
from mcp.client.sse import sse_client

from tests.e2e.mcp_listener import call, listening, wire
from tests.integration.mcp_product import PROTOCOLS, Agent, agent, product

pytestmark = pytest.mark.slow

FILLED = {
    "name": "one",
    "description": "",
    "priority": 0,
    "labels": [],
    "acceptance": [],
    "depends_on": [],
    "version": 0,
}
KEPT = {"description": "all about it", "labels": ["ui"], "acceptance": ["it works"], "depends_on": [1]}
LOOP_FILLERS = {"request_id": "", "project_id": 0, "project_name": "", "epic_id": 0, "epic_name": "", "labels": []}


async def two_tasks(someone: Agent) -> None:
    await someone.ok("create_task", name="zero", project_name="p")
    await someone.ok("create_task", name="one", project_name="p", **KEPT, priority=3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_edit_by_a_client_that_fills_everything_destroys_nothing(tmp_path: Path, protocol: str) -> None:
    async with product(tmp_path) as made, agent(made.server, protocol) as someone:
        await two_tasks(someone)
        edited = await someone.ok("update_task", task_id=2, agent_id="ann", fence=0, **FILLED, log_entry="note")
        assert set(edited["ignored"]) == {*FILLED, "fence"} - {"name"}
        details = await someone.ok("get_task_details", task_id=2)
        task = details["task"]
        assert {name: task[name] for name in ("description", "labels", "acceptance", "priority")} == {
            "description": "all about it",
            "labels": ["ui"],
            "acceptance": ["it works"],
            "priority": 3,
        }
        assert details["dependencies"][0]["id"] == 1


async def test_the_most_urgent_priority_is_written_out_by_a_client_that_fills_everything(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await two_tasks(someone)
        await someone.ok("update_task", task_id=2, agent_id="ann", **{**FILLED, "priority": "P0"})
        assert (await someone.ok("get_task_details", task_id=2))["task"]["priority"] == 0


async def test_the_whole_loop_with_everything_filled(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        new = {**LOOP_FILLERS, "description": "", "priority": 0, "acceptance": [], "defer_until": "", "status": "TODO"}
        await someone.ok("create_task", name="x", **new)
        claim = await someone.ok(
            "claim_next_task", agent_id="ann", priority=0, ttl_seconds=0, wait_seconds=0, **LOOP_FILLERS
        )
        assert claim["task"]["name"] == "x"
        mine = {"task_id": claim["task"]["id"], "agent_id": "ann", "fence": claim["lock"]["fence"]}
        await someone.ok("add_task_log", body="half", kind="progress", request_id="", **mine)
        await someone.ok("renew_task_lock", ttl_seconds=0, **mine)
        await someone.ok("get_task_details", task_id=1, log_limit=0, before=0, budget_tokens=0)
        await someone.ok("get_context", agent_id="ann", project_id=0, budget_tokens=0)
        await someone.ok("list_tasks", status=[], label="", holder="", ready=False, q="", limit=0, cursor="")
        await someone.ok("list_projects", archived=False, limit=0, cursor="")
        await someone.ok("wait_for_events", since=0, types=[], project_id=0, wait_seconds=0, limit=0)
        done = await someone.ok("update_task_status", status="DONE", note="", reopen=False, request_id="", **mine)
        assert done["status"] == "DONE"
        assert done["ignored"] == ["note", "reopen", "request_id"]


async def test_an_edit_with_only_empty_values_explains_how_to_clear_a_field(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await two_tasks(someone)
        text = await someone.fails("update_task", task_id=2, labels=[], description="")
        assert text.startswith("INVALID: nothing to change")
        assert "labels, description. To clear a field, use `clear`." in text
        await someone.ok("update_task", task_id=2, clear=["labels", "description"])
        task = (await someone.ok("get_task_details", task_id=2))["task"]
        assert (task.get("labels", []), task.get("description", "")) == ([], "")
        assert task["acceptance"] == KEPT["acceptance"]


@pytest.mark.parametrize("protocol", ["2025", "2026"])
@pytest.mark.parametrize(("dialect", "priority"), [("plain", 3), ("nullable", 0), ("strict", 0)])
async def test_zero_counts_where_the_client_was_shown_a_schema_with_null(
    tmp_path: Path, protocol: str, dialect: str, priority: int
) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await two_tasks(someone)
        async with listening(made.server) as listener, wire(listener) as bare:
            bare.http.params = bare.http.params.set("schema", dialect)
            await bare.initialize()
            post = bare.post if protocol == "2025" else bare.post_modern
            answer = (await post(call("update_task", task_id=2, priority=0, labels=[], log_entry="x"))).json()
            assert answer["result"]["isError"] is False
        task = (await someone.ok("get_task_details", task_id=2))["task"]
        assert (task["priority"] if priority else task.get("priority", 0), task["labels"]) == (priority, ["ui"])


@pytest.mark.parametrize("dialect", ["plain", "nullable", "strict"])
async def test_the_setting_chooses_the_dialect_of_the_schemas(tmp_path: Path, dialect: str) -> None:
    async with product(tmp_path, MCP_SCHEMA=dialect) as made, agent(made.server) as someone:
        tools = {tool.name: tool.input_schema for tool in (await someone.client.list_tools()).tools}
        schema: dict[str, Any] = tools["update_task"]
        expected: dict[str, dict[str, Any]] = {
            "plain": {"type": "boolean"},
            "nullable": {"type": "boolean", "nullable": True},
            "strict": {"type": ["boolean", "null"]},
        }
        assert tools["list_tasks"]["properties"]["ready"].items() >= expected[dialect].items()
        assert (set(schema["required"]) == set(schema["properties"])) is (dialect == "strict")
        assert orjson.dumps(schema).count(b"nullable") == (len(schema["properties"]) - 1) * (dialect == "nullable")


async def test_the_address_chooses_the_dialect_over_legacy_sse_too(tmp_path: Path) -> None:
    async with (
        product(tmp_path) as made,
        listening(made.server) as listener,
        Client(sse_client(f"{listener.url}/sse?schema=strict"), mode="legacy") as client,
    ):
        tools = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
        assert tools["list_tasks"]["properties"]["ready"]["type"] == ["boolean", "null"]
        await client.call_tool("create_task", {"name": "one", "priority": 0, "labels": []})
        result = await client.call_tool("get_task_details", {"task_id": 1})
        assert result.structured_content is not None
        assert result.structured_content["task"]["priority"] == 0
