"""States that few databases have at a time, and that nearly every call checks.

One statement reads all of them, at most once in a batch. The writer keeps them for its next batch while no state is
present, so most calls read nothing.
"""

from typing import NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.sql.expression import literal_column

from project_manager.store.statement import Statement
from project_manager.store.tables import tasks
from project_manager.store.tables_messages import messages
from project_manager.store.tables_pauses import pauses
from project_manager.store.transaction import Tx


class RareStates(NamedTuple):
    """Flags of the states that are present. `unconfirmed` is a lease that waits for the first call of its holder,
    `offered` a task that is offered to one agent, and `messages` are open ones.

    A state may be absent although its flag is true, because only the next read notices its end.
    """

    unconfirmed: bool
    pauses: bool
    offered: bool
    messages: bool


_ONE: ColumnElement[int] = literal_column("1")
_unconfirmed = (
    select(tasks.c.id)
    .with_hint(tasks, "INDEXED BY ix_tasks_unconfirmed", "sqlite")
    .where(tasks.c.unconfirmed_fence.is_not(None), tasks.c.lock_holder.is_not(None))
    # Without the order, a server with no statistics expects many such tasks, and reads the table for the first one.
    .order_by(tasks.c.lock_holder)
)
_offered = select(tasks.c.id).where(tasks.c.offered_to.is_not(None)).order_by(tasks.c.offered_to)
_PRESENT = Statement(
    select(
        _unconfirmed.limit(_ONE).scalar_subquery(),
        select(pauses.c.id).order_by(pauses.c.id).limit(_ONE).scalar_subquery(),
        _offered.limit(_ONE).scalar_subquery(),
        select(messages.c.id)
        .where(messages.c.open == _ONE)
        .order_by(messages.c.expires_at)
        .limit(_ONE)
        .scalar_subquery(),
    )
)


def read(tx: Tx) -> RareStates:
    """Return which of the states are present."""
    if tx.batch is None:
        return _read(tx)
    if tx.batch.rare_states is None:
        tx.batch.rare_states = _read(tx)
    found: RareStates = tx.batch.rare_states
    return found


def _read(tx: Tx) -> RareStates:
    return RareStates._make(value is not None for value in _PRESENT.row(tx) or ())


def mark(tx: Tx, **present: bool) -> None:
    """Mark these states as present, because the transaction has written a row in them."""
    if tx.batch is not None and tx.batch.rare_states is not None:
        tx.batch.rare_states = tx.batch.rare_states._replace(**present)
