"""Edits of many tasks in one transaction, and the requests that undo them."""

from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import (
    EpicNotFound,
    Invalid,
    ProjectNotFound,
    RoleRequired,
    SelectionChanged,
    UnknownArgument,
)
from tests.integration.invariants import check
from tests.integration.watched_connection import traced
from tests.operations_client import Json, OperationsClient, invalid_fields

VOLATILE = {"version", "updated_at", "fence", "worked_by", "ready", "why_not_ready"}
"""The fields of a task that an undo does not restore."""


async def create(api: OperationsClient, number: int, **fields: Any) -> list[int]:
    made = await api.call(
        "create_tasks", project_name="Garden", tasks=[{"name": f"task {place}", **fields} for place in range(number)]
    )
    return [task["id"] for task in made["items"]]


async def edit(api: OperationsClient, ids: list[int], **changes: Any) -> Json:
    done: Json = await api.call("edit_tasks", ids=ids, changes=changes)
    return done


async def undo(api: OperationsClient, done: Json) -> Json:
    undone: Json = await api.call("edit_tasks", **done["undo"])
    return undone


async def lasting(api: OperationsClient, ids: list[int]) -> list[Json]:
    """Return the fields that an undo restores, of each task."""
    found = [await api.get_task(task_id) for task_id in ids]
    return [{name: value for name, value in task.items() if name not in VOLATILE} for task in found]


def refusals(done: Json) -> dict[int, str]:
    return {refused["id"]: refused["code"] for refused in done["refused"]}


async def test_fifty_tasks_change_at_once_and_an_undo_leaves_those_alone_that_changed_since(
    api: OperationsClient,
) -> None:
    ids = await create(api, 50, labels=["old"])
    before = await lasting(api, ids)
    since = await api.last_seq()
    done = await api.call(
        "edit_tasks", ids=ids, changes={"priority": 0, "add_labels": ["bug"], "remove_labels": ["old"]}, note="triaged"
    )
    assert (done["matched"], done["changed"], done["tasks"], done["refused_total"]) == (50, 50, ids, 0)
    events = await api.events(since)
    assert [event["type"] for event in events] == ["task.updated"] * 50 + ["task.logged"] * 50
    assert len({event["timestamp"] for event in events}) == 1
    one = await api.get_task(ids[0])
    assert (one["priority"], one["labels"]) == (0, ["bug"])
    assert [entry["body"] for entry in await api.logs(ids[0])] == ["triaged"]
    for task_id in ids[:3]:
        await api.update_task(task_id, priority=4)
    undone = await undo(api, done)
    assert (undone["changed"], undone["changed_since"]) == (47, ids[:3])
    assert await lasting(api, ids[3:]) == before[3:]
    assert [(await api.get_task(task_id))["priority"] for task_id in ids[:3]] == [4, 4, 4]
    check(api)


async def test_an_undo_of_an_undo_is_a_redo_and_a_reopened_task_keeps_its_times(api: OperationsClient) -> None:
    ids = await create(api, 3)
    done = await edit(api, ids, status="DONE")
    completed = await lasting(api, ids)
    assert done["undo"]["tasks"][0] == {
        "id": ids[0],
        "version": 2,
        "former_version": 1,
        "status": "TODO",
        "reopen": True,
    }
    api.clock.advance(3600)
    undone = await undo(api, done)
    assert {(await api.get_task(task_id))["status"] for task_id in ids} == {"TODO"}
    api.clock.advance(3600)
    redone = await undo(api, undone)
    assert redone["changed"] == 3
    assert await lasting(api, ids) == completed
    assert (await undo(api, done))["changed_since"] == ids
    check(api)


@pytest.mark.parametrize("status", ["BACKLOG", "IN_PROGRESS", "REVIEW", "BLOCKED", "TODO"])
async def test_a_cancelled_task_returns_to_each_status(api: OperationsClient, status: str) -> None:
    ids = await create(api, 2)
    await edit(api, ids, status=status)
    done = await edit(api, ids, status="CANCELLED")
    undone = await undo(api, done)
    assert (undone["changed"], undone["refused"]) == (2, [])
    assert {(await api.get_task(task_id))["status"] for task_id in ids} == {status}
    check(api)


