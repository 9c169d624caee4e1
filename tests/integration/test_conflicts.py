"""Conflicts of many new tasks: the events of the other tasks, and the limits."""

import json
from itertools import combinations

import pytest

from project_manager.domain.errors import Invalid
from project_manager.domain.limits import LINKS
from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient, invalid_fields

NEW, OLD = 12, 9


async def create_many(api: OperationsClient, *tasks: Json) -> list[Json]:
    made: list[Json] = (await api.call("create_tasks", project_name="Garden", tasks=[*tasks]))["items"]
    return made


async def test_new_tasks_that_conflict_with_the_same_ones_write_one_event_for_each_of_those(
    api: OperationsClient,
) -> None:
    old = [task["id"] for task in await create_many(api, *[{"name": f"old {number}"} for number in range(OLD)])]
    rival = await api.create_task("rival", conflicts_with=old[:1])
    await api.claim(old[1], "ann")
    since = await api.last_seq()
    made = await create_many(api, *[{"name": f"new {number}", "conflicts_with": old} for number in range(NEW)])
    ids = [task["id"] for task in made]
    events = await api.events(since)
    assert [event["type"] for event in events] == ["task.created"] * NEW + ["task.updated"] * OLD
    first, leased, *others = events[NEW:]
    assert first["changes"] == {"conflicts_with": [rival["id"], *ids]}
    assert first["previous"] == {"conflicts_with": [rival["id"]]}
    assert (leased["task_id"], leased["version"]) == (old[1], (await api.get_task(old[1]))["version"])
    for event in (leased, *others):
        assert (event["changes"], event["previous"]) == ({"conflicts_with": ids}, {"conflicts_with": []})
    assert [task["conflicts_with"] for task in made] == [old] * NEW
    assert [task["ready"] for task in made] == [False] * NEW
    check(api)


async def test_tasks_of_a_plan_that_all_conflict_write_one_event_each(api: OperationsClient) -> None:
    names = [f"task {number}" for number in range(NEW)]
    tasks = [{"name": one, "conflicts_with": [other for other in names if other != one]} for one in names]
    since = await api.last_seq()
    await api.call("import_plan", document=json.dumps({"projects": [{"name": "Garden", "tasks": tasks}]}))
    assert len(await api.events(since, "task.created")) == NEW
    assert await api.events(since, "task.updated") == []
    ids = [task["id"] for task in (await api.call("list_tasks"))["items"]]
    for one, other in combinations(ids, 2):
        assert other in (await api.get_task(one))["conflicts_with"]
    check(api)


async def test_the_limit_of_conflicts_holds_for_new_tasks_together_and_the_error_names_one(
    api: OperationsClient,
) -> None:
    hub = await api.create_task("hub")
    tasks: list[Json] = [
        {"name": "alone"},
        *[{"name": f"{number}", "conflicts_with": [hub["id"]]} for number in range(LINKS)],
    ]
    error = await api.call_error(Invalid, "create_tasks", project_name="Garden", tasks=[*tasks, {**tasks[1]}])
    assert invalid_fields(error) == ["tasks.1.conflicts_with"]
    assert f"task {hub['id']} would conflict with more than {LINKS}" in error.message
    await create_many(api, *tasks)
    assert len((await api.get_task(hub["id"]))["conflicts_with"]) == LINKS


@pytest.mark.parametrize(("place", "offset"), [(0, 0), (1, 1)])
async def test_a_new_task_does_not_conflict_with_the_id_that_it_gets(
    api: OperationsClient, place: int, offset: int
) -> None:
    task = await api.create_task()
    tasks: list[Json] = [{"name": "one"}, {"name": "two"}]
    tasks[place]["conflicts_with"] = [task["id"] + 1 + offset]
    error = await api.call_error(Invalid, "create_tasks", project_name="Garden", tasks=tasks)
    assert invalid_fields(error) == [f"tasks.{place}.conflicts_with"]
    assert len((await api.call("list_tasks"))["items"]) == 1
