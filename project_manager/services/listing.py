"""Use cases that list tasks: pages, filters, columns."""

from functools import partial
from typing import Any

from project_manager.domain.errors import Invalid
from project_manager.domain.statuses import Status
from project_manager.domain.task_fields import COMPACT
from project_manager.schemas.commands import Paged
from project_manager.schemas.tasks import (
    PROGRESS,
    TASK_COLUMNS,
    TASK_FIELD_NAMES,
    GetAvailableTasks,
    ListTasks,
    TaskFilters,
)
from project_manager.schemas.views import Page
from project_manager.services import lookup, paging, resolve, serializers
from project_manager.store import listing, subtasks, task_filters, task_rows
from project_manager.store.listing import Order
from project_manager.store.task_rows import Fields
from project_manager.store.transaction import Tx

_POSITION_LENGTH: dict[Order, int] = {"id": 1, "claim": 3}
"""The number of integers in a position, by the order of the list."""
_SAME_NAME = (
    *("holder", "q", "ids", "worked_by", "created_by", "changed_since"),
    *("created_since", "created_until", "completed_since", "completed_until"),
)
"""Filters that have the same name and value in the command and in the store."""
_SHORT = tuple(name for name in TASK_FIELD_NAMES if name in {*COMPACT, *serializers.FACTS, "unblocks"})
_SHORT_COLUMNS = {*_SHORT, "holder", "expires_at", PROGRESS}
_WITHOUT_DESCRIPTION = tuple(name for name in TASK_FIELD_NAMES if name != "description")


def list_tasks(tx: Tx, command: ListTasks) -> Page[Any]:
    """List or search tasks with filters; use get_available_tasks for ready tasks.

    Sorted by id. `q` searches names, descriptions and external keys for all of its words. `fields` selects columns;
    `compact` stands for a short row.
    """
    return _page(tx, command, filters_of(tx, command), order="id", columns=command.fields)


def filters_of(tx: Tx, command: TaskFilters) -> dict[str, Any]:
    """Return the filters of `task_filters` for a command. Raises ProjectNotFound, EpicNotFound, Invalid."""
    filters: dict[str, Any] = resolve.scope(tx, command)
    for name in _SAME_NAME:
        if getattr(command, name) not in (None, ""):
            filters[name] = getattr(command, name)
    if command.priority is not None:
        filters["priorities"] = command.priority
    labels = command.labels if command.label is None else [command.label, *command.labels]
    if labels:
        filters["labels"] = list(dict.fromkeys(labels))
    return filters | _readiness_filters(command)


def _readiness_filters(command: TaskFilters) -> dict[str, Any]:
    """Return the filters for the status and the readiness of a list. Only tasks in TODO are ready."""
    statuses = command.status or [*Status]
    if command.ready:
        return {"ready": True} if Status.TODO in statuses else {"ids": []}  # no task is ready in these statuses
    found: dict[str, Any] = {}
    if command.status:
        found["status"] = [status.value for status in command.status]
    if command.ready is False and Status.TODO in statuses:
        found["not_ready"] = True
    return found


def get_available(tx: Tx, command: GetAvailableTasks) -> Page[Any]:
    """List ready tasks, best first; claim_next_task claims the best one at once.

    A `status` other than TODO lists tasks in those statuses instead, sorted by id, without leased tasks unless
    include_locked is set.
    """
    filters: dict[str, Any] = resolve.scope(tx, command)
    if command.labels:
        filters["labels"] = command.labels
    if command.status and command.status != [Status.TODO]:
        filters["status"] = [status.value for status in command.status]
        if not command.include_locked and Status.IN_PROGRESS in command.status:  # the others have no leased tasks
            filters["unheld"] = True
    else:
        filters["ready"] = True
    return _page(tx, command, filters, order="claim" if "ready" in filters else "id", columns=["compact"])


def _page(tx: Tx, command: Paged, filters: dict[str, Any], *, order: Order, columns: list[str] | None) -> Page[Any]:
    names = _columns(columns)
    fields = _fields_to_read(names)
    after = paging.start(command, filters, _POSITION_LENGTH[order])
    query = task_filters.resolve(tx, filters)
    if order == "id":
        query = listing.find(tx, query)
    rows, has_more = listing.page(tx, query, fields, order=order, after=after, limit=command.limit)
    if not rows:
        lookup.check_scope(tx, filters)  # an empty list would suggest that they exist without tasks
    views = serializers.tasks(tx, fields, rows, task_rows.links_of(tx, [row[0] for row in rows]))
    if names is not None and PROGRESS in names:
        serializers.add_progress(views, subtasks.progress_of(tx, [row[0] for row in rows]))
    count = partial(listing.count, tx, query)
    item = partial(serializers.chosen, names=names)
    return paging.page(command, filters, views, has_more, count, item=item, position=partial(listing.position, order))


def _fields_to_read(names: list[str] | None) -> Fields:
    """Return the fields to read for these columns, one of a few sets. Descriptions can be large."""
    if names is None or "description" in names:
        return TASK_FIELD_NAMES
    return _SHORT if _SHORT_COLUMNS.issuperset(names) else _WITHOUT_DESCRIPTION


def _columns(names: list[str] | None) -> list[str] | None:
    if not names:
        return None
    if "compact" in names:
        names = list(dict.fromkeys([*COMPACT, *(name for name in names if name != "compact")]))
    unknown = [name for name in names if name not in TASK_COLUMNS]
    if unknown:
        hint = f"The columns are {', '.join(TASK_COLUMNS)}."
        raise Invalid.of("fields", f"unknown column {unknown[0]!r} in `fields`", hint)
    return names
