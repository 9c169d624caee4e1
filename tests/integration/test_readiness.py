"""Readiness of tasks, and the blockers of tasks that are not ready."""

import pytest

from project_manager.domain.errors import (
    DependencyCycle,
    HasDependents,
    Invalid,
    NotReady,
    ProjectArchived,
    VersionMismatch,
)
from tests.desk import Desk, Json
from tests.integration.invariants import check

pytestmark = pytest.mark.promise("ready:rules")


async def why(desk: Desk, task: Json) -> list[str]:
    """Return the blockers of the task. The task, the list and a refused claim must agree."""
    found = await desk.look(task["id"])
    listed = await desk.do("list_tasks", ready=True, limit=500)
    offered = await desk.do("get_available_tasks", limit=500)
    assert found["ready"] is (found["why_not_ready"] == [])
    assert found["ready"] is (task["id"] in [row["id"] for row in listed["items"]])
    assert found["ready"] is (task["id"] in [row["id"] for row in offered["items"]])
    reasons: list[str] = found["why_not_ready"]
    return reasons


async def test_a_new_task_is_ready_at_once(desk: Desk) -> None:
    assert await why(desk, await desk.task()) == []


@pytest.mark.parametrize("status", ["BACKLOG", "REVIEW", "BLOCKED", "DONE", "CANCELLED", "IN_PROGRESS"])
async def test_only_todo_is_ready_among_the_statuses(desk: Desk, status: str) -> None:
    task = await desk.task()
    await desk.set_status(task["id"], "TODO" if status != "BACKLOG" else "BACKLOG")
    await desk.set_status(task["id"], status)
    assert await why(desk, task) == [f"status is {status}, not TODO"]


async def test_a_claimed_task_is_not_ready_because_of_its_status(desk: Desk) -> None:
    task = await desk.task()
    await desk.claim(task["id"], "ann")
    assert await why(desk, task) == ["status is IN_PROGRESS, not TODO"]


@pytest.mark.parametrize("status", ["BACKLOG", "IN_PROGRESS", "REVIEW", "BLOCKED"])
async def test_a_dependency_in_any_status_but_done_blocks_a_task(desk: Desk, status: str) -> None:
    first = await desk.task("first")
    second = await desk.task("second", depends_on=[first["id"]])
    if status == "REVIEW":
        await desk.set_status(first["id"], "IN_PROGRESS")
    await desk.set_status(first["id"], status)
    assert await why(desk, second) == [f"depends on unfinished task #{first['id']}"]


async def test_a_cancelled_dependency_is_named_as_such_until_it_is_removed_or_reopened(desk: Desk) -> None:
    dropped, going = await desk.task("dropped"), await desk.task("going")
    task = await desk.task("task", depends_on=[dropped["id"], going["id"]])
    assert task["cancelled_dependencies"] == []
    await desk.set_status(dropped["id"], "CANCELLED")
    words = f"depends on CANCELLED task #{dropped['id']}; remove the dependency or reopen it"
    assert await why(desk, task) == [f"depends on unfinished task #{going['id']}", words]
    (row,) = (await desk.do("list_tasks", ids=[task["id"]], fields=["cancelled_dependencies"]))["items"]
    assert row == {"cancelled_dependencies": [dropped["id"]]}
    cards = (await desk.do("get_board_state"))["tasks"]
    assert [card["cancelled_dependencies"] for card in cards] == [[], [], [dropped["id"]]]
    refusal = await desk.refused(NotReady, "acquire_task_lock", task_id=task["id"], agent_id="ann")
    assert refusal.details["cancelled_dependencies"] == [dropped["id"]]
    await desk.set_status(dropped["id"], "TODO", reopen=True)
    waiting = f"depends on unfinished tasks #{dropped['id']}, #{going['id']}"
    assert await why(desk, task) == [waiting]
    await desk.set_status(dropped["id"], "CANCELLED")
    await desk.edit(task["id"], depends_on=[going["id"]])
    assert await why(desk, task) == [f"depends on unfinished task #{going['id']}"]
    assert (await desk.look(task["id"]))["cancelled_dependencies"] == []


async def test_a_dependency_that_is_made_on_a_cancelled_task_is_named_at_once(desk: Desk) -> None:
    dropped = await desk.task("dropped")
    await desk.set_status(dropped["id"], "CANCELLED")
    task = await desk.task("task", depends_on=[dropped["id"]])
    assert (task["ready"], task["cancelled_dependencies"]) == (False, [dropped["id"]])


