"""Resources, their templates and completions, and prompts, in both protocol versions."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.types import ListPromptsResult, PromptReference, ResourceTemplateReference

from project_manager.mcp.prompts import PROMPTS
from project_manager.mcp.results import shorten
from tests.e2e.mcp_listener import listening
from tests.integration.mcp_product import PROTOCOLS, Agent, agent, product

pytestmark = pytest.mark.slow


async def plan(someone: Agent) -> None:
    await someone.ok("create_task", name="write", project_name="book", epic_name="draft")
    await someone.ok("create_task", name="print", project_name="book", depends_on=[1])
    await someone.ok("acquire_task_lock", task_id=1, agent_id="ann smith")


async def read(someone: Agent, uri: str) -> Any:
    contents = (await someone.client.read_resource(uri)).contents
    assert [str(content.uri) for content in contents] == [uri]
    assert contents[0].mime_type == "application/json"
    return orjson.loads(contents[0].model_dump()["text"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_tasks_boards_and_agents_can_be_read(tmp_path: Path, protocol: str) -> None:
    async with product(tmp_path) as made, agent(made.server, protocol) as someone:
        await plan(someone)
        assert (await read(someone, "pm://task/1"))["task"]["lock"]["holder"] == "ann smith"
        board = await read(someone, "pm://project/1/board")
        assert board["project"]["name"] == "book"
        assert {row["id"] for row in board["tasks"]["items"]} == {1, 2}
        assert (await read(someone, "pm://agent/ann%20smith"))["holding"][0]["task"]["id"] == 1


async def test_the_same_read_is_the_same_as_the_tool(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await plan(someone)
        whole = orjson.dumps(await read(someone, "pm://task/2"))
        assert shorten("get_task_details", whole) == await someone.ok("get_task_details", task_id=2)


@pytest.mark.parametrize(
    "uri", ["pm://task/99", "pm://project/9/board", "pm://nothing/1", "pm://task/1/2", "file:///x"]
)
async def test_a_missing_resource_is_named_in_the_error(tmp_path: Path, uri: str) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        with pytest.raises(MCPError) as raised:
            await someone.client.read_resource(uri)
        assert (raised.value.error.code, raised.value.error.data) == (-32602, {"uri": uri})


async def test_boards_are_listed_and_families_announced(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await plan(someone)
        assert [str(found.uri) for found in (await someone.client.list_resources()).resources] == [
            "pm://project/1/board"
        ]
        templates = (await someone.client.list_resource_templates()).resource_templates
        assert [found.uri_template for found in templates] == [
            "pm://task/{task_id}",
            "pm://project/{project_id}/board",
            "pm://agent/{agent_id}",
        ]


@pytest.mark.parametrize(
    ("argument", "begun", "values"),
    [
        ("task_id", "", ["1", "2"]),
        ("task_id", "2", ["2"]),
        ("task_id", "print", ["2"]),
        ("project_id", "bo", ["1"]),
        ("agent_id", "ann", ["ann smith"]),
        ("agent_id", "zed", []),
        ("nonsense", "", []),
    ],
)
async def test_ids_are_completed_by_their_beginning_or_by_name(
    tmp_path: Path, argument: str, begun: str, values: list[str]
) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await plan(someone)
        reference = ResourceTemplateReference(type="ref/resource", uri="pm://task/{task_id}")
        found = await someone.client.complete(reference, {"name": argument, "value": begun})
        assert found.completion.values == values


# Prompts


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_prompts_are_listed_with_their_arguments(tmp_path: Path, protocol: str) -> None:
    async with product(tmp_path) as made, agent(made.server, protocol) as someone:
        found: ListPromptsResult = await someone.client.list_prompts()
        names = [prompt.name for prompt in found.prompts]
        assert names == ["plan_epic", "standup", "triage", "review_task", "hand_over"]
        assert all(prompt.title and prompt.description for prompt in found.prompts)


@pytest.mark.parametrize("name", [prompt.name for prompt in PROMPTS])
async def test_a_prompt_brings_the_task_or_project_that_it_refers_to(tmp_path: Path, name: str) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await plan(someone)
        given = {"goal": "a second edition", "project_id": "1", "task_id": "1", "agent_id": "ann smith"}
        messages = (await someone.client.get_prompt(name, given)).messages
        assert [message.content.type for message in messages] == ["resource", "text"]
        text = messages[1].content.model_dump()["text"]
        assert "{" not in text
        assert len(text) < 1500


async def test_a_prompt_names_its_missing_argument(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        with pytest.raises(MCPError, match="Missing argument: task_id"):
            await someone.client.get_prompt("review_task", {})
        with pytest.raises(MCPError, match="Available prompts: plan_epic, standup"):
            await someone.client.get_prompt("revew_task", {})


async def test_the_arguments_of_prompts_are_completed_too(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await plan(someone)
        reference = PromptReference(type="ref/prompt", name="review_task")
        found = await someone.client.complete(reference, {"name": "task_id", "value": "wri"})
        assert found.completion.values == ["1"]


async def test_the_profile_may_be_asked_for_in_the_address(tmp_path: Path) -> None:
    async with product(tmp_path) as made, listening(made.server) as listener:
        for protocol in PROTOCOLS:
            async with Client(f"{listener.url}/mcp?tools=all", mode=protocol) as client:
                assert "delete_task" in {tool.name for tool in (await client.list_tools()).tools}
        async with Client(sse_client(f"{listener.url}/sse?tools=all"), mode="legacy") as client:
            assert "delete_task" in {tool.name for tool in (await client.list_tools()).tools}
