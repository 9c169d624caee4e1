"""Subtasks: readiness and completion of a parent, its limits, and its progress."""

import pytest

from project_manager.domain.errors import (
    DependencyCycle,
    HasDependents,
    Invalid,
    LockHeld,
    NotReady,
    OpenSubtasks,
    ParentDone,
)
from project_manager.domain.limits import SUBTASKS
from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient, invalid_fields


async def family(api: OperationsClient, children: int = 2) -> tuple[Json, list[Json]]:
    """Create a parent with subtasks."""
    parent = await api.create_task("parent")
    return parent, [await api.create_task(f"child {n}", parent_id=parent["id"]) for n in range(children)]


async def reasons(api: OperationsClient, task: Json) -> list[str]:
    found = await api.get_task(task["id"])
    (row,) = (await api.call("list_tasks", ids=[task["id"]]))["items"]
    (card,) = [card for card in (await api.call("get_board_state"))["tasks"] if card["id"] == task["id"]]
    assert found["why_not_ready"] == row["why_not_ready"] == card["why_not_ready"]
    assert found["ready"] is row["ready"] is (found["why_not_ready"] == [])
    return list(found["why_not_ready"])


async def test_a_parent_is_ready_when_its_last_subtask_is_closed_and_not_ready_when_one_is_reopened(
    api: OperationsClient,
) -> None:
    parent, (one, two) = await family(api)
    assert await reasons(api, parent) == [f"has unfinished subtasks #{one['id']}, #{two['id']}"]
    await api.set_status(one["id"], "DONE", "ann")
    assert await reasons(api, parent) == [f"has unfinished subtask #{two['id']}"]
    since = await api.last_seq()
    await api.set_status(two["id"], "CANCELLED")
    assert await reasons(api, parent) == []
    assert [event["task_id"] for event in await api.events(since, "task.ready")] == [parent["id"]]
    since = await api.last_seq()
    await api.set_status(two["id"], "TODO", reopen=True)
    assert [event["task_id"] for event in await api.events(since, "task.not_ready")] == [parent["id"]]
    assert await reasons(api, parent) == [f"has unfinished subtask #{two['id']}"]
    check(api)


async def test_a_claim_skips_a_parent_and_a_claim_by_name_lists_its_subtasks_and_no_dependency(
    api: OperationsClient,
) -> None:
    parent, (child,) = await family(api, 1)
    error = await api.call_error(NotReady, "acquire_task_lock", task_id=parent["id"], agent_id="ann")
    assert (error.details["open_subtasks"], error.details["waiting_for"]) == ([child["id"]], [])
    assert (await api.claim_next("ann"))["task"]["id"] == child["id"]
    assert (await api.claim_next("ann"))["task"] is None


async def test_a_new_subtask_of_a_ready_task_emits_an_event(api: OperationsClient) -> None:
    parent = await api.create_task("parent")
    since = await api.last_seq()
    child = await api.create_task("child", parent_id=parent["id"])
    events = await api.events(since)
    assert {(event["type"], event["task_id"]) for event in events} == {
        ("task.created", child["id"]),
        ("task.not_ready", parent["id"]),
    }
    check(api)


@pytest.mark.parametrize("way", ["status", "edit", "person", "holder", "force"])
async def test_a_parent_with_open_subtasks_cannot_be_done_in_any_way(api: OperationsClient, way: str) -> None:
    parent = await api.create_task("parent")
    fence = (await api.claim(parent["id"], "ann"))["fence"] if way in ("holder", "force") else None
    child = await api.create_task("child", parent_id=parent["id"])
    operation = "update_task" if way == "edit" else "update_task_status"
    ways: dict[str, Json] = {
        "status": {"agent_id": "ann"},
        "edit": {"agent_id": "ann"},
        "person": {},
        "holder": {"agent_id": "ann", "fence": fence},
        "force": {"force": True},
    }
    more = ways[way]
    before = await api.last_seq()
    error = await api.call_error(OpenSubtasks, operation, task_id=parent["id"], status="DONE", **more)
    assert error.details["open_subtasks"] == [child["id"]]
    assert error.message == f"task {parent['id']} has unfinished subtask #{child['id']}"
    assert await api.last_seq() == before
    await api.set_status(child["id"], "CANCELLED")
    await api.call(operation, task_id=parent["id"], status="DONE", **more)
    assert (await api.get_task(parent["id"]))["status"] == "DONE"
    check(api)


async def test_a_done_parent_takes_no_open_subtask(api: OperationsClient) -> None:
    parent, (child,) = await family(api, 1)
    await api.set_status(child["id"], "DONE")
    await api.set_status(parent["id"], "DONE")
    error = await api.call_error(ParentDone, "update_task_status", task_id=child["id"], status="TODO", reopen=True)
    assert error.details["parent_id"] == parent["id"]
    other = await api.create_task("other")
    await api.call_error(ParentDone, "create_task", name="late", parent_id=parent["id"])
    await api.call_error(ParentDone, "update_task", task_id=other["id"], parent_id=parent["id"])
    await api.create_task("done too", parent_id=parent["id"], status="DONE")
    await api.set_status(parent["id"], "TODO", reopen=True)
    await api.set_status(child["id"], "TODO", reopen=True)
    check(api)


