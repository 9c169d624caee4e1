"""The agent and the project of an MCP connection: fixed, issued by the service, and remembered by a session."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import httpx
import orjson
import pytest
from mcp import Client
from mcp.client.sse import sse_client

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL
from project_manager.mcp.server import build_server
from project_manager.runtime import maintenance
from project_manager.runtime.calls import Caller, ClientConnection
from project_manager.runtime.dispatch import Runtime
from project_manager.services import identities
from project_manager.web.application import with_middleware
from tests.e2e.mcp_listener import HANDSHAKE, TIMEOUT, Wire, call, listening, wire
from tests.http_service import HttpService
from tests.integration.mcp_product import Agent
from tests.operations_client import Json, MovableClock, OperationsClient

pytestmark = pytest.mark.slow

PROTOCOLS = ["2025", "2026"]
FILLED = {
    "agent_id": "",
    "project_id": 0,
    "project_name": "",
    "epic_id": 0,
    "epic_name": "",
    "labels": [],
    "ttl_seconds": 0,
    "wait_seconds": 0,
    "request_id": "",
}


@asynccontextmanager
async def served(runtime: Runtime, **given: Any) -> AsyncIterator[Wire]:
    """Serve MCP on a new instance of its server, and yield a client."""
    async with listening(build_server(runtime), **given) as listener, wire(listener) as bare:
        yield bare


async def ask(bare: Wire, protocol: str, path: str, tool: str, headers: Any = None, **arguments: Any) -> str:
    """Call a tool and return the text of its result. A client of 2025 opens a session at its first call."""
    if protocol == "2025":
        if not bare.session:
            await initialize(bare, path)
        answer = await bare.post(call(tool, **arguments), headers, path)
    else:
        answer = await post_modern(bare, path, call(tool, **arguments), headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["result"]["content"][0]["text"])


async def initialize(bare: Wire, path: str, client: str = "claude-code") -> None:
    params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": client, "version": "1"}}
    opening = await bare.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, path=path)
    bare.session = opening.headers["mcp-session-id"]
    await bare.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, path=path)


async def post_modern(bare: Wire, path: str, message: Json, headers: Json | None = None) -> httpx.Response:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "Codex MCP", "version": "1"},
    }
    named = {"mcp-name": message["params"]["name"]} if "name" in message["params"] else {}
    routing = {"mcp-protocol-version": "2026-07-28", "mcp-method": message["method"], **named, **(headers or {})}
    body = {**message, "params": {**message["params"], "_meta": meta}}
    return await bare.http.post(path, content=orjson.dumps(body), headers=routing)


async def listed(bare: Wire, path: str, protocol: str = "2026", headers: Json | None = None) -> Json:
    """Return the input schemas of the listed tools by name."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    if protocol == "2025":
        await initialize(bare, path)
        answer = await bare.post(message, headers, path)
        body = orjson.loads(answer.text.partition("data: ")[2].strip())
    else:
        body = (await post_modern(bare, path, message, headers)).json()
    return {tool["name"]: tool["inputSchema"] for tool in body["result"]["tools"]}


async def holder(api: OperationsClient, task_id: int) -> str | None:
    lock = (await api.get_task(task_id))["lock"]
    return lock and str(lock["holder"])


async def new_token(api: OperationsClient, role: str, agent_id: str | None = None) -> dict[str, str]:
    raw = {"name": f"{role} {agent_id}", "role": role, "agent_id": agent_id}
    answer = await api.runtime.run(BY_NAME["create_token"], raw, Caller(LOCAL, "cli", "test"))
    return {"authorization": f"Bearer {answer.view.secret}"}


