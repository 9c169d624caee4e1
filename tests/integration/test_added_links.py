"""Dependencies that are added and removed without a replacement of the list."""

import pytest

from project_manager.domain.errors import DependencyCycle, FenceRequired, Invalid, LockHeld
from project_manager.domain.limits import LINKS
from project_manager.store import links
from project_manager.store.transaction import Tx
from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient, invalid_fields


async def test_dependencies_are_added_and_removed_and_the_others_stay(api: OperationsClient) -> None:
    one, two, three = [(await api.create_task(name))["id"] for name in ("one", "two", "three")]
    task = await api.create_task("task", depends_on=[one])
    await api.update_task(task["id"], add_depends_on=[two, three])
    assert (await api.get_task(task["id"]))["depends_on"] == [one, two, three]
    since = await api.last_seq()
    await api.update_task(task["id"], add_depends_on=[two], remove_depends_on=[one, three])
    (event,) = await api.events(since)
    assert (event["type"], event["changes"]) == ("task.updated", {"depends_on": [two]})
    since = await api.last_seq()
    await api.update_task(task["id"], add_depends_on=[two])
    assert await api.events(since) == []
    check(api)


async def test_added_dependencies_are_checked_like_a_whole_list(api: OperationsClient) -> None:
    first = await api.create_task("first")
    second = await api.create_task("second", depends_on=[first["id"]])
    await api.call_error(DependencyCycle, "update_task", task_id=first["id"], add_depends_on=[second["id"]])
    await api.call_error(Invalid, "update_task", task_id=first["id"], add_depends_on=[999])
    change = {"task_id": first["id"], "depends_on": [], "add_depends_on": [second["id"]]}
    error = await api.call_error(Invalid, "update_task", **change)
    assert invalid_fields(error) == ["add_depends_on"]
    fence = (await api.claim(first["id"], "ann"))["fence"]
    await api.update_task(first["id"], "ann", fence=fence, priority=1)
    third = await api.create_task("third")
    change = {"task_id": first["id"], "add_depends_on": [third["id"]]}
    await api.call_error(FenceRequired, "update_task", agent_id="ann", **change)
    await api.call_error(LockHeld, "update_task", agent_id="bob", **change)


async def test_the_number_of_dependencies_stays_limited(api: OperationsClient) -> None:
    made = await api.call("create_tasks", tasks=[{"name": f"t{n}"} for n in range(LINKS + 1)], project_name="Garden")
    ids = [task["id"] for task in made["items"]]
    task = await api.create_task("task", depends_on=ids[:LINKS])
    error = await api.call_error(Invalid, "update_task", task_id=task["id"], add_depends_on=ids[LINKS:])
    assert f"more than {LINKS}" in error.message
    error = await api.call_error(Invalid, "create_task", name="bug", blocks=[task["id"]])
    assert invalid_fields(error) == ["blocks"]


async def test_a_bug_that_blocks_the_callers_task_is_one_call(api: OperationsClient) -> None:
    mine = await api.create_task("mine")
    fence = (await api.claim(mine["id"], "ann"))["fence"]
    await api.call("renew_task_lock", task_id=mine["id"], agent_id="ann", fence=fence)
    bug = await api.call("create_task", name="bug", blocks=[mine["id"]], agent_id="ann")
    assert bug["project_id"] == mine["project_id"]
    assert (await api.get_task(mine["id"]))["depends_on"] == [bug["id"]]
    assert bug["id"] != mine["id"]
    await api.release(mine["id"], "ann", fence=fence)
    assert (await api.claim_next("ann"))["task"]["id"] == bug["id"]
    assert (await api.get_task(mine["id"]))["why_not_ready"] == [f"depends on unfinished task #{bug['id']}"]
    check(api)


async def test_a_task_of_another_holder_is_blocked_by_people_only(api: OperationsClient) -> None:
    held = await api.create_task("held")
    other = await api.create_task("other")
    await api.claim(held["id"], "ann")
    before = await api.last_seq()
    await api.call_error(LockHeld, "create_task", name="bug", blocks=[held["id"]], agent_id="bob")
    await api.call_error(LockHeld, "update_task", task_id=other["id"], blocks=[held["id"]], agent_id="bob")
    assert await api.last_seq() == before
    await api.call("update_task", task_id=other["id"], blocks=[held["id"]])
    assert (await api.get_task(held["id"]))["depends_on"] == [other["id"]]
    check(api)


async def test_each_blocked_task_emits_its_event_and_cycles_and_unknown_tasks_are_refused(
    api: OperationsClient,
) -> None:
    one, two = await api.create_task("one"), await api.create_task("two")
    since = await api.last_seq()
    bug = await api.create_task("bug", blocks=[one["id"], two["id"]])
    events = await api.events(since, "task.updated")
    assert [(event["task_id"], event["changes"]) for event in events] == [
        (one["id"], {"depends_on": [bug["id"]]}),
        (two["id"], {"depends_on": [bug["id"]]}),
    ]
    assert (await api.get_task(bug["id"]))["unblocks"] == 2
    await api.call_error(DependencyCycle, "update_task", task_id=one["id"], blocks=[bug["id"]])
    await api.call_error(DependencyCycle, "update_task", task_id=one["id"], blocks=[one["id"]])
    await api.call_error(Invalid, "create_task", name="x", project_name="Garden", blocks=[999])
    check(api)


@pytest.mark.parametrize("operation", ["create_tasks", "blocks"])
async def test_a_search_for_cycles_reads_each_task_once(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    chain: list[Json] = [{"name": "first", "ref": "0"}]
    chain += [{"name": "next", "ref": str(number), "depends_on": [str(number - 1)]} for number in range(1, 20)]
    ids = (await api.call("create_tasks", project_name="Garden", tasks=chain))["ids"]
    others = [(await api.create_task(f"other {number}", depends_on=[ids["19"]]))["id"] for number in range(10)]
    read: list[int] = []
    waits_for = links.waits_for

    def counted(tx: Tx, task_id: int) -> list[int]:
        read.append(task_id)
        return waits_for(tx, task_id)

    monkeypatch.setattr(links, "waits_for", counted)
    if operation == "blocks":
        await api.create_task("last", depends_on=[], blocks=others)
    else:
        new = [{"name": "new", "parent": str(others[0]), "depends_on": [str(ids["19"])]} for _ in range(10)]
        await api.call("create_tasks", project_name="Garden", tasks=new)
    assert len(read) == len({*read}) <= 31
    check(api)


async def test_many_new_tasks_that_wait_for_each_other_are_refused(api: OperationsClient) -> None:
    parent = await api.create_task("parent")
    needed = await api.create_task("needed", depends_on=[parent["id"]])
    for new in (
        [{"name": "a", "ref": "a"}, {"name": "b", "parent": "a", "depends_on": ["a"]}],
        [{"name": "a", "ref": "a", "depends_on": ["a"]}],
        [{"name": "a", "ref": "a", "parent": "a"}],
        [{"name": "a", "parent": str(parent["id"]), "depends_on": [str(needed["id"])]}],
    ):
        before = await api.last_seq()
        refusal = await api.call_error(DependencyCycle, "create_tasks", project_name="Garden", tasks=new)
        assert "would depend on itself" in refusal.message
        assert await api.last_seq() == before
    check(api)
