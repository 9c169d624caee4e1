"""Exports are plans that can be imported without a loss."""

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copyfile

import pytest
import yaml

from project_manager.config.settings import load
from project_manager.domain.errors import ProjectNotFound
from project_manager.runtime.dispatch import open_runtime
from tests.desk import Desk, MovableClock
from tests.integration.planning import EXAMPLES, bring, export


@pytest.fixture
async def other(template: Path, tmp_path: Path, clock: MovableClock) -> AsyncIterator[Desk]:
    """Return a second, empty database."""
    path = copyfile(template, tmp_path / "other.db")
    async with open_runtime(load({"DATABASE_PATH": str(path)}, {}).settings, clock=clock) as runtime:
        yield Desk(runtime, clock)


@pytest.mark.promise("plan:round-trip")
async def test_an_export_imported_into_an_empty_database_exports_as_the_same_bytes(desk: Desk, other: Desk) -> None:
    for document in EXAMPLES.values():
        await bring(desk, document)
    await make_a_past(desk)
    for form in ("yaml", "json"):
        document = await export(desk, format=form)
        await bring(other, document)
        assert await export(other, format=form) == document
        assert (await bring(other, document))["changed"] == 0


async def make_a_past(desk: Desk) -> None:
    """Create logs, attempts, leases, duplicates, links across projects, and odd names."""
    task = (await desk.do("claim_next_task", agent_id="ada"))["task"]
    await desk.do(
        "add_task_log", task_id=task["id"], agent_id="ada", kind="evidence", body="# It works\n\n- all of it\n"
    )
    desk.clock.advance(1.234)
    await desk.do("release_task_lock", task_id=task["id"], agent_id="ada", failed=True, handoff='Tired: "yes"\t\x07')
    twins = [await desk.task("Twin", project_name="Garden", epic_name="Two / Three") for _ in range(3)]
    name = 'Odd: "name" #1 / é😀'
    odd = await desk.task(name, project_name="null", description=" begins\nwith a space\n\n")
    await desk.task(
        "Last", project_name="Garden", depends_on=[twins[1]["id"], odd["id"]], conflicts_with=[twins[2]["id"]]
    )
    await desk.do("update_task_status", task_id=odd["id"], status="DONE")
    await desk.claim(twins[0]["id"], "ada")
    await desk.do("update_project", project_id=odd["project_id"], archived=True)


async def test_an_export_omits_leases_and_has_the_status_that_the_task_returns_to(desk: Desk) -> None:
    task = await desk.task("Held", status="BACKLOG")
    await desk.claim(task["id"], "ada")
    assert "status: BACKLOG" in await export(desk)
    assert "IN_PROGRESS" not in await export(desk)


async def test_indistinguishable_tasks_get_a_key_in_the_export_and_are_found_again(desk: Desk) -> None:
    for _ in range(2):
        await desk.task("Twin", project_name="Garden")
    view = await bring(desk, await export(desk))
    assert (view["created"], view["changed"]) == (0, 2)


async def test_one_project_can_be_exported_alone(desk: Desk) -> None:
    await desk.task("A", project_name="Garden")
    await desk.task("B", project_name="House")
    document = yaml.safe_load(await export(desk, project="House"))
    assert [project["name"] for project in document["projects"]] == ["House"]
    assert [task["name"] for task in document["standalone_tasks"]] == ["B"]
    with pytest.raises(ProjectNotFound):
        await export(desk, project="Attic")


async def test_an_empty_database_exports_as_an_empty_plan_that_can_be_imported(desk: Desk) -> None:
    document = await export(desk)
    assert document == "projects: []\n"
    assert (await bring(desk, document))["created"] == 0
