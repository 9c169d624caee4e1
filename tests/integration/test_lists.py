"""Lists: pages, cursors, filters, search, columns."""

from typing import Any

import pytest

from project_manager.domain.errors import EpicNotFound, Invalid, MalformedCursor, ProjectNotFound
from project_manager.domain.limits import ID_MAXIMUM
from project_manager.schemas import cursor as cursors
from tests.operations_client import Json, OperationsClient

LISTS: list[tuple[str, Json]] = [
    ("list_tasks", {}),
    ("list_tasks", {"status": "TODO", "q": "task"}),
    ("get_available_tasks", {}),
    ("list_projects", {}),
    ("list_epics", {}),
    ("list_agents", {}),
    ("list_tokens", {}),
    ("list_task_events", {"task_id": 1}),
    ("list_task_logs", {"task_id": 1}),
    ("list_submissions", {"task_id": 1}),
    ("list_questions", {"task_id": 1}),
]
each_list = pytest.mark.parametrize(("operation", "filters"), LISTS, ids=lambda value: str(value)[:40])


async def filled(api: OperationsClient) -> None:
    for number in range(1, 8):
        await api.create_task(f"task {number}", project_name=f"P{number}", epic_name="E", agent_id=f"agent {number}")
        await api.call("create_token", name=f"token {number}", role="operator")
        await api.call("add_task_log", task_id=1, body=f"entry {number}")
        await api.update_task(1, priority=number % 3)
        await api.set_status(1, "REVIEW", summary=f"try {number}")
        await api.call("ask", task_id=1, text=f"question {number}", agent_id="ann")
        await api.set_status(1, "TODO")


async def pages(api: OperationsClient, operation: str, limit: int, **filters: Any) -> list[Json]:
    items: list[Json] = []
    cursor: Json = {}
    while True:
        page = await api.call(operation, limit=limit, **filters, **cursor)
        assert len(page["items"]) <= limit
        assert page["total"] >= len(page["items"])
        items += page["items"]
        if page["next_cursor"] is None:
            assert len(items) == page["total"]
            return items
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.promise("request:pages")
@each_list
async def test_pages_of_any_size_have_every_row_once_in_the_same_order(
    api: OperationsClient, operation: str, filters: Json
) -> None:
    await filled(api)
    whole = await pages(api, operation, 500, **filters)
    assert len(whole) >= 7
    for limit in (1, 3, 7):
        assert await pages(api, operation, limit, **filters) == whole


@pytest.mark.promise("request:pages")
@each_list
@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "W10", "e30", "bnVsbA", "WzEsMl0", "é", "W" * 512, "[1]", " ", "WzFdCg=="]
)
async def test_an_invalid_cursor_is_refused(api: OperationsClient, operation: str, filters: Json, cursor: str) -> None:
    await api.create_task()
    refusal = await api.call_error(MalformedCursor, operation, cursor=cursor, **filters)
    assert "next_cursor" in refusal.hint


@pytest.mark.promise("request:pages")
@pytest.mark.parametrize("position", [(2**80,), (-(2**80),), ("1",), (None,), (True,), (1.5,), (1, 2, 3, 4)])
async def test_a_cursor_with_a_forged_position_is_refused(api: OperationsClient, position: Any) -> None:
    await api.call_error(MalformedCursor, "list_tasks", cursor=cursors.write(position, {}))


@pytest.mark.parametrize("filters", [{}, {"status": ["TODO"]}, {"project_id": 1}, {"ready": True}], ids=str)
async def test_a_cursor_with_any_integer_of_the_database_is_a_position(api: OperationsClient, filters: Json) -> None:
    await api.create_task()
    for position, found in ((ID_MAXIMUM, []), (-ID_MAXIMUM, [1])):
        page = await api.call("list_tasks", cursor=cursors.write((position,), filters), **filters)
        assert [row["id"] for row in page["items"]] == found


