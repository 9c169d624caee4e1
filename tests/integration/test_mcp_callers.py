"""Authentication over MCP: tokens, roles and bound agents on the fast path and on the path of the SDK."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL, Actor
from project_manager.domain.errors import AgentRequired
from project_manager.runtime import revocation
from project_manager.runtime.calls import Caller
from project_manager.web.application import with_middleware
from tests.e2e.mcp_listener import TIMEOUT, Wire, call, listening, wire
from tests.integration.mcp_product import Agent, Product, agent, product

pytestmark = pytest.mark.slow


@asynccontextmanager
async def guarded_server(folder: Path, **settings: object) -> AsyncIterator[tuple[Product, Wire]]:
    """Run the MCP server behind the product's authentication and yield a client without a token."""
    async with (
        product(folder, AUTH_REQUIRED=True, **settings) as made,
        listening(made.server, guard=lambda app: with_middleware(app, made.runtime)) as listener,
        wire(listener) as bare,
    ):
        yield made, bare


async def token(made: Product, role: str, agent_id: str | None = None) -> dict[str, str]:
    raw = {"name": f"{role} {agent_id}", "role": role, "agent_id": agent_id}
    answer = await made.runtime.run(BY_NAME["create_token"], raw, Caller(LOCAL, "cli", "test"))
    return {"authorization": f"Bearer {answer.view.secret}"}


@pytest.mark.promise("access:cross-origin")
async def test_the_default_port_makes_no_other_origin_over_mcp(tmp_path: Path) -> None:
    async with guarded_server(tmp_path, ALLOWED_HOSTS="pm.example.com") as (made, bare):
        headers = await token(made, "viewer")
        for host, origin, status in (
            ("pm.example.com:443", "https://pm.example.com", 200),
            ("pm.example.com", "https://pm.example.com:443", 200),
            ("pm.example.com:80", "http://pm.example.com", 200),
            ("pm.example.com:80", "https://pm.example.com", 403),
        ):
            answer = await bare.post_modern(call("list_tasks"), {**headers, "host": host, "origin": origin})
            assert answer.status_code == status


@pytest.mark.promise("access:tokens")
@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/sse", "/messages/"])
async def test_options_names_the_methods_and_needs_no_token(tmp_path: Path, path: str) -> None:
    async with guarded_server(tmp_path) as (made, bare):
        for headers in ({}, await token(made, "viewer")):
            answer = await bare.http.options(path, headers=headers)
            assert answer.status_code == 405
            assert answer.headers["allow"] == ("POST" if path == "/messages/" else "GET, POST, DELETE")
        refused = await bare.http.options(path, headers={"origin": "https://evil.example"})
        assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")


@pytest.mark.promise("access:tokens")
async def test_a_session_of_legacy_sse_accepts_messages_of_its_own_token_only(tmp_path: Path) -> None:
    async with guarded_server(tmp_path) as (made, bare):
        mine, other = await token(made, "agent"), await token(made, "operator")
        async with bare.http.stream("GET", "/sse", headers={**mine, "accept": "text/event-stream"}) as stream:
            lines = stream.aiter_lines()
            with anyio.fail_after(TIMEOUT):
                address = (await first_data(lines)).removeprefix("data: ")
            message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            answers = [await bare.http.post(address, json=message, headers=headers) for headers in (other, mine)]
            with anyio.fail_after(TIMEOUT):
                received = await first_data(lines)
    assert [answer.status_code for answer in answers] == [404, 202]
    assert received == 'data: {"jsonrpc":"2.0","id":1,"result":{}}'


async def first_data(lines: AsyncIterator[str]) -> str:
    """Return the next line with data."""
    async for line in lines:
        if line.startswith("data: "):
            return line
    raise AssertionError("the stream has ended")


async def text_of(bare: Wire, protocol: str, headers: dict[str, str], tool: str, **arguments: Any) -> str:
    post = bare.post if protocol == "2025" else bare.post_modern
    answer = await post(call(tool, **arguments), headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["result"]["content"][0]["text"])


async def open_session(bare: Wire, headers: dict[str, str]) -> None:
    bare.http.headers.update(headers)
    await bare.initialize()


