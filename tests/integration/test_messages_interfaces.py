"""Messages over REST and MCP: where they come with a response, and how a call acknowledges them."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from project_manager.catalogue import BY_NAME, OPERATIONS
from project_manager.domain.actors import LOCAL
from project_manager.mcp.tools import tool_list
from project_manager.runtime.calls import Caller
from project_manager.runtime.open import open_runtime
from tests.http_service import HttpService
from tests.integration.mcp_product import agent, product
from tests.operations_client import Json, MovableClock, OperationsClient
from tests.stored_rows import Address, settings_of

PROTOCOLS = ["2026-07-28", "legacy"]
STEER: Json = {"to_agent": "codex", "kind": "steer", "body": "Use the new parser"}
EMPTY: list[Any] = [[], [0], None, "", "[]", "null", 0, False, [""]]


async def state_of(api: OperationsClient, number: int) -> str:
    items = (await api.call("list_messages"))["items"]
    return str(next(item["state"] for item in items if item["id"] == number))


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_every_tool_brings_a_message_and_takes_its_acknowledgement(tmp_path: Path, protocol: str) -> None:
    async with product(tmp_path) as server, agent(server.server, protocol) as codex:
        runtime = server.runtime
        api = OperationsClient(runtime, MovableClock())
        sent = await api.call("send_message", **STEER)
        found = await codex.ok("get_context", agent_id="codex")
        (message,) = found["messages"]
        assert found["to_acknowledge"] == f"send ack: [{sent['id']}] with your next call"
        assert message == {
            "id": sent["id"],
            "kind": "steer",
            "sender": "local",
            "body": "Use the new parser",
            "sent_at": sent["created_at"],
        }
        answer = await codex.ok("create_task", name="x", agent_id="codex", ack=[message["id"]])
        assert "messages" not in answer
        assert await state_of(api, sent["id"]) == "acknowledged"


@pytest.mark.parametrize("ack", EMPTY)
async def test_a_client_that_sends_every_argument_sends_an_empty_acknowledgement(tmp_path: Path, ack: Any) -> None:
    async with product(tmp_path) as server, agent(server.server) as codex:
        assert (await codex.ok("create_task", name="x", agent_id="codex", ack=ack))["id"] == 1


@pytest.mark.parametrize("ack", ["all", [1.5], [-1], {"id": 1}, [[1]], list(range(1, 102))])
async def test_a_wrong_acknowledgement_is_rejected_with_the_remedy(tmp_path: Path, ack: Any) -> None:
    async with product(tmp_path) as server, agent(server.server) as codex:
        text = await codex.fails("create_task", name="x", agent_id="codex", ack=ack)
        assert "`ack` is not a list of at most 100 message ids" in text
        assert "such as [3]" in text


@pytest.mark.parametrize("dialect", ["plain", "nullable", "strict"])
def test_two_tools_list_the_acknowledgement(dialect: Any) -> None:
    tools = tool_list("core", dialect)["tools"]
    listed = {tool["name"] for tool in tools if "ack" in tool["inputSchema"]["properties"]}
    assert listed == {"renew_task_lock", "add_task_log"}


def test_the_tool_is_listed_within_its_budget() -> None:
    (tool,) = [tool for tool in tool_list("core", "plain")["tools"] if tool["name"] == "send_message"]
    assert len(orjson.dumps(tool)) / 4 <= 110


async def test_an_error_over_mcp_brings_messages_too(tmp_path: Path) -> None:
    async with product(tmp_path) as server, agent(server.server) as codex:
        api = OperationsClient(server.runtime, MovableClock())
        task = await api.create_task()
        await api.claim(task["id"], "ann")
        await api.call("send_message", **STEER)
        text = await codex.fails("acquire_task_lock", task_id=task["id"], agent_id="codex")
        assert text.startswith("LOCK_HELD: ")
        assert "Use the new parser" in text


async def test_a_send_over_mcp_reaches_a_person(tmp_path: Path) -> None:
    async with product(tmp_path) as server, agent(server.server) as codex:
        sent = await codex.ok("send_message", to_agent="local", body="Which key?", agent_id="codex")
        api = OperationsClient(server.runtime, MovableClock())
        (item,) = (await api.call("list_messages", attention=True))["items"]
        assert (item["id"], item["body"], item["sender"]) == (sent["id"], "Which key?", "codex")


async def test_over_rest_a_write_brings_messages_beside_its_result_and_a_header_acknowledges_them(
    service: HttpService, api: OperationsClient
) -> None:
    sent = await service.ok("POST", "/api/messages", STEER)
    assert "messages" not in await service.ok("GET", "/api/tasks?agent_id=codex")
    task = await service.ok("POST", "/api/tasks", {"name": "x", "agent_id": "codex"})
    assert ([message["id"] for message in task["messages"]], task["name"]) == ([sent["id"]], "x")
    ack = str(sent["id"])
    again = await service.ok("POST", "/api/tasks", {"name": "y", "agent_id": "codex"}, Message_Ack=ack)
    assert "messages" not in again
    assert await state_of(api, sent["id"]) == "acknowledged"


async def test_over_rest_only_the_context_of_all_reads_brings_messages(service: HttpService) -> None:
    sent = await service.ok("POST", "/api/messages", STEER)
    for path in ("/api/tasks?holder=codex", "/api/agents/codex", "/api/messages?agent_id=codex"):
        response = await service.send("GET", path)
        assert "messages" not in response.json()
    context = await service.ok("GET", "/api/context?agent_id=codex")
    assert [message["id"] for message in context["messages"]] == [sent["id"]]


@pytest.mark.parametrize("header", ["all", "1,,2", "-1", "1" * 30, ",".join(["1"] * 101)])
async def test_a_malformed_acknowledgement_header_is_rejected(service: HttpService, header: str) -> None:
    error = await service.error(400, "POST", "/api/tasks", {"name": "x"}, Message_Ack=header)
    assert error["code"] == "malformed_header"


async def test_a_repeated_request_with_a_key_brings_messages_beside_the_first_result(service: HttpService) -> None:
    body = {"name": "x", "agent_id": "codex"}
    first = await service.ok("POST", "/api/tasks", body, Idempotency_Key="k")
    sent = await service.ok("POST", "/api/messages", STEER)
    again = await service.ok("POST", "/api/tasks", body, Idempotency_Key="k")
    assert [message["id"] for message in again.pop("messages")] == [sent["id"]]
    assert again == first


async def test_a_delivery_is_repeated_if_the_process_ends_before_the_response(database: Address) -> None:
    """The response of the first process is lost. The note is not acknowledged by the next call."""
    clock = MovableClock()
    async with open_runtime(settings_of(database), clock=clock) as runtime:
        api = OperationsClient(runtime, clock)
        number = (await api.call("send_message", to_agent="codex", body="x"))["id"]
        assert len((await api.run("create_project", name="Garden", agent_id="codex")).messages) == 1
    clock.advance(60)
    async with open_runtime(settings_of(database), clock=clock) as runtime:
        api = OperationsClient(runtime, clock)
        assert [one.id for one in (await api.run("get_context", agent_id="codex")).messages] == [number]
        assert await state_of(api, number) == "delivered"


async def test_no_tool_has_an_argument_of_its_own_with_that_name() -> None:
    assert not [row.name for row in OPERATIONS if "ack" in row.command.model_fields]


async def test_a_message_is_in_no_log_line(api: OperationsClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        await api.call("send_message", **STEER)
        await api.runtime.run(BY_NAME["get_context"], {"agent_id": "codex"}, Caller(LOCAL, "mcp", "test"))
    assert caplog.records
    assert "parser" not in "\n".join(str(vars(record)) for record in caplog.records)
