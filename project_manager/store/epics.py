"""Statements on epics."""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, delete, func, insert, select, text, update

from project_manager.domain.names import CANDIDATES, length_range, name_key
from project_manager.store import pages
from project_manager.store.excerpts import with_excerpt
from project_manager.store.functions import Number
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import epics
from project_manager.store.transaction import Tx


class EpicRow(NamedTuple):
    """A stored epic. Times are in milliseconds since the epoch."""

    id: int
    project_id: int
    name: str
    description: str
    status: str
    position: int
    version: int
    created_at: int
    updated_at: int


NAMESAKES = 10
"""Maximum number of epics of one name in an error message. Two are enough to refuse the name as ambiguous."""

_COLUMNS = [epics.c[name] for name in EpicRow._fields]
_GET = Statement(select(*_COLUMNS).where(epics.c.id == bindparam("epic_id")))
_BY_KEY = Statement(
    select(*_COLUMNS).where(epics.c.project_id == bindparam("project_id"), epics.c.name_key == bindparam("key"))
)
_SIMILAR_LENGTH = Statement(
    select(epics.c.name)
    .where(
        func.coalesce(bindparam("project_id"), epics.c.project_id) == epics.c.project_id,
        func.length(epics.c.name).between(bindparam("least", type_=Number), bindparam("most", type_=Number)),
    )
    .order_by(func.abs(func.length(epics.c.name) - bindparam("size", type_=Number)), epics.c.id)
    .limit(CANDIDATES)
)
_CALLED = Statement(select(*_COLUMNS).where(epics.c.name == bindparam("name")).order_by(epics.c.id).limit(NAMESAKES))
_WITH_KEY = Statement(
    select(*_COLUMNS).where(epics.c.name_key == bindparam("key")).order_by(epics.c.id).limit(NAMESAKES)
)
_ALL = Statement(select(*_COLUMNS).order_by(epics.c.project_id, epics.c.position, epics.c.id))
_WITH_EXCERPTS = Statement(select(*with_excerpt(_COLUMNS)).order_by(epics.c.project_id, epics.c.position, epics.c.id))
_NEXT_POSITION = Statement(
    select(func.coalesce(func.max(epics.c.position) + 1, 0)).where(epics.c.project_id == bindparam("project_id"))
)
_ADD = Statement(
    insert(epics)
    .values(
        **bindparams("project_id", "name", "name_key", "description", "status", "position"),
        version=1,
        created_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
    .returning(*_COLUMNS)
)
_UPDATE = Statement(
    update(epics)
    .where(epics.c.id == bindparam("epic_id"))
    .values(
        **bindparams("name", "name_key", "description", "status", "position"),
        version=epics.c.version + 1,
        updated_at=bindparam("now"),
    )
    .returning(*_COLUMNS)
)
_REMOVE = Statement(delete(epics).where(epics.c.id == bindparam("epic_id")))


def get(tx: Tx, epic_id: int) -> EpicRow | None:
    return _GET.one(tx, EpicRow._make, epic_id=epic_id)


def get_by_key(tx: Tx, project_id: int, key: str) -> EpicRow | None:
    """Return the epic of the project with this name key (see `name_key`), or None."""
    return _BY_KEY.one(tx, EpicRow._make, project_id=project_id, key=key)


def names_of_similar_length(tx: Tx, project_id: int | None, name: str) -> list[str]:
    """Return up to CANDIDATES names of epics of similar length to `name`, the closest length first.

    A `project_id` of None selects the epics of all projects.
    """
    least, most = length_range(name)
    return [row[0] for row in _SIMILAR_LENGTH.rows(tx, project_id=project_id, least=least, most=most, size=len(name))]


def called(tx: Tx, name: str) -> list[EpicRow]:
    """Return up to NAMESAKES epics of all projects with exactly this name."""
    return _CALLED.all(tx, EpicRow._make, name=name)


def with_key(tx: Tx, key: str) -> list[EpicRow]:
    """Return up to NAMESAKES epics of all projects with this name key."""
    return _WITH_KEY.all(tx, EpicRow._make, key=key)


def list_all(tx: Tx) -> list[EpicRow]:
    """Return all epics, ordered by project, position and id."""
    return _ALL.all(tx, EpicRow._make)


def list_with_excerpts(tx: Tx) -> list[EpicRow]:
    """Return all epics with excerpts of their descriptions (see `with_excerpt`)."""
    return _WITH_EXCERPTS.all(tx, EpicRow._make)


def next_position(tx: Tx, project_id: int) -> int:
    """Return the position after the last epic of the project."""
    return int(_NEXT_POSITION.value(tx, project_id=project_id))


def add(tx: Tx, project_id: int, name: str, description: str, status: str, position: int) -> EpicRow:
    row = _ADD.row(
        tx,
        project_id=project_id,
        name=name,
        name_key=name_key(name),
        description=description,
        status=status,
        position=position,
        now=tx.now,
    )
    return EpicRow._make(row or ())


def update_row(tx: Tx, current: EpicRow, values: dict[str, Any]) -> EpicRow:
    """Update the epic `current` with `values` and return the new row."""
    fields = {name: getattr(current, name) for name in ("name", "description", "status", "position")}
    fields |= {**values, "name_key": name_key(values.get("name", current.name))}
    return EpicRow._make(_UPDATE.row(tx, **fields, epic_id=current.id, now=tx.now) or ())


def remove(tx: Tx, epic_id: int) -> None:
    _REMOVE.run(tx, epic_id=epic_id)


@lru_cache(maxsize=8)
def _listed(filters: frozenset[str]) -> tuple[Statement, Statement]:
    def narrowed(statement: Select[Any]) -> Select[Any]:
        for name in sorted(filters):
            statement = statement.where(epics.c[name] == bindparam(name))
        return statement

    page = (
        select(*_COLUMNS)
        .where(text("(epics.project_id, epics.position, epics.id) > (:after_0, :after_1, :after_2)"))
        .order_by(epics.c.project_id, epics.c.position, epics.c.id)
        .limit(bindparam("limit"))
    )
    return Statement(narrowed(page)), pages.counter(narrowed(select(epics)))


def page(tx: Tx, filters: dict[str, Any], *, after: tuple[int, ...], limit: int) -> tuple[list[EpicRow], bool]:
    """Return a page of epics by project, position and id, and whether more follow."""
    statement = _listed(frozenset(filters))[0]
    return pages.page(tx, EpicRow._make, statement, {**filters, **pages.after(after)}, limit)


def count(tx: Tx, filters: dict[str, Any], *, exact: bool) -> Total:
    return pages.count(tx, _listed(frozenset(filters))[1], filters, exact=exact)