# A fixed agent


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("path", "headers"), [("/mcp?agent_id=ann%2F1", {}), ("/mcp", {"x-agent-id": "ann/1"})], ids=["query", "header"]
)
async def test_no_call_of_a_connection_with_a_fixed_agent_needs_an_agent_id(
    api: OperationsClient, protocol: str, path: str, headers: Json
) -> None:
    task = await api.create_task()
    async with served(api.runtime) as bare:
        call_it = partial(ask, bare, protocol, path, headers=headers)
        claim = orjson.loads(await call_it("claim_next_task"))
        assert "agent_id" not in claim
        assert await holder(api, task["id"]) == "ann/1"
        await call_it("add_task_log", task_id=task["id"], body="begun", fence=1)
        assert (await api.logs(task["id"]))[-1]["author"] == "ann/1"
        assert orjson.loads(await call_it("get_context"))["agent_id"] == "ann/1"
        made = orjson.loads(await call_it("create_task", name="Buy paint"))
        assert made["created_by"] == "ann/1"
        assert '"status":"DONE"' in await call_it("update_task_status", task_id=task["id"], status="DONE", fence=1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_argument_may_repeat_the_fixed_agent_but_not_name_another_one(
    api: OperationsClient, protocol: str
) -> None:
    task = await api.create_task()
    async with served(api.runtime) as bare:
        other = await ask(bare, protocol, "/mcp?agent_id=ann", "claim_next_task", agent_id="bob")
        assert other.startswith("AGENT_MISMATCH: this connection acts as 'ann' and cannot act as 'bob'")
        assert await holder(api, task["id"]) is None
        await ask(bare, protocol, "/mcp?agent_id=ann", "claim_next_task", agent_id="auto")
        assert await holder(api, task["id"]) == "ann"
        await ask(bare, protocol, "/mcp?agent_id=ann", "renew_task_lock", agent_id="ann")


async def test_an_address_and_a_header_that_differ_are_refused(api: OperationsClient) -> None:
    async with served(api.runtime) as bare:
        headers = {"x-agent-id": "bob", "x-project": "Garden"}
        for path in ("/mcp?agent_id=ann", "/mcp?agent_id=ann&agent_id=cy"):
            text = await ask(bare, "2026", path, "list_tasks", headers)
            assert text.startswith("AGENT_MISMATCH: the address and the headers of this connection name 'ann' and ")
        text = await ask(bare, "2026", "/mcp?agent_id=bob&project=Shop", "list_tasks", headers)
        assert text.startswith("INVALID: the address and the headers of this connection name the projects")


@pytest.mark.parametrize(
    "name", ["local", "System", "unnamed", "unnamed/x", "l0cal", "\u0455ystem", "\u0430uto", "aut0"]
)
async def test_a_reserved_agent_id_of_a_connection_is_refused_at_each_call(api: OperationsClient, name: str) -> None:
    await api.create_task()
    async with served(api.runtime) as bare:
        for tool in ("claim_next_task", "list_tasks"):
            text = await ask(bare, "2026", f"/mcp?agent_id={name}", tool)
            assert text.startswith("AGENT_REQUIRED: "), text
            assert "is reserved" in text


@pytest.mark.parametrize("name", ["a%00b", "%E3%85%A4", "x" * 129, "a%0Ab"])
async def test_an_invalid_agent_id_of_a_connection_is_refused(api: OperationsClient, name: str) -> None:
    async with served(api.runtime) as bare:
        text = await ask(bare, "2026", f"/mcp?agent_id={name}", "claim_next_task")
        assert text.startswith("INVALID: `agent_id` ")


async def test_two_connections_with_the_same_fixed_agent_share_its_leases_with_a_notice(api: OperationsClient) -> None:
    await api.create_task()
    await api.create_task("Buy paint")
    async with served(api.runtime) as one, wire_of(one) as two:
        first = orjson.loads(await ask(one, "2025", "/mcp?agent_id=ann", "claim_next_task"))
        second = orjson.loads(await ask(two, "2025", "/mcp?agent_id=ann", "claim_next_task"))
        assert [lease["task_id"] for lease in second["also_holding"]] == [first["task"]["id"]]
        assert "another session may use this id" in second["notice"]
        text = await ask(two, "2025", "/mcp?agent_id=ann", "renew_task_lock")
        assert [lease["task_id"] for lease in orjson.loads(text)["leases"]] == [1, 2]


@asynccontextmanager
async def wire_of(bare: Wire) -> AsyncIterator[Wire]:
    """Yield another client of the same listener."""
    async with httpx.AsyncClient(
        base_url=bare.http.base_url, headers=bare.http.headers, timeout=TIMEOUT, trust_env=False
    ) as http:
        yield Wire(http)


async def test_a_token_takes_precedence_and_another_fixed_agent_is_a_mismatch(api: OperationsClient) -> None:
    await api.create_task()
    async with served(api.runtime, guard=lambda app: with_middleware(app, api.runtime)) as bare:
        bound, free = await new_token(api, "agent", "ann"), await new_token(api, "agent")
        other = await ask(bare, "2026", "/mcp?agent_id=bob", "claim_next_task", bound)
        assert other.startswith("AGENT_MISMATCH: this token is bound to 'ann' and cannot act as 'bob'")
        stolen = await ask(bare, "2026", "/mcp?agent_id=ann", "claim_next_task", free)
        assert stolen.startswith("AGENT_MISMATCH: agent id 'ann' is bound to another token")
        claim = orjson.loads(await ask(bare, "2026", "/mcp?agent_id=auto", "claim_next_task", bound))
        assert claim["agent_id"] == await holder(api, 1) == "ann"
        assert "agent_id" not in (await listed(bare, "/mcp", headers=bound))["claim_next_task"]["properties"]
        assert "agent_id" in (await listed(bare, "/mcp", headers=free))["claim_next_task"]["required"]


async def test_a_fixed_agent_and_project_are_left_out_of_the_listed_arguments(api: OperationsClient) -> None:
    async with served(api.runtime) as bare:
        plain = await listed(bare, "/mcp")
        fixed = await listed(bare, "/mcp?agent_id=ann&project=Garden")
        for schema in fixed.values():
            names = {*schema["properties"], *schema.get("required", ())}
            assert names.isdisjoint({"agent_id", "project_id", "project_name"})
        assert len(orjson.dumps(fixed)) / len(orjson.dumps(plain)) < 0.9
        strict = await listed(bare, "/mcp?agent_id=ann&schema=strict")
        assert "agent_id" not in strict["claim_next_task"]["required"]
        issued = await listed(bare, "/mcp?agent_id=auto")
        assert "agent_id" in issued["claim_next_task"]["properties"]
        assert "agent_id" not in issued["claim_next_task"].get("required", ())
        assert "agent_id" not in (await listed(bare, "/mcp?agent_id=auto", "2025"))["claim_next_task"]["properties"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_client_that_fills_every_field_gets_the_task_of_its_connection(
    api: OperationsClient, protocol: str
) -> None:
    await api.create_task()
    await api.create_task("Sell", project_name="Shop", priority=0)
    async with served(api.runtime) as bare:
        path = "/mcp?agent_id=ann&project=Garden"
        claim = orjson.loads(await ask(bare, protocol, path, "claim_next_task", **FILLED))
        assert claim["task"]["id"] == 1
        assert await holder(api, 1) == "ann"


async def test_a_read_of_a_fixed_agent_names_its_leases_that_end_soon(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann", ttl_seconds=300)
    await api.advance(250)
    async with served(api.runtime) as bare:
        seen = orjson.loads(await ask(bare, "2026", "/mcp?agent_id=ann", "list_projects"))
        assert [lease["task_id"] for lease in seen["your_leases_end_soon"]] == [task["id"]]


# A fixed project


@pytest.mark.parametrize("sent", ["project=garden", "project=1", "project=%20Garden%20"])
async def test_the_fixed_project_is_the_default_of_each_tool_that_takes_one(api: OperationsClient, sent: str) -> None:
    await api.create_task()
    await api.create_task("Sell", project_name="Shop", priority=0)
    async with served(api.runtime) as bare:
        call_it = partial(ask, bare, "2026", f"/mcp?agent_id=ann&{sent}")
        assert [row["id"] for row in orjson.loads(await call_it("list_tasks"))["items"]] == [1]
        assert [row["id"] for row in orjson.loads(await call_it("get_available_tasks"))["items"]] == [1]
        assert orjson.loads(await call_it("get_context"))["ready_tasks"] == 1
        assert orjson.loads(await call_it("claim_next_task"))["task"]["id"] == 1
        assert orjson.loads(await call_it("create_task", name="x", epic_name="Roof"))["project_id"] == 1
        assert [row["name"] for row in orjson.loads(await call_it("list_epics"))["items"]] == ["Roof"]
        assert '"task"' not in await call_it("claim_next_task", priority=0)


@pytest.mark.parametrize("argument", [{"project_id": 2}, {"project_name": "Shop"}, {"project_name": "New"}])
@pytest.mark.parametrize("tool", ["claim_next_task", "list_tasks", "create_task"])
async def test_an_argument_that_names_another_project_is_refused(
    api: OperationsClient, tool: str, argument: Json
) -> None:
    await api.create_task()
    await api.create_task("Sell", project_name="Shop")
    more = {"name": "x"} if tool == "create_task" else {}
    async with served(api.runtime) as bare:
        text = await ask(bare, "2026", "/mcp?agent_id=ann&project=Garden", tool, **argument, **more)
        (field,) = argument
        assert text.startswith(f"INVALID: `{field}` is ")
        assert "this connection is for the project `Garden` (1)" in text
        same = await ask(
            bare, "2026", "/mcp?agent_id=ann&project=Garden", tool, project_id="1", project_name="GARDEN", **more
        )
        assert not same.startswith("INVALID"), same
    assert len((await api.call("list_projects"))["items"]) == 2


async def test_an_unknown_project_of_a_connection_is_named_at_the_first_call_and_never_created(
    api: OperationsClient,
) -> None:
    await api.create_task()
    async with served(api.runtime) as bare:
        for tool, more in (("claim_next_task", {}), ("create_task", {"name": "x"}), ("get_context", {})):
            text = await ask(bare, "2026", "/mcp?agent_id=ann&project=Gardn", tool, **more)
            assert text.startswith("PROJECT_NOT_FOUND: project `Gardn` of this connection not found")
            assert "Did you mean `Garden`?" in text
        assert "Garden" in await ask(bare, "2026", "/mcp?agent_id=ann&project=Gardn", "list_projects")
    assert len((await api.call("list_projects"))["items"]) == 1


# Issued ids


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_service_issues_an_id_at_the_first_claim(api: OperationsClient, protocol: str) -> None:
    await api.create_task()
    await api.create_task("Buy paint")
    async with served(api.runtime) as bare:
        claim = orjson.loads(await ask(bare, protocol, "/mcp?agent_id=auto", "claim_next_task"))
        issued = claim["agent_id"]
        assert re.fullmatch("claude-[0-9a-f]{4}" if protocol == "2025" else "codex-[0-9a-f]{4}", issued)
        assert await holder(api, claim["task"]["id"]) == issued
        back = {} if protocol == "2025" else {"agent_id": issued}
        log = orjson.loads(
            await ask(bare, protocol, "/mcp?agent_id=auto", "add_task_log", task_id=1, body="x", fence=1, **back)
        )
        assert log["agent_id"] == issued
        context = orjson.loads(await ask(bare, protocol, "/mcp?agent_id=auto", "get_context", **back))
        assert context["agent_id"] == issued
        assert [held["task"]["id"] for held in context["holding"]] == [1]
        listed_tasks = orjson.loads(await ask(bare, protocol, "/mcp?agent_id=auto", "list_tasks", **back))
        assert listed_tasks["agent_id"] == issued


async def test_a_call_can_ask_for_an_id_without_a_configured_connection(api: OperationsClient) -> None:
    await api.create_task()
    async with served(api.runtime) as bare:
        claim = orjson.loads(await ask(bare, "2025", "/mcp", "claim_next_task", agent_id="Auto"))
        assert claim["agent_id"] == await holder(api, 1)
        assert orjson.loads(await ask(bare, "2025", "/mcp", "get_context"))["agent_id"] == claim["agent_id"]
        await ask(bare, "2025", "/mcp", "claim_next_task", agent_id="bob")  # not a connection with `auto`


async def test_a_session_keeps_its_id_after_a_restart_and_at_another_instance(api: OperationsClient) -> None:
    await api.create_task()
    async with served(api.runtime) as bare:
        issued = orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "claim_next_task"))["agent_id"]
        session = bare.session
    api.runtime._connection_identities._kept.clear()  # as in a new process
    async with served(api.runtime) as bare:
        bare.session = session
        assert orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "get_context"))["agent_id"] == issued
        renewed = orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "renew_task_lock"))
        assert (renewed["agent_id"], [lease["task_id"] for lease in renewed["leases"]]) == (issued, [1])


