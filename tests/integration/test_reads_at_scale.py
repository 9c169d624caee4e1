"""The cost of reads in databases of two sizes. It must not grow with the number of tasks.

The unit is a step of SQLite's virtual machine. The tasks of most lists have the highest ids, behind all others.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from project_manager.store import task_filters
from project_manager.store.sqlite import driver, search
from tests.integration.many_rows import NOW, NUMBERS, call, insert_projects, insert_rows, insert_tasks
from tests.operations_client import Json

SMALL, LARGE = 1_500, 15_000
LAST = 120
"""Tasks at the end of each database: ready ones with a rare label, in an epic, leased by ann, and in review."""
STEP = 10
MARGIN = 1.2
FEW_STEPS = 1_000

BEHIND_MANY: list[tuple[str, Json]] = [
    ("get_context", {"agent_id": "ann"}),
    ("get_context", {"agent_id": "ann", "epic_id": 1}),
    ("get_context", {"agent_id": "dora"}),
    ("list_tasks", {}),
    ("list_tasks", {"label": "common"}),
    ("list_tasks", {"label": "rare"}),
    ("list_tasks", {"label": "rare", "status": "REVIEW"}),
    ("list_tasks", {"label": "common", "status": "REVIEW"}),
    ("list_tasks", {"label": "common", "project_id": 2}),
    ("list_tasks", {"label": "none"}),
    ("list_tasks", {"status": "REVIEW"}),
    ("list_tasks", {"status": "IN_PROGRESS"}),
    ("list_tasks", {"status": "TODO,BLOCKED"}),
    ("list_tasks", {"status": "DONE", "project_id": 1}),
    ("list_tasks", {"project_id": 1}),
    ("list_tasks", {"project_id": 2}),
    ("list_tasks", {"project_id": 3}),
    ("list_tasks", {"epic_id": 1}),
    ("list_tasks", {"epic_id": 1, "status": "TODO"}),
    ("list_tasks", {"holder": "ann"}),
    ("list_tasks", {"ids": [1, 2, 3]}),
    ("list_tasks", {"q": "zebra"}),
    ("list_tasks", {"q": "fence"}),
    ("list_tasks", {"q": "fen paint"}),
    ("list_tasks", {"q": "zebra", "status": "REVIEW"}),
    ("list_tasks", {"q": "fence", "label": "common"}),
    ("list_tasks", {"label": "common", "holder": "ann"}),
    ("list_tasks", {"label": "common", "ids": [1, 2, 3]}),
    ("list_tasks", {"label": "common", "epic_id": 1}),
    ("list_tasks", {"status": "DONE", "ready": False}),
    ("list_tasks", {"ready": True, "label": "common"}),
    ("list_tasks", {"ready": True, "label": "rare", "project_id": 2}),
    ("list_tasks", {"ready": True, "label": "none"}),
    ("get_available_tasks", {"labels": ["rare"]}),
    ("get_available_tasks", {"labels": ["rare", "common"]}),
    ("get_available_tasks", {"labels": ["none"]}),
    ("get_available_tasks", {"epic_id": 1}),
    ("get_available_tasks", {"status": "REVIEW"}),
    ("get_available_tasks", {"status": "REVIEW", "labels": ["common", "other"]}),
    ("get_available_tasks", {"status": "DONE"}),
    ("get_available_tasks", {"status": "DONE", "labels": ["common", "rare"]}),
    ("list_leases", {}),
    ("list_leases", {"agent_id": "bob"}),
    ("list_task_events", {"task_id": 1}),
    ("list_task_logs", {"task_id": 1}),
]
AMONG_MANY_READY: list[tuple[str, Json]] = [
    ("get_context", {"agent_id": "ann"}),
    ("list_tasks", {"ready": True}),
    ("list_tasks", {"ready": True, "project_id": 1}),
    ("list_tasks", {"ready": True, "label": "common"}),
    ("list_tasks", {"ready": True, "status": "DONE"}),
    ("list_tasks", {"ready": True, "ids": [1, 2, 3]}),
    ("list_tasks", {"status": "TODO"}),
    ("get_available_tasks", {}),
    ("get_available_tasks", {"project_id": 1}),
    ("get_available_tasks", {"labels": ["common"]}),
    ("get_available_tasks", {"labels": ["common"], "project_id": 1}),
    ("get_available_tasks", {"labels": ["common", "other"]}),
    ("get_available_tasks", {"labels": ["rare"]}),
]


def fill(path: Path, number: int, *, status: str) -> None:
    """Insert `number` tasks in this status, ended leases of carl and dora on each of them, and then the LAST tasks."""
    many, last = '\'["common", "other"]\'', '\'["common", "rare"]\''
    state = "CASE i % 4 WHEN 0 THEN 'REVIEW' WHEN 1 THEN 'BLOCKED' ELSE 'TODO' END"
    rank = {"priority": "i % 5", "unblocks": "i % 3"}
    completed = "1" if status == "DONE" else "NULL"
    with closing(driver.connect(str(path))) as connection:
        connection.execute("BEGIN")
        insert_projects(connection, 1, 3)
        insert_tasks(connection, 1, number, status=f"'{status}'", labels=many, completed_at=completed, **rank)
        insert_rows(connection, 1, 1)
        insert_tasks(
            connection,
            number + 1,
            number + LAST,
            project_id="2",
            epic_id="1",
            name="'zebra'",
            status=state,
            labels=last,
            **rank,
        )
        connection.execute(
            "UPDATE tasks SET status = 'IN_PROGRESS', attempts = 0, lock_holder = 'ann', lock_acquired_at = 1, "
            "lock_expires_at = ?2, lock_ttl = 9, lock_from = 'TODO', fence = 1 "
            "WHERE id > ?1 AND status = 'TODO' AND id % 8 = 2",
            (number, NOW + 1),
        )
        for fence, agent, reason in ((8, "dora", "explicit_release"), (9, "carl", "lock_expired")):
            connection.execute(
                f"{NUMBERS} INSERT INTO ended_leases (task_id, fence, agent_id, project_id, task_name, acquired_at, "
                "expires_at, ended_at, reason, status) "
                "SELECT i, ?4, ?5, 1, 'task', 1, 1, ?3 - i, ?6, 'DONE' FROM n",
                (1, number, NOW, fence, agent, reason),
            )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture(autouse=True)
def same_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the limits of words so low that they have the same effect in both databases."""
    for name in ("FREQUENT", "COMMON"):
        monkeypatch.setattr(task_filters, name, 4 * search.SAMPLE)


