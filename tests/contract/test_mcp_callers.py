"""Who calls: tokens, roles and bound agents count on the MCP door, on the short way and on the long one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from project_manager.calls import Caller
from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL
from project_manager.web.application import guarded
from tests.contract.mcp_product import Product, product
from tests.e2e.mcp_listener import Wire, call, listening, wire


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def guarded_door(folder: Path) -> AsyncIterator[tuple[Product, Wire]]:
    """The door behind the product's gate, and a client that has no token yet."""
    async with (
        product(folder, AUTH_REQUIRED=True) as made,
        listening(made.server, guard=lambda app: guarded(app, made.runtime)) as listener,
        wire(listener) as bare,
    ):
        yield made, bare


async def token(made: Product, role: str, agent_id: str | None = None) -> dict[str, str]:
    raw = {"name": f"{role} {agent_id}", "role": role, "agent_id": agent_id}
    answer = await made.runtime.run(BY_NAME["create_token"], raw, Caller(LOCAL, "cli", "test"))
    return {"authorization": f"Bearer {answer.view.secret}"}


async def text_of(bare: Wire, era: str, headers: dict[str, str], tool: str, **arguments: Any) -> str:
    post = bare.post if era == "2025" else bare.post_modern
    answer = await post(call(tool, **arguments), headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["result"]["content"][0]["text"])


async def greet(bare: Wire, headers: dict[str, str]) -> None:
    bare.http.headers.update(headers)
    await bare.initialize()


@pytest.mark.promise("door:tokens")
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nonsense"}])
async def test_nobody_comes_in_without_a_valid_token(tmp_path: Path, headers: dict[str, str]) -> None:
    async with guarded_door(tmp_path) as (_, bare):
        for path in ("/mcp", "/sse"):
            refused = await bare.http.get(path, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
            assert refused.headers["www-authenticate"].startswith("Bearer")
        assert (await bare.post_modern(call("list_tasks"), headers)).status_code == 401
        assert (await bare.initialize()).status_code == 401


@pytest.mark.promise("door:roles")
@pytest.mark.parametrize("era", ["2025", "2026"])
async def test_a_viewer_reads_and_does_not_write(tmp_path: Path, era: str) -> None:
    async with guarded_door(tmp_path) as (made, bare):
        headers = await token(made, "viewer")
        await greet(bare, headers)
        assert (await text_of(bare, era, headers, "list_tasks")).startswith("{")
        text = await text_of(bare, era, headers, "claim_next_task", agent_id="ann")
        assert text.startswith("ROLE_REQUIRED: ")


@pytest.mark.promise("door:roles")
@pytest.mark.parametrize("era", ["2025", "2026"])
async def test_a_bound_token_is_its_agent_and_no_other(tmp_path: Path, era: str) -> None:
    async with guarded_door(tmp_path) as (made, bare):
        headers = await token(made, "agent", "ann")
        await greet(bare, headers)
        await text_of(bare, era, headers, "create_task", name="one", project_name="p")
        assert (await text_of(bare, era, headers, "claim_next_task", agent_id="bob")).startswith("WRONG_AGENT: ")
        assert '"holder":"ann"' in await text_of(bare, era, headers, "claim_next_task")


async def test_the_waiting_way_knows_the_caller_too(tmp_path: Path) -> None:
    async with guarded_door(tmp_path) as (made, bare):
        headers = await token(made, "agent", "ann")
        await greet(bare, headers)
        answer = await bare.post(call("claim_next_task", agent_id="bob", wait_seconds=5), headers)
        assert "WRONG_AGENT: " in answer.text


async def test_a_session_belongs_to_whoever_opened_it(tmp_path: Path) -> None:
    async with guarded_door(tmp_path) as (made, bare):
        ann, bob = await token(made, "agent", "ann"), await token(made, "agent", "bob")
        await greet(bare, ann)
        assert (await bare.post(call("list_tasks"), ann)).status_code == 200
        assert (await bare.post(call("list_tasks"), bob)).status_code == 404