async def test_a_task_that_cannot_take_the_change_is_refused_alone(api: OperationsClient) -> None:
    await api.call("create_project", name="Garden", policy={"review": "required"})
    strict, held, done_before, free = await create(api, 4)
    shed = (await api.create_task(project_name="Shed"))["id"]
    await api.claim(held, "ann")
    await api.set_status(done_before, "CANCELLED")
    done = await edit(api, [strict, held, done_before, shed, 99], priority=1, status="DONE")
    assert refusals(done) == {
        strict: "policy_unmet",
        held: "lock_held",
        done_before: "invalid_transition",
        99: "task_not_found",
    }
    assert (done["tasks"], done["refused_total"], done["matched"]) == ([shed], 4, 5)
    assert [(await api.get_task(number))["priority"] for number in (strict, held, done_before)] == [2, 2, 2]
    forced = await api.call("edit_tasks", ids=[strict, held], changes={"status": "DONE"}, force=True)
    assert refusals(forced) == {strict: "policy_unmet", held: "policy_unmet"}
    moved = await api.call("edit_tasks", ids=[held, free], changes={"status": "BACKLOG"}, force=True)
    assert moved["tasks"] == [held, free]
    assert [item["status"] for item in moved["undo"]["tasks"]] == ["TODO", "TODO"]
    check(api)


async def test_an_agent_edits_its_own_tasks_and_none_that_another_holds(api: OperationsClient) -> None:
    own, other, free = await create(api, 3)
    await api.claim(own, "ann")
    await api.claim(other, "bob")
    done = await api.call("edit_tasks", ids=[own, other, free], changes={"priority": 0}, agent_id="ann")
    assert (done["tasks"], refusals(done)) == ([own, free], {other: "lock_held"})
    assert done["undo"]["agent_id"] == "ann"
    assert (await undo(api, done))["changed"] == 2
    claimed = await api.call("edit_tasks", ids=[free], changes={"status": "IN_PROGRESS"}, agent_id="ann")
    assert refusals(claimed) == {free: "invalid"}
    agent = api.acting_as(Actor("cid", "agent", Role.AGENT, True, 3))
    await agent.call_error(RoleRequired, "edit_tasks", ids=[own], changes={"priority": 0}, force=True)
    await agent.call_error(RoleRequired, "edit_tasks", ids=[free], changes={"assigned_to": "cid"})
    viewer = api.acting_as(Actor("vera", "human", Role.VIEWER, token_id=5))
    await viewer.call_error(RoleRequired, "edit_tasks", ids=[own], changes={"priority": 0})
    check(api)


async def test_a_filter_selects_as_a_list_does_and_the_number_must_be_the_expected_one(api: OperationsClient) -> None:
    ids = await create(api, 5, labels=["bug"])
    others = await create(api, 2)
    selection = {"project_name": "Garden", "label": "bug", "status": ["TODO"], "q": "task"}
    error = await api.call_error(SelectionChanged, "edit_tasks", filter=selection, changes={"priority": 0}, expected=4)
    assert (error.details["matched"], error.details["expected"]) == (5, 4)
    counted = await api.call("edit_tasks", filter=selection, changes={"priority": 0}, dry_run=True)
    assert (counted["changed"], counted["undo"], counted["dry_run"]) == (5, None, True)
    assert {(await api.get_task(task_id))["priority"] for task_id in ids} == {2}
    done = await api.call("edit_tasks", filter=selection, changes={"priority": 0}, expected=5)
    assert done["tasks"] == ids
    assert (await api.get_task(others[0]))["priority"] == 2
    none = await api.call("edit_tasks", filter={"status": "DONE"}, changes={"priority": 0})
    assert (none["matched"], none["undo"]) == (0, None)
    await api.call_error(ProjectNotFound, "edit_tasks", filter={"project_id": 99}, changes={"priority": 0})
    await api.call_error(EpicNotFound, "edit_tasks", ids=ids, changes={"epic_id": 99})
    check(api)


