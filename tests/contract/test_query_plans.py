"""How SQLite goes about the statements that must cost the same however many tasks there are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from project_manager.domain.actors import SYSTEM
from project_manager.store import dialect, leases, tasks
from project_manager.store.transaction import Tx


def plan_of(work: Callable[[Tx], object], path: Path) -> list[str]:
    connection = dialect.connect(str(path))
    steps: list[str] = []

    def explained(sql: str, values: Any) -> Any:
        steps.extend(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall())
        return connection.execute(sql, values)

    tx = Tx(connection.execute, 1_790_000_000_000, SYSTEM, "", 5)
    work(replace(tx, execute=explained))
    connection.close()
    return steps


@pytest.mark.parametrize("filters", [{}, {"project_id": 1}, {"epic_id": 1}, {"labels": ["x"]}, {"spoken_for": [1]}])
def test_the_best_task_is_read_from_the_index_of_claimable_ones_without_sorting(
    filters: dict[str, Any], database: Path
) -> None:
    plans = [
        plan_of(lambda tx: leases.best(tx, filters), database),
        plan_of(lambda tx: leases.take_best(tx, filters, ttl=1000), database),
    ]
    for plan in plans:
        assert any("USING INDEX ix_tasks_claimable" in step for step in plan), plan
        assert not any("ORDER BY" in step or step.startswith("SCAN others") for step in plan), plan


def test_the_newest_handoff_note_is_found_without_reading_the_log(database: Path) -> None:
    plan = plan_of(lambda tx: leases.take_best(tx, {}, ttl=1000), database)
    assert any("USING COVERING INDEX ix_task_logs_handoff" in step for step in plan), plan
    assert not any("USING INDEX ix_task_logs" in step for step in plan), plan


@pytest.mark.parametrize("filters", [{"ready": True}, {"ready": True, "project_id": 1}])
def test_ready_tasks_are_listed_from_the_same_index_without_sorting(filters: dict[str, Any], database: Path) -> None:
    plan = plan_of(lambda tx: tasks.page(tx, filters, order="claim", after=None, limit=20), database)
    assert any("USING INDEX ix_tasks_claimable" in step for step in plan), plan
    assert not any("ORDER BY" in step for step in plan), plan
