"""The agent and the project that an address or a header fixes for an MCP connection."""

from functools import partial

import orjson
import pytest

from project_manager.web.application import with_middleware
from tests.integration.mcp_identities import FILLED, PROTOCOLS, ask, holder, listed, new_token, served, wire_of
from tests.operations_client import Json, OperationsClient

pytestmark = pytest.mark.slow


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
