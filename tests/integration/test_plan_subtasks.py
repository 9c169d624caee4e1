"""Parents of tasks in imports and exports of plans."""

from tests.integration.invariants import check
from tests.integration.plan_helpers import events_since, export, import_errors, import_plan, seq, task_by_name
from tests.operations_client import OperationsClient

TREE = """\
projects:
  - name: Garden
    epics:
      - name: Fence
        tasks:
          - name: Paint
            parent: Whole
          - name: Whole
            external_key: W-1
          - name: Buy
            parent: Paint
"""


async def test_parents_are_imported_and_exported_byte_by_byte(api: OperationsClient) -> None:
    view = await import_plan(api, TREE)
    paint, whole, buy = [await task_by_name(api, name) for name in ("Paint", "Whole", "Buy")]
    assert (paint["parent_id"], whole["parent_id"], buy["parent_id"]) == (whole["id"], None, paint["id"])
    assert whole["why_not_ready"] == [f"has unfinished subtask #{paint['id']}"]
    check(api)
    text = await export(api)
    assert "parent: W-1" in text.replace('"', "") or "parent: Whole" in text
    again = await import_plan(api, text, status="overwrite")
    assert again["unchanged"] == view["created"]
    assert await export(api) == text
    await api.call("delete_project", project_id=paint["project_id"], force=True)
    await import_plan(api, text)
    assert await export(api) == text
    check(api)


async def test_an_import_moves_and_removes_parents_and_keeps_those_that_it_does_not_name(api: OperationsClient) -> None:
    await import_plan(api, TREE)
    since = await seq(api)
    change = "projects: [{name: Garden, epics: [{name: Fence, tasks: [{name: Buy, parent: Whole}, {name: Paint}]}]}]"
    view = await import_plan(api, change)
    assert [row["fields"] for row in view["changes"] if row["change"] == "changed"] == [["parent"]]
    buy, paint, whole = [await task_by_name(api, name) for name in ("Buy", "Paint", "Whole")]
    assert (buy["parent_id"], paint["parent_id"]) == (whole["id"], whole["id"])
    kinds = [(event["type"], event["task_id"]) for event in await events_since(api, since)]
    assert ("task.updated", buy["id"]) in kinds
    assert ("task.ready", paint["id"]) in kinds
    await import_plan(api, change.replace("parent: Whole", "parent: null"))
    assert (await task_by_name(api, "Buy"))["parent_id"] is None
    check(api)


async def test_an_import_that_adds_a_subtask_makes_its_parent_not_ready(api: OperationsClient) -> None:
    parent = await api.create_task("Whole")
    since = await seq(api)
    await import_plan(api, "projects: [{name: Garden, tasks: [{name: Part, parent: Whole}]}]")
    kinds = [(event["type"], event["task_id"]) for event in await events_since(api, since)]
    assert ("task.not_ready", parent["id"]) in kinds
    check(api)


async def test_statuses_of_a_whole_tree_are_overwritten_in_both_directions(api: OperationsClient) -> None:
    await import_plan(api, TREE)
    done = TREE
    for name in ("Paint", "Whole", "Buy"):
        done = done.replace(f"- name: {name}\n", f"- name: {name}\n            status: DONE\n")
    await import_plan(api, done, status="overwrite")
    assert {(await task_by_name(api, name))["status"] for name in ("Paint", "Whole", "Buy")} == {"DONE"}
    check(api)
    await import_plan(api, done.replace("DONE", "TODO"), status="overwrite")
    assert {(await task_by_name(api, name))["status"] for name in ("Paint", "Whole", "Buy")} == {"TODO"}
    check(api)


async def test_a_done_parent_with_an_open_subtask_is_refused_with_its_line(api: OperationsClient) -> None:
    (fault,) = await import_errors(
        api, "projects:\n- name: Garden\n  tasks:\n  - {name: Whole, status: DONE}\n  - {name: Part, parent: Whole}\n"
    )
    assert (fault["line"], fault["message"]) == (5, "'Whole' would be DONE, but its subtask 'Part' would be open")
    await import_plan(api, TREE)
    overwrite = "projects: [{name: Garden, epics: [{name: Fence, tasks: [{name: Paint, status: DONE}]}]}]"
    (fault,) = await import_errors(api, overwrite, status="overwrite")
    assert "subtask 'Buy' would be open" in fault["message"]
    await import_plan(api, overwrite)  # the status of an existing task is kept


async def test_cycles_levels_and_parents_of_other_projects_are_refused(api: OperationsClient) -> None:
    house = await api.create_task("Roof", project_name="House")
    assert house["parent_id"] is None
    (fault,) = await import_errors(api, "projects: [{name: Garden, tasks: [{name: A, parent: House/Roof}]}]")
    assert "in another project" in fault["message"]
    circle = "projects: [{name: G, tasks: [{name: A, parent: B}, {name: B, depends_on: A, parent: A}]}]"
    faults = await import_errors(api, circle)
    assert all("dependency cycle" in fault["message"] for fault in faults)
    waits = "projects: [{name: G, tasks: [{name: A}, {name: B, depends_on: A, parent: A}]}]"
    (fault,) = await import_errors(api, waits)
    assert fault["message"] in ("dependency cycle: 'A' -> 'B' -> 'A'", "dependency cycle: 'B' -> 'A' -> 'B'")
    tasks = ", ".join(f"{{name: T{n}" + (f", parent: T{n - 1}}}" if n else "}") for n in range(6))
    (fault,) = await import_errors(api, f"projects: [{{name: G, tasks: [{tasks}]}}]")
    assert "more than 5 levels" in fault["message"]


async def test_prune_keeps_the_parent_of_a_subtask_that_stays(api: OperationsClient) -> None:
    await import_plan(api, TREE)
    kept = "projects: [{name: Garden, epics: [{name: Fence, tasks: [{name: Buy}]}]}]"
    (fault,) = await import_errors(api, kept, prune=True)
    assert "is its subtask" in fault["message"]
    await import_plan(api, kept.replace("Buy}", "Buy, parent: null}"), prune=True)
    assert (await task_by_name(api, "Buy"))["ready"]
    check(api)
