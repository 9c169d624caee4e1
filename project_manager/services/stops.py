"""Stops: end the leases of an agent, or the lease on a task, and let a person decide about the tasks."""

from project_manager.domain.leases import UnlockReason
from project_manager.domain.statuses import BlockedBy, Status
from project_manager.services import lookup, pauses, transitions
from project_manager.store import agents
from project_manager.store.leases import Reasons
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_AT_ONCE = 100


def stop_agent(tx: Tx, agent_id: str) -> list[int]:
    """End all leases of the agent, pause it, and reject its writes until an operator ends the pause. Return its tasks.

    A stop also concerns an agent without a lease, which may be about to claim.
    """
    stopped: list[int] = []
    while held := agents.leased_by(tx, agent_id, limit=_AT_ONCE):
        for row in held:
            stop_task(tx, lookup.task(tx, row.id))
            stopped.append(row.id)
    pauses.stop(tx, agent_id)
    return stopped


def stop_task(tx: Tx, row: TaskRow) -> None:
    """End the lease on the task, raise its fence, and set it BLOCKED for a person.

    A lease for review is no work on the task. The submitted work then waits for another reviewer.
    """
    transitions.note_by_system(tx, row, f"{tx.actor.id} stopped the work of {row.lock_holder}")
    if row.lock_kind is not None:
        transitions.end(tx, row, Status.REVIEW, UnlockReason.STOPPED, attempts=row.attempts)
        return
    reasons = Reasons(blocked_by=BlockedBy.STOP.value)
    transitions.end(tx, row, Status.BLOCKED, UnlockReason.STOPPED, attempts=row.attempts, reasons=reasons)