@pytest.mark.promise("access:tokens")
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nonsense"}])
async def test_a_request_without_a_valid_token_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    async with guarded_server(tmp_path) as (_, bare):
        for path in ("/mcp", "/sse"):
            refused = await bare.http.get(path, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
            assert refused.headers["www-authenticate"].startswith("Bearer")
        assert (await bare.post_modern(call("list_tasks"), headers)).status_code == 401
        assert (await bare.initialize()).status_code == 401


@pytest.mark.parametrize("protocol", ["2025", "2026"])
async def test_a_wait_ends_with_its_token(tmp_path: Path, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "CHECK_INTERVAL_SECONDS", 0.001)
    said: list[str] = []
    async with guarded_server(tmp_path) as (made, bare):
        headers = await token(made, "agent", "ann")
        if protocol == "2025":
            await open_session(bare, headers)

        async def wait() -> None:
            post = bare.post if protocol == "2025" else bare.post_modern
            answer = await post(call("claim_next_task", agent_id="ann", wait_seconds=50), headers)
            said.append(answer.text)

        with anyio.fail_after(TIMEOUT):
            async with anyio.create_task_group() as tasks:
                before = made.runtime.hub.subscribers
                tasks.start_soon(wait)
                while made.runtime.hub.subscribers == before:
                    await anyio.lowlevel.checkpoint()
                await made.runtime.run(BY_NAME["revoke_token"], {"token_id": 1}, Caller(LOCAL, "cli", "test"))
    assert "UNAUTHORIZED: " in said[0]


@pytest.mark.parametrize("path", ["/mcp", "/sse", "/messages/"])
async def test_a_refused_token_is_counted_over_mcp_too(
    tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarded_server(tmp_path) as (_, bare):
        for number in (1, 2):
            answer = await bare.http.post(path, headers={"authorization": "Bearer pm_wrong"})
            assert answer.status_code == 401
            assert caplog.messages.count("token_refused") == number


@pytest.mark.parametrize("protocol", ["2025", "2026"])
async def test_only_the_agent_that_exceeds_the_rate_limit_is_limited(tmp_path: Path, protocol: str) -> None:
    async with guarded_server(tmp_path, RATE_LIMIT_PER_SECOND=1) as (made, bare):
        wild, calm = await token(made, "agent", "wild"), await token(made, "agent", "calm")
        if protocol == "2025":
            await open_session(bare, wild)
        said = [await text_of(bare, protocol, wild, "claim_next_task", agent_id="wild") for _ in range(20)]
        assert not said[9].startswith("RATE_LIMITED")
        assert said[-1].startswith("RATE_LIMITED: ")
        assert "wait_seconds" in said[-1]
        assert not (await text_of(bare, "2026", calm, "claim_next_task", agent_id="calm")).startswith("RATE_LIMITED")


@pytest.mark.promise("access:cross-origin")
@pytest.mark.parametrize("origin", ["http://evil.example", "http://[", "null"])
async def test_a_page_of_another_origin_is_refused_over_mcp_too(tmp_path: Path, origin: str) -> None:
    async with guarded_server(tmp_path) as (made, bare):
        headers = {**await token(made, "operator"), "origin": origin}
        for refused in (
            await bare.http.get("/sse", headers=headers),
            await bare.post_modern(call("list_tasks"), headers),
        ):
            assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")


@pytest.mark.promise("access:roles")
@pytest.mark.parametrize("protocol", ["2025", "2026"])
async def test_a_viewer_reads_and_does_not_write(tmp_path: Path, protocol: str) -> None:
    async with guarded_server(tmp_path) as (made, bare):
        headers = await token(made, "viewer")
        await open_session(bare, headers)
        assert (await text_of(bare, protocol, headers, "list_tasks")).startswith("{")
        text = await text_of(bare, protocol, headers, "claim_next_task", agent_id="ann")
        assert text.startswith("ROLE_REQUIRED: ")


@pytest.mark.promise("access:roles")
@pytest.mark.parametrize("protocol", ["2025", "2026"])
async def test_a_bound_token_is_its_agent_and_no_other(tmp_path: Path, protocol: str) -> None:
    async with guarded_server(tmp_path) as (made, bare):
        headers = await token(made, "agent", "ann")
        await open_session(bare, headers)
        await text_of(bare, protocol, headers, "create_task", name="one", project_name="p")
        assert (await text_of(bare, protocol, headers, "claim_next_task", agent_id="bob")).startswith(
            "AGENT_MISMATCH: "
        )
        await text_of(bare, protocol, headers, "claim_next_task")
        assert '"holder":"ann"' in await text_of(bare, protocol, headers, "get_task_details", task_id=1)


async def test_a_waiting_call_is_authenticated_too(tmp_path: Path) -> None:
    async with guarded_server(tmp_path) as (made, bare):
        headers = await token(made, "agent", "ann")
        await open_session(bare, headers)
        answer = await bare.post(call("claim_next_task", agent_id="bob", wait_seconds=5), headers)
        assert "AGENT_MISMATCH: " in answer.text


async def test_a_session_belongs_to_the_token_that_opened_it(tmp_path: Path) -> None:
    async with guarded_server(tmp_path) as (made, bare):
        ann, bob = await token(made, "agent", "ann"), await token(made, "agent", "bob")
        await open_session(bare, ann)
        assert (await bare.post(call("list_tasks"), ann)).status_code == 200
        assert (await bare.post(call("list_tasks"), bob)).status_code == 404


# Over MCP every caller is an agent

NEEDS_AN_AGENT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("claim_next_task", {}),
    ("claim_next_task", {"wait_seconds": 5}),
    ("acquire_task_lock", {"task_id": 1}),
    ("renew_task_lock", {"task_id": 1}),
    ("release_task_lock", {"task_id": 1}),
    ("update_task_status", {"task_id": 1, "status": "DONE"}),
    ("update_task", {"task_id": 1, "status": "IN_PROGRESS"}),
    ("get_context", {}),
    ("send_message", {"to_agent": "bob", "body": "x"}),
    ("review_task", {"task_id": 1, "verdict": "approved", "digest": "0" * 64}),
    ("ask", {"task_id": 1, "text": "Which one?"}),
)


@asynccontextmanager
async def claimed_by_ann(folder: Path) -> AsyncIterator[tuple[Product, Agent]]:
    """Claim task 1 as ann on an open server, and yield a client of that server."""
    async with product(folder) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="one", project_name="p")
        await someone.ok("acquire_task_lock", task_id=1, agent_id="ann")
        yield made, someone


