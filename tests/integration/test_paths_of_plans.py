"""Paths of the tasks of a plan, and the limit of the paths of a project."""

import threading
from collections.abc import Iterable

import pytest

from project_manager.domain.actors import SYSTEM
from project_manager.domain.errors import Invalid, PathsReserved
from project_manager.domain.limits import GLOBS_OF_PROJECT
from project_manager.domain.paths import Glob, GlobIndex
from tests.integration.invariants import check
from tests.operations_client import OperationsClient


async def test_the_globs_of_a_project_are_limited_and_unused_ones_do_not_count(api: OperationsClient) -> None:
    project = (await api.create_task("first"))["project_id"]
    for start in range(0, GLOBS_OF_PROJECT, 1000):
        made = [{"name": "x", "paths": [f"{n + m}.py" for m in range(50)]} for n in range(start, start + 1000, 50)]
        last = await api.call("create_tasks", project_id=project, tasks=made)
    refusal = await api.call_error(Invalid, "create_task", name="x", project_id=project, paths=["more"])
    assert refusal.details["errors"][0]["field"] == "paths"  # type: ignore[index]
    await api.call("delete_task", task_id=last["items"][0]["id"])
    await api.create_task("x", project_id=project, paths=["more"])


def plan_of(number: int, globs: int) -> str:
    paths = [f"[src/{n}/**, docs/{n}.md]" for n in range(globs)]
    tasks = "".join(f"      - {{name: t{n}, paths: {paths[n % globs]}}}\n" for n in range(number))
    return f"projects:\n  - name: Garden\n    tasks:\n{tasks}"


async def test_a_plan_has_the_paths_of_its_tasks(api: OperationsClient) -> None:
    document = plan_of(20, 10)
    assert (await api.call("import_plan", document=document))["created"] == 21
    check(api)
    exported = await api.stream_text("export_plan", format="yaml")
    assert (await api.call("import_plan", document=exported))["unchanged"] == 21
    first = (await api.call("list_tasks"))["items"][0]
    assert first["paths"] == ["src/0/**", "docs/0.md"]
    await api.claim(first["id"], "ann")
    document = "projects: [{name: Garden, tasks: [{name: new, paths: ['src/**']}, {name: t1, paths: ['src/0/a']}]}]"
    assert (await api.call("import_plan", document=document))["changed"] == 1
    found = {task["name"]: task["path_conflicts"] for task in (await api.call("list_tasks"))["items"]}
    assert (found["new"], found["t1"], found["t2"]) == ([first["id"]], [first["id"]], [])
    check(api)


async def test_a_plan_that_widens_the_paths_of_a_held_task_over_those_of_another_changes_nothing(
    api: OperationsClient,
) -> None:
    await api.call("import_plan", document=plan_of(2, 2))
    for task in (await api.call("list_tasks"))["items"]:
        await api.claim(task["id"], f"agent-{task['id']}")
    since = await api.last_seq()
    document = "projects: [{name: Garden, tasks: [{name: other}, {name: t0, paths: ['src/**']}]}]"
    await api.call_error(PathsReserved, "import_plan", document=document)
    assert await api.last_seq() == since
    check(api)


async def test_globs_are_compared_before_the_transaction_that_stores_them(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.call("import_plan", document=plan_of(100, 50))
    writer = await api.runtime.database.writer.run("thread", lambda _: threading.get_ident(), SYSTEM, "")
    size = GlobIndex.__init__
    in_writer: list[int] = []
    elsewhere: list[int] = []

    def counted(self: GlobIndex, globs: Iterable[Glob] = ()) -> None:
        given = [*globs]
        (in_writer if threading.get_ident() == writer else elsewhere).append(len(given))
        size(self, given)

    monkeypatch.setattr(GlobIndex, "__init__", counted)
    await api.call("import_plan", document=plan_of(300, 150))
    await api.call("create_task", name="new", project_name="Garden", paths=["src/*/x", "lib/**"])
    task = await api.call("create_task", name="fresh", project_name="Shed")
    await api.call("update_task", task_id=task["id"], paths=["a/**", "a/b"])
    assert max(elsewhere) == 300
    assert set(in_writer) == {0}
    check(api)
