"""The size budget of responses over MCP: a token is four bytes of text, without the texts of the task itself."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL
from project_manager.runtime.calls import Caller
from tests.integration.mcp_product import Agent, Product, agent, product

NAME = "Take card payments " * 10
DESCRIPTION = 'line with "quotes"\n' * 900
CRITERIA = ["a payment is booked once", "a refused card says why"]
FULL: dict[str, Any] = {
    "name": NAME,
    "description": DESCRIPTION,
    "acceptance": CRITERIA,
    "priority": 1,
    "labels": ["backend", "payments", "needs review"],
    "conflicts_with": [2],
    "due_at": "2030-01-01T00:00:00Z",
    "estimate_minutes": 90,
    "external_key": "SHOP-1234",
    "agent_id": "planner-of-the-shop",
}
OWN_TEXTS = ("name", "description", "acceptance", "handoff")


def tokens(answer: Any) -> float:
    return len(orjson.dumps(answer)) / 4


def beyond_texts(claim: dict[str, Any]) -> float:
    """Return the tokens of a claim without the texts of the task and of the previous agent."""
    task = {name: value for name, value in claim["task"].items() if name not in OWN_TEXTS}
    return tokens({**claim, "task": task, "handoff": None} if "handoff" in claim else {**claim, "task": task})


async def prepare(someone: Agent) -> None:
    """Create a task with every field, and another task that conflicts with it."""
    await someone.ok("create_task", project_name="Shop", epic_name="Checkout", **{**FULL, "conflicts_with": []})
    await someone.ok("create_task", name="beside", project_name="Shop")
    await someone.ok("update_task", task_id=1, conflicts_with=[2])


def assert_nothing_empty(value: Any, path: str = "") -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            assert item not in (None, "", [], {}) or name == "items", f"{path}.{name}"
            assert_nothing_empty(item, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            assert_nothing_empty(item, path)


async def test_a_whole_loop_costs_at_most_500_tokens_beyond_the_texts_of_the_task(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await prepare(someone)
        claim = await someone.ok("claim_next_task", agent_id="ann")
        assert beyond_texts(claim) <= 150
        assert (claim["task"]["name"], claim["task"]["description"]) == (NAME.strip(), DESCRIPTION)
        mine = {"task_id": 1, "agent_id": "ann", "fence": claim["lock"]["fence"]}
        steps = []
        for number in range(3):
            steps.append(await someone.ok("renew_task_lock", **mine))
            steps.append(await someone.ok("add_task_log", body=f"step {number} " * 400, **mine))
        steps.append(await someone.ok("update_task_status", status="DONE", note="all of it " * 100, **mine))
        assert [step for step in steps if tokens(step) > 45] == []
        assert beyond_texts(claim) + sum(tokens(step) for step in steps) <= 500
        for answer in (claim, *steps):
            assert_nothing_empty(answer)


async def test_a_claim_by_name_after_a_failed_attempt_costs_as_little(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await prepare(someone)
        first = await someone.ok("acquire_task_lock", task_id=1, agent_id="ann")
        assert beyond_texts(first) <= 150
        again = await someone.ok("acquire_task_lock", task_id=1, agent_id="ann")
        assert again["renewed"]
        assert tokens(again) <= 45
        released = await someone.ok(
            "release_task_lock", task_id=1, agent_id="ann", handoff="stuck " * 300, failed=True, fence=1
        )
        assert released == {"task_id": 1, "status": "TODO", "attempts": 1}
        assert beyond_texts(await someone.ok("claim_next_task", agent_id="bob")) <= 150


@pytest.mark.parametrize("status", ["IN_PROGRESS", "REVIEW", "BLOCKED", "CANCELLED"])
async def test_a_change_of_status_costs_at_most_45_tokens(tmp_path: Path, status: str) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await prepare(someone)
        moved = await someone.ok("update_task_status", task_id=1, agent_id="ann", status=status)
        assert tokens(moved) <= 45
        assert ("lock" in moved) is (status == "IN_PROGRESS")


async def test_an_edit_and_a_new_task_do_not_repeat_the_input(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await prepare(someone)
        created = await someone.ok("create_task", project_name="Shop", **FULL | {"external_key": "SHOP-2"})
        by = "planner-of-the-shop"
        assert created == {"id": 3, "project_id": 1, "status": "TODO", "ready": True, "created_by": by}
        await someone.ok("acquire_task_lock", task_id=1, agent_id="ann")
        edited = await someone.ok("update_task", task_id=1, agent_id="ann", fence=1, description=DESCRIPTION * 2)
        assert set(edited) == {"id", "version", "status", "lock"}
        assert tokens(edited) <= 45


async def test_an_empty_claim_names_the_blockers_once(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await prepare(someone)
        await someone.ok("acquire_task_lock", task_id=1, agent_id="ann")
        nothing = await someone.ok("claim_next_task", agent_id="bob")
        assert list(nothing) == ["message"]
        assert "1 in progress" in nothing["message"]
        assert "wait_seconds=20" in nothing["message"]


async def many_tasks(made: Product, number: int) -> None:
    caller = Caller(LOCAL, "rest", "test")
    for start in range(0, number, 500):
        batch = [{"name": f"{start + one} {'é' * 190}", "description": "d" * 300} for one in range(500)]
        await made.runtime.run(BY_NAME["create_tasks"], {"project_name": "Shop", "tasks": batch}, caller)


@pytest.mark.slow
async def test_a_default_list_costs_at_most_6000_tokens_at_10000_tasks(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await many_tasks(made, 10_000)
        for tool in ("list_tasks", "get_available_tasks", "wait_for_events", "list_projects"):
            answer = await someone.ok(tool)
            assert tokens(answer) <= 6000, tool
            assert_nothing_empty(answer)
        listed = await someone.ok("list_tasks")
        assert (listed["total"], listed["total_is_minimum"]) == (1000, True)
        assert (await someone.ok("list_tasks", total="exact"))["total"] == 10_000


async def test_lists_of_long_descriptions_and_long_changes_cost_at_most_6000_tokens(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        for number in range(20):
            await someone.ok("create_project", name=f"p{number} {'n' * 190}", description="家" * 6_000)
            await someone.ok("create_epic", name=f"e{number}", project_id=1, description="d" * 20_000)
            await someone.ok("create_task", name="t", project_id=1, description="x" * 20_000)
            await someone.ok("update_task", task_id=number + 1, description="y" * 20_000, labels=["a"])
        for tool in ("list_projects", "list_epics", "wait_for_events"):
            answer = await someone.ok(tool)
            assert len(answer["items"]) > 10
            assert tokens(answer) <= 6000, tool
        assert (await someone.ok("list_epics", limit=1))["items"][0]["description"].endswith("d…")
        updates = await someone.ok("wait_for_events", types=["task.updated"])
        assert updates["items"][0]["changed"] == ["description", "labels"]


async def test_an_event_keeps_the_empty_values_of_changed_fields(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="t", project_name="p", labels=["a"])
        await someone.ok("update_task", task_id=1, clear=["labels"])
        event = (await someone.ok("wait_for_events", types=["task.updated"]))["items"][0]
        assert (event["changes"], event["previous"]) == ({"labels": []}, {"labels": ["a"]})


async def test_details_and_context_repeat_nothing(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await prepare(someone)
        await someone.ok("acquire_task_lock", task_id=1, agent_id="ann")
        await someone.ok("add_task_log", task_id=1, agent_id="ann", body="half")
        details = await someone.ok("get_task_details", task_id=1)
        held = (await someone.ok("get_context", agent_id="ann"))["holding"][0]
        assert (details["project"]["id"], "project_id" in details["task"]) == (1, False)
        assert details["task"]["lock"]["holder"] == "ann"
        assert "lock" not in held["task"]
        assert held["lock"].keys() == {"fence", "expires_at", "ttl_seconds"}
        for answer in (details, held):
            assert orjson.dumps(answer).count(b'"fence"') == 1
            assert_nothing_empty(answer)


async def test_rest_keeps_the_fields_of_the_predecessor(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await prepare(someone)
        caller = Caller(LOCAL, "rest", "test")
        raw = {"task_id": 1, "agent_id": "ann"}
        view = (await made.runtime.run(BY_NAME["acquire_task_lock"], raw, caller)).view
        assert (view.success, view.timeout, view.task["description"]) == (True, 300, DESCRIPTION)
        replay = {"request_id": "once", **raw, "status": "DONE", "fence": 1}
        short = await someone.ok("update_task_status", **replay)
        assert short == await someone.ok("update_task_status", **replay)
        again = (await made.runtime.run(BY_NAME["update_task_status"], replay, caller)).view
        assert (again["success"], again["lock_released"]) == (True, True)
