"""Agent ids that the service issues to an MCP connection, and that its session remembers."""

import re
from functools import partial
from typing import Any

import anyio
import orjson
import pytest
from mcp import Client
from mcp.client.sse import sse_client

from project_manager.domain.actors import LOCAL
from project_manager.mcp.server import build_server
from project_manager.runtime import maintenance
from project_manager.runtime.calls import ClientConnection
from project_manager.runtime.dispatch import Runtime
from project_manager.services import identities
from project_manager.web.application import with_middleware
from tests.e2e.mcp_listener import Wire, listening
from tests.http_service import HttpService
from tests.integration.mcp_identities import PROTOCOLS, ask, holder, initialize, new_token, served, wire_of
from tests.integration.mcp_product import Agent
from tests.operations_client import MovableClock, OperationsClient

pytestmark = pytest.mark.slow


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