async def test_another_session_gets_another_id(api: OperationsClient) -> None:
    async with served(api.runtime) as bare, wire_of(bare) as other:
        ids = {
            orjson.loads(await ask(one, "2025", "/mcp?agent_id=auto", "create_task", name="x"))["agent_id"]
            for one in (bare, other)
        }
        assert len(ids) == 2


async def test_a_session_id_with_another_token_does_not_give_its_agent_id(api: OperationsClient) -> None:
    async with served(api.runtime, guard=lambda app: with_middleware(app, api.runtime)) as bare:
        first, second = await new_token(api, "agent"), await new_token(api, "operator")
        bare.http.headers.update(first)
        issued = orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "create_task", name="x"))["agent_id"]
        session = bare.session
    async with served(api.runtime, guard=lambda app: with_middleware(app, api.runtime)) as bare:
        bare.http.headers.update(second)
        bare.session = session
        text = await ask(bare, "2025", "/mcp?agent_id=auto", "create_task", name="x")
        assert orjson.loads(text)["agent_id"] != issued


async def test_first_calls_at_the_same_time_get_one_id(api: OperationsClient) -> None:
    for number in range(4):
        await api.create_task(f"Task {number}")
    found: list[str] = []

    async def claim(bare: Wire) -> None:
        found.append(orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "claim_next_task"))["agent_id"])

    async with served(api.runtime) as bare:
        await initialize(bare, "/mcp?agent_id=auto")
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(claim, bare)
    assert len(found) == 4
    assert len(set(found)) == 1


