"""Conflicts of many new tasks: the events of the other tasks, and the limits."""

import json
from itertools import combinations

from tests.integration.invariants import check
from tests.operations_client import OperationsClient

NEW = 12


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
