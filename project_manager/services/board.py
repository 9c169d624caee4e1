"""The whole board in one answer, for dashboards."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from project_manager.contract import commands, views
from project_manager.domain.limits import LEAD_CHARACTERS
from project_manager.services import finding, presenting
from project_manager.store import epics, events, meta, projects, tasks
from project_manager.store.transaction import Tx

CARDS_AT_ONCE = 500


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
    beside `lock`. Of a description longer than 280 characters only the beginning is here, and the task says
    description_truncated; get_task has it whole.
    """
    filters: dict[str, Any] = {}
    if command.project_id is not None:
        finding.project(tx, command.project_id)
        filters["project_id"] = command.project_id
    counts = tasks.counts_by_project(tx)
    chosen = command.project_id
    return BoardView(
        tasks=list(_cards(tx, filters)),
        epics=[presenting.epic(row) for row in epics.everything(tx) if chosen in (None, row.project_id)],
        projects=[
            presenting.project(row, counts.get(row.id, {}))
            for row in projects.everything(tx)
            if chosen in (None, row.id)
        ],
        seq=events.head(tx),
        epoch=meta.epoch(tx),
    )


def _cards(tx: Tx, filters: dict[str, Any]) -> Iterator[Any]:
    """All cards as JSON, many to an element: as objects they would take many times the room."""
    after: tuple[int, ...] | None = None
    more = True
    while more:
        rows, more = tasks.page(tx, filters, order="id", after=after, limit=CARDS_AT_ONCE, description="lead")
        if rows:
            after = (rows[-1].id,)
            yield orjson.Fragment(orjson.dumps([_card(tx, row) for row in rows])[1:-1])


def _card(tx: Tx, row: tasks.TaskRow) -> dict[str, Any]:
    card = presenting.task_fields(tx, row)
    if len(row.description) > LEAD_CHARACTERS:
        card["description"] = row.description[:LEAD_CHARACTERS]
        card["description_truncated"] = True
    lock: views.LockView | None = card["lock"]
    card["is_locked"] = lock is not None
    card["lock_holder"] = None if lock is None else lock.holder
    card["lock_expires_at"] = None if lock is None else lock.expires_at
    card["dependencies"] = card["depends_on"]
    return card