async def test_a_session_that_has_an_id_refuses_another_one(api: OperationsClient) -> None:
    await api.create_task()
    async with served(api.runtime) as bare:
        issued = orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "claim_next_task"))["agent_id"]
        text = await ask(bare, "2025", "/mcp?agent_id=auto", "claim_next_task", agent_id="bob")
        assert text.startswith(f"AGENT_MISMATCH: this connection acts as '{issued}' and cannot act as 'bob'")
        api.runtime._connection_identities._kept.clear()
        again = await ask(bare, "2025", "/mcp?agent_id=auto", "claim_next_task", agent_id="bob")
        assert again.startswith("AGENT_MISMATCH: ")


async def test_a_new_session_continues_as_the_agent_that_its_first_call_names(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "claude-7f3a")
    async with served(api.runtime) as bare:
        context = orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "get_context", agent_id="claude-7f3a"))
        assert [held["task"]["id"] for held in context["holding"]] == [task["id"]]
        renewed = orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "renew_task_lock"))
        assert renewed["agent_id"] == "claude-7f3a"


async def test_an_id_of_another_token_is_not_kept_by_a_session(api: OperationsClient) -> None:
    async with served(api.runtime, guard=lambda app: with_middleware(app, api.runtime)) as bare:
        await new_token(api, "agent", "ann")
        bare.http.headers.update(await new_token(api, "agent"))
        refused = await ask(bare, "2025", "/mcp?agent_id=auto", "get_context", agent_id="ann")
        assert refused.startswith("AGENT_MISMATCH: agent id 'ann' is bound to another token")
        made = orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "create_task", name="x"))
        assert made["agent_id"].startswith("claude-")