@pytest.mark.promise("access:agents")
@pytest.mark.parametrize(("tool", "arguments"), NEEDS_AN_AGENT)
async def test_lease_operations_are_refused_without_an_agent_id(
    tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    async with claimed_by_ann(tmp_path) as (_, someone):
        for nobody in ({}, {"agent_id": None}):
            text = await someone.fails(tool, **arguments, **nobody)
            code, remedy = text.splitlines()
            assert code.startswith("AGENT_REQUIRED: `agent_id` is missing")
            assert "one name that no other agent uses" in remedy
        assert (await someone.ok("get_task_details", task_id=1))["task"]["lock"]["holder"] == "ann"


async def test_the_tools_that_need_an_agent_id_require_it_in_their_schemas(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        tools = (await someone.client.list_tools()).tools
        needing = {tool.name for tool in tools if "agent_id" in tool.input_schema.get("required", ())}
        assert needing == {tool for tool, _ in NEEDS_AN_AGENT} - {"update_task"}


@pytest.mark.promise("access:agents")
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("update_task", {"task_id": 1, "description": "overwritten"}),
        ("update_task", {"task_id": 1, "log_entry": "done, I think"}),
        ("add_task_log", {"task_id": 1, "body": "done, I think"}),
    ],
)
async def test_a_call_without_an_agent_id_cannot_write_to_a_claimed_task(
    tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    async with claimed_by_ann(tmp_path) as (_, someone):
        text = await someone.fails(tool, **arguments)
        assert text.startswith("LOCK_HELD: task 1 is locked by ann")
        assert "force" not in text
        assert "No agent_id was sent" in text
        assert "No agent_id was sent" not in await someone.fails(tool, **arguments, agent_id="bob")


async def test_a_task_created_without_an_agent_id_is_not_attributed_to_a_person(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        task = await someone.ok("create_task", name="one", project_name="p")
        events = (await someone.ok("wait_for_events", since=0, types="task.created"))["items"]
        assert (task["created_by"], events[0]["actor"]) == ("unnamed", {"id": "unnamed", "kind": "agent"})


@pytest.mark.promise("access:agents")
@pytest.mark.parametrize("name", ["unnamed", " unnamed ", "unnamed/boss", "system", " local "])
async def test_no_agent_uses_a_reserved_name_or_the_name_of_a_person(tmp_path: Path, name: str) -> None:
    async with claimed_by_ann(tmp_path) as (made, someone):
        code, remedy = (await someone.fails("claim_next_task", agent_id=name)).splitlines()
        assert code.startswith(f"AGENT_REQUIRED: `agent_id` {name.strip()!r} ")
        assert "one name that no other agent uses" in remedy
        boss = Caller(Actor("boss", "human"), "rest", "a script")
        for operation, raw in (("claim_next_task", {}), ("create_token", {"name": "t", "role": "operator"})):
            for person in (boss, Caller(LOCAL, "rest", "a script"), Caller(LOCAL, "cli", "a script")):
                if (operation, name.strip(), person.actor) == ("claim_next_task", "local", LOCAL):
                    continue
                with pytest.raises(AgentRequired) as refused:
                    await made.runtime.run(BY_NAME[operation], {**raw, "agent_id": name}, person)
                faulty: Any = refused.value.details["errors"]
                assert [fault["field"] for fault in faulty] == ["agent_id"]


@pytest.mark.promise("access:agents")
async def test_no_agent_finishes_a_task_that_a_person_claimed(tmp_path: Path) -> None:
    person = Caller(LOCAL, "rest", "the dashboard")
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="one", project_name="p")
        await made.runtime.run(BY_NAME["acquire_task_lock"], {"task_id": 1}, person)
        for name in ("local", "bob"):
            await someone.fails("update_task_status", task_id=1, status="DONE", agent_id=name)
            await someone.fails("add_task_log", task_id=1, body="done", agent_id="system")
        longer = {"task_id": 1, "agent_id": "local", "ttl_seconds": 900}
        await made.runtime.run(BY_NAME["renew_task_lock"], longer, person)
        seen = await someone.ok("get_task_details", task_id=1)
        assert (seen["task"]["status"], seen["task"]["lock"]["holder"]) == ("IN_PROGRESS", "local")
        assert seen["task"]["lock"]["ttl_seconds"] == 900


FORCED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("acquire_task_lock", {"task_id": 1, "agent_id": "bob"}),
    ("release_task_lock", {"task_id": 1, "agent_id": "bob"}),
    ("update_task_status", {"task_id": 1, "status": "DONE", "agent_id": "bob"}),
    ("update_task", {"task_id": 1, "status": "DONE", "agent_id": "bob"}),
    ("delete_task", {"task_id": 1}),
)


