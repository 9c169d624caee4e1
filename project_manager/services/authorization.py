"""Who may write about a task, and what writing does to the lease."""

from project_manager.services import transitions
from project_manager.services.lease_errors import check_lease
from project_manager.services.serializers import lease_of
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def takes_away(tx: Tx, row: TaskRow, *, force: bool) -> bool:
    """Whether the write passes over a lease of another; that it may is checked before (finding.check_force)."""
    lease = lease_of(row, tx.now)
    return force and lease is not None and lease.holder != tx.actor.id


def check_writer(tx: Tx, row: TaskRow, fence: int | None, *, force: bool = False) -> None:
    """Agents write about a held task only under its lease; people may always add to it, and so may `force`."""
    if (tx.actor.is_agent or fence is not None) and not takes_away(tx, row, force=force):
        check_lease(tx, row, fence)


def renewed_by_writing(tx: Tx, row: TaskRow, fence: int | None) -> TaskRow:
    """The writer's own lease is renewed, unless it needs a fence and was written about without one (a comment)."""
    lease = lease_of(row, tx.now)
    if lease is None or lease.holder != tx.actor.id or (lease.fenced and fence is None):
        return row
    return transitions.renew(tx, row, ttl=lease.ttl, fenced=fence is not None)
