"""Exports are plans that can be imported without a loss."""

from collections.abc import AsyncIterator

import pytest
import yaml

from project_manager.domain.errors import ProjectNotFound
from project_manager.runtime.open import open_runtime
from tests.integration.plan_helpers import EXAMPLES, export, import_plan
from tests.operations_client import MovableClock, OperationsClient
from tests.stored_rows import Address, settings_of

pytestmark = pytest.mark.slow


@pytest.fixture
async def other(other_database: Address, clock: MovableClock) -> AsyncIterator[OperationsClient]:
    """Return a service on a second, empty database."""
    async with open_runtime(settings_of(other_database), clock=clock) as runtime:
        yield OperationsClient(runtime, clock)


@pytest.mark.promise("plan:round-trip")
async def test_an_export_imported_into_an_empty_database_exports_as_the_same_bytes(
    api: OperationsClient, other: OperationsClient
) -> None:
    for document in EXAMPLES.values():
        await import_plan(api, document)
    await make_a_past(api)
    for form in ("yaml", "json"):
        document = await export(api, format=form)
        await import_plan(other, document)
        assert await export(other, format=form) == document
        assert (await import_plan(other, document))["changed"] == 0


async def make_a_past(api: OperationsClient) -> None:
    """Create logs, attempts, leases, duplicates, links across projects, and odd names."""
    task = (await api.call("claim_next_task", agent_id="ada"))["task"]
    await api.call(
        "add_task_log", task_id=task["id"], agent_id="ada", kind="evidence", body="# It works\n\n- all of it\n"
    )
    api.clock.advance(1.234)
    await api.call("release_task_lock", task_id=task["id"], agent_id="ada", failed=True, handoff='Tired: "yes"\t\x07')
    twins = [await api.create_task("Twin", project_name="Garden", epic_name="Two / Three") for _ in range(3)]
    name = 'Odd: "name" #1 / é😀'
    odd = await api.create_task(name, project_name="null", description=" begins\nwith a space\n\n")
    await api.create_task(
        "Last", project_name="Garden", depends_on=[twins[1]["id"], odd["id"]], conflicts_with=[twins[2]["id"]]
    )
    await api.call("update_task_status", task_id=odd["id"], status="DONE")
    await api.claim(twins[0]["id"], "ada")
    await api.call("update_project", project_id=odd["project_id"], archived=True)


async def test_an_export_omits_leases_and_has_the_status_that_the_task_returns_to(api: OperationsClient) -> None:
    task = await api.create_task("Held", status="BACKLOG")
    await api.claim(task["id"], "ada")
    assert "status: BACKLOG" in await export(api)
    assert "IN_PROGRESS" not in await export(api)


async def test_indistinguishable_tasks_get_a_key_in_the_export_and_are_found_again(api: OperationsClient) -> None:
    for _ in range(2):
        await api.create_task("Twin", project_name="Garden")
    view = await import_plan(api, await export(api))
    assert (view["created"], view["changed"]) == (0, 2)


async def test_one_project_can_be_exported_alone(api: OperationsClient) -> None:
    await api.create_task("A", project_name="Garden")
    await api.create_task("B", project_name="House")
    document = yaml.safe_load(await export(api, project="House"))
    assert [project["name"] for project in document["projects"]] == ["House"]
    assert [task["name"] for task in document["standalone_tasks"]] == ["B"]
    with pytest.raises(ProjectNotFound):
        await export(api, project="Attic")


async def test_an_empty_database_exports_as_an_empty_plan_that_can_be_imported(api: OperationsClient) -> None:
    document = await export(api)
    assert document == "projects: []\n"
    assert (await import_plan(api, document))["created"] == 0
