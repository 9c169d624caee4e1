"""The total of lists: exact up to 1,000 rows, a minimum beyond, and exact on request."""

from collections.abc import Iterator
from typing import Any, get_origin

import pytest

from project_manager.catalogue import OPERATIONS
from project_manager.domain.errors import Invalid
from project_manager.domain.limits import TOTAL_MAXIMUM
from project_manager.schemas.commands import Paged
from project_manager.schemas.leases import ClaimNextTask
from project_manager.schemas.views import Page
from project_manager.services import claim_blockers
from tests.http_service import HttpService
from tests.integration.many_rows import NOW, call, insert_projects, insert_rows, insert_tasks, tx_of
from tests.integration.mcp_product import agent, product
from tests.operations_client import Json, OperationsClient
from tests.stored_rows import Address, execute, writing

PAGED = [operation for operation in OPERATIONS if get_origin(operation.view) is Page or operation.view is Page]
LISTS: list[tuple[str, Json]] = [
    ("list_tasks", {}),
    ("list_tasks", {"q": "fence"}),
    ("list_tasks", {"label": "wood"}),
    ("list_tasks", {"ready": True}),
    ("list_tasks", {"status": "TODO", "project_id": 1}),
    ("get_available_tasks", {}),
    ("get_available_tasks", {"labels": ["wood"]}),
    ("list_projects", {}),
    ("list_epics", {}),
    ("list_agents", {}),
    ("list_tokens", {}),
    ("list_leases", {}),
    ("list_task_events", {"task_id": 1}),
    ("list_task_logs", {"task_id": 1}),
    ("list_agent_logs", {"agent_id": "ann"}),
    ("list_submissions", {"task_id": 1}),
    ("list_questions", {"task_id": 1}),
    ("list_assumptions", {"task_id": 1}),
    ("list_pauses", {}),
    ("list_messages", {}),
    ("get_knowledge", {}),
    ("list_knowledge_logs", {"knowledge_id": 1}),
]


@pytest.fixture
def connection(database: Address) -> Iterator[Any]:
    """Return a connection to a database in which each list has 999 rows."""
    with writing(database) as tx:
        insert(tx.connection, 1, TOTAL_MAXIMUM - 1)
        yield tx.connection


def insert(connection: Any, first: int, last: int) -> None:
    insert_projects(connection, first, last)
    insert_tasks(connection, first, last)
    insert_rows(connection, first, last)


def totals(connection: Any, **more: Any) -> dict[str, tuple[int, bool]]:
    pages = {f"{name} {filters}": call(connection, name, **filters, limit=10, **more) for name, filters in LISTS}
    return {name: (page.total, page.total_is_minimum) for name, page in pages.items()}


def test_the_total_of_each_list_stops_at_1000(connection: Any) -> None:
    assert set(totals(connection).values()) == {(999, False)}
    insert(connection, 1000, 1000)
    assert set(totals(connection).values()) == {(1000, False)}
    insert(connection, 1001, 1001)
    assert set(totals(connection).values()) == {(1000, True)}
    insert(connection, 1002, 1005)
    assert set(totals(connection).values()) == {(1000, True)}
    assert set(totals(connection, total="exact").values()) == {(1005, False)}


def test_the_total_is_the_same_on_each_page(connection: Any) -> None:
    insert(connection, 1000, 1200)
    for name, filters in LISTS:
        for total, expected in ((None, (1000, True)), ("exact", (1200, False))):
            cursor, seen = None, 0
            while seen < 1200:
                page = call(connection, name, **filters, limit=500, cursor=cursor, total=total)
                assert (page.total, page.total_is_minimum) == expected, (name, filters)
                cursor, seen = page.next_cursor, seen + len(page.items)
            assert (seen, cursor) == (1200, None)


def test_live_and_ended_leases_are_counted_together(connection: Any) -> None:
    assert call(connection, "list_leases").total == 999
    for number in (1, 2):
        execute(
            tx_of(connection),
            "UPDATE tasks SET status = 'IN_PROGRESS', lock_holder = 'ann', lock_acquired_at = 0, lock_expires_at = 9, "
            "lock_ttl = 9, lock_from = 'TODO', fence = 2000 WHERE id = ?",
            number,
        )
        page = call(connection, "list_leases")
        assert (page.total, page.total_is_minimum) == (1000, number == 2)
    assert call(connection, "list_leases", total="exact").total == 1001


