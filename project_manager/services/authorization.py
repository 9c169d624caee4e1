"""Authorization of writes about a task, and the renewal of the writer's lease."""

from project_manager.domain.leases import lock_held_error
from project_manager.services import transitions
from project_manager.services.lease_errors import check_lease
from project_manager.services.serializers import lease_of
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def overrides_lease(tx: Tx, row: TaskRow, *, force: bool) -> bool:
    """Return whether the write overrides the lease of another actor. Call `lookup.check_force` first."""
    lease = lease_of(row, tx.now)
    return force and lease is not None and lease.holder != tx.actor.id


def check_write(tx: Tx, row: TaskRow, fence: int | None, *, force: bool = False) -> None:
    """Check that the actor may write about the task. `force` overrides the lease of another actor.

    If there is a live lease, an agent must have it, a person only if it sends a fence. Raises LockHeld, StaleFence,
    FenceRequired.
    """
    if (tx.actor.is_agent or fence is not None) and not overrides_lease(tx, row, force=force):
        check_lease(tx, row, fence)


def check_no_other_holder(tx: Tx, row: TaskRow) -> None:
    """Check that an agent may add a subtask or a dependency to the task while it writes about another one.

    It needs no fence, because the fence of the request is that of the other task. Raises LockHeld.
    """
    lease = lease_of(row, tx.now)
    if tx.actor.is_agent and lease is not None and lease.holder != tx.actor.id:
        raise lock_held_error(lease)


def renew_on_write(tx: Tx, row: TaskRow, fence: int | None) -> TaskRow:
    """Renew the lease if the actor has it, unless the lease needs a fence and the write has none. Return the task."""
    lease = lease_of(row, tx.now)
    if lease is None or lease.holder != tx.actor.id or (lease.fenced and fence is None):
        return row
    return transitions.renew(tx, row, ttl=lease.ttl, fenced=fence is not None)