@pytest.fixture(scope="module")
def databases(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[Any]]]:
    """Return connections to a small and a large database. Most of their tasks are in the given status."""
    folder = tmp_path_factory.mktemp("sizes")
    opened: dict[str, list[Any]] = {}
    with ExitStack() as stack:

        def connections(status: str) -> list[Any]:
            if status not in opened:
                opened[status] = []
                for size in (SMALL, LARGE):
                    path = Path(copyfile(template, folder / f"{status}-{size}.db"))
                    fill(path, size, status=status)
                    opened[status].append(stack.enter_context(closing(driver.connect(str(path)))))
            return opened[status]

        yield connections


def steps(connection: Any, operation: str, filters: Json) -> int:
    """Return the steps of SQLite's virtual machine in a call of the operation."""
    number = 0

    def count() -> None:
        nonlocal number
        number += STEP

    call(connection, operation, **filters)  # compiles the statements
    connection.set_progress_handler(count, STEP)
    call(connection, operation, **filters)
    connection.set_progress_handler(None, STEP)
    return number


def statements(connection: Any, operation: str, filters: Json) -> list[str]:
    """Return the statements of a call of the operation, without those of the full-text index itself."""
    found: list[str] = []
    connection.set_trace_callback(found.append)
    call(connection, operation, **filters)
    connection.set_trace_callback(None)
    return [statement for statement in found if not statement.startswith("--")]


def assert_equal(found: list[int]) -> None:
    assert found[1] <= found[0] * MARGIN + FEW_STEPS, found


@pytest.mark.parametrize(("operation", "filters"), BEHIND_MANY, ids=str)
def test_a_read_does_not_walk_the_tasks_that_it_does_not_list(
    databases: Callable[[str], list[Any]], operation: str, filters: Json
) -> None:
    assert_equal([steps(connection, operation, filters) for connection in databases("DONE")])


