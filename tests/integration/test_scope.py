"""Requests for one epic, by id or name, over every call that claims or searches tasks."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.mcp_product import Agent, agent, product

QUESTIONS: list[dict[str, Any]] = [
    {"project_name": "shop", "epic_name": "Checkout"},
    {"project_id": 1, "epic_name": "checkout"},
    {"epic_name": "Checkout"},
    {"epic_name": "CHECKOUT"},
    {"epic_id": 1},
    {"epic_id": 1, "epic_name": "checkout"},
]
REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"epic_name": "Search"}, "epic `Search` exists in several projects: 1, 2"),
    ({"epic_name": "Payment"}, "EPIC_NOT_FOUND: epic `Payment` not found"),
    ({"project_name": "Shop", "epic_name": "Serch"}, "Did you mean `Search`?"),
    ({"project_name": "Blog", "epic_name": "Checkout"}, "EPIC_NOT_FOUND"),
    ({"epic_name": "Checkout", "epic_id": 2}, "epic `Checkout` has id 1, not 2"),
]


@pytest.fixture
async def ann(tmp_path: Path) -> AsyncIterator[Agent]:
    """Return an agent, with a task in each of three epics of two projects."""
    async with product(tmp_path) as made, agent(made.server) as someone:
        for project, epic in (("Shop", "Checkout"), ("Shop", "Search"), ("Blog", "Search")):
            await someone.ok("create_task", name=f"{project} {epic}", project_name=project, epic_name=epic)
        yield someone


async def test_a_claim_takes_a_task_of_the_epic_that_it_names(ann: Agent) -> None:
    for question in QUESTIONS:
        claim = await ann.ok("claim_next_task", agent_id="ann", **question)
        assert claim["task"]["name"] == "Shop Checkout", question
        assert "task" not in await ann.ok("claim_next_task", agent_id="ann", **question), question
        await ann.ok("release_task_lock", task_id=claim["task"]["id"], agent_id="ann")


@pytest.mark.parametrize("tool", ["list_tasks", "get_available_tasks"])
async def test_a_list_shows_the_epic_that_it_names(ann: Agent, tool: str) -> None:
    for question in QUESTIONS:
        assert [row["name"] for row in (await ann.ok(tool, **question))["items"]] == ["Shop Checkout"], question


async def test_the_context_is_about_the_epic_that_it_names(ann: Agent) -> None:
    for task_id in (1, 2):
        await ann.ok("acquire_task_lock", task_id=task_id, agent_id="ann")
    for question in QUESTIONS:
        context = await ann.ok("get_context", agent_id="ann", **question)
        assert [held["task"]["name"] for held in context["holding"]] == ["Shop Checkout"], question


@pytest.mark.parametrize("tool", ["claim_next_task", "list_tasks", "get_available_tasks", "get_context"])
async def test_an_epic_that_is_not_one_is_refused(ann: Agent, tool: str) -> None:
    more = {"agent_id": "ann"} if tool in ("claim_next_task", "get_context") else {}
    for question, words in REFUSALS:
        assert words in await ann.fails(tool, **question, **more)


async def test_a_task_in_a_misspelt_epic_is_refused_without_naming_an_unlisted_tool(ann: Agent) -> None:
    text = await ann.fails("create_task", name="x", project_name="Shop", epic_name="Serch")
    assert "did you mean `Search`?" in text
    assert "create_epic" not in text
    await ann.ok("create_task", name="x", project_name="Warehouse")
    text = await ann.fails("create_task", name="x", project_name="Warehuose")
    assert "create_project" not in text