async def test_an_edit_without_a_field_to_change_leaves_its_tasks_unchanged(api: OperationsClient) -> None:
    ids = await create(api, 2)
    since = await api.last_seq()
    own = {"tasks": [{"id": ids[0], "version": 1, "completed_at": None}, {"id": ids[1], "version": 9}]}
    requests: list[Json] = [{"ids": ids, "changes": {}, "note": "x"}, {"ids": ids, "changes": {"reopen": True}}, own]
    for request, unchanged in zip(requests, (2, 2, 1), strict=True):
        done = await api.call("edit_tasks", **request)
        assert (done["matched"], done["unchanged"], done["changed"], done["undo"]) == (2, unchanged, 0, None)
    assert await api.last_seq() == since


async def test_a_dry_run_counts_refusals_and_leaves_no_trace(api: OperationsClient) -> None:
    ids = await create(api, 3)
    await api.claim(ids[0], "ann")
    since, before = await api.last_seq(), await lasting(api, ids)
    counted = await api.call("edit_tasks", ids=ids, changes={"status": "DONE"}, note="x", dry_run=True)
    assert (counted["changed"], refusals(counted)) == (2, {ids[0]: "lock_held"})
    assert await api.last_seq() == since
    assert await lasting(api, ids) == before
    check(api)


@pytest.mark.sqlite_only  # the limits are the same, and a server takes long to create so many tasks
async def test_a_request_selects_at_most_500_tasks_in_one_way(api: OperationsClient) -> None:
    await create(api, 500)
    (more,) = await create(api, 1)
    change: Json = {"changes": {"priority": 0}}
    cases: list[tuple[Json, str]] = [
        ({"filter": {"project_name": "Garden"}, **change}, "filter"),
        ({"ids": [*range(1, 502)], **change}, "ids"),
        ({"ids": [more], "filter": {}, **change}, "filter"),
        (change, "ids"),
        ({"ids": [more]}, "changes"),
        ({"ids": [more], "changes": {"attempts": 1}}, "changes.attempts"),
        ({"tasks": [{"id": more, "priority": 1}, {"id": more, "priority": 0}]}, "tasks"),
        ({"tasks": [{"id": more, "priority": 1}], **change}, "changes"),
        ({"ids": [1, 2], "changes": {"depends_on": [3]}}, "changes.depends_on"),
    ]
    for raw, field in cases:
        assert invalid_fields(await api.call_error(Invalid, "edit_tasks", **raw)) == [field], raw
    error = await api.call_error(Invalid, "edit_tasks", ids=[*range(1, 502)], **change)
    assert error.hint == "Send several requests with at most 500 entries each."
    many = {f"x{number}": 1 for number in range(200)}
    unknown = await api.call_error(UnknownArgument, "edit_tasks", ids=[more], changes=many)
    assert unknown.details["total"] == 200
    done = await api.call("edit_tasks", filter={"project_name": "Garden", "ids": [*range(2, 501)]}, **change)
    assert done["changed"] == 499
    check(api)


async def test_a_repeated_request_has_one_effect_and_two_at_once_change_each_task_twice(api: OperationsClient) -> None:
    ids = await create(api, 20)
    first = await api.call("edit_tasks", key="k", ids=ids, changes={"priority": 0})
    await api.update_task(ids[0], priority=3)
    assert await api.call("edit_tasks", key="k", ids=ids, changes={"priority": 0}) == first
    assert (await api.get_task(ids[0]))["priority"] == 3
    results: list[Json] = []

    async def run(label: str) -> None:
        results.append(await edit(api, ids, add_labels=[label]))

    async with anyio.create_task_group() as group:
        group.start_soon(run, "one")
        group.start_soon(run, "two")
    assert [result["changed"] for result in results] == [20, 20]
    assert {tuple(sorted((await api.get_task(task_id))["labels"])) for task_id in ids} == {("one", "two")}
    undone = [await undo(api, result) for result in results]
    assert [(each["changed"], len(each["changed_since"])) for each in undone] == [(0, 20), (20, 0)]
    check(api)