async def test_an_edit_moves_a_subtask_to_another_parent_and_counts_it_there(api: OperationsClient) -> None:
    first, (child,) = await family(api, 1)
    second = await api.create_task("second")
    since = await api.last_seq()
    await api.update_task(child["id"], parent_id=second["id"])
    events = {event["type"]: event for event in await api.events(since)}
    assert events["task.updated"]["changes"] == {"parent_id": second["id"]}
    assert events["task.ready"]["task_id"] == first["id"]
    assert events["task.not_ready"]["task_id"] == second["id"]
    await api.update_task(child["id"], parent_id=None)
    assert await reasons(api, first) == await reasons(api, second) == []
    assert (await api.get_task(child["id"]))["parent_id"] is None
    check(api)


async def test_a_subtask_is_by_default_in_the_project_and_the_epic_of_its_parent(api: OperationsClient) -> None:
    parent = await api.create_task("parent", epic_name="Fence")
    child = await api.call("create_task", name="child", parent_id=parent["id"])
    apart = await api.call("create_task", name="apart", parent_id=parent["id"], epic_id=None)
    assert (child["project_id"], child["epic_id"]) == (parent["project_id"], parent["epic_id"])
    assert (apart["project_id"], apart["epic_id"]) == (parent["project_id"], None)


async def test_a_parent_in_another_project_and_an_unknown_parent_are_refused(api: OperationsClient) -> None:
    parent = await api.create_task("parent", project_name="House")
    child = await api.create_task("child", project_name="Garden")
    for parent_id in (parent["id"], 999):
        error = await api.call_error(Invalid, "update_task", task_id=child["id"], parent_id=parent_id)
        assert invalid_fields(error) == ["parent_id"]
    error = await api.call_error(Invalid, "create_task", name="x", parent_id=999)
    assert error.message == "task 999 not found"


async def test_parents_have_five_levels_at_most_counted_above_and_below(api: OperationsClient) -> None:
    chain = [await api.create_task("level 1")]
    for level in range(2, 6):
        chain.append(await api.create_task(f"level {level}", parent_id=chain[-1]["id"]))
    await api.call_error(Invalid, "create_task", name="level 6", parent_id=chain[-1]["id"])
    top = await api.create_task("top")
    error = await api.call_error(Invalid, "update_task", task_id=chain[0]["id"], parent_id=top["id"])
    assert "the limit is 5" in error.message
    await api.update_task(chain[1]["id"], parent_id=top["id"])
    check(api)


async def test_no_task_waits_for_itself_through_parents_and_dependencies(api: OperationsClient) -> None:
    parent, (child,) = await family(api, 1)
    inner = await api.create_task("inner", parent_id=child["id"])
    for task_id, change in (
        (parent["id"], {"parent_id": parent["id"]}),
        (parent["id"], {"parent_id": inner["id"]}),
        (inner["id"], {"depends_on": [parent["id"]]}),
        (inner["id"], {"add_depends_on": [parent["id"]]}),
    ):
        error = await api.call_error(DependencyCycle, "update_task", task_id=task_id, **change)
        assert str(task_id) in error.message.partition(": ")[2]
    other = await api.create_task("other", depends_on=[parent["id"]])
    await api.call_error(DependencyCycle, "update_task", task_id=other["id"], parent_id=child["id"])
    check(api)


async def test_a_parent_has_a_limited_number_of_subtasks(api: OperationsClient) -> None:
    parent = await api.create_task("parent")
    many = [{"name": f"child {n}", "parent": parent["id"]} for n in range(SUBTASKS)]
    await api.call("create_tasks", tasks=many)
    error = await api.call_error(Invalid, "create_task", name="late", parent_id=parent["id"])
    assert f"more than {SUBTASKS} subtasks" in error.message
    assert "and 495 more" in (await api.get_task(parent["id"]))["why_not_ready"][0]
    check(api)


async def test_only_the_holder_of_a_leased_task_and_people_add_subtasks_to_it(api: OperationsClient) -> None:
    parent = await api.create_task("parent")
    fence = (await api.claim(parent["id"], "ann"))["fence"]
    await api.call_error(LockHeld, "create_task", name="child", parent_id=parent["id"], agent_id="bob")
    await api.call("create_task", name="child", parent_id=parent["id"], agent_id="ann")
    await api.call("create_task", name="by a person", parent_id=parent["id"])
    await api.release(parent["id"], "ann", fence=fence)
    assert len((await api.call("get_task_details", task_id=parent["id"]))["subtasks"]) == 2
    check(api)