async def test_a_cursor_of_a_list_in_another_order_is_refused(api: OperationsClient) -> None:
    cursor = cursors.write((2, 0, 1), {"status": ["DONE"]})
    refusal = await api.call_error(MalformedCursor, "get_available_tasks", status="DONE", cursor=cursor)
    assert "omit" in refusal.hint


@pytest.mark.promise("request:pages")
async def test_a_cursor_works_only_with_the_filters_that_it_was_given_for(api: OperationsClient) -> None:
    await filled(api)
    cursor = (await api.call("list_tasks", limit=2, status="TODO"))["next_cursor"]
    for filters in ({}, {"status": "DONE"}, {"status": "TODO", "project_id": 1}):
        refusal = await api.call_error(MalformedCursor, "list_tasks", cursor=cursor, limit=2, **filters)
        assert "other filters" in refusal.message


@pytest.mark.promise("request:pages")
async def test_rows_that_come_and_go_between_pages_move_no_others(api: OperationsClient) -> None:
    await filled(api)
    first = await api.call("list_tasks", limit=3)
    await api.call("delete_task", task_id=2)
    await api.create_task("late")
    rest = await api.call("list_tasks", limit=500, cursor=first["next_cursor"])
    assert [item["id"] for item in rest["items"]] == [4, 5, 6, 7, 8]


@pytest.mark.promise("request:limits")
@each_list
async def test_a_limit_out_of_range_is_refused(api: OperationsClient, operation: str, filters: Json) -> None:
    for limit in (0, -1, 501, "many"):
        refusal = await api.call_error(Invalid, operation, limit=limit, **filters)
        assert [fault["field"] for fault in refusal.details["errors"]] == ["limit"]  # type: ignore[attr-defined]


async def names(api: OperationsClient, **filters: Any) -> list[str]:
    return [item["name"] for item in (await api.call("list_tasks", **filters))["items"]]


async def test_every_filter_selects_matching_rows(api: OperationsClient) -> None:
    fence = await api.create_task("fence", epic_name="Outside", labels=["wood", "green"])
    await api.create_task("shelf", project_name="Shed", labels=["wood"])
    await api.create_task("door", depends_on=[fence["id"]])
    await api.claim(2, "ann")
    assert await names(api, project_id=1) == ["fence", "door"]
    assert await names(api, epic_id=fence["epic_id"]) == ["fence"]
    assert await names(api, label="wood") == ["fence", "shelf"]
    assert await names(api, label="gre") == []
    assert await names(api, holder="ann") == ["shelf"]
    assert await names(api, ready=True) == ["fence"]
    assert await names(api, ready=False) == ["shelf", "door"]
    assert await names(api, status="in_progress") == ["shelf"]
    assert await names(api, status="TODO,IN_PROGRESS") == ["fence", "shelf", "door"]
    assert await names(api, status=["pending", "review"]) == ["fence", "door"]
    assert await names(api, status="ALL") == ["fence", "shelf", "door"]
    assert await names(api, ids=[3, 1, 99]) == ["fence", "door"]
    assert await names(api, label="wood", ready=True, project_id=1) == ["fence"]


async def test_an_agent_with_an_expired_lease_holds_nothing(api: OperationsClient) -> None:
    await api.create_task()
    await api.claim(1, "ann", ttl_seconds=10)
    api.clock.advance(10)
    assert await names(api, holder="ann") == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("paint", ["Paint the fence"]),
        ("PAINT fence", ["Paint the fence"]),
        ("fen", ["Paint the fence"]),
        ("brush", ["Paint the fence"]),
        ("paint shelf", []),
        ("müll", ["Müll trennen"]),
        ("mull", ["Müll trennen"]),
        ("日本", ["日本 garden"]),
        ('"', None),
        ("NEAR(", None),
        ("fence OR shelf", []),
        ("-fence", None),
        ("name:fence", None),
        ("*", None),
        ("'; DROP TABLE tasks; --", []),
        ("", None),
        ("   ", None),
    ],
)
async def test_the_search_accepts_any_words_and_no_syntax(
    api: OperationsClient, words: str, found: list[str] | None
) -> None:
    await api.create_task("Paint the fence", description="with a brush")
    await api.create_task("Müll trennen")
    await api.create_task("日本 garden")
    listed = await names(api, q=words)
    assert found is None or listed == found


