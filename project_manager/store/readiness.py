"""The conditions under which a task is ready, as SQL. `domain/readiness.py` has the same rules for messages."""

from typing import Any

from sqlalchemy import ColumnElement, bindparam, null
from sqlalchemy.sql.expression import literal_column

from project_manager.store.paths import is_blocked_by_paths
from project_manager.store.tasks import has_running_conflict, running_conflicts_of


def ready_conditions(
    source: Any, *, with_attempt_limit: bool, conflicts: bool = True, many: bool = False
) -> list[ColumnElement[bool]]:
    """Return the conditions under which a task is ready.

    The first four have the same text as in the partial indexes, so that SQLite can use them. With `conflicts` no
    conflicting task may be leased, by `conflicts_with` or by paths. With `many` conflicts are compared as in
    `has_running_conflict`. With `with_attempt_limit` the attempts must be below `max_attempts`.
    """
    return [
        source.c.status == literal_column("'TODO'"),
        source.c.open_dependencies == literal_column("0"),
        source.c.deferred == literal_column("0"),
        source.c.withheld == literal_column("0"),
        *ready_conditions_of_indexed(source, with_attempt_limit=with_attempt_limit, conflicts=conflicts, many=many),
    ]


def ready_conditions_of_indexed(
    source: Any, *, with_attempt_limit: bool, conflicts: bool = True, many: bool = False
) -> list[ColumnElement[bool]]:
    """Return the conditions under which a task in an index of ready tasks is ready."""
    conditions = [source.c.lock_holder.is_(None)]
    if with_attempt_limit:
        conditions.append(source.c.attempts < bindparam("max_attempts"))
    if conflicts and many:
        conditions.append(~has_running_conflict(source.c.id))
    elif conflicts:
        conditions.append(~running_conflicts_of(source.c.id).with_only_columns(null()).correlate(source).exists())
    if conflicts:
        conditions.append(~is_blocked_by_paths(source))
    return conditions


def ready_index(filters: frozenset[str]) -> str:
    """Return the hint for the index of ready tasks. SQLite would sort all tasks in TODO without it."""
    if "epic_id" in filters:
        return "INDEXED BY ix_tasks_claimable_in_epic"
    return "INDEXED BY ix_tasks_claimable" + ("_in_project" if "project_id" in filters else "")
