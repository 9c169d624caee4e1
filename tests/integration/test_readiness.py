"""Readiness of tasks, and the blockers of tasks that are not ready."""

import anyio
import pytest

from project_manager.domain.errors import (
    DependencyCycle,
    HasDependents,
    Invalid,
    NotReady,
    ProjectArchived,
    VersionMismatch,
)
from project_manager.services.leases import DEFERRED_PER_BATCH
from tests.integration.invariants import check
from tests.operations_client import TIMEOUT, Json, OperationsClient, run_due_jobs

pytestmark = pytest.mark.promise("ready:rules")


async def why(api: OperationsClient, task: Json) -> list[str]:
    """Return the blockers of the task. The task, the list and a refused claim must agree."""
    found = await api.get_task(task["id"])
    listed = await api.call("list_tasks", ready=True, limit=500)
    offered = await api.call("get_available_tasks", limit=500)
    assert found["ready"] is (found["why_not_ready"] == [])
    assert found["ready"] is (task["id"] in [row["id"] for row in listed["items"]])
    assert found["ready"] is (task["id"] in [row["id"] for row in offered["items"]])
    reasons: list[str] = found["why_not_ready"]
    return reasons


async def test_a_new_task_is_ready_at_once(api: OperationsClient) -> None:
    assert await why(api, await api.create_task()) == []


@pytest.mark.parametrize("status", ["BACKLOG", "REVIEW", "BLOCKED", "DONE", "CANCELLED", "IN_PROGRESS"])
async def test_only_todo_is_ready_among_the_statuses(api: OperationsClient, status: str) -> None:
    task = await api.create_task()
    await api.set_status(task["id"], "TODO" if status != "BACKLOG" else "BACKLOG")
    await api.set_status(task["id"], status)
    assert await why(api, task) == [f"status is {status}, not TODO"]


