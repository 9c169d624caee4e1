"""The whole board in one answer, for dashboards."""

from dataclasses import dataclass
from typing import Any

from project_manager.contract import commands, views
from project_manager.services import finding, presenting
from project_manager.store import epics, events, meta, projects, tasks
from project_manager.store.transaction import Tx

EVERYTHING = 1_000_000


@dataclass(frozen=True, slots=True)
class BoardView:
    """Every project, epic and task at the moment `seq`. Follow the events after `seq` from here."""

    tasks: list[dict[str, Any]]
    epics: list[views.EpicView]
    projects: list[views.ProjectView]
    seq: int
    epoch: str


def state(tx: Tx, command: commands.GetBoardState) -> BoardView:
    """Read every project, epic and task at once, with the number of the last event it contains.

    With project_id only that project. Tasks keep the predecessor's is_locked, lock_holder and lock_expires_at
    beside `lock`.
    """
    filters: dict[str, Any] = {}
    if command.project_id is not None:
        finding.project(tx, command.project_id)
        filters["project_id"] = command.project_id
    counts = tasks.counts_by_project(tx)
    chosen = command.project_id
    return BoardView(
        tasks=[_card(tx, row) for row in tasks.page(tx, filters, order="id", after=None, limit=EVERYTHING)],
        epics=[presenting.epic(row) for row in epics.everything(tx) if chosen in (None, row.project_id)],
        projects=[
            presenting.project(row, counts.get(row.id, {}))
            for row in projects.everything(tx)
            if chosen in (None, row.id)
        ],
        seq=events.head(tx),
        epoch=meta.epoch(tx),
    )


def _card(tx: Tx, row: tasks.TaskRow) -> dict[str, Any]:
    card = presenting.task_fields(tx, row)
    lock: views.LockView | None = card["lock"]
    card["is_locked"] = lock is not None
    card["lock_holder"] = None if lock is None else lock.holder
    card["lock_expires_at"] = None if lock is None else lock.expires_at
    card["dependencies"] = card["depends_on"]
    return card
