"""Lists of tasks by filters: the same tasks as a comparison of each task with each filter, page by page."""

import random
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from project_manager.store import listing, task_filters
from project_manager.store.sqlite import search
from tests.operations_client import Json, OperationsClient

PAGE = 7
CHOICES: dict[str, list[Any]] = {
    "status": [None, ["TODO"], ["DONE"], ["REVIEW", "TODO"]],
    "project_id": [None, 1, 3],
    "epic_id": [None, 1],
    "label": [None, "common", "rare", "none"],
    "ready": [None, True, False],
    "q": [None, "paint", "paint fen"],
}
MORE_CHOICES: dict[str, list[Any]] = {
    **CHOICES,
    "q": [None, "paint", "paint fen", "-"],
    "ids": [None, [], [3, 1, 2, 57, 3, 1000]],
    "holder": [None, "ann", "bob"],
}
PASSES: dict[str, Callable[[Json, Any], bool]] = {
    "status": lambda task, wanted: task["status"] in wanted,
    "project_id": lambda task, wanted: task["project_id"] == wanted,
    "epic_id": lambda task, wanted: task["epic_id"] == wanted,
    "label": lambda task, wanted: wanted in task["labels"],
    "labels": lambda task, wanted: set(wanted) <= set(task["labels"]),
    "ids": lambda task, wanted: task["id"] in wanted,
    "holder": lambda task, wanted: task["lock"] is not None and task["lock"]["holder"] == wanted,
    "ready": lambda task, wanted: task["ready"] == wanted,
    "q": lambda task, wanted: all(word in task["name"] for word in wanted.split()),
}


async def fill(api: OperationsClient) -> list[Json]:
    """Create tasks with all kinds of fields, and return them in the order of ids."""
    chance = random.Random(5)
    for number in range(1, 121):
        project = chance.choice([1, 2, 3])
        await api.create_task(
            f"{chance.choice(['paint', 'oil'])} the {chance.choice(['fence', 'gate'])} {number}",
            project_name=f"project {project}",
            epic_name=f"epic {project}" if chance.random() < 0.5 else None,
            labels=[
                label for label, share in (("common", 0.6), ("other", 0.4), ("rare", 0.05)) if chance.random() < share
            ],
            priority=chance.randrange(5),
            status=chance.choice(["TODO", "TODO", "TODO", "BACKLOG", "DONE"]),
            depends_on=[chance.randrange(1, number)] if number > 1 and chance.random() < 0.3 else [],
            conflicts_with=[chance.randrange(1, number)] if number > 1 and chance.random() < 0.2 else [],
        )
    for number in range(1, 121, 4):
        if (await api.get_task(number))["ready"]:
            lock = await api.claim(number, "ann")
            if number % 3:
                await api.set_status(number, "REVIEW", "ann", fence=lock["fence"])
    return await listed(api, "list_tasks", {})


async def listed(api: OperationsClient, operation: str, filters: Json) -> list[Json]:
    """Return the rows of all pages."""
    rows: list[Json] = []
    cursor: Json = {}
    while True:
        page = await api.call(operation, limit=PAGE, **filters, **cursor)
        rows += page["items"]
        if page["next_cursor"] is None:
            assert page["total"] == len(rows)
            return rows
        cursor = {"cursor": page["next_cursor"]}


def expected(tasks: list[Json], filters: Json) -> list[int]:
    return [task["id"] for task in tasks if all(PASSES[name](task, wanted) for name, wanted in filters.items())]


@pytest.mark.slow
@pytest.mark.promise("request:pages")
async def test_each_combination_of_filters_lists_the_tasks_that_pass_each_of_them(api: OperationsClient) -> None:
    tasks = await fill(api)
    number = 0
    for values in product(*CHOICES.values()):
        filters = {name: value for name, value in zip(CHOICES, values, strict=True) if value is not None}
        if len(filters) <= 3:
            rows = await listed(api, "list_tasks", {**filters, "fields": "id"})
            assert [row["id"] for row in rows] == expected(tasks, filters), filters
            number += bool(rows)
    assert number > 80


async def test_ready_tasks_with_labels_are_listed_in_the_order_of_claims(api: OperationsClient) -> None:
    tasks = sorted(await fill(api), key=lambda task: (task["priority"], -task["unblocks"], task["id"]))
    for scope, labels in product(
        ({}, {"project_id": 2}, {"epic_id": 1}), ([], ["common"], ["common", "other"], ["rare"], ["none"])
    ):
        rows = await listed(api, "get_available_tasks", {**scope, "labels": labels})
        assert [row["id"] for row in rows] == expected(tasks, {**scope, "labels": labels, "ready": True}), (
            scope,
            labels,
        )


async def test_tasks_in_other_statuses_are_listed_in_the_order_of_ids(api: OperationsClient) -> None:
    tasks = await fill(api)
    for status, labels, scope in product(
        (["DONE"], ["BACKLOG", "TODO"], ["IN_PROGRESS", "REVIEW"]),
        ([], ["common"], ["rare", "common"], ["common", "other"], ["none"]),
        ({}, {"project_id": 2}, {"epic_id": 1}),
    ):
        filters = {"status": status, "labels": labels, **scope}
        wanted = expected(tasks, filters)
        rows = await listed(api, "get_available_tasks", {**filters, "include_locked": True})
        assert [row["id"] for row in rows] == wanted, filters
        rows = await listed(api, "get_available_tasks", filters)
        held = {task["id"] for task in tasks if task["lock"] is not None}
        assert [row["id"] for row in rows] == [task_id for task_id in wanted if task_id not in held], filters