@pytest.mark.promise("access:agents")
@pytest.mark.parametrize(("tool", "arguments"), FORCED)
async def test_a_caller_without_a_token_cannot_use_force(tmp_path: Path, tool: str, arguments: dict[str, Any]) -> None:
    async with claimed_by_ann(tmp_path) as (_, someone):
        text = await someone.fails(tool, **arguments, force=True)
        assert text.startswith("ROLE_REQUIRED: over MCP `force` requires an operator token")
        assert (await someone.ok("get_task_details", task_id=1))["task"]["lock"]["holder"] == "ann"


@pytest.mark.promise("access:agents")
@pytest.mark.parametrize(("tool", "arguments"), FORCED)
async def test_an_operators_token_forces_unless_it_is_an_agents_own(
    tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    async with guarded_server(tmp_path) as (made, bare):
        boss, bob = await token(made, "operator"), await token(made, "operator", "bob")
        await text_of(bare, "2026", boss, "create_task", name="one", project_name="p")
        await text_of(bare, "2026", boss, "acquire_task_lock", task_id=1, agent_id="ann")
        refused = await text_of(bare, "2026", bob, tool, **arguments, force=True)
        assert refused.startswith("ROLE_REQUIRED: over MCP")
        assert (await text_of(bare, "2026", boss, tool, **arguments, force=True)).startswith("{")
        left = await text_of(bare, "2026", boss, "get_task_details", task_id=1)
        assert left.startswith("TASK_NOT_FOUND") or '"lock":' not in left or '"holder":"bob"' in left


async def test_the_name_of_an_unbound_token_is_recorded_without_an_agent_id(tmp_path: Path) -> None:
    async with guarded_server(tmp_path) as (made, bare):
        headers = await token(made, "agent")
        assert '"created_by":"unnamed/agent None"' in await text_of(
            bare, "2026", headers, "create_task", name="one", project_name="p"
        )
        assert (await text_of(bare, "2026", headers, "claim_next_task")).startswith("AGENT_REQUIRED: ")