@pytest.mark.parametrize("nothing", ["", "  "])
async def test_a_search_for_nothing_leaves_nothing_out(api: OperationsClient, nothing: str) -> None:
    task = await api.create_task()
    assert await names(api, q=nothing) == [task["name"]]
    await api.call("upsert_knowledge", project_name="Garden", title="Paint", content="Green paint lasts.")
    assert [item["title"] for item in (await api.call("get_knowledge", q=nothing))["items"]] == ["Paint"]


async def test_the_search_follows_edits_and_deletions(api: OperationsClient) -> None:
    await api.create_task("Paint the fence")
    await api.update_task(1, name="Paint the gate")
    assert (await names(api, q="fence"), await names(api, q="gate")) == ([], ["Paint the gate"])
    await api.call("delete_task", task_id=1)
    assert await names(api, q="gate") == []


async def test_columns_are_chosen_by_name(api: OperationsClient) -> None:
    await api.create_task()
    await api.claim(1, "ann")
    (row,) = (await api.call("list_tasks", fields="id,holder,status"))["items"]
    assert row == {"id": 1, "holder": "ann", "status": "IN_PROGRESS"}
    (row,) = (await api.call("list_tasks", fields="compact"))["items"]
    assert list(row) == ["id", "name", "status", "priority", "ready", "holder", "worked_by"]
    refusal = await api.call_error(Invalid, "list_tasks", fields="id,stat")
    assert "'stat'" in refusal.message
    assert refusal.details["errors"][0]["field"] == "fields"  # type: ignore[index]


async def test_ready_tasks_are_listed_in_the_order_of_claims(api: OperationsClient) -> None:
    for name, priority in (("low", 4), ("high", 0), ("mid", 2)):
        await api.create_task(name, priority=priority)
    listed = (await api.call("get_available_tasks"))["items"]
    assert [row["name"] for row in listed] == ["high", "mid", "low"]
    await api.claim(2, "ann")
    held = await api.call("get_available_tasks", status="IN_PROGRESS")
    assert held["items"] == []
    held = await api.call("get_available_tasks", status="IN_PROGRESS", include_locked=True)
    assert [row["holder"] for row in held["items"]] == ["ann"]


@pytest.mark.parametrize("operation", ["list_tasks", "get_available_tasks", "list_epics"])
async def test_a_list_of_a_project_that_is_not_there_is_refused(api: OperationsClient, operation: str) -> None:
    await filled(api)
    await api.call_error(ProjectNotFound, operation, project_id=99)
    await api.call("create_project", name="empty")
    assert (await api.call(operation, project_id=8))["items"] == []


@pytest.mark.parametrize("operation", ["list_tasks", "get_available_tasks"])
async def test_a_list_of_an_epic_that_is_not_there_is_refused(api: OperationsClient, operation: str) -> None:
    await filled(api)
    await api.call_error(EpicNotFound, operation, epic_id=99)
    assert (await api.call(operation, epic_id=1, limit=1))["total"] == 1


@pytest.mark.parametrize("words", ["FND-3", "fnd-3", "FND", "walls FND-3"])
async def test_a_task_is_found_by_its_external_key_too(api: OperationsClient, words: str) -> None:
    task = await api.create_task("Raise the walls", external_key="FND-3")
    await api.create_task("Roof", external_key="ROOF-3")
    page = await api.call("list_tasks", q=words)
    assert [item["id"] for item in page["items"]] == [task["id"]]
    await api.call("update_task", task_id=task["id"], external_key="OTHER-1")
    assert (await api.call("list_tasks", q=words))["items"] == []
    assert (await api.call("list_tasks", q="other-1"))["total"] == 1