async def test_a_parent_cannot_be_deleted_before_its_subtasks(api: OperationsClient) -> None:
    parent, (one, two) = await family(api)
    await api.set_status(one["id"], "DONE")
    error = await api.call_error(HasDependents, "delete_task", task_id=parent["id"], force=True)
    assert error.details["tasks"] == [one["id"], two["id"]]
    since = await api.last_seq()
    await api.call("delete_task", task_id=two["id"])
    assert [event["task_id"] for event in await api.events(since, "task.ready")] == [parent["id"]]
    await api.call("delete_task", task_id=one["id"])
    await api.call("delete_task", task_id=parent["id"])
    check(api)


async def test_an_epic_is_not_deleted_while_its_tasks_have_subtasks_elsewhere_but_a_project_is(
    api: OperationsClient,
) -> None:
    parent = await api.create_task("parent", epic_name="Fence")
    inside = await api.create_task("inside", parent_id=parent["id"])
    outside = await api.create_task("outside", parent_id=parent["id"], epic_id=None)
    error = await api.call_error(HasDependents, "delete_epic", epic_id=parent["epic_id"], force=True)
    assert error.details["tasks"] == [outside["id"]]
    assert (await api.get_task(inside["id"]))["parent_id"] == parent["id"]
    await api.call("delete_project", project_id=parent["project_id"], force=True)
    check(api)


async def test_the_details_show_parent_subtasks_and_progress(api: OperationsClient) -> None:
    parent, (one, two, three) = await family(api, 3)
    await api.set_status(one["id"], "DONE")
    await api.set_status(two["id"], "CANCELLED")
    details = await api.call("get_task_details", task_id=parent["id"])
    assert details["progress"] == {"total": 3, "done": 1, "open": 1}
    assert [(task["id"], task["status"]) for task in details["subtasks"]] == [
        (one["id"], "DONE"),
        (two["id"], "CANCELLED"),
        (three["id"], "TODO"),
    ]
    below = await api.call("get_task_details", task_id=one["id"])
    assert below["parent"] == {"id": parent["id"], "name": "parent", "status": "TODO"}
    assert (below["subtasks"], below["progress"]) == ([], None)
    rows = (await api.call("list_tasks", fields=["id", "subtasks"]))["items"]
    assert rows[:2] == [{"id": parent["id"], "subtasks": details["progress"]}, {"id": one["id"], "subtasks": None}]
    assert "subtasks" not in (await api.call("list_tasks"))["items"][0]


async def test_tasks_created_together_have_parents_by_ref_or_id_in_any_order(api: OperationsClient) -> None:
    top = await api.create_task("top")
    tasks = [
        {"name": "leaf", "parent": "branch", "depends_on": ["twin"]},
        {"name": "twin", "ref": "twin", "parent": "branch"},
        {"name": "branch", "ref": "branch", "parent": top["id"]},
    ]
    made = await api.call("create_tasks", tasks=tasks)
    leaf, twin, branch = made["items"]
    assert (leaf["parent_id"], twin["parent_id"], branch["parent_id"]) == (branch["id"], branch["id"], top["id"])
    assert {task["project_id"] for task in made["items"]} == {top["project_id"]}
    error = await api.call_error(Invalid, "create_tasks", tasks=[{"name": "x", "parent": "nothing"}])
    assert invalid_fields(error) == ["tasks.0.parent"]
    circle = [{"name": "a", "ref": "a", "parent": "b"}, {"name": "b", "ref": "b", "parent": "a"}]
    await api.call_error(DependencyCycle, "create_tasks", project_name="Garden", tasks=circle)
    check(api)


@pytest.mark.parametrize("fields", [{"status": "BLOCKED"}, {"conflicts_with": [99]}, {"depends_on": ["nothing"]}])
async def test_an_error_about_one_of_many_new_tasks_names_its_place_and_creates_none(
    api: OperationsClient, fields: Json
) -> None:
    tasks = [{"name": "first"}, {"name": "second", **fields}]
    error = await api.call_error(Invalid, "create_tasks", project_name="Garden", tasks=tasks)
    assert invalid_fields(error)[0].startswith(f"tasks.1.{next(iter(fields))}")
    assert (await api.call("list_tasks"))["items"] == []


async def test_an_approval_does_not_complete_a_parent_with_an_open_subtask(api: OperationsClient) -> None:
    await api.call("create_project", name="Garden", policy={"review": "required"})
    parent = await api.create_task("parent")
    fence = (await api.claim(parent["id"], "ann"))["fence"]
    child = await api.create_task("child", parent_id=parent["id"])
    submitted = await api.set_status(parent["id"], "REVIEW", "ann", fence=fence, summary="painted")
    verdict = {"task_id": parent["id"], "digest": submitted["submission"]["digest"], "verdict": "approved"}
    await api.call_error(OpenSubtasks, "review_task", agent_id="bob", **verdict)
    assert (await api.get_task(parent["id"]))["status"] == "REVIEW"
    await api.set_status(child["id"], "CANCELLED")
    assert (await api.call("review_task", agent_id="bob", **verdict))["status"] == "DONE"
    check(api)
