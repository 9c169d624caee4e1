"""Statements on projects."""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, delete, func, insert, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.names import CANDIDATES, length_range, name_key
from project_manager.store import pages
from project_manager.store.excerpts import with_excerpt
from project_manager.store.functions import Number
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import projects
from project_manager.store.transaction import Tx


class ProjectRow(NamedTuple):
    """A stored project. Times are in milliseconds since the epoch. `policy` is a JSON object."""

    id: int
    name: str
    description: str
    version: int
    created_at: int
    updated_at: int
    archived_at: int | None
    policy: str


_COLUMNS = [projects.c[name] for name in ProjectRow._fields]
_GET = Statement(select(*_COLUMNS).where(projects.c.id == bindparam("project_id")))
_BY_KEY = Statement(select(*_COLUMNS).where(projects.c.name_key == bindparam("key")))
_ALL = Statement(select(*_COLUMNS).order_by(projects.c.id))
_SIMILAR_LENGTH = Statement(
    select(projects.c.name)
    .where(func.length(projects.c.name).between(bindparam("least", type_=Number), bindparam("most", type_=Number)))
    .order_by(func.abs(func.length(projects.c.name) - bindparam("size", type_=Number)), projects.c.id)
    .limit(CANDIDATES)
)
_WITH_EXCERPTS = Statement(select(*with_excerpt(_COLUMNS)).order_by(projects.c.id))
_ADD = Statement(
    insert(projects)
    .values(
        **bindparams("name", "name_key", "description"),
        policy=literal_column("'{}'"),
        version=1,
        created_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
    .returning(*_COLUMNS)
)
_UPDATE = Statement(
    update(projects)
    .where(projects.c.id == bindparam("project_id"))
    .values(
        **bindparams("name", "name_key", "description", "archived_at", "policy"),
        version=projects.c.version + 1,
        updated_at=bindparam("now"),
    )
    .returning(*_COLUMNS)
)
_REMOVE = Statement(delete(projects).where(projects.c.id == bindparam("project_id")))


def get(tx: Tx, project_id: int) -> ProjectRow | None:
    return _GET.one(tx, ProjectRow._make, project_id=project_id)


def get_by_key(tx: Tx, key: str) -> ProjectRow | None:
    """Return the project with this name key (see `name_key`), or None."""
    return _BY_KEY.one(tx, ProjectRow._make, key=key)


def names_of_similar_length(tx: Tx, name: str) -> list[str]:
    """Return up to CANDIDATES names of similar length to `name`, the closest length first."""
    least, most = length_range(name)
    return [row[0] for row in _SIMILAR_LENGTH.rows(tx, least=least, most=most, size=len(name))]


def list_all(tx: Tx) -> list[ProjectRow]:
    """Return all projects, ordered by id."""
    return _ALL.all(tx, ProjectRow._make)


def list_with_excerpts(tx: Tx) -> list[ProjectRow]:
    """Return all projects with excerpts of their descriptions (see `with_excerpt`)."""
    return _WITH_EXCERPTS.all(tx, ProjectRow._make)


def add(tx: Tx, name: str, description: str) -> ProjectRow:
    row = _ADD.row(tx, name=name, name_key=name_key(name), description=description, now=tx.now)
    return ProjectRow._make(row or ())


def update_row(tx: Tx, current: ProjectRow, values: dict[str, Any]) -> ProjectRow:
    """Update the project `current` with `values` and return the new row."""
    fields = {name: getattr(current, name) for name in ("name", "description", "archived_at", "policy")}
    fields |= {**values, "name_key": name_key(values.get("name", current.name))}
    return ProjectRow._make(_UPDATE.row(tx, **fields, project_id=current.id, now=tx.now) or ())


def remove(tx: Tx, project_id: int) -> None:
    _REMOVE.run(tx, project_id=project_id)


@lru_cache(maxsize=4)
def _listed(archived: bool | None) -> tuple[Statement, Statement]:
    def narrowed(statement: Select[Any]) -> Select[Any]:
        if archived is None:
            return statement
        return statement.where(projects.c.archived_at.is_not(None) if archived else projects.c.archived_at.is_(None))

    page = select(*_COLUMNS).where(projects.c.id > bindparam("after")).order_by(projects.c.id).limit(bindparam("limit"))
    return Statement(narrowed(page)), pages.counter(narrowed(select(projects)))


def page(tx: Tx, *, archived: bool | None, after: int, limit: int) -> tuple[list[ProjectRow], bool]:
    """Return a page of projects by id, and whether more follow.

    `archived` selects archived projects (True), others (False), or all (None).
    """
    return pages.page(tx, ProjectRow._make, _listed(archived)[0], {"after": after}, limit)


def count(tx: Tx, archived: bool | None, *, exact: bool) -> Total:
    return pages.count(tx, _listed(archived)[1], {}, exact=exact)
