"""The demo within the server: its start, its agents and its end."""

from typing import Any

import anyio
import orjson

from project_manager.demo.plan import DESCRIPTION, PLAN, PROJECT
from project_manager.demo.runner import BEHAVIORS
from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import NotEmpty, RoleRequired
from tests.operations_client import TIMEOUT, OperationsClient

SPEED = 100.0


async def until(api: OperationsClient, **wanted: Any) -> dict[str, Any]:
    """Wait for an event with these fields and return it."""
    with anyio.fail_after(TIMEOUT):
        async with api.runtime.follow(0) as subscription:
            while True:
                for event in await subscription.next_batch():
                    fields = orjson.loads(event.text)
                    if wanted.items() <= fields.items():
                        return dict(fields)


async def test_the_demo_starts_on_an_empty_server_and_ends_with_its_project(api: OperationsClient) -> None:
    api.runtime.demo.speed = SPEED
    project = await api.call("start_demo")
    assert (project["name"], project["description"]) == (PROJECT, DESCRIPTION)
    assert sum(project["tasks"].values()) == sum(len(works) for works in PLAN.values())
    await until(api, type="task.status_changed", status="DONE")
    agents = {row["id"] for row in (await api.call("list_agents"))["items"] if row["kind"] == "agent"}
    assert agents <= BEHAVIORS.keys()
    await api.call_error(NotEmpty, "start_demo")
    await api.call("delete_project", project_id=project["id"], force=True)
    again = await api.call("start_demo")
    await until(api, type="task.locked", project_id=again["id"])


async def test_a_server_with_a_task_starts_no_demo(api: OperationsClient) -> None:
    await api.create_task()
    error = await api.call_error(NotEmpty, "start_demo")
    assert "project-manager demo --url" in error.hint
    assert len((await api.call("list_projects"))["items"]) == 1


async def test_a_start_that_is_sent_twice_under_one_key_starts_one_demo(api: OperationsClient) -> None:
    api.runtime.demo.speed = SPEED
    project = await api.call("start_demo", key="k")
    assert await api.call("start_demo", key="k") == project
    await until(api, type="task.status_changed", status="DONE")
    assert len((await api.call("list_projects"))["items"]) == 1


async def test_only_operators_start_the_demo(api: OperationsClient) -> None:
    await api.acting_as(Actor("codex", "agent", Role.AGENT)).call_error(RoleRequired, "start_demo")


async def test_the_demo_runs_on_a_server_that_requires_tokens(api: OperationsClient) -> None:
    await api.call("create_token", name="ada", role="operator")
    api.runtime.demo.speed = SPEED
    project = await api.call("start_demo")
    locked = await until(api, type="task.locked", project_id=project["id"])
    assert locked["agent_id"] in BEHAVIORS
    await until(api, type="task.status_changed", status="DONE")
