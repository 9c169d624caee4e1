"""Active pauses. A target has at most one, and its end deletes the row."""

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.pauses import PAUSED_FLAGS, PauseScope
from project_manager.domain.readiness import Withheld
from project_manager.store import pages, rare_states
from project_manager.store.functions import Number
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams, has_labels, is_among
from project_manager.store.tables import tasks
from project_manager.store.tables_pauses import pauses
from project_manager.store.transaction import Tx


class PauseRow(NamedTuple):
    """A stored pause. `project_id` is also set for the pause of a task. `created_at` is in milliseconds."""

    id: int
    scope: str
    project_id: int | None
    task_id: int | None
    agent_id: str | None
    reason: str
    author: str
    created_at: int
    stopped: int


_COLUMNS = [pauses.c[name] for name in PauseRow._fields]
_ADD = Statement(insert(pauses).values(bindparams("target", *PauseRow._fields[1:])).returning(*_COLUMNS))
_GET = Statement(select(*_COLUMNS).where(pauses.c.id == bindparam("pause_id")))
_OF_TARGET = Statement(select(*_COLUMNS).where(pauses.c.target == bindparam("target")))
_SET_STOPPED = Statement(
    update(pauses)
    .where(pauses.c.id == bindparam("pause_id"))
    .values(stopped=literal_column("1"), **bindparams("author", "reason"))
    .returning(*_COLUMNS)
)
_REMOVE = Statement(delete(pauses).where(pauses.c.id == bindparam("pause_id")))
_OF_TASKS = Statement(select(*_COLUMNS).where(is_among(pauses.c.task_id, "ids")).order_by(pauses.c.id))
_PAUSED_AGENTS = Statement(select(pauses.c.agent_id).where(pauses.c.agent_id.is_not(None)))
_NUMBERS = Statement(select(pauses.c.scope, func.count()).group_by(pauses.c.scope))
_PAGE = Statement(
    select(*_COLUMNS).where(pauses.c.id > bindparam("after")).order_by(pauses.c.id).limit(bindparam("limit"))
)
_COUNT = pages.counter(select(pauses))
_filters = [
    or_(bindparam(name, type_=Number).is_(None), tasks.c[name] == bindparam(name, type_=Number))
    for name in ("project_id", "epic_id")
]
# A task that only pauses withhold. Without them, it is in the index of ready tasks.
_withheld_by_pauses = (
    tasks.c.status == literal_column("'TODO'"),
    tasks.c.open_dependencies == literal_column("0"),
    tasks.c.deferred == literal_column("0"),
    tasks.c.withheld > literal_column("0"),
    tasks.c.withheld <= literal_column(str(int(PAUSED_FLAGS))),
    tasks.c.withheld.bitwise_and(literal_column(str(int(Withheld.ARCHIVED)))) == literal_column("0"),
    tasks.c.priority <= bindparam("priority"),
    *_filters,
    has_labels(tasks.c.labels),
)


def _withholds(*concerned: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return whether only pauses withhold a task that meets these conditions."""
    return select(literal_column("1")).where(*concerned, *_withheld_by_pauses).correlate(pauses).exists()


_WITHHOLDING = Statement(
    select(*_COLUMNS)
    .where(
        pauses.c.agent_id.is_(None),
        # One subquery for each scope, because each of them uses another index.
        case(
            (pauses.c.scope == literal_column("'task'"), _withholds(tasks.c.id == pauses.c.task_id)),
            (pauses.c.scope == literal_column("'project'"), _withholds(tasks.c.project_id == pauses.c.project_id)),
            else_=_withholds(),
        ),
    )
    # Pauses of all work first, then those of projects.
    .order_by(pauses.c.task_id.is_not(None), pauses.c.project_id.is_not(None), pauses.c.id)
    .limit(literal_column("1"))
)
_LEAST_URGENT = 2**31


def target(scope: PauseScope, subject: int | str | None) -> str:
    """Return the unique name of the target of a pause: the id of a project, task or agent, or None for all work."""
    return scope.value if subject is None else f"{scope}:{subject}"


def add(tx: Tx, name: str, values: dict[str, Any]) -> PauseRow:
    """Insert the pause of the target `name` and return it."""
    fields = {"author": tx.actor.id, "created_at": tx.now, "stopped": 0, **values}
    row = PauseRow._make(_ADD.row(tx, target=name, **fields) or ())
    rare_states.mark(tx, pauses=True)
    _forget_queue(tx)
    return row


def get(tx: Tx, pause_id: int) -> PauseRow | None:
    return _GET.one(tx, PauseRow._make, pause_id=pause_id)


def of_target(tx: Tx, name: str) -> PauseRow | None:
    """Return the pause of this target, or None. Most databases have no pause, and then a batch reads only that."""
    return _OF_TARGET.one(tx, PauseRow._make, target=name) if rare_states.read(tx).pauses else None


def of_tasks(tx: Tx, ids: Collection[int]) -> list[PauseRow]:
    """Return the pauses of these tasks."""
    return _OF_TASKS.all(tx, PauseRow._make, ids=json.dumps([*ids])) if rare_states.read(tx).pauses else []


def set_stopped(tx: Tx, pause_id: int, reason: str) -> PauseRow:
    """Turn the pause of an agent into a stop by the actor, and return it."""
    return PauseRow._make(_SET_STOPPED.row(tx, pause_id=pause_id, author=tx.actor.id, reason=reason) or ())


def remove(tx: Tx, pause_id: int) -> None:
    _REMOVE.run(tx, pause_id=pause_id)
    _forget_queue(tx)


def paused_agents(tx: Tx) -> frozenset[str]:
    """Return the ids of all paused agents."""
    return frozenset(row[0] for row in _PAUSED_AGENTS.rows(tx)) if rare_states.read(tx).pauses else frozenset()


def withholding(tx: Tx, search: dict[str, Any]) -> PauseRow | None:
    """Return the widest pause that withholds a task that the search would find without pauses, or None."""
    if not rare_states.read(tx).pauses:
        return None
    return _WITHHOLDING.one(
        tx,
        PauseRow._make,
        project_id=search.get("project_id"),
        epic_id=search.get("epic_id"),
        priority=search.get("priority", _LEAST_URGENT),
        labels=json.dumps(search.get("labels", [])),
    )


def numbers(tx: Tx) -> dict[str, int]:
    """Return the number of pauses by scope."""
    return {row[0]: row[1] for row in _NUMBERS.rows(tx)}


def page(tx: Tx, *, after: int, limit: int) -> tuple[list[PauseRow], bool]:
    """Return a page of pauses by id, and whether more follow."""
    return pages.page(tx, PauseRow._make, _PAGE, {"after": after}, limit)


def count(tx: Tx, *, exact: bool) -> Total:
    return pages.count(tx, _COUNT, {}, exact=exact)


def _forget_queue(tx: Tx) -> None:
    """Read the claim queue again at its next use, because it has no waiters of paused agents."""
    if tx.batch is not None:
        tx.batch.queue = None