async def test_a_viewer_gets_no_id(api: OperationsClient) -> None:
    async with served(api.runtime, guard=lambda app: with_middleware(app, api.runtime)) as bare:
        bare.http.headers.update(await new_token(api, "viewer"))
        for arguments in ({}, {"agent_id": "auto"}):
            text = await ask(bare, "2025", "/mcp?agent_id=auto", "get_context", **arguments)
            assert text.startswith("AGENT_REQUIRED: `agent_id` ")
    assert [row["id"] for row in (await api.call("list_agents"))["items"]] == ["local"]


async def test_a_client_without_a_session_learns_how_to_get_its_id(api: OperationsClient) -> None:
    async with served(api.runtime) as bare:
        for path, arguments in (("/mcp?agent_id=auto", {}), ("/mcp", {"agent_id": "auto"}), ("/mcp", {})):
            text = await ask(bare, "2026", path, "get_context", **arguments)
            assert text.startswith("AGENT_REQUIRED: `agent_id` is missing; get_context ")
            assert "A claim with agent_id=auto issues one." in text
    assert (await api.call("list_agents"))["items"] == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_call_with_a_fence_gets_no_new_id(api: OperationsClient, protocol: str) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann")
    async with served(api.runtime) as bare:
        text = await ask(bare, protocol, "/mcp?agent_id=auto", "add_task_log", task_id=1, body="x", fence=1)
        assert text.startswith("AGENT_REQUIRED: `agent_id` is missing; the lease with this fence has an agent id")
        held = await ask(bare, protocol, "/mcp?agent_id=auto", "add_task_log", task_id=1, body="x")
        assert held.startswith("LOCK_HELD: ")
        assert ("No agent_id was sent." in held) == (protocol == "2026")


