"""Use cases of events: list them, and read the history of a task."""

from functools import partial
from typing import Any

from project_manager.domain.actors import Role
from project_manager.schemas.events import EventsView, ListEvents, ListTaskEvents
from project_manager.schemas.views import Page
from project_manager.services import lookup, paging
from project_manager.store import events, meta
from project_manager.store.transaction import Tx


def list_events(tx: Tx, command: ListEvents) -> EventsView:
    """Read the events after `since`, in order and without a gap; wait_seconds makes it a long poll.

    Continue from last_seq. `resync` is true when events after `since` are gone or the database was restored. Then read
    the present state again and continue from `head`.
    """
    epoch, head = meta.epoch(tx), events.head(tx)
    lost = command.since < meta.event_floor(tx) and command.since > 0
    if lost or command.since > head or (command.epoch is not None and command.epoch != epoch):
        return EventsView(items=[], last_seq=head, head=head, epoch=epoch, resync=True)
    rows, has_more = events.selected(
        tx, command.since, command.limit, types=command.types, project_id=command.project_id
    )
    last = rows[-1].seq if has_more else head
    items = [row.view(traced=_is_traced(tx)) for row in rows]
    return EventsView(items=items, last_seq=last, head=head, epoch=epoch, resync=False)


def list_task_events(tx: Tx, command: ListTaskEvents) -> Page[dict[str, Any]]:
    """Read the history of one task, oldest first, even after deletion."""
    filters: dict[str, object] = {"task_id": command.task_id}
    if command.types:
        filters["types"] = command.types
    after = paging.start_id(command, filters)
    rows, has_more = events.of_task(tx, command.task_id, after, command.limit, types=command.types)
    count = partial(events.count_of_task, tx, command.task_id, types=command.types)
    if not rows and not events.count_of_task(tx, command.task_id, exact=False).number:
        lookup.task(tx, command.task_id)
    traced = _is_traced(tx)
    return paging.page(
        command,
        filters,
        rows,
        has_more,
        count,
        item=lambda row: row.view(traced=traced),
        position=lambda row: (row.seq,),
    )


def _is_traced(tx: Tx) -> bool:
    """Return whether the caller sees which token and request caused an event."""
    return tx.actor.role >= Role.OPERATOR