@pytest.mark.slow
@pytest.mark.parametrize(
    "limits",
    [
        {"SEVERAL": 0, "MANY": 0},
        {"SEVERAL": 0, "MANY": 0, "SAMPLE": 1, "FREQUENT": 1},
        {"SEVERAL": 10, "MANY": 1000},
        {"SEVERAL": 10, "MANY": 1000, "SAMPLE": 1, "COMMON": 1},
        {"SEVERAL": 0, "MANY": 0, "SAMPLE": 1, "FREQUENT": 1, "TOTAL_MAXIMUM": 2, "_NEAR": 4},
        {"SEVERAL": 10, "MANY": 1000, "SAMPLE": 1, "COMMON": 1, "TOTAL_MAXIMUM": 2},
    ],
    ids=str,
)
async def test_any_index_finds_the_same_tasks(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch, limits: Json
) -> None:
    """The limits decide which index a list reads."""
    tasks = await fill(api)
    for name, limit in limits.items():
        (module,) = [module for module in (task_filters, search, listing) if name in vars(module)]
        monkeypatch.setattr(module, name, limit)
    for names in (
        ("status", "ready"),
        ("status", "project_id", "ready"),
        ("ready", "epic_id"),
        ("q", "label"),
        ("q", "label", "ready"),
        ("q", "label", "status"),
        ("q", "status"),
        ("label", "status"),
        ("label", "project_id"),
        ("q", "epic_id"),
        ("ids", "label", "ready"),
        ("ids", "status", "ready"),
        ("ids", "q", "label"),
        ("holder", "q", "label"),
        ("holder", "project_id", "ready"),
        ("label", "ready", "project_id", "epic_id"),
    ):
        for values in product(*[MORE_CHOICES[name][1:] for name in names]):
            filters = dict(zip(names, values, strict=True))
            rows = await listed(api, "list_tasks", {**filters, "fields": "id", "total": "exact"})
            assert [row["id"] for row in rows] == expected(tasks, filters), filters
    for status, labels, scope in product(
        (["TODO"], ["DONE", "REVIEW"]),
        (["common", "other"], ["other", "rare"], ["rare", "other", "common"]),
        ({}, {"project_id": 2}, {"epic_id": 1}),
    ):
        filters = {"status": status, "labels": labels, **scope}
        rows = await listed(api, "get_available_tasks", {**filters, "total": "exact"})
        ready = {"ready": True} if status == ["TODO"] else {}
        assert sorted(row["id"] for row in rows) == expected(tasks, filters | ready), filters


async def test_the_tasks_of_an_agent_and_the_tasks_with_given_ids_are_listed_with_other_filters(
    api: OperationsClient,
) -> None:
    tasks = await fill(api)
    held = [task for task in tasks if task["lock"] is not None]
    assert len(held) > 1
    for filters in (
        {"status": ["IN_PROGRESS"]},
        {"project_id": 1},
        {"label": "common"},
        {"ready": False},
        {"q": "paint"},
    ):
        rows = await listed(api, "list_tasks", {"holder": "ann", **filters})
        assert [row["id"] for row in rows] == expected(held, filters), filters
        some = tasks[::3]
        rows = await listed(api, "list_tasks", {"ids": [task["id"] for task in some], **filters})
        assert [row["id"] for row in rows] == expected(some, filters), filters


async def test_tasks_are_listed_by_labels_priority_agent_author_and_time_of_the_last_change(
    api: OperationsClient,
) -> None:
    await fill(api)
    await api.advance(60)
    since = api.clock.later(0)
    await api.create_task("Oil the gate", agent_id="eve", labels=["common", "other"], priority=0)
    await api.claim(1, "bob")
    await api.set_status(1, "DONE", "bob")
    tasks = await listed(api, "list_tasks", {})
    wanted: list[Json] = [
        {"labels": ["common", "other"]},
        {"labels": ["common"], "label": "other"},
        {"priority": [0, 3]},
        {"worked_by": "ann"},
        {"worked_by": "bob", "changed_since": since},
        {"created_by": "eve"},
        {"changed_since": since},
        {"priority": [1, 2], "worked_by": "ann", "status": ["REVIEW"], "project_id": 1},
        {"priority": [1, 2], "labels": ["common"], "ready": True},
        {"priority": [0, 1], "q": "paint", "created_by": "eve"},
        {"worked_by": "nobody"},
        {"created_since": since},
        {"created_until": since, "status": ["DONE"]},
        {"completed_since": since, "completed_until": api.clock.later(1)},
        {"completed_until": since},
    ]
    passes: dict[str, Callable[[Json, Any], bool]] = {
        **PASSES,
        "priority": lambda task, chosen: task["priority"] in chosen,
        "worked_by": lambda task, agent: task["worked_by"] == agent,
        "created_by": lambda task, author: task["created_by"] == author,
        "changed_since": lambda task, time: task["updated_at"] >= time,
        "created_since": lambda task, time: task["created_at"] >= time,
        "created_until": lambda task, time: task["created_at"] < time,
        "completed_since": lambda task, time: (task["completed_at"] or "") >= time,
        "completed_until": lambda task, time: task["completed_at"] is not None and task["completed_at"] < time,
    }
    found = 0
    for filters in wanted:
        rows = await listed(api, "list_tasks", {**filters, "fields": "id"})
        of_all = [task["id"] for task in tasks if all(passes[name](task, value) for name, value in filters.items())]
        assert [row["id"] for row in rows] == of_all, filters
        found += bool(rows)
    assert found >= 12