async def test_tasks_are_offered_to_an_agent_first_and_an_undo_ends_the_offers(api: OperationsClient) -> None:
    ids = await create(api, 3)
    await api.claim_next("bob")
    refused = await edit(api, ids[1:], assigned_to="ann")
    assert set(refusals(refused).values()) == {"offer_refused"}
    await api.call("get_context", agent_id="ann")
    await api.call("add_task_log", task_id=ids[2], body="here", agent_id="ann")
    done = await edit(api, ids, assigned_to="ann")
    assert (done["tasks"], refusals(done)) == (ids[1:], {ids[0]: "offer_refused"})
    assert [item["assigned_to"] for item in done["undo"]["tasks"]] == [None, None]
    assert (await api.claim_next("bob"))["task"] is None
    assert (await api.get_task(ids[1]))["offered_to"]["reason"] == "assigned"
    assert (await edit(api, ids[1:], assigned_to="ann"))["unchanged"] == 2
    undone = await undo(api, done)
    assert undone["changed"] == 2
    assert (await api.claim_next("bob"))["task"]["id"] == ids[1]
    check(api)


async def test_tasks_that_are_blocked_by_failures_are_offered_again_and_an_undo_blocks_them_again(
    api: OperationsClient,
) -> None:
    (task,) = await create(api, 1)
    for _ in range(5):
        await api.claim(task, "ann")
        await api.release(task, "ann", failed=True)
    blocked = await lasting(api, [task])
    assert (blocked[0]["status"], blocked[0]["attempts"]) == ("BLOCKED", 5)
    done = await edit(api, [task], status="TODO", attempts=0)
    assert (await api.get_task(task))["ready"]
    await undo(api, done)
    assert await lasting(api, [task]) == blocked
    check(api)


async def test_an_undo_lets_the_same_submission_wait_for_its_verdict_again(api: OperationsClient) -> None:
    await api.call("create_project", name="Garden", policy={"review": "required"})
    (task,) = await create(api, 1)
    await api.claim(task, "ann")
    await api.set_status(task, "REVIEW", "ann", note="done", evidence=[{"command": "make", "exit_code": 0}])
    (before,) = (await api.call("list_submissions", task_id=task))["items"]
    await undo(api, await edit(api, [task], status="CANCELLED"))
    (after,) = (await api.call("list_submissions", task_id=task))["items"]
    assert (after, after["is_current"], after["author"]) == (before, True, "ann")
    done = await edit(api, [task], status="TODO")
    undo_later = done["undo"]
    edited = await edit(api, [task], name="another name")
    undo_later["tasks"][0]["version"] = edited["undo"]["tasks"][0]["version"]
    await api.call("edit_tasks", **undo_later)
    new, old = (await api.call("list_submissions", task_id=task))["items"]
    assert (new["is_current"], old["is_current"], new["author"]) == (True, False, "local")
    check(api)


async def test_parents_and_subtasks_close_and_open_together(api: OperationsClient) -> None:
    (parent,) = await create(api, 1)
    children = [(await api.create_task(f"child {number}", parent_id=parent))["id"] for number in range(2)]
    waiting = (await api.create_task("waiting", depends_on=[parent]))["id"]
    since = await api.last_seq()
    done = await edit(api, [parent, *children], status="DONE")
    assert (done["changed"], done["refused"]) == (3, [])
    ready = await api.events(since, "task.ready")
    assert [event["task_id"] for event in ready] == [waiting]
    undone = await undo(api, done)
    assert (undone["changed"], undone["refused"]) == (3, [])
    check(api)


async def test_links_and_paths_of_one_task_are_restored(api: OperationsClient) -> None:
    one, two, three = await create(api, 3)
    before = await lasting(api, [one])
    done = await edit(api, [one], depends_on=[two], conflicts_with=[three], paths=["src/**"], parent_id=None)
    changed = await lasting(api, [one])
    assert (changed[0]["depends_on"], changed[0]["paths"]) == ([two], ["src/**"])
    cycle = await edit(api, [two], depends_on=[one], priority=0)
    assert (refusals(cycle), (await api.get_task(two))["priority"]) == ({two: "dependency_cycle"}, 2)
    undone = await undo(api, done)
    assert await lasting(api, [one]) == before
    await undo(api, undone)
    assert await lasting(api, [one]) == changed
    check(api)


