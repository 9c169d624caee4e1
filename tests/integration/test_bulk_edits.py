"""Edits of many tasks in one transaction, and the requests that undo them."""

from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient


async def _tasks(api: OperationsClient, number: int, **fields: object) -> list[int]:
    made = await api.call(
        "create_tasks", project_name="Garden", tasks=[{"name": f"task {place}", **fields} for place in range(number)]
    )
    return [task["id"] for task in made["items"]]


async def _undo(api: OperationsClient, done: Json) -> Json:
    found: Json = await api.call("edit_tasks", **done["undo"])
    return found


async def test_fifty_tasks_change_at_once_and_an_undo_leaves_those_alone_that_changed_since(
    api: OperationsClient,
) -> None:
    ids = await _tasks(api, 50, labels=["old"])
    done = await api.call("edit_tasks", ids=ids, changes={"priority": 0, "add_labels": ["bug"]}, note="triaged")
    assert (done["matched"], done["changed"], done["tasks"]) == (50, 50, ids)
    one = await api.get_task(ids[0])
    assert (one["priority"], one["labels"]) == (0, ["old", "bug"])
    assert [entry["body"] for entry in await api.logs(ids[0])] == ["triaged"]
    for task_id in ids[:3]:
        await api.update_task(task_id, priority=4)
    undone = await _undo(api, done)
    assert (undone["changed"], undone["changed_since"]) == (47, ids[:3])
    two = await api.get_task(ids[3])
    assert (two["priority"], two["labels"]) == (2, ["old"])
    check(api)


async def test_an_undo_of_an_undo_is_a_redo(api: OperationsClient) -> None:
    ids = await _tasks(api, 3)
    done = await api.call("edit_tasks", ids=ids, changes={"status": "DONE"})
    assert (done["changed"], done["undo"]["tasks"][0]["reopen"]) == (3, True)
    undone = await _undo(api, done)
    assert {(await api.get_task(task_id))["status"] for task_id in ids} == {"TODO"}
    redone = await _undo(api, undone)
    assert (redone["changed"], (await api.get_task(ids[0]))["status"]) == (3, "DONE")
    check(api)
