"""Offers of tasks to one agent, stored in the rows of the tasks."""

import json
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, null, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.offers import SEEN_WITHIN_MS, OfferReason
from project_manager.domain.readiness import Withheld
from project_manager.store import rare_states
from project_manager.store.functions import Number
from project_manager.store.readiness import ready_conditions_of_indexed
from project_manager.store.ready_tasks import CLAIM_ORDER, ReadyTask
from project_manager.store.statement import Statement, bindparams, is_among
from project_manager.store.tables import agents, tasks
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_OFFERED_AT_ONCE = 100
"""Offers of one agent that its claim considers."""
_of_task = update(tasks).where(tasks.c.id == bindparam("task_id"))
_BEGIN = Statement(_of_task.values(bindparams("offered_to", "offered_until", "offered_reason", "withheld")))
_END = Statement(_of_task.values(offered_to=null(), withheld=bindparam("withheld")))
_offered = tasks.c.offered_to.is_not(None)
_last_seen = func.coalesce(
    select(agents.c.last_seen_at).where(agents.c.id == tasks.c.offered_to).scalar_subquery(), literal_column("0")
) + literal_column(str(SEEN_WITHIN_MS))
_end = case((_last_seen < tasks.c.offered_until, _last_seen), else_=tasks.c.offered_until)
# Without the order, a server with no statistics expects many such tasks, and reads the table.
_ends = select(_end.label("ends_at")).where(_offered).order_by(tasks.c.offered_to).limit(literal_column("10000"))
NEXT_END = select(func.min(_ends.subquery("offer").c.ends_at))
"""The earliest end of an offer, if its agent makes no further call."""
_ENDED = Statement(
    select(tasks.c.id).where(_offered, _end <= bindparam("now", type_=Number)).order_by(tasks.c.offered_to).limit(256)
)
_ALL = Statement(
    select(tasks.c.id, tasks.c.project_id).where(_offered).order_by(tasks.c.offered_to).limit(literal_column("10000"))
)
_OF_AGENT = Statement(select(tasks.c.id).where(tasks.c.offered_to == bindparam("agent")).order_by(tasks.c.id))


_READY = [tasks.c[name] for name in ReadyTask._fields]


def _conditions(capped: bool) -> list[ColumnElement[bool]]:
    """Return the conditions under which the agent that a task is offered to can claim it."""
    return [
        tasks.c.status == literal_column("'TODO'"),
        tasks.c.open_dependencies == literal_column("0"),
        tasks.c.deferred == literal_column("0"),
        tasks.c.withheld == literal_column(str(int(Withheld.OFFERED))),
        *ready_conditions_of_indexed(tasks, with_attempt_limit=capped),
    ]


@lru_cache(maxsize=2)
def _ready_of(capped: bool) -> Statement:
    found = select(*_READY).where(tasks.c.offered_to == bindparam("agent"), *_conditions(capped))
    return Statement(found.order_by(*CLAIM_ORDER).limit(literal_column(str(_OFFERED_AT_ONCE))))


@lru_cache(maxsize=2)
def _among(capped: bool) -> Statement:
    chosen = (is_among(tasks.c.id, "ids"), _offered, *_conditions(capped))
    return Statement(select(tasks.c.offered_to, *_READY).where(*chosen).order_by(*CLAIM_ORDER))


def begin(tx: Tx, current: TaskRow, agent: str, until: int, reason: OfferReason) -> TaskRow:
    """Offer the task to the agent until the instant `until` (milliseconds), and return the new row."""
    changes: dict[str, Any] = {
        "offered_to": agent,
        "offered_until": until,
        "offered_reason": reason.value,
        "withheld": int(current.withheld | Withheld.OFFERED),
    }
    _BEGIN.write(tx, task_id=current.id, **changes)
    rare_states.mark(tx, offered=True)
    return current._replace(**changes)


def end(tx: Tx, current: TaskRow) -> TaskRow:
    """End the offer of the task and return the new row."""
    changes: dict[str, Any] = {"offered_to": None, "withheld": int(current.withheld & ~Withheld.OFFERED)}
    _END.write(tx, task_id=current.id, withheld=changes["withheld"])
    return current._replace(**changes)


def ended(tx: Tx) -> list[int]:
    """Return the ids of tasks with an offer that has ended."""
    return [row[0] for row in _ENDED.rows(tx, now=tx.now)]


def of_agent(tx: Tx, agent: str) -> list[int]:
    """Return the ids of the tasks that are offered to the agent."""
    return [row[0] for row in _OF_AGENT.rows(tx, agent=agent)]


def in_scope(tx: Tx, project_id: int | None) -> list[int]:
    """Return the ids of the offered tasks of the project, or of all projects."""
    if not rare_states.read(tx).offered:
        return []
    return [row[0] for row in _ALL.rows(tx) if project_id in (None, row[1])]


def ready_of(tx: Tx, agent: str) -> list[ReadyTask]:
    """Return the first tasks offered to the agent that have no other blocker, in claim order."""
    if not rare_states.read(tx).offered:
        return []
    statement = _ready_of(tx.max_attempts > 0)
    return statement.all(tx, ReadyTask._make, agent=agent, now=tx.now, max_attempts=tx.max_attempts)


def among(tx: Tx, task_ids: Collection[int]) -> list[tuple[str, ReadyTask]]:
    """Return those of these tasks that are offered and have no other blocker, each with its agent, in claim order."""
    if not task_ids or not rare_states.read(tx).offered:
        return []
    rows = _among(tx.max_attempts > 0).rows(tx, ids=json.dumps([*task_ids]), now=tx.now, max_attempts=tx.max_attempts)
    return [(agent, ReadyTask(*task)) for agent, *task in rows]