@pytest.mark.parametrize("operation", PAGED, ids=lambda operation: operation.name)
def test_each_operation_with_pages_can_count_all_rows(operation: Any) -> None:
    assert issubclass(operation.command, Paged)
    assert operation.tool is None or "total" not in operation.tool.arguments


def test_the_lists_above_are_those_of_the_catalogue() -> None:
    versions = {"list_knowledge_versions"}  # their number is the version of the item
    assert {name for name, _ in LISTS} | versions == {operation.name for operation in PAGED}


async def test_over_rest_the_field_is_always_there_and_over_mcp_only_if_true(
    service: HttpService, api: OperationsClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await api.create_task()
    page = await service.ok("GET", "/api/tasks?total=exact")
    assert (page["total"], page["total_is_minimum"]) == (1, False)
    assert (await service.ok("GET", "/api/tasks"))["total_is_minimum"] is False
    refusal = await api.call_error(Invalid, "list_tasks", total="all")
    assert refusal.details["errors"][0]["field"] == "total"  # type: ignore[index]
    async with product(tmp_path_factory.mktemp("mcp")) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="one")
        assert list(await someone.ok("list_tasks")) == ["items", "total"]


def test_the_number_of_ready_tasks_in_the_context_of_an_agent_stops_at_100(database: Address) -> None:
    with writing(database) as tx:
        connection = tx.connection
        insert_projects(connection, 1, 2)
        insert_tasks(connection, 1, 100)
        context = call(connection, "get_context", agent_id="ann")
        assert (context.ready_tasks, context.ready_tasks_is_minimum) == (100, False)
        insert_tasks(connection, 101, 101)
        context = call(connection, "get_context", agent_id="ann")
        assert (context.ready_tasks, context.ready_tasks_is_minimum) == (100, True)
        assert "100+ tasks are ready" in context.next_step
        assert call(connection, "get_context", agent_id="ann", project_id=2).ready_tasks == 0


def test_the_context_of_a_project_has_the_leases_behind_many_of_other_projects(connection: Any) -> None:
    insert_tasks(connection, 1000, 1000, project_id="2")
    execute(
        tx_of(connection),
        "UPDATE tasks SET status = 'IN_PROGRESS', lock_holder = 'ann', lock_acquired_at = 0, lock_expires_at = ?, "
        "lock_ttl = 9, lock_from = 'TODO', fence = 1 WHERE id <= 101 OR id = 1000",
        NOW + 1,
    )
    context = call(connection, "get_context", agent_id="ann", project_id=2)
    assert [held.task["id"] for held in context.holding] == [1000]


def test_the_blockers_of_an_empty_claim_are_counted_up_to_the_same_number(connection: Any) -> None:
    tx = tx_of(connection)

    def blockers() -> tuple[int, bool, list[tuple[int, bool]]]:
        view = claim_blockers.nothing_ready(tx, ClaimNextTask.model_validate({}), claim_blockers.count(tx, None))
        numbers = [(blocker.tasks, blocker.tasks_is_minimum) for blocker in view.blockers]
        return view.tasks, view.tasks_is_minimum, numbers

    assert blockers() == (999, False, [(999, False)])
    insert(connection, 1000, 1001)
    assert blockers() == (1000, True, [(1000, True)])
    connection.execute("UPDATE tasks SET status = 'BACKLOG' WHERE id % 2 = 1")
    assert blockers() == (1001, False, [(500, False), (501, False)])
    message = "no task is ready for you: 500 ready but excluded by your filters or reserved for earlier waiters, "
    view = claim_blockers.nothing_ready(tx, ClaimNextTask.model_validate({}), claim_blockers.count(tx, None))
    assert view.message == message + "501 in the backlog"


@pytest.mark.sqlite_only
def test_the_number_of_tasks_does_not_change_the_cost_of_counting_blockers(connection: Any) -> None:
    def steps() -> int:
        found = 0

        def count() -> None:
            nonlocal found
            found += 100

        connection.set_progress_handler(count, 100)
        claim_blockers.count(tx_of(connection), None)
        connection.set_progress_handler(None, 100)
        return found

    insert(connection, 1000, 2000)
    before = steps()
    insert_tasks(connection, 2001, 20_000)
    assert steps() <= before * 1.1
