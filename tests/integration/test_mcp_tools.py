"""The MCP tools as seen by agents: their list, input, results and error texts."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import orjson
import pytest
from mcp import MCPError
from mcp.types import ToolAnnotations

from project_manager.catalogue import BY_NAME
from project_manager.schemas.instructions import INSTRUCTIONS
from tests.e2e.mcp_listener import call, listening, wire
from tests.integration.mcp_product import PROTOCOLS, TIMEOUT, agent, product

pytestmark = pytest.mark.slow

CORE = [
    "get_available_tasks",
    "claim_next_task",
    "acquire_task_lock",
    "renew_task_lock",
    "update_task_status",
    "release_task_lock",
    "create_task",
    "create_tasks",
    "update_task",
    "remember",
    "get_task_details",
    "get_context",
    "list_tasks",
    "list_projects",
    "list_epics",
    "add_task_log",
    "wait_for_events",
    "review_task",
    "ask",
    "send_message",
]
LOOP = {
    "claim_next_task",
    "renew_task_lock",
    "add_task_log",
    "update_task_status",
    "release_task_lock",
    "get_context",
    "ask",
}
AGREED = Path(__file__).with_name("snapshots") / "mcp_tools.json"
PORTABLE = {"type", "properties", "required", "additionalProperties", "items", "enum", "format", "description"}


async def listed(folder: Path, **settings: object) -> list[dict[str, Any]]:
    async with product(folder, **settings) as made, agent(made.server) as someone:
        tools = (await someone.client.list_tools()).tools
        return [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in tools]


async def test_the_core_tools_are_listed_within_their_budget(tmp_path: Path) -> None:
    tools = await listed(tmp_path)
    assert sorted(tool["name"] for tool in tools) == sorted(CORE)
    assert len(tools) <= 20
    assert len(orjson.dumps({"tools": tools})) / 4 <= 3200


async def test_the_tools_of_the_loop_are_listed_within_their_budget(tmp_path: Path) -> None:
    tools = await listed(tmp_path, MCP_TOOLS="loop")
    assert {tool["name"] for tool in tools} == LOOP
    assert len(orjson.dumps({"tools": tools})) / 4 <= 1200


async def test_instructions_teach_the_loop_in_a_thousand_characters(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server, "legacy") as someone:
        assert someone.client.instructions == INSTRUCTIONS
    assert len(INSTRUCTIONS) <= 1000
    for tool in ("claim_next_task", "renew_task_lock", "update_task_status", "release_task_lock", "get_context"):
        assert tool in INSTRUCTIONS


async def test_the_other_tools_are_listed_when_the_setting_asks_for_all(tmp_path: Path) -> None:
    names = {tool["name"] for tool in await listed(tmp_path, MCP_TOOLS="all")}
    assert names > set(CORE)
    assert {"delete_task", "create_project"} <= names


@pytest.mark.parametrize("schema_form", ["plain", "nullable"])
async def test_every_schema_is_one_that_strict_clients_accept(tmp_path: Path, schema_form: str) -> None:
    for tool in await listed(tmp_path, MCP_TOOLS="all", MCP_SCHEMA=schema_form):
        schema = tool["inputSchema"]
        assert schema["type"] == "object"
        assert schema.get("additionalProperties") is (None if schema_form == "plain" else False)
        for node in (schema, *schema["properties"].values()):
            assert set(node) <= {*PORTABLE, "nullable"}, tool["name"]
            assert isinstance(node["type"], str), tool["name"]
            assert node["type"] != "array" or isinstance(node["items"]["type"], str), tool["name"]
        assert set(schema.get("required", ())) <= set(schema["properties"])


def objects_in(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each node of a schema that describes an object, the inner ones included."""
    if "object" in node["type"]:
        yield node
    for inner in (*node.get("properties", {}).values(), *([node["items"]] if "items" in node else [])):
        yield from objects_in(inner)


async def test_a_strict_function_has_no_object_with_unknown_or_optional_properties(tmp_path: Path) -> None:
    for tool in await listed(tmp_path, MCP_SCHEMA="strict"):
        for node in objects_in(tool["inputSchema"]):
            assert node["additionalProperties"] is False, tool["name"]
            assert set(node["required"]) == set(node["properties"]), tool["name"]