@pytest.mark.promise("ready:event")
async def test_a_task_is_ready_and_emits_an_event_when_its_last_dependency_is_done(desk: Desk) -> None:
    one, two = await desk.task("one"), await desk.task("two")
    last = await desk.task("last", depends_on=[one["id"], two["id"]])
    await desk.set_status(one["id"], "DONE", "ann")
    assert await why(desk, last) == [f"depends on unfinished task #{two['id']}"]
    since = await desk.head()
    await desk.set_status(two["id"], "DONE", "bob")
    assert await why(desk, last) == []
    assert [event["task_id"] for event in await desk.events(since, "task.ready")] == [last["id"]]


async def test_a_reopened_dependency_blocks_its_dependents_again(desk: Desk) -> None:
    first = await desk.task("first")
    second = await desk.task("second", depends_on=[first["id"]])
    await desk.set_status(first["id"], "DONE")
    await desk.set_status(first["id"], "TODO", reopen=True)
    assert await why(desk, second) == [f"depends on unfinished task #{first['id']}"]
    check(desk)


async def test_a_deferred_task_is_ready_when_its_time_has_come(desk: Desk) -> None:
    task = await desk.task(defer_until=desk.clock.later(60))
    until = task["defer_until"]
    assert await why(desk, task) == [f"deferred until {until}"]
    assert (await desk.refused(NotReady, "acquire_task_lock", task_id=task["id"], agent_id="ann")).message.endswith(
        f"deferred until {until}"
    )
    since = await desk.head()
    await desk.pass_time(60)
    assert await why(desk, task) == []
    assert [event["type"] for event in await desk.events(since)] == ["task.ready"]


async def test_a_deferred_task_is_not_ready_a_millisecond_early(desk: Desk) -> None:
    task = await desk.task(defer_until=desk.clock.later(60))
    await desk.pass_time(59.999)
    assert len(await why(desk, task)) == 1


async def test_removing_the_deferral_makes_a_task_ready(desk: Desk) -> None:
    task = await desk.task(defer_until=desk.clock.later(60))
    await desk.edit(task["id"], defer_until=None)
    assert await why(desk, task) == []
    check(desk)


@pytest.mark.parametrize("named_by", ["first", "second"])
async def test_conflicting_tasks_never_run_together_in_either_direction(desk: Desk, named_by: str) -> None:
    first = await desk.task("first")
    second = await desk.task("second", conflicts_with=[first["id"]])
    one, other = (first, second) if named_by == "second" else (second, first)
    lock = await desk.claim(one["id"], "ann")
    assert await why(desk, other) == [f"conflicts with task #{one['id']}, in progress"]
    refusal = await desk.refused(NotReady, "acquire_task_lock", task_id=other["id"], agent_id="bob")
    assert refusal.details["waiting_for"] == [one["id"]]
    assert (await desk.next("bob"))["task"] is None
    since = await desk.head()
    await desk.set_status(one["id"], "DONE", "ann", fence=lock["fence"])
    assert await why(desk, other) == []
    assert [event["task_id"] for event in await desk.events(since, "task.ready")] == [other["id"]]
    check(desk)


async def test_a_conflict_ends_when_the_other_lease_runs_out(desk: Desk) -> None:
    first = await desk.task("first")
    second = await desk.task("second", conflicts_with=[first["id"]])
    await desk.claim(first["id"], "ann", ttl_seconds=10)
    await desk.pass_time(10)
    assert await why(desk, second) == []


async def test_removing_a_conflict_makes_the_other_task_ready_and_emits_an_event(desk: Desk) -> None:
    first = await desk.task("first")
    second = await desk.task("second", conflicts_with=[first["id"]])
    await desk.claim(first["id"], "ann")
    since = await desk.head()
    await desk.edit(first["id"], "ann", conflicts_with=[])
    assert await why(desk, second) == []
    assert [event["task_id"] for event in await desk.events(since, "task.ready")] == [second["id"]]


@pytest.mark.promise("request:if-match")
async def test_the_other_task_of_a_conflict_gets_an_event_and_is_not_overwritten_unseen(desk: Desk) -> None:
    first = await desk.task("first")
    since = await desk.head()
    second = await desk.task("second", conflicts_with=[first["id"]])
    (told,) = await desk.events(since, "task.updated")
    assert (told["task_id"], told["changes"], told["previous"]) == (
        first["id"],
        {"conflicts_with": [second["id"]]},
        {"conflicts_with": []},
    )
    await desk.refused(VersionMismatch, "update_task", task_id=first["id"], conflicts_with=[], version=first["version"])
    since = await desk.head()
    await desk.edit(second["id"], conflicts_with=[])
    assert [event["task_id"] for event in await desk.events(since, "task.updated")] == [first["id"], second["id"]]
    assert (await desk.look(first["id"]))["conflicts_with"] == []
    check(desk)