@pytest.mark.parametrize(("operation", "filters"), AMONG_MANY_READY, ids=str)
def test_a_read_does_not_walk_the_ready_tasks(
    databases: Callable[[str], list[Any]], operation: str, filters: Json
) -> None:
    assert_equal([steps(connection, operation, filters) for connection in databases("TODO")])


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "filters"), [("list_tasks", {}), *AMONG_MANY_READY[1:-1]], ids=str)
def test_a_late_page_costs_no_more_than_the_first(
    databases: Callable[[str], list[Any]], operation: str, filters: Json
) -> None:
    connection = databases("TODO")[1]
    first = call(connection, operation, **filters, limit=50)
    late = call(connection, operation, **filters, limit=500, cursor=first.next_cursor)
    for _ in range(20):
        late = call(connection, operation, **filters, limit=500, cursor=late.next_cursor)
    cursors = (first.next_cursor, late.next_cursor)
    assert_equal([steps(connection, operation, {**filters, "limit": 50, "cursor": cursor}) for cursor in cursors])


@pytest.mark.parametrize("labels", [["common"], ["common", "other"]], ids=str)
def test_a_list_with_two_long_indexes_compares_only_their_first_tasks(
    databases: Callable[[str], list[Any]], labels: list[str]
) -> None:
    filters = {"status": "DONE", "labels": labels}
    assert steps(databases("DONE")[1], "get_available_tasks", filters) < 10 * LARGE


@pytest.mark.parametrize("project_id", [1, 2])
def test_the_board_of_a_project_reads_each_task_once(databases: Callable[[str], list[Any]], project_id: int) -> None:
    found = [steps(connection, "get_board_state", {"project_id": project_id}) for connection in databases("DONE")]
    assert found[1] <= found[0] * (LARGE / SMALL) * MARGIN, found


def test_a_page_of_a_status_selects_few_tasks_of_each_project(database_file: Path) -> None:
    with closing(driver.connect(str(database_file))) as connection:
        connection.execute("BEGIN")
        insert_projects(connection, 1, 300)
        insert_tasks(connection, 1, 12_000, project_id="1 + i % 300")
        long, short = [steps(connection, "list_tasks", {"status": "TODO", "limit": limit}) for limit in (500, 50)]
        assert short < 100 * 300
        assert long < short + 150 * 450


def test_tasks_with_two_common_labels_are_found_by_a_merge_of_two_indexes(
    databases: Callable[[str], list[Any]],
) -> None:
    def merges(status: str, labels: list[str]) -> list[str]:
        found = statements(databases(status)[1], "get_available_tasks", {"status": status, "labels": labels})
        return [statement for statement in found if "INTERSECT" in statement]

    assert len(merges("DONE", ["common", "other"])) == len(merges("TODO", ["common", "other"])) == 1
    assert merges("DONE", ["common", "rare"]) == merges("TODO", ["rare", "common"]) == []


@pytest.mark.parametrize(("word", "merges"), [("fence", 1), ("zebra", 0)])
def test_tasks_with_a_frequent_word_and_a_common_label_are_found_by_a_merge_of_two_indexes(
    databases: Callable[[str], list[Any]], word: str, merges: int
) -> None:
    found = statements(databases("DONE")[1], "list_tasks", {"q": word, "label": "common"})
    assert len([statement for statement in found if "INTERSECT" in statement]) == merges


@pytest.mark.parametrize(
    "filters",
    [
        {"epic_id": 1},
        {"label": "rare"},
        {"label": "none"},
        {"holder": "ann"},
        {"status": "REVIEW"},
        {"ready": True},
        {"ready": True, "project_id": 1},
    ],
    ids=str,
)
def test_a_search_of_a_common_word_reads_only_the_tasks_that_pass_another_filter(
    databases: Callable[[str], list[Any]], filters: Json
) -> None:
    assert_equal([steps(each, "list_tasks", {"q": "fence", **filters}) for each in databases("DONE")])


@pytest.mark.parametrize("filters", [{"status": "REVIEW"}, {"label": "common"}, {"ready": True}], ids=str)
def test_a_prefix_of_many_words_is_searched_once(databases: Callable[[str], list[Any]], filters: Json) -> None:
    found = statements(databases("DONE")[1], "list_tasks", {"q": "1", **filters})
    assert len([statement for statement in found if "MATCH" in statement]) == 1


def test_a_page_and_its_total_need_one_search(databases: Callable[[str], list[Any]]) -> None:
    found = statements(databases("DONE")[1], "list_tasks", {"q": "zebra", "ready": False, "limit": 10})
    assert len([statement for statement in found if "MATCH" in statement]) == 1