async def test_former_texts_that_do_not_fit_into_an_undo_refuse_the_whole_edit(api: OperationsClient) -> None:
    ids = [(await api.create_task(f"task {number}", description="x" * 65_000))["id"] for number in range(17)]
    since = await api.last_seq()
    error = await api.call_error(Invalid, "edit_tasks", ids=ids, changes={"description": ""})
    assert "too long" in error.message
    long = await api.call_error(Invalid, "edit_tasks", ids=ids, changes={"description": "y" * 65_000})
    assert invalid_fields(long) == ["changes"]
    assert invalid_fields(
        await api.call_error(Invalid, "edit_tasks", ids=ids, changes={"priority": 0}, note="y" * 65_000)
    ) == ["note"]
    assert await api.last_seq() == since
    assert (await edit(api, ids[:15], description=""))["changed"] == 15


@pytest.mark.sqlite_only
@pytest.mark.parametrize("changes", [{"priority": 0}, {"add_labels": ["x"]}, {"status": "CANCELLED"}])
async def test_the_statements_of_an_edit_grow_with_the_number_of_tasks_by_few_each(
    api: OperationsClient, changes: Json
) -> None:
    counts = []
    for number in (20, 120):
        ids = await create(api, number)
        with traced(api.runtime.database.writer._connection) as statements:
            await edit(api, ids, **changes)
        counts.append(len(statements))
    assert (counts[1] - counts[0]) / 100 <= 2


_VALUES: dict[str, Any] = {
    "name": st.sampled_from(["one", "two"]),
    "description": st.sampled_from(["", "words"]),
    "priority": st.integers(0, 4),
    "labels": st.lists(st.sampled_from(["a", "b"]), unique=True),
    "add_labels": st.lists(st.sampled_from(["b", "c"]), unique=True),
    "remove_labels": st.lists(st.sampled_from(["a", "c"]), unique=True),
    "acceptance": st.lists(st.sampled_from(["it works", "it is fast"])),
    "defer_until": st.sampled_from([None, "2026-11-23T12:00:00.000Z", "2020-01-01T00:00:00.000Z"]),
    "due_at": st.sampled_from([None, "2026-12-01T00:00:00.000Z"]),
    "estimate_minutes": st.sampled_from([None, 30]),
    "external_key": st.sampled_from([None, "KEY-1"]),
    "epic_id": st.sampled_from([None, 1]),
    "attempts": st.just(0),
    "status": st.sampled_from(["BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "BLOCKED", "DONE", "CANCELLED"]),
}
CHANGES = st.fixed_dictionaries({}, optional=_VALUES).filter(bool)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(CHANGES, min_size=1, max_size=3))
async def test_undoing_edits_in_reverse_leaves_every_field_as_it_was(api: OperationsClient, edits: list[Json]) -> None:
    ids = await create(api, 3, labels=["a"])
    await api.call("create_epic", project_name="Garden", name=f"epic of {ids[0]}")
    before = await lasting(api, ids)
    stack = [(await edit(api, ids, **{"reopen": True, **changes}))["undo"] for changes in edits]
    undos = [body for body in stack if body is not None]
    while undos:
        body = undos.pop()
        undone = await api.call("edit_tasks", **body)
        assert (undone["refused"], undone["changed_since"]) == ([], [])
        restored = {item["id"]: item["former_version"] for item in body["tasks"]}
        present = {item["id"]: item["version"] for item in undone["undo"]["tasks"]}
        for item in (item for earlier in undos for item in earlier["tasks"]):
            if item["version"] == restored.get(item["id"]):
                item["version"] = present[item["id"]]
    assert await lasting(api, ids) == before
    check(api)
