"""Use cases of the lease history: list live and ended leases."""

from functools import partial
from typing import Any

from project_manager.schemas.leases import LeaseView, ListLeases
from project_manager.schemas.views import Page
from project_manager.services import paging
from project_manager.services.serializers import view_of
from project_manager.store import lease_history
from project_manager.store.lease_history import LeaseRow
from project_manager.store.transaction import Tx

LIVE, ENDED = 0, 1


def list_leases(tx: Tx, command: ListLeases) -> Page[LeaseView]:
    """List live leases, then ended ones with their reasons, last ended first.

    `since` and `until` select leases that were live in that time. A status that an agent set without a claim is listed
    as a lease that ended when it began. Ended leases are kept as long as events. A lease that ends between two pages
    may appear twice; none is left out.
    """
    chosen = {"agent_id": command.agent_id, "since": command.since, "until": command.until}
    filters: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    position = paging.start(command, filters, 4)
    rows: list[LeaseRow] = []
    has_more = False
    ended_after: tuple[int, int, int] | None = None
    if position is not None and position[0] == ENDED:
        ended_after = (position[1], position[2], position[3])
    else:
        live_after = None if position is None else (position[1], position[2])
        rows, has_more = lease_history.page_of_live(tx, filters, live_after, command.limit)
    if not has_more:
        ended, has_more = lease_history.page_of_ended(tx, filters, ended_after, command.limit - len(rows))
        rows += ended
    count = partial(lease_history.count, tx, filters)
    return paging.page(command, filters, rows, has_more, count, item=partial(view_of, LeaseView), position=_position)


def _position(row: LeaseRow) -> tuple[int, int, int, int]:
    if row.ended_at is None:
        return LIVE, row.acquired_at, row.task_id, row.fence
    return ENDED, row.ended_at, row.task_id, row.fence
