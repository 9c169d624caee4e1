"""SQLite's query plans for statements whose cost must not depend on the number of tasks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from project_manager.domain.actors import SYSTEM
from project_manager.domain.questions import QuestionState
from project_manager.services import claim_blockers
from project_manager.store import claim_search, listing, messages, questions, ready_tasks, task_filters
from project_manager.store.sqlite import driver
from project_manager.store.transaction import Tx
from tests.integration.watched_connection import WatchedConnection

FIELDS = ("id", "priority", "unblocks")
LABEL = "claimable_labels USING PRIMARY KEY (label=?"
AFTER = "(priority,rank,task_id)>(?,?,?)"


def plan_of(work: Callable[[Tx], object], path: Path) -> list[str]:
    connection = driver.connect(str(path))
    steps: list[str] = []

    def explained(sql: str, values: Any) -> Any:
        steps.extend(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall())
        return connection.execute(sql, values)

    tx = Tx(connection, 1_790_000_000_000, SYSTEM, "", 5)
    work(replace(tx, connection=WatchedConnection(tx.connection, explained)))
    connection.close()
    return steps


@pytest.mark.parametrize(
    ("search", "index"),
    [
        ({}, "tasks USING INDEX ix_tasks_claimable"),
        ({"project_id": 1}, "tasks USING INDEX ix_tasks_claimable_in_project"),
        ({"epic_id": 1}, "tasks USING INDEX ix_tasks_claimable_in_epic"),
        ({"epic_id": 1, "project_id": 1, "priority": 2}, "tasks USING INDEX ix_tasks_claimable_in_epic"),
        ({"labels": ["x"]}, f"{LABEL} AND {AFTER})"),
        ({"labels": ["x"], "priority": 2}, f"{LABEL} AND {AFTER} AND priority<?)"),
        ({"labels": ["x", "y"], "project_id": 1, "epic_id": 1}, f"{LABEL} AND {AFTER})"),
    ],
)
def test_the_best_task_is_read_from_the_index_of_claimable_ones_without_sorting(
    search: dict[str, Any], index: str, database_file: Path
) -> None:
    plans = [
        plan_of(lambda tx: claim_search.best(tx, search), database_file),
        plan_of(lambda tx: claim_search.part(tx, search, 4), database_file),
    ]
    for plan in plans:
        assert any(index in step for step in plan), plan
        assert not any(step.startswith(("SCAN others", "SCAN claimable_labels", "SCAN candidate")) for step in plan)
        if len(search.get("labels", ())) < 2:  # the labels themselves are sorted by the number of their tasks
            assert not any("ORDER BY" in step for step in plan), plan


@pytest.mark.parametrize(
    "read",
    [
        lambda tx: claim_search.part(tx, {}, 1),
        lambda tx: claim_search.part(tx, {"labels": ["x", "y"]}, 1),
        lambda tx: ready_tasks.among(tx, range(ready_tasks.MANY_TASKS)),
        lambda tx: ready_tasks.states(tx, range(ready_tasks.MANY_TASKS)),
    ],
    ids=["part of a search", "part of a search by labels", "ready ones of given tasks", "states of given tasks"],
)
def test_the_conflicts_of_many_tasks_are_compared_with_one_list_of_leases(
    read: Callable[[Tx], object], database_file: Path
) -> None:
    plan = plan_of(read, database_file)
    assert "SEARCH other USING INDEX ix_tasks_lock_expires_at (lock_expires_at>?)" in plan
    assert not any(step.startswith("SEARCH other USING INTEGER PRIMARY KEY") for step in plan), plan


@pytest.mark.parametrize("project_id", [None, 1])
def test_the_blockers_of_an_empty_claim_are_counted_in_the_index_of_statuses(
    project_id: int | None, database_file: Path
) -> None:
    plan = plan_of(lambda tx: claim_blockers.count(tx, project_id), database_file)
    assert sum("USING COVERING INDEX ix_tasks_status_project_id" in step for step in plan) == 2
    assert not any(step.startswith(("SCAN tasks", "SCAN candidate")) for step in plan), plan


def test_the_newest_handoff_note_is_found_without_reading_the_log(database_file: Path) -> None:
    plan = plan_of(lambda tx: claim_search.best(tx, {}), database_file)
    assert any("USING COVERING INDEX ix_task_logs_handoff" in step for step in plan), plan
    assert not any("USING INDEX ix_task_logs" in step for step in plan), plan


@pytest.mark.parametrize("filters", [{"ready": True}, {"ready": True, "project_id": 1}])
def test_ready_tasks_are_listed_from_the_same_index_without_sorting(
    filters: dict[str, Any], database_file: Path
) -> None:
    def read(tx: Tx) -> None:
        query = task_filters.resolve(tx, filters)
        listing.page(tx, query, FIELDS, order="claim", after=None, limit=20)

    plan = plan_of(read, database_file)
    assert any("USING INDEX ix_tasks_claimable" in step for step in plan), plan
    assert not any("ORDER BY" in step for step in plan), plan


@pytest.mark.parametrize("project_id", [None, 1])
def test_open_questions_are_listed_and_counted_in_their_own_index(project_id: int | None, database_file: Path) -> None:
    filters = questions.Filters(project_id=project_id, state=QuestionState.OPEN)
    listed = plan_of(lambda tx: questions.page(tx, filters, 20, before=99), database_file)
    counted = plan_of(lambda tx: questions.count(tx, filters, exact=False), database_file)
    for plan, index in ((listed, "INDEX ix_questions_open"), (counted, "questions_open")):
        read = [step for step in plan if " questions " in step]
        assert [index in step for step in read] == [True], plan
        assert not any("ORDER BY" in step or step.startswith("SCAN tasks") for step in plan), plan


@pytest.mark.parametrize("filters", [{"status": ["DONE"]}, {"epic_id": 1}, {"holder": "ann"}, {"labels": ["x"]}])
def test_a_search_compares_its_tasks_with_a_list_of_few_ids(filters: dict[str, Any], database_file: Path) -> None:
    queries: list[task_filters.Query] = []
    plan_of(lambda tx: queries.append(task_filters.resolve(tx, {"q": "fence", **filters})), database_file)
    plan = plan_of(lambda tx: listing.count(tx, queries[0], exact=False), database_file)
    assert any(step.startswith("LIST SUBQUERY") for step in plan), plan
    assert not any(step.startswith("CORRELATED") for step in plan), plan


@pytest.mark.parametrize(
    ("of_index", "index"),
    [
        ({"status": ["REVIEW"], "project_id": 1}, "INDEX ix_tasks_status_project_id"),
        ({"epic_id": 1}, "INDEX ix_tasks_epic_id"),
        ({"labels": ["x", "y"]}, "PRIMARY KEY (label=?"),
        ({"holder": "ann"}, "INDEX ix_tasks_lock_holder_lock_expires_at"),
        ({"ready": True, "project_id": 1}, "INDEX ix_tasks_claimable_in_project"),
    ],
    ids=str,
)
def test_filters_without_an_index_are_tested_on_the_tasks_of_another_index(
    of_index: dict[str, Any], index: str, database_file: Path
) -> None:
    filters = {
        **of_index,
        "priorities": [0, 1],
        "worked_by": "ann",
        "created_by": "eve",
        "changed_since": 5,
        "created_until": 9,
    }
    plan = plan_of(lambda tx: listing.find(tx, task_filters.resolve(tx, filters)), database_file)
    assert any(index in step for step in plan), plan
    assert not any(step.startswith("SCAN tasks") for step in plan), plan


def test_the_tasks_that_were_completed_in_an_hour_are_found_by_their_index(database_file: Path) -> None:
    filters = {"completed_since": 0, "completed_until": 3_600_000}
    plan = plan_of(lambda tx: listing.find(tx, task_filters.resolve(tx, filters)), database_file)
    assert any("INDEX ix_tasks_completed_at" in step for step in plan), plan


@pytest.mark.parametrize(
    "chosen",
    [
        messages.Selection(own=False, attention=False, participant="ann"),
        messages.Selection(own=True, attention=False),
        messages.Selection(own=True, attention=False, participant="ann"),
        messages.Selection(own=False, attention=True),
        messages.Selection(own=True, attention=True, participant="ann"),
    ],
    ids=str,
)
def test_messages_are_found_in_the_indexes_of_their_agents_and_not_among_all(
    chosen: messages.Selection, database_file: Path
) -> None:
    page = plan_of(lambda tx: messages.page(tx, chosen, before=9, limit=5), database_file)
    assert page[0] == "SEARCH messages USING INTEGER PRIMARY KEY (rowid=?)", page
    count = plan_of(lambda tx: messages.count(tx, chosen, exact=False), database_file)
    for plan in (page, count):
        assert not any(step in ("SCAN messages", "MULTI-INDEX OR") for step in plan), plan