async def test_a_repeated_claim_with_the_same_key_gets_the_same_id_and_task(api: OperationsClient) -> None:
    await api.create_task()
    await api.create_task("Buy paint")
    async with served(api.runtime) as bare:
        claims = [
            orjson.loads(await ask(bare, "2026", "/mcp?agent_id=auto", "claim_next_task", request_id="one", **sent))
            for sent in ({}, {"agent_id": "auto"}, {})
        ]
        assert claims[0] == claims[1] == claims[2]
        back = {"request_id": "one", "agent_id": claims[0]["agent_id"]}
        assert orjson.loads(await ask(bare, "2026", "/mcp?agent_id=auto", "claim_next_task", **back)) == claims[0]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_connection_of_legacy_sse_remembers_its_id(api: OperationsClient, mode: Any) -> None:
    await api.create_task()
    async with (
        listening(build_server(api.runtime)) as listener,
        Client(sse_client(f"{listener.url}/sse?agent_id=auto&project=Garden"), mode=mode) as client,
    ):
        someone = Agent(client)
        claim = await someone.ok("claim_next_task")
        assert claim["agent_id"] == await holder(api, 1)
        assert (await someone.ok("get_context"))["agent_id"] == claim["agent_id"]
        assert "agent_id" not in (await client.list_tools()).tools[0].input_schema["properties"]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_process_on_standard_input_remembers_its_id(api: OperationsClient, mode: Any) -> None:
    await api.create_task()
    await api.create_task("Sell", project_name="Shop", priority=0)
    server = build_server(api.runtime, stdio=ClientConnection(("auto",), ("Garden",)))
    async with Client(server, mode=mode) as client:
        someone = Agent(client)
        claim = await someone.ok("claim_next_task")
        assert claim["task"]["id"] == 1
        assert (await someone.ok("renew_task_lock"))["agent_id"] == claim["agent_id"] == await holder(api, 1)


async def test_a_long_poll_of_a_session_claims_under_its_id(api: OperationsClient) -> None:
    async with (
        listening(build_server(api.runtime)) as listener,
        Client(f"{listener.url}/mcp?agent_id=auto", mode="legacy") as client,
    ):
        someone = Agent(client)
        made = await someone.ok("create_task", name="x")
        claim = await someone.ok("claim_next_task", wait_seconds=20)
        assert claim["agent_id"] == made["agent_id"] == made["created_by"]
        assert await holder(api, made["id"]) == made["agent_id"]


async def test_the_rest_api_issues_an_id_and_names_it_in_a_header(service: HttpService) -> None:
    await service.ok("POST", "/api/tasks", {"name": "x"})
    claimed = await service.send("POST", "/api/tasks/claim", {"agent_id": "auto"})
    issued = claimed.headers["x-agent-id"]
    assert re.fullmatch("agent-[0-9a-f]{4}", issued)
    assert claimed.json()["lock"]["holder"] == issued
    await service.ok("POST", "/api/tasks", {"name": "y"})
    repeated = [
        await service.send("POST", "/api/tasks/claim", {"agent_id": "auto"}, idempotency_key="once") for _ in range(2)
    ]
    assert repeated[0].json() == repeated[1].json()
    assert repeated[0].headers["x-agent-id"] == repeated[1].headers["x-agent-id"] != issued
    assert repeated[1].headers["idempotency-replayed"] == "true"
    assert (await service.error(422, "GET", "/api/context?agent_id=auto"))["code"] == "agent_required"
    assert (await service.error(422, "PUT", "/api/agents/auto/locks"))["code"] == "agent_required"


async def test_an_issued_id_is_not_used_by_anything_else(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "agent-0000")
    await new_token(api, "agent", "agent-1111")
    random = iter(["0000", "1111", "0000", "1111", "00000"])
    monkeypatch.setattr("project_manager.services.identities.secrets.token_hex", lambda _digits: next(random))
    issued = await api.runtime.database.writer.run(
        "issue", partial(identities.issue, key=None, prefix="agent"), LOCAL, ""
    )
    assert issued == "agent-00000"


async def test_an_identity_is_kept_while_its_agent_is_seen(
    api: OperationsClient, runtime: Runtime, clock: MovableClock
) -> None:
    async with served(runtime) as bare:
        made = orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "create_task", name="x"))
        clock.advance(29 * 24 * 3600)
        await ask(bare, "2025", "/mcp?agent_id=auto", "create_task", name="y")
        clock.advance(29 * 24 * 3600)
        await maintenance.delete_expired(runtime.database, event_days=90)
        runtime._connection_identities._kept.clear()
        again = orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "create_task", name="z"))
        assert again["agent_id"] == made["agent_id"]
        clock.advance(31 * 24 * 3600)
        await maintenance.delete_expired(runtime.database, event_days=90)
        runtime._connection_identities._kept.clear()
        last = orjson.loads(await ask(bare, "2025", "/mcp?agent_id=auto", "create_task", name="z"))
        assert last["agent_id"] != made["agent_id"]
