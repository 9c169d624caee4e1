"""Statements on saved views."""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update

from project_manager.domain.names import name_key
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables_saved_views import saved_views
from project_manager.store.transaction import Tx


class SavedViewRow(NamedTuple):
    """A stored view. Times are in milliseconds since the epoch."""

    id: int
    name: str
    query: str
    author: str
    position: int
    created_at: int
    updated_at: int


_COLUMNS = [saved_views.c[name] for name in SavedViewRow._fields]
_GET = Statement(select(*_COLUMNS).where(saved_views.c.id == bindparam("view_id")))
_BY_KEY = Statement(select(*_COLUMNS).where(saved_views.c.name_key == bindparam("key")))
_ALL = Statement(select(*_COLUMNS).order_by(saved_views.c.position, saved_views.c.id))
_NUMBER_AND_NEXT = Statement(select(func.count(), func.coalesce(func.max(saved_views.c.position) + 1, 0)))
_ADD = Statement(insert(saved_views).values(bindparams("name_key", *SavedViewRow._fields[1:])).returning(*_COLUMNS))
_UPDATE = Statement(
    update(saved_views)
    .where(saved_views.c.id == bindparam("view_id"))
    .values(**bindparams("name", "name_key", "query", "position", "updated_at"))
    .returning(*_COLUMNS)
)
_REMOVE = Statement(delete(saved_views).where(saved_views.c.id == bindparam("view_id")))


def get(tx: Tx, view_id: int) -> SavedViewRow | None:
    return _GET.one(tx, SavedViewRow._make, view_id=view_id)


def get_by_name(tx: Tx, name: str) -> SavedViewRow | None:
    """Return the view with this name, or None. Case and blanks do not count."""
    return _BY_KEY.one(tx, SavedViewRow._make, key=name_key(name))


def all_in_order(tx: Tx) -> list[SavedViewRow]:
    return _ALL.all(tx, SavedViewRow._make)


def number_and_next(tx: Tx) -> tuple[int, int]:
    """Return the number of views, and the position after the last one."""
    number, following = _NUMBER_AND_NEXT.rows(tx)[0]
    return number, following


def add(tx: Tx, *, name: str, query: str, position: int) -> SavedViewRow:
    """Insert a view of the actor and return it."""
    values = {"name": name, "name_key": name_key(name), "query": query, "position": position}
    times = {"created_at": tx.now, "updated_at": tx.now}
    return SavedViewRow._make(_ADD.row(tx, author=tx.actor.id, **values, **times) or ())


def update_row(tx: Tx, row: SavedViewRow) -> SavedViewRow:
    """Write the name, the query and the position of the row, and return it."""
    values = {"name": row.name, "name_key": name_key(row.name), "query": row.query, "position": row.position}
    return SavedViewRow._make(_UPDATE.row(tx, view_id=row.id, updated_at=tx.now, **values) or ())


def remove(tx: Tx, view_id: int) -> None:
    _REMOVE.run(tx, view_id=view_id)
