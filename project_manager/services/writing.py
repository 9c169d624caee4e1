"""Who may write about a task, and what writing does to the lease."""

from project_manager.domain.leases import check_holder
from project_manager.services import moves
from project_manager.services.presenting import lease_of
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def check_writer(tx: Tx, row: TaskRow, fence: int | None) -> None:
    """Agents write about a held task only under its lease; people may always add to it."""
    if tx.actor.is_agent or fence is not None:
        check_holder(lease_of(row, tx.now), tx.actor.id, fence, task_id=row.id, current_fence=row.fence)


def renewed_by_writing(tx: Tx, row: TaskRow, fence: int | None) -> TaskRow:
    lease = lease_of(row, tx.now)
    if lease is None or lease.holder != tx.actor.id:
        return row
    return moves.renew(tx, row, ttl=lease.ttl, fenced=fence is not None)
