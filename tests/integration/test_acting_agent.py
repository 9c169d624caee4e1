"""The agent that a call acts as: the one in the field that the operation declares, and in no other field."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from project_manager.catalogue import OPERATIONS
from project_manager.cli import operations
from project_manager.mcp import tools
from project_manager.operations.definition import READS, Operation, Tool
from project_manager.runtime.open import open_runtime
from project_manager.schemas import fields
from project_manager.schemas.commands import Command
from project_manager.store.transaction import Tx
from project_manager.web import endpoint
from tests.http_service import HttpService
from tests.integration.mcp_product import agent, product
from tests.stored_rows import Address, settings_of


class NameActor(Command):
    agent_id: fields.AgentId | None = None


def name_actor(tx: Tx, command: NameActor) -> dict[str, Any]:
    """Return the actor of the call."""
    return {"actor": tx.actor.id, "kind": tx.actor.kind}


ABOUT_AN_AGENT = Operation(
    "name_actor", name_actor, NameActor, dict, http="GET /api/actor", tool=Tool("Name actor", READS, "agent_id")
)
AS_THE_AGENT = replace(ABOUT_AN_AGENT, acts_as="agent_id")

ANN = {"actor": "ann", "kind": "agent"}
LOCAL_PERSON = {"actor": "local", "kind": "human"}
UNNAMED_AGENT = {"actor": "unnamed", "kind": "agent"}


@pytest.fixture(params=[ABOUT_AN_AGENT, AS_THE_AGENT], ids=["without acts_as", "with acts_as"])
def operation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operation]:
    """Add an operation to the catalogue. Its command has a field `agent_id`."""
    added: Operation = request.param
    for module in (endpoint, tools):
        monkeypatch.setattr(module, "OPERATIONS", (*OPERATIONS, added))
    monkeypatch.setattr(operations, "BY_NAME", {added.name: added})
    tools.tool_list.cache_clear()
    yield added
    tools.tool_list.cache_clear()


async def test_a_field_names_the_acting_agent_over_rest_only_if_declared(
    operation: Operation, service: HttpService
) -> None:
    answer = await service.ok("GET", "/api/actor?agent_id=ann")
    assert answer == (ANN if operation.acts_as else LOCAL_PERSON)


async def test_a_field_names_the_acting_agent_over_mcp_only_if_declared(operation: Operation, tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as client:
        answer = await client.ok("name_actor", agent_id="ann")
    assert answer == (ANN if operation.acts_as else UNNAMED_AGENT)


async def test_a_field_names_the_acting_agent_at_the_terminal_only_if_declared(
    operation: Operation, database: Address
) -> None:
    settings = settings_of(database)
    async with open_runtime(settings, kind="command") as runtime:
        answer = await operations.Operations(runtime).run("name_actor", {"agent_id": "ann"})
    assert answer == (ANN if operation.acts_as else LOCAL_PERSON)


async def test_calls_about_an_agent_do_not_use_up_its_rate_limit(service: HttpService) -> None:
    for _ in range(3):
        await service.ok("GET", "/api/leases?agent_id=ann")
    assert len(service.runtime._rate_limits._refilled_at) == 0