async def test_every_tool_has_a_plain_name_a_title_a_line_and_the_hints_that_no_client_would_assume(
    tmp_path: Path,
) -> None:
    for tool in await listed(tmp_path, MCP_TOOLS="all"):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", tool["name"])
        assert tool["title"]
        assert 20 <= len(tool["description"]) <= 200
        row = BY_NAME[tool["name"]].tool
        assert row is not None
        hints = row.hints
        annotations = ToolAnnotations.model_validate(tool["annotations"])
        assert bool(annotations.read_only_hint) is hints.read_only
        assert annotations.open_world_hint is False
        if not hints.read_only:
            assert bool(annotations.idempotent_hint) is hints.idempotent
            assert (annotations.destructive_hint is None) is hints.destructive


@pytest.mark.promise("interface:stable")
async def test_the_list_of_tools_is_the_one_that_was_agreed(tmp_path: Path) -> None:
    """After a change on purpose, run `python -m tests.integration.test_interface`."""
    tools = await listed(tmp_path, MCP_TOOLS="all")
    assert tools == orjson.loads(AGREED.read_bytes())


async def test_the_order_of_the_list_never_changes(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    assert await listed(tmp_path) == await listed(tmp_path / "again")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_task_goes_through_the_loop(tmp_path: Path, protocol: str) -> None:
    async with product(tmp_path) as made, agent(made.server, protocol) as someone:
        await someone.ok("create_task", name="write it", project_name="book")
        claimed = await someone.ok("claim_next_task", agent_id="ann")
        task_id, fence = claimed["task"]["id"], claimed["lock"]["fence"]
        held = {"task_id": task_id, "agent_id": "ann", "fence": fence}
        await someone.ok("add_task_log", body="half of it", **held)
        await someone.ok("renew_task_lock", ttl_seconds=600, **held)
        done = await someone.ok("update_task_status", status="DONE", **held)
        assert done == {"task_id": task_id, "status": "DONE", "previous_status": "IN_PROGRESS"}
        assert "task" not in await someone.ok("claim_next_task", agent_id="ann")


# Input


@pytest.mark.parametrize("task_id", [1, "1", " 1 "])
async def test_an_id_may_be_a_number_or_text(tmp_path: Path, task_id: Any) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="one", project_name="p")
        assert (await someone.ok("get_task_details", task_id=task_id))["task"]["id"] == 1


@pytest.mark.parametrize("labels", [["a", "b"], '["a","b"]', "a,b"])
async def test_a_list_may_be_text(tmp_path: Path, labels: Any) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="one", project_name="p", labels=labels)
        assert (await someone.ok("get_task_details", task_id=1))["task"]["labels"] == ["a", "b"]