@pytest.mark.promise("request:if-match")
async def test_a_conflict_from_another_task_leaves_a_claimed_task_at_its_version(desk: Desk) -> None:
    held = await desk.task("held")
    other = await desk.task("other")
    fence = (await desk.claim(held["id"], "ann"))["fence"]
    read = await desk.look(held["id"])
    since = await desk.head()
    await desk.edit(other["id"], "zed", conflicts_with=[held["id"]])
    told = [event for event in await desk.events(since, "task.updated") if event["task_id"] == held["id"]]
    assert [(event["version"], event["changes"]) for event in told] == [
        (read["version"], {"conflicts_with": [other["id"]]})
    ]
    seen = await desk.look(held["id"])
    assert seen == {**read, "conflicts_with": [other["id"]]}
    assert await why(desk, other) == [f"conflicts with task #{held['id']}, in progress"]
    await desk.edit(held["id"], "ann", fence=fence, priority=0, version=read["version"])
    await desk.edit(other["id"], "zed", conflicts_with=[])
    assert (await desk.look(held["id"]))["conflicts_with"] == []
    check(desk)


async def test_tasks_of_an_archived_project_are_not_offered_until_it_is_back(desk: Desk) -> None:
    task = await desk.task()
    await desk.do("update_project", project_id=task["project_id"], archived=True)
    assert await why(desk, task) == ["its project is archived"]
    await desk.refused(NotReady, "acquire_task_lock", task_id=task["id"], agent_id="ann")
    await desk.refused(ProjectArchived, "create_task", name="late", project_id=task["project_id"])
    await desk.do("update_project", project_id=task["project_id"], archived=False)
    late = await desk.task("late", project_id=task["project_id"])
    assert await why(desk, task) == await why(desk, late) == []


@pytest.mark.promise("ready:reasons")
async def test_all_blockers_of_a_task_are_named_at_once(desk: Desk) -> None:
    first, rival = await desk.task("first"), await desk.task("rival")
    task = await desk.task(
        depends_on=[first["id"]], conflicts_with=[rival["id"]], defer_until=desk.clock.later(60), status="BACKLOG"
    )
    await desk.claim(rival["id"], "ann")
    await desk.do("update_project", project_id=task["project_id"], archived=True)
    reasons = await why(desk, task)
    assert reasons == [
        "status is BACKLOG, not TODO",
        "its project is archived",
        f"depends on unfinished task #{first['id']}",
        f"deferred until {task['defer_until']}",
        f"conflicts with task #{rival['id']}, in progress",
    ]
    refusal = await desk.refused(NotReady, "acquire_task_lock", task_id=task["id"], agent_id="bob")
    assert refusal.details["why_not_ready"] == reasons[1:]
    assert refusal.details["waiting_for"] == sorted([first["id"], rival["id"]])


# dependencies


@pytest.mark.promise("graph:no-cycle")
async def test_a_cycle_is_refused_with_its_path_and_nothing_is_written(desk: Desk) -> None:
    one = await desk.task("one")
    two = await desk.task("two", depends_on=[one["id"]])
    three = await desk.task("three", depends_on=[two["id"]])
    before = await desk.events()
    refusal = await desk.refused(DependencyCycle, "update_task", task_id=one["id"], depends_on=[three["id"]])
    assert refusal.details["cycle"] == [one["id"], three["id"], two["id"], one["id"]]
    assert f"#{one['id']} -> #{three['id']} -> #{two['id']} -> #{one['id']}" in refusal.message
    assert await desk.events() == before
    assert (await desk.look(one["id"]))["depends_on"] == []
    check(desk)


@pytest.mark.promise("graph:no-cycle")
async def test_a_task_cannot_wait_for_itself(desk: Desk) -> None:
    task = await desk.task()
    await desk.refused(DependencyCycle, "update_task", task_id=task["id"], depends_on=[task["id"]])


@pytest.mark.promise("graph:no-cycle")
async def test_a_cycle_between_tasks_created_together_is_refused_and_none_is_created(desk: Desk) -> None:
    before = await desk.head()
    circle = [{"ref": "a", "name": "a", "depends_on": ["b"]}, {"ref": "b", "name": "b", "depends_on": ["a"]}]
    await desk.refused(DependencyCycle, "create_tasks", project_name="Garden", tasks=circle)
    assert await desk.head() == before
    assert (await desk.do("list_projects"))["items"] == []


async def test_a_dependency_that_does_not_exist_is_refused_by_number(desk: Desk) -> None:
    refusal = await desk.refused(Invalid, "create_task", name="x", project_name="Garden", depends_on=[98, 99])
    assert "#98, #99" in refusal.message
    assert refusal.details["faults"] == [
        {"field": "depends_on", "message": refusal.message, "hint": "Create them first."}
    ]


