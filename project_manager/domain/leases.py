"""Rules of leases, on values and `now`.

A lease gives one agent the exclusive right to write to one task until `expires_at`. Its `fence` is an integer per task
that grows by one with every new lease and never decreases. It distinguishes writes of an older lease from writes of
the live one (fencing tokens, M. Kleppmann, "How to do distributed locking", 2016).

An expired lease is not a lease: `expires_at` is compared with the `now` of the transaction.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from project_manager.clock import rfc3339
from project_manager.domain.errors import FenceRequired, LockHeld, NotHeld, StaleFence
from project_manager.domain.limits import UNCONFIRMED_AFTER_SECONDS, UNCONFIRMED_LEASE_SECONDS


class UnlockReason(StrEnum):
    """Reason for the end of a lease. FAILED is only in the lease history; the event has `explicit_release`."""

    EXPLICIT_RELEASE = "explicit_release"
    FAILED = "failed"
    AUTO_RELEASE = "auto_release"
    LOCK_EXPIRED = "lock_expired"
    FORCED = "forced"
    DELETED = "deleted"
    UNCONFIRMED = "unconfirmed"
    STOPPED = "stopped"


LOSS_REASONS = frozenset(
    {UnlockReason.LOCK_EXPIRED, UnlockReason.UNCONFIRMED, UnlockReason.FORCED, UnlockReason.STOPPED}
)
"""Reasons by which a holder loses its lease. In all other cases it gave up the lease, or the task was deleted."""


LeaseKind = Literal["work", "review"]
"""A lease is for work on the task, or for the review of submitted work, which leaves the task in REVIEW."""


# orjson encodes a dataclass without slots three times as fast.
@dataclass
class LockView:
    """A lease. `fence` grows by one with every new lease of the task and never decreases."""

    task_id: int
    holder: str
    fence: int
    acquired_at: str
    expires_at: str
    ttl_seconds: int
    kind: LeaseKind = "work"


class Lease(NamedTuple):
    """Lease of a task. Times and `ttl` are in ms. An `unconfirmed` lease is short until its holder calls again."""

    task_id: int
    holder: str
    fence: int
    acquired_at: int
    expires_at: int
    ttl: int
    fenced: bool
    unconfirmed: bool = False
    kind: LeaseKind = "work"

    @property
    def length(self) -> int:
        """Return the current length in milliseconds."""
        return self.expires_at - self.acquired_at if self.unconfirmed else self.ttl


def unconfirmed_length(ttl: int, waited: int) -> int | None:
    """Return the length of a new lease until its holder confirms it, in ms, or None for the full length.

    After a long wait (`waited`, in ms) the client may be gone, and the task must not stay leased for long.
    """
    if waited <= UNCONFIRMED_AFTER_SECONDS * 1000:
        return None
    return min(ttl, UNCONFIRMED_LEASE_SECONDS * 1000)


def lock_held_error(lease: Lease) -> LockHeld:
    """Return the error for a task with a live lease of another agent."""
    return LockHeld(
        f"task {lease.task_id} is locked by {lease.holder} until {rfc3339(lease.expires_at)}", **_present(lease)
    )


def check_holder(lease: Lease | None, agent: str, fence: int | None, *, task_id: int, current_fence: int) -> None:
    """Check that `agent`, with the fence that it sent, may write to the task under this live lease.

    Raises LockHeld for the lease of another agent, StaleFence if the lease of the fence has ended, and FenceRequired if
    the holder sent a fence before and omits it now.
    """
    # An older fence belongs to a lease that has ended, so StaleFence is more precise than LockHeld.
    if lease is not None and lease.holder != agent:
        if fence is not None and fence < lease.fence:
            raise _stale_fence_error(lease, fence)
        raise lock_held_error(lease)
    if lease is None:
        if fence is not None:
            raise StaleFence(
                f"fence {fence} of task {task_id} is stale: its lease has ended and the task is not locked",
                task_id=task_id,
                holder=None,
                fence=current_fence,
                expires_at=None,
            )
        return
    if fence is None and lease.fenced:
        raise FenceRequired(f"task {task_id}: this lease requires its fence", **_present(lease))
    if fence is not None and fence != lease.fence:
        raise _stale_fence_error(lease, fence)


def not_held_error(task_id: int, agent: str, current_fence: int) -> NotHeld:
    """Return the error for a task without a live lease."""
    return NotHeld(
        f"task {task_id} is not locked: {agent} has no lease on it", task_id=task_id, holder=None, fence=current_fence
    )


def _stale_fence_error(lease: Lease, fence: int) -> StaleFence:
    return StaleFence(
        f"fence {fence} of task {lease.task_id} is stale: the task is locked by {lease.holder} with fence "
        f"{lease.fence} until {rfc3339(lease.expires_at)}",
        **_present(lease),
    )


def _present(lease: Lease) -> dict[str, Any]:
    return {
        "task_id": lease.task_id,
        "holder": lease.holder,
        "fence": lease.fence,
        "expires_at": rfc3339(lease.expires_at),
    }
