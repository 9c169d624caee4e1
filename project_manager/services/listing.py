"""Use cases that list tasks: pages, filters, columns."""

from typing import Any

from project_manager.domain.errors import Invalid
from project_manager.domain.statuses import Status
from project_manager.domain.task_fields import COMPACT
from project_manager.schemas import cursor as cursors
from project_manager.schemas.tasks import TASK_COLUMNS, GetAvailableTasks, ListTasks
from project_manager.schemas.views import Page
from project_manager.services import lookup, resolve, serializers
from project_manager.store import listing
from project_manager.store.transaction import Tx


def list_tasks(tx: Tx, command: ListTasks) -> Page[Any]:
    """List or search tasks with filters; use get_available_tasks for ready tasks.

    By id. `q` searches names, descriptions and external keys for all of its words. `fields` selects columns, `compact`
    a short row.
    """
    filters: dict[str, Any] = resolve.scope(tx, command)
    for name in ("holder", "q", "ids"):
        if getattr(command, name) not in (None, ""):
            filters[name] = getattr(command, name)
    if command.label is not None:
        filters["labels"] = [command.label]
    if command.status:
        filters["status"] = [status.value for status in command.status]
    if command.ready is not None:
        filters["ready" if command.ready else "not_ready"] = True
    return _page(tx, filters, command.cursor, command.limit, order="id", columns=command.fields)


def get_available(tx: Tx, command: GetAvailableTasks) -> Page[Any]:
    """List ready tasks, best first; claim_next_task claims the best one at once.

    With `status` it lists tasks in those statuses instead, without leased tasks unless include_locked is set.
    """
    filters: dict[str, Any] = resolve.scope(tx, command)
    if command.labels:
        filters["labels"] = command.labels
    if command.status and command.status != [Status.TODO]:
        filters["status"] = [status.value for status in command.status]
        if not command.include_locked:
            filters["unheld"] = True
    else:
        filters["ready"] = True
    return _page(tx, filters, command.cursor, command.limit, order="claim", columns=["compact"])


def _page(
    tx: Tx, filters: dict[str, Any], cursor: str | None, limit: int, *, order: str, columns: list[str] | None
) -> Page[Any]:
    names = _columns(columns)
    after = None if cursor is None else cursors.read(cursor, filters, 3 if order == "claim" else 1)
    # Descriptions can be large: they are read only for a column that needs them.
    described: listing.DescriptionMode = "whole" if names is None or "description" in names else "none"
    shown, more = listing.page(tx, filters, order=order, after=after, limit=limit, description=described)
    if not shown:
        _check_scope_exists(tx, filters)
    items = [serializers.task(tx, row) for row in shown]
    last = None
    if more:
        end = shown[-1]
        last = cursors.write((end.priority, -end.unblocks, end.id) if order == "claim" else (end.id,), filters)
    chosen: list[Any] = items if names is None else [serializers.chosen(item, names) for item in items]
    return Page(chosen, last, listing.count(tx, filters))


def _check_scope_exists(tx: Tx, filters: dict[str, Any]) -> None:
    """Check that the project and the epic of an empty list exist.

    Otherwise the empty list would suggest that they exist without tasks. Raises ProjectNotFound, EpicNotFound.
    """
    if "project_id" in filters:
        lookup.project(tx, filters["project_id"])
    if "epic_id" in filters:
        lookup.epic(tx, filters["epic_id"])


def _columns(names: list[str] | None) -> list[str] | None:
    if not names:
        return None
    if "compact" in names:
        names = list(dict.fromkeys([*COMPACT, *(name for name in names if name != "compact")]))
    unknown = [name for name in names if name not in TASK_COLUMNS]
    if unknown:
        message, hint = f"unknown column {unknown[0]!r} in `fields`", f"The columns are {', '.join(TASK_COLUMNS)}."
        raise Invalid(message, hint=hint, errors=[{"field": "fields", "message": message, "hint": hint}])
    return names