async def test_a_claimed_task_is_not_ready_because_of_its_status(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann")
    assert await why(api, task) == ["status is IN_PROGRESS, not TODO"]


@pytest.mark.parametrize("status", ["BACKLOG", "IN_PROGRESS", "REVIEW", "BLOCKED"])
async def test_a_dependency_in_any_status_but_done_blocks_a_task(api: OperationsClient, status: str) -> None:
    first = await api.create_task("first")
    second = await api.create_task("second", depends_on=[first["id"]])
    if status == "REVIEW":
        await api.set_status(first["id"], "IN_PROGRESS")
    await api.set_status(first["id"], status)
    assert await why(api, second) == [f"depends on unfinished task #{first['id']}"]


async def test_a_cancelled_dependency_is_named_as_such_until_it_is_removed_or_reopened(api: OperationsClient) -> None:
    dropped, going = await api.create_task("dropped"), await api.create_task("going")
    task = await api.create_task("task", depends_on=[dropped["id"], going["id"]])
    assert task["cancelled_dependencies"] == []
    await api.set_status(dropped["id"], "CANCELLED")
    words = f"depends on CANCELLED task #{dropped['id']}; remove the dependency or reopen it"
    assert await why(api, task) == [f"depends on unfinished task #{going['id']}", words]
    (row,) = (await api.call("list_tasks", ids=[task["id"]], fields=["cancelled_dependencies"]))["items"]
    assert row == {"cancelled_dependencies": [dropped["id"]]}
    cards = (await api.call("get_board_state"))["tasks"]
    assert [card["cancelled_dependencies"] for card in cards] == [[], [], [dropped["id"]]]
    refusal = await api.call_error(NotReady, "acquire_task_lock", task_id=task["id"], agent_id="ann")
    assert refusal.details["cancelled_dependencies"] == [dropped["id"]]
    await api.set_status(dropped["id"], "TODO", reopen=True)
    waiting = f"depends on unfinished tasks #{dropped['id']}, #{going['id']}"
    assert await why(api, task) == [waiting]
    await api.set_status(dropped["id"], "CANCELLED")
    await api.update_task(task["id"], depends_on=[going["id"]])
    assert await why(api, task) == [f"depends on unfinished task #{going['id']}"]
    assert (await api.get_task(task["id"]))["cancelled_dependencies"] == []


async def test_a_dependency_that_is_made_on_a_cancelled_task_is_named_at_once(api: OperationsClient) -> None:
    dropped = await api.create_task("dropped")
    await api.set_status(dropped["id"], "CANCELLED")
    task = await api.create_task("task", depends_on=[dropped["id"]])
    assert (task["ready"], task["cancelled_dependencies"]) == (False, [dropped["id"]])


@pytest.mark.promise("ready:event")
async def test_a_task_is_ready_and_emits_an_event_when_its_last_dependency_is_done(api: OperationsClient) -> None:
    one, two = await api.create_task("one"), await api.create_task("two")
    last = await api.create_task("last", depends_on=[one["id"], two["id"]])
    await api.set_status(one["id"], "DONE", "ann")
    assert await why(api, last) == [f"depends on unfinished task #{two['id']}"]
    since = await api.last_seq()
    await api.set_status(two["id"], "DONE", "bob")
    assert await why(api, last) == []
    assert [event["task_id"] for event in await api.events(since, "task.ready")] == [last["id"]]


async def test_a_reopened_dependency_blocks_its_dependents_again(api: OperationsClient) -> None:
    first = await api.create_task("first")
    second = await api.create_task("second", depends_on=[first["id"]])
    await api.set_status(first["id"], "DONE")
    await api.set_status(first["id"], "TODO", reopen=True)
    assert await why(api, second) == [f"depends on unfinished task #{first['id']}"]
    check(api)


async def test_a_deferred_task_is_ready_when_its_time_has_come(api: OperationsClient) -> None:
    task = await api.create_task(defer_until=api.clock.later(60))
    until = task["defer_until"]
    assert await why(api, task) == [f"deferred until {until}"]
    assert (await api.call_error(NotReady, "acquire_task_lock", task_id=task["id"], agent_id="ann")).message.endswith(
        f"deferred until {until}"
    )
    since = await api.last_seq()
    await api.advance(60)
    assert await why(api, task) == []
    assert [event["type"] for event in await api.events(since)] == ["task.ready"]


async def test_many_deferred_tasks_become_ready_in_parts(api: OperationsClient) -> None:
    number = 2 * DEFERRED_PER_BATCH - 100
    until = api.clock.later(30)
    made = [{"name": f"task {n}", "defer_until": until} for n in range(number)]
    await api.call("create_tasks", project_name="Garden", tasks=made)
    since = await api.last_seq()
    await api.advance(30)
    assert len(await api.events(since, "task.ready")) >= DEFERRED_PER_BATCH
    with anyio.fail_after(TIMEOUT):
        while len(await api.events(since, "task.ready")) < number:
            await run_due_jobs(api.runtime)
    check(api)


async def test_a_deferred_task_is_not_ready_a_millisecond_early(api: OperationsClient) -> None:
    task = await api.create_task(defer_until=api.clock.later(60))
    await api.advance(59.999)
    assert len(await why(api, task)) == 1


async def test_removing_the_deferral_makes_a_task_ready(api: OperationsClient) -> None:
    task = await api.create_task(defer_until=api.clock.later(60))
    await api.update_task(task["id"], defer_until=None)
    assert await why(api, task) == []
    check(api)


@pytest.mark.parametrize("named_by", ["first", "second"])
async def test_conflicting_tasks_never_run_together_in_either_direction(api: OperationsClient, named_by: str) -> None:
    first = await api.create_task("first")
    second = await api.create_task("second", conflicts_with=[first["id"]])
    one, other = (first, second) if named_by == "second" else (second, first)
    lock = await api.claim(one["id"], "ann")
    assert await why(api, other) == [f"conflicts with task #{one['id']}, in progress"]
    refusal = await api.call_error(NotReady, "acquire_task_lock", task_id=other["id"], agent_id="bob")
    assert refusal.details["waiting_for"] == [one["id"]]
    assert (await api.claim_next("bob"))["task"] is None
    since = await api.last_seq()
    await api.set_status(one["id"], "DONE", "ann", fence=lock["fence"])
    assert await why(api, other) == []
    assert [event["task_id"] for event in await api.events(since, "task.ready")] == [other["id"]]
    check(api)


async def test_a_conflict_ends_when_the_other_lease_runs_out(api: OperationsClient) -> None:
    first = await api.create_task("first")
    second = await api.create_task("second", conflicts_with=[first["id"]])
    await api.claim(first["id"], "ann", ttl_seconds=10)
    await api.advance(10)
    assert await why(api, second) == []


async def test_removing_a_conflict_makes_the_other_task_ready_and_emits_an_event(api: OperationsClient) -> None:
    first = await api.create_task("first")
    second = await api.create_task("second", conflicts_with=[first["id"]])
    await api.claim(first["id"], "ann")
    since = await api.last_seq()
    await api.update_task(first["id"], "ann", conflicts_with=[])
    assert await why(api, second) == []
    assert [event["task_id"] for event in await api.events(since, "task.ready")] == [second["id"]]


@pytest.mark.promise("request:if-match")
async def test_the_other_task_of_a_conflict_gets_an_event_and_is_not_overwritten_unseen(api: OperationsClient) -> None:
    first = await api.create_task("first")
    since = await api.last_seq()
    second = await api.create_task("second", conflicts_with=[first["id"]])
    (event,) = await api.events(since, "task.updated")
    assert (event["task_id"], event["changes"], event["previous"]) == (
        first["id"],
        {"conflicts_with": [second["id"]]},
        {"conflicts_with": []},
    )
    await api.call_error(
        VersionMismatch, "update_task", task_id=first["id"], conflicts_with=[], version=first["version"]
    )
    since = await api.last_seq()
    await api.update_task(second["id"], conflicts_with=[])
    assert [event["task_id"] for event in await api.events(since, "task.updated")] == [first["id"], second["id"]]
    assert (await api.get_task(first["id"]))["conflicts_with"] == []
    check(api)


@pytest.mark.promise("request:if-match")
async def test_a_conflict_from_another_task_leaves_a_claimed_task_at_its_version(api: OperationsClient) -> None:
    held = await api.create_task("held")
    other = await api.create_task("other")
    fence = (await api.claim(held["id"], "ann"))["fence"]
    read = await api.get_task(held["id"])
    since = await api.last_seq()
    await api.update_task(other["id"], "zed", conflicts_with=[held["id"]])
    updates = [event for event in await api.events(since, "task.updated") if event["task_id"] == held["id"]]
    assert [(event["version"], event["changes"]) for event in updates] == [
        (read["version"], {"conflicts_with": [other["id"]]})
    ]
    seen = await api.get_task(held["id"])
    assert seen == {**read, "conflicts_with": [other["id"]]}
    assert await why(api, other) == [f"conflicts with task #{held['id']}, in progress"]
    await api.update_task(held["id"], "ann", fence=fence, priority=0, version=read["version"])
    await api.update_task(other["id"], "zed", conflicts_with=[])
    assert (await api.get_task(held["id"]))["conflicts_with"] == []
    check(api)


async def test_tasks_of_an_archived_project_are_not_offered_until_it_is_back(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.call("update_project", project_id=task["project_id"], archived=True)
    assert await why(api, task) == ["its project is archived"]
    await api.call_error(NotReady, "acquire_task_lock", task_id=task["id"], agent_id="ann")
    await api.call_error(ProjectArchived, "create_task", name="late", project_id=task["project_id"])
    await api.call("update_project", project_id=task["project_id"], archived=False)
    late = await api.create_task("late", project_id=task["project_id"])
    assert await why(api, task) == await why(api, late) == []


@pytest.mark.promise("ready:reasons")
async def test_all_blockers_of_a_task_are_named_at_once(api: OperationsClient) -> None:
    first, rival = await api.create_task("first"), await api.create_task("rival")
    task = await api.create_task(
        depends_on=[first["id"]], conflicts_with=[rival["id"]], defer_until=api.clock.later(60), status="BACKLOG"
    )
    await api.claim(rival["id"], "ann")
    await api.call("update_project", project_id=task["project_id"], archived=True)
    reasons = await why(api, task)
    assert reasons == [
        "status is BACKLOG, not TODO",
        "its project is archived",
        f"depends on unfinished task #{first['id']}",
        f"deferred until {task['defer_until']}",
        f"conflicts with task #{rival['id']}, in progress",
    ]
    refusal = await api.call_error(NotReady, "acquire_task_lock", task_id=task["id"], agent_id="bob")
    assert refusal.details["why_not_ready"] == reasons[1:]
    assert refusal.details["waiting_for"] == sorted([first["id"], rival["id"]])


# dependencies


@pytest.mark.promise("graph:no-cycle")
async def test_a_cycle_is_refused_with_its_path_and_nothing_is_written(api: OperationsClient) -> None:
    one = await api.create_task("one")
    two = await api.create_task("two", depends_on=[one["id"]])
    three = await api.create_task("three", depends_on=[two["id"]])
    before = await api.events()
    refusal = await api.call_error(DependencyCycle, "update_task", task_id=one["id"], depends_on=[three["id"]])
    assert refusal.details["cycle"] == [one["id"], three["id"], two["id"], one["id"]]
    assert f"#{one['id']} -> #{three['id']} -> #{two['id']} -> #{one['id']}" in refusal.message
    assert await api.events() == before
    assert (await api.get_task(one["id"]))["depends_on"] == []
    check(api)


@pytest.mark.promise("graph:no-cycle")
async def test_a_task_cannot_wait_for_itself(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.call_error(DependencyCycle, "update_task", task_id=task["id"], depends_on=[task["id"]])


@pytest.mark.promise("graph:no-cycle")
async def test_a_cycle_between_tasks_created_together_is_refused_and_none_is_created(api: OperationsClient) -> None:
    before = await api.last_seq()
    circle = [{"ref": "a", "name": "a", "depends_on": ["b"]}, {"ref": "b", "name": "b", "depends_on": ["a"]}]
    await api.call_error(DependencyCycle, "create_tasks", project_name="Garden", tasks=circle)
    assert await api.last_seq() == before
    assert (await api.call("list_projects"))["items"] == []


async def test_a_dependency_that_does_not_exist_is_refused_by_number(api: OperationsClient) -> None:
    refusal = await api.call_error(Invalid, "create_task", name="x", project_name="Garden", depends_on=[98, 99])
    assert "#98, #99" in refusal.message
    assert refusal.details["errors"] == [
        {"field": "depends_on", "message": refusal.message, "hint": "Create them first."}
    ]


async def test_a_conflict_that_does_not_exist_is_refused_by_number(api: OperationsClient) -> None:
    refusal = await api.call_error(Invalid, "create_task", name="x", project_name="Garden", conflicts_with=[99])
    assert "#99" in refusal.message
    assert refusal.details["errors"][0]["field"] == "conflicts_with"  # type: ignore[index]


async def test_tasks_created_together_refer_to_each_other_in_any_order(api: OperationsClient) -> None:
    old = await api.create_task("old")
    made = await api.call(
        "create_tasks",
        project_name="Garden",
        tasks=[
            {"ref": "last", "name": "last", "depends_on": ["mid", str(old["id"])]},
            {"ref": "mid", "name": "mid", "depends_on": ["first"]},
            {"ref": "first", "name": "first"},
        ],
    )
    ids = made["ids"]
    last = await api.get_task(ids["last"])
    assert last["depends_on"] == sorted([ids["mid"], old["id"]])
    assert (await api.get_task(ids["first"]))["unblocks"] == 1
    check(api)


async def test_a_dependency_named_twice_between_tasks_created_together_is_one(api: OperationsClient) -> None:
    old = str((await api.create_task("old"))["id"])
    made = await api.call(
        "create_tasks",
        project_name="Garden",
        tasks=[{"ref": "a", "name": "a"}, {"ref": "b", "name": "b", "depends_on": ["a", "a", old, f"#{old}"]}],
    )
    assert made["items"][1]["depends_on"] == sorted([int(old), made["ids"]["a"]])
    check(api)


@pytest.mark.parametrize("ref", ["\u00b2", "\u0667", "#", "#x", "##"])
async def test_a_reference_that_only_looks_like_a_number_is_none(api: OperationsClient, ref: str) -> None:
    fields = {"name": "a", "depends_on": [ref]}
    refusal = await api.call_error(Invalid, "create_tasks", project_name="Garden", tasks=[fields])
    assert refusal.details["errors"][0]["field"] == "tasks.0.depends_on"  # type: ignore[index]


async def test_errors_between_tasks_created_together_are_all_named(api: OperationsClient) -> None:
    refusal = await api.call_error(
        Invalid,
        "create_tasks",
        project_name="Garden",
        tasks=[
            {"ref": "a", "name": "a", "depends_on": ["nowhere"]},
            {"ref": "b", "name": "b"},
            {"ref": "b", "name": "c", "depends_on": ["nobody"]},
        ],
    )
    fields = sorted(fault["field"] for fault in refusal.details["errors"])  # type: ignore[attr-defined]
    assert fields == ["tasks.0.depends_on", "tasks.1.ref", "tasks.2.depends_on", "tasks.2.ref"]


async def test_a_task_that_open_tasks_wait_for_is_not_deleted(api: OperationsClient) -> None:
    first = await api.create_task("first")
    second = await api.create_task("second", depends_on=[first["id"]])
    refusal = await api.call_error(HasDependents, "delete_task", task_id=first["id"])
    assert refusal.details["tasks"] == [second["id"]]


@pytest.mark.promise("graph:counters")
async def test_a_deleted_dependency_of_a_closed_task_no_longer_blocks_it_when_reopened(api: OperationsClient) -> None:
    first = await api.create_task("first")
    second = await api.create_task("second", depends_on=[first["id"]])
    await api.set_status(second["id"], "CANCELLED")
    await api.call("delete_task", task_id=first["id"])
    await api.set_status(second["id"], "TODO", reopen=True)
    assert await why(api, second) == []
    check(api)


@pytest.mark.promise("graph:counters")
@pytest.mark.parametrize("done", [False, True])
async def test_deleting_a_project_unblocks_the_dependents_of_its_tasks_in_other_projects(
    api: OperationsClient, done: bool
) -> None:
    first = await api.create_task("first", project_name="Shed")
    second = await api.create_task("second", depends_on=[first["id"]])
    if done:
        await api.set_status(first["id"], "DONE")
    await api.call("delete_project", project_id=first["project_id"], force=True)
    assert await why(api, second) == []
    check(api)


async def test_tasks_created_together_name_dependencies_by_number_text_or_a_long_ref(api: OperationsClient) -> None:
    first = await api.create_task()
    long = "r" * 200
    made = await api.call(
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