async def test_null_means_not_given_and_clear_empties(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok(
            "create_task", name="one", project_name="p", labels=None, due_at="2030-01-01T00:00:00Z", epic_id=None
        )
        edited = await someone.ok("update_task", task_id=1, labels=None, priority=1, due_at=None)
        assert edited["ignored"] == ["due_at"]
        assert (await someone.ok("get_task_details", task_id=1))["task"]["due_at"] == "2030-01-01T00:00:00.000Z"
        await someone.ok("update_task", task_id=1, clear=["due_at"])
        assert (await someone.ok("get_task_details", task_id=1))["task"].get("due_at") is None


async def test_the_predecessors_words_are_understood(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok(
            "create_task", name="one", project_name="p", ra_mode="simple", ra_score="5", prompt_snapshot="x"
        )
        tagged = await someone.ok(
            "create_task", name="two", project_name="p", dependencies="[1]", ra_tags='["#PLAN: x"]'
        )
        assert tagged["assumptions"] == [{"id": 1, "type": "PLAN", "text": "x"}]
        locked = await someone.ok("acquire_task_lock", task_id="1", agent_id="ann", timeout=120)
        assert locked["lock"]["ttl_seconds"] == 120
        done = await someone.ok("update_task_status", task_id="1", status="completed", agent_id="ann")
        assert done["status"] == "DONE"
        assert (await someone.ok("get_available_tasks", status="ALL"))["total"] >= 1


async def test_the_predecessors_other_tools_answer(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="one", project_name="p")
        assert (await someone.ok("get_instructions", format="concise"))["instructions"] == INSTRUCTIONS
        await someone.ok("upsert_knowledge", project_id=1, title="convention", content="two spaces")
        instructions = await someone.ok("get_instructions", project_id="1", include_knowledge_context="true")
        assert [item["content"] for item in instructions["knowledge"]] == ["two spaces"]
        tag = {"ra_tag_text": "#ASSUMPTION: it fits", "file_path": "a.py", "line_number": 3, "agent_id": "ann"}
        assert "it fits" in str(await someone.ok("add_ra_tag", task_id="1", **tag))
        assert "items" in str(await someone.ok("get_knowledge", project_id="1"))
        assert (await someone.ok("delete_task", task_id="1"))["deleted"] == "task"


# Errors


async def test_an_error_is_one_text_with_code_reason_and_remedy(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="one", project_name="p")
        await someone.ok("acquire_task_lock", task_id=1, agent_id="ann")
        text = await someone.fails("acquire_task_lock", task_id=1, agent_id="bob")
        code, why, *_ = text.splitlines()
        assert code.startswith("LOCK_HELD: ")
        assert "ann" in code
        assert "claim_next_task" in why
        assert orjson.loads(text.splitlines()[-1])["holder"] == "ann"


async def _stale(someone: Any) -> str:
    await someone.ok("acquire_task_lock", task_id=1, agent_id="ann")
    return str(await someone.fails("update_task_status", task_id=1, status="DONE", agent_id="ann", fence=77))


@pytest.mark.parametrize(
    ("code", "tool", "arguments"),
    [
        ("TASK_NOT_FOUND", "get_task_details", {"task_id": 99}),
        ("INVALID", "get_task_details", {"task_id": "nine"}),
        ("INVALID", "get_task_details", {}),
        ("INVALID", "acquire_task_lock", {"task_id": 1, "agent_id": "ann", "ttl_seconds": 4000}),
        ("AGENT_REQUIRED", "acquire_task_lock", {"task_id": 1}),
        ("UNKNOWN_ARGUMENT", "list_tasks", {"statuss": "TODO"}),
        ("NOT_HELD", "renew_task_lock", {"task_id": 1, "agent_id": "ann"}),
        ("INVALID_TRANSITION", "acquire_task_lock", {"task_id": 2, "agent_id": "ann"}),
        ("MALFORMED_CURSOR", "list_tasks", {"cursor": "nonsense"}),
    ],
)
async def test_every_error_begins_with_its_code(tmp_path: Path, code: str, tool: str, arguments: Any) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="one", project_name="p")
        await someone.ok("create_task", name="two", project_name="p")
        await someone.ok("update_task_status", task_id=2, status="CANCELLED", agent_id="ann")
        assert (await someone.fails(tool, **arguments)).startswith(f"{code}: ")


async def test_a_stale_fence_is_answered_with_the_instruction_to_stop(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="one", project_name="p")
        assert (await _stale(someone)).startswith("STALE_FENCE: ")


async def test_an_unknown_argument_is_named_with_its_nearest(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        assert "did you mean `status`?" in await someone.fails("list_tasks", statuss="TODO")


async def test_an_unknown_tool_is_a_protocol_error_that_names_the_nearest(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        with pytest.raises(MCPError) as raised:
            await someone.result("claim_nxt_task")
        assert raised.value.error.code == -32602
        assert "did you mean `claim_next_task`?" in raised.value.error.message


async def test_a_stopped_database_is_an_error_text_like_any_other(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await anyio.to_thread.run_sync(made.runtime.database.writer.close)
        text = await someone.fails("create_task", name="one", project_name="p")
        assert text.startswith("SHUTTING_DOWN: ")


# Waiting


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_waiting_claim_is_given_the_task_that_appears(tmp_path: Path, protocol: str) -> None:
    async with product(tmp_path) as made, agent(made.server, protocol) as waiter, agent(made.server) as maker:
        claimed: list[Any] = []
        waits = anyio.Event()

        async def wait() -> None:
            async def progressed(progress: float, total: float | None, message: str | None) -> None:
                assert (total, message) == (50, "waiting")
                waits.set()

            arguments = {"agent_id": "ann", "wait_seconds": 50}
            result = await waiter.client.call_tool("claim_next_task", arguments, progress_callback=progressed)
            claimed.append(result.structured_content)

        with anyio.fail_after(TIMEOUT):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await waits.wait()
                await maker.ok("create_task", name="at last", project_name="p")
        assert claimed[0]["task"]["name"] == "at last"


@pytest.mark.promise("claim:not-lost")
async def test_a_cancelled_wait_claims_nothing(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as waiter, agent(made.server) as maker:
        waits, scope = anyio.Event(), anyio.CancelScope()

        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            waits.set()

        async def wait() -> None:
            with scope:
                arguments = {"agent_id": "ann", "wait_seconds": 50}
                await waiter.client.call_tool("claim_next_task", arguments, progress_callback=progressed)

        with anyio.fail_after(TIMEOUT):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await waits.wait()
                scope.cancel()
        task = await maker.ok("create_task", name="for bob", project_name="p")
        assert task["ready"]
        assert (await maker.ok("claim_next_task", agent_id="bob"))["task"]["id"] == task["id"]


async def test_a_wait_ends_with_an_error_text_when_the_server_stops(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as waiter:
        made.server.draining.set()
        with anyio.fail_after(TIMEOUT):
            text = await waiter.fails("claim_next_task", agent_id="ann", wait_seconds=50)
        assert text.startswith("SHUTTING_DOWN: ")


async def test_waiting_for_events_returns_new_events(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as waiter, agent(made.server) as maker:
        head = (await waiter.ok("wait_for_events", since=0))["head"]
        found: list[Any] = []

        async def wait() -> None:
            found.append(await waiter.ok("wait_for_events", since=head, wait_seconds=50))

        with anyio.fail_after(TIMEOUT):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await maker.ok("create_task", name="one", project_name="p")
        assert found[0]["items"][0]["seq"] == head + 1


# Size


@pytest.mark.parametrize(
    "tool", ["list_tasks", "get_available_tasks", "list_projects", "get_context", "wait_for_events"]
)
async def test_no_default_answer_is_longer_than_six_thousand_tokens(tmp_path: Path, tool: str) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        for number in range(40):
            await someone.ok(
                "create_task",
                name=f"task {number} " + "n" * 150,
                project_name=f"p{number % 25}",
                description="d" * 5000,
            )
        await someone.ok("claim_next_task", agent_id="ann")
        arguments = {"agent_id": "ann"} if tool == "get_context" else {}
        result = await someone.result(tool, **arguments)
        assert len(result.content[0].text) / 4 <= 6000


async def test_lists_have_short_rows_and_continue_by_cursor(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        for number in range(25):
            await someone.ok("create_task", name=f"task {number}", project_name="p")
        first = await someone.ok("list_tasks")
        assert (len(first["items"]), first["total"]) == (20, 25)
        rest = await someone.ok("list_tasks", cursor=first["next_cursor"])
        assert len(rest["items"]) == 5
        assert "description" not in first["items"][0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_calls_are_counted_by_tool_protocol_version_and_outcome(tmp_path: Path, protocol: str) -> None:
    async with product(tmp_path) as made, agent(made.server, protocol) as someone:
        await someone.ok("list_tasks")
        await someone.fails("get_task_details", task_id=9)
        page = (await anyio.to_thread.run_sync(made.runtime.metrics.render)).decode()
        version = PROTOCOLS[protocol]
        assert f'pm_mcp_calls_total{{outcome="ok",protocol_version="{version}",tool="list_tasks"}} 1.0' in page
        counted = f'outcome="task_not_found",protocol_version="{version}",tool="get_task_details"'
        assert f"pm_mcp_calls_total{{{counted}}} 1.0" in page


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("list_tasks", {}),
        ("get_task_details", {"task_id": 1}),
        ("get_task_details", {"task_id": 9}),
        ("list_tasks", {"statuss": "x"}),
        ("get_instructions", {}),
        ("nonsense", {}),
    ],
)
async def test_the_fast_path_returns_the_same_as_the_path_of_the_sdk(
    tmp_path: Path, protocol: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with product(tmp_path) as made, listening(made.server) as listener, wire(listener) as bare:
        await bare.initialize()
        post = bare.post if protocol == "legacy" else bare.post_modern
        await post(call("create_task", name='quotes " and ünïcode \u2028', project_name="p"))
        short = await post(call(tool, 7, **arguments))
        made.server.middleware.append(_sdk_path)
        long = await post(call(tool, 7, **arguments))
        assert short.status_code == long.status_code
        assert short.json() == long.json()


async def _sdk_path(ctx: Any, call_next: Any) -> Any:
    """Pass every message on. A middleware that must see every message keeps calls on the path of the SDK."""
    return await call_next(ctx)