async def test_a_conflict_that_does_not_exist_is_refused_by_number(desk: Desk) -> None:
    refusal = await desk.refused(Invalid, "create_task", name="x", project_name="Garden", conflicts_with=[99])
    assert "#99" in refusal.message
    assert refusal.details["faults"][0]["field"] == "conflicts_with"  # type: ignore[index]


async def test_tasks_created_together_refer_to_each_other_in_any_order(desk: Desk) -> None:
    old = await desk.task("old")
    made = await desk.do(
        "create_tasks",
        project_name="Garden",
        tasks=[
            {"ref": "last", "name": "last", "depends_on": ["mid", str(old["id"])]},
            {"ref": "mid", "name": "mid", "depends_on": ["first"]},
            {"ref": "first", "name": "first"},
        ],
    )
    ids = made["ids"]
    last = await desk.look(ids["last"])
    assert last["depends_on"] == sorted([ids["mid"], old["id"]])
    assert (await desk.look(ids["first"]))["unblocks"] == 1
    check(desk)


async def test_a_dependency_named_twice_between_tasks_created_together_is_one(desk: Desk) -> None:
    old = str((await desk.task("old"))["id"])
    made = await desk.do(
        "create_tasks",
        project_name="Garden",
        tasks=[{"ref": "a", "name": "a"}, {"ref": "b", "name": "b", "depends_on": ["a", "a", old, f"#{old}"]}],
    )
    assert made["items"][1]["depends_on"] == sorted([int(old), made["ids"]["a"]])
    check(desk)


@pytest.mark.parametrize("ref", ["\u00b2", "\u0667", "#", "#x", "##"])
async def test_a_reference_that_only_looks_like_a_number_is_none(desk: Desk, ref: str) -> None:
    wish = {"name": "a", "depends_on": [ref]}
    refusal = await desk.refused(Invalid, "create_tasks", project_name="Garden", tasks=[wish])
    assert refusal.details["faults"][0]["field"] == "tasks.0.depends_on"  # type: ignore[index]


async def test_errors_between_tasks_created_together_are_all_named(desk: Desk) -> None:
    refusal = await desk.refused(
        Invalid,
        "create_tasks",
        project_name="Garden",
        tasks=[
            {"ref": "a", "name": "a", "depends_on": ["nowhere"]},
            {"ref": "b", "name": "b"},
            {"ref": "b", "name": "c", "depends_on": ["nobody"]},
        ],
    )
    fields = sorted(fault["field"] for fault in refusal.details["faults"])  # type: ignore[attr-defined]
    assert fields == ["tasks.0.depends_on", "tasks.1.ref", "tasks.2.depends_on", "tasks.2.ref"]


async def test_a_task_that_open_tasks_wait_for_is_not_deleted(desk: Desk) -> None:
    first = await desk.task("first")
    second = await desk.task("second", depends_on=[first["id"]])
    refusal = await desk.refused(HasDependents, "delete_task", task_id=first["id"])
    assert refusal.details["tasks"] == [second["id"]]


@pytest.mark.promise("graph:counters")
async def test_a_deleted_dependency_of_a_closed_task_no_longer_blocks_it_when_reopened(desk: Desk) -> None:
    first = await desk.task("first")
    second = await desk.task("second", depends_on=[first["id"]])
    await desk.set_status(second["id"], "CANCELLED")
    await desk.do("delete_task", task_id=first["id"])
    await desk.set_status(second["id"], "TODO", reopen=True)
    assert await why(desk, second) == []
    check(desk)


@pytest.mark.promise("graph:counters")
@pytest.mark.parametrize("done", [False, True])
async def test_deleting_a_project_unblocks_the_dependents_of_its_tasks_in_other_projects(
    desk: Desk, done: bool
) -> None:
    first = await desk.task("first", project_name="Shed")
    second = await desk.task("second", depends_on=[first["id"]])
    if done:
        await desk.set_status(first["id"], "DONE")
    await desk.do("delete_project", project_id=first["project_id"], force=True)
    assert await why(desk, second) == []
    check(desk)


async def test_tasks_created_together_name_dependencies_by_number_text_or_a_long_ref(desk: Desk) -> None:
    first = await desk.task()
    long = "r" * 200
    made = await desk.do(
        "create_tasks",
        project_name="Garden",
        tasks=[
            {"name": "a", "ref": long},
            {"name": "b", "depends_on": [first["id"], long]},
            {"name": "c", "depends_on": [f"#{first['id']}", str(first["id"])]},
        ],
    )
    ids = [task["id"] for task in made["items"]]
    assert [task["depends_on"] for task in made["items"]] == [[], [first["id"], ids[0]], [first["id"]]]
