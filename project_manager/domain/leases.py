"""The rules of a lease, on values and `now`.

A lease is a hold on one task by one agent until `expires_at`. Its `fence` is an integer per task that grows
by one at every new lease and never goes back, so that a write made under an older lease can be told from one
made under the present one (M. Kleppmann, "How to do distributed locking", 2016: fencing tokens). A lease
whose time has come is no lease: who may write is decided by comparing `expires_at` with the `now` of the
transaction, never by whether a sweeper has been there.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from project_manager.clock import rfc3339
from project_manager.domain.errors import FenceRequired, LockHeld, NotHeld, StaleFence
from project_manager.domain.limits import UNCONFIRMED_AFTER_SECONDS, UNCONFIRMED_LEASE_SECONDS


class UnlockReason(StrEnum):
    """Why a lease ended. FAILED, a release that counts an attempt, stands in the history of leases only: its event
    says `explicit_release`.
    """

    EXPLICIT_RELEASE = "explicit_release"
    FAILED = "failed"
    AUTO_RELEASE = "auto_release"
    LOCK_EXPIRED = "lock_expired"
    FORCED = "forced"
    DELETED = "deleted"
    UNCONFIRMED = "unconfirmed"


LOSSES = frozenset({UnlockReason.LOCK_EXPIRED, UnlockReason.UNCONFIRMED, UnlockReason.FORCED})
"""Ends of a lease that its holder did not cause."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A hold on a task. Times in milliseconds since the epoch, `ttl` in milliseconds.

    An `unconfirmed` lease is shorter than its `ttl` until the first call of its holder.
    """

    task_id: int
    holder: str
    fence: int
    acquired_at: int
    expires_at: int
    ttl: int
    fenced: bool
    unconfirmed: bool = False

    @property
    def length(self) -> int:
        """Return the present length in milliseconds."""
        return self.expires_at - self.acquired_at if self.unconfirmed else self.ttl

    def live(self, now: int) -> bool:
        return self.expires_at > now


def unconfirmed_length(ttl: int, waited: int) -> int | None:
    """Return the length of a new lease until its holder confirms it, or None for the full length.

    A client that gave up on a waiting claim may not cancel it, and its task must not stay held for long. `waited` is
    how long the claim had waited. All times are in milliseconds.
    """
    if waited <= UNCONFIRMED_AFTER_SECONDS * 1000:
        return None
    return min(ttl, UNCONFIRMED_LEASE_SECONDS * 1000)


def held_by_another(lease: Lease) -> LockHeld:
    return LockHeld(
        f"task {lease.task_id} is held by {lease.holder} until {rfc3339(lease.expires_at)}",
        **_present(lease),
    )


def check_holder(lease: Lease | None, agent: str, fence: int | None, *, task_id: int, current_fence: int) -> None:
    """May `agent` write about the task under this lease? `lease` is the live lease or None; `fence` is what the
    agent sent.

    Raises LockHeld (another holds it), StaleFence (its lease ended: the fence moved on, or nobody holds the
    task now), or FenceRequired (the holder sent a fence before and left it out now).
    """
    if lease is not None and lease.holder != agent:
        if fence is not None and fence < lease.fence:
            raise _stale(lease, fence)
        raise held_by_another(lease)
    if lease is None:
        if fence is not None:
            raise StaleFence(
                f"fence {fence} no longer holds task {task_id}: that lease has ended and nobody holds the task now",
                task_id=task_id,
                holder=None,
                fence=current_fence,
                expires_at=None,
            )
        return
    if fence is None and lease.fenced:
        raise FenceRequired(f"task {task_id}: this lease is written with its fence", **_present(lease))
    if fence is not None and fence != lease.fence:
        raise _stale(lease, fence)


def not_held(task_id: int, agent: str, current_fence: int) -> NotHeld:
    return NotHeld(
        f"task {task_id} is not held by anyone, so {agent} has no lease to use",
        task_id=task_id,
        holder=None,
        fence=current_fence,
    )


def _stale(lease: Lease, fence: int) -> StaleFence:
    return StaleFence(
        f"fence {fence} is not the present fence of task {lease.task_id}: it is {lease.fence}, held by {lease.holder} "
        f"until {rfc3339(lease.expires_at)}",
        **_present(lease),
    )


def _present(lease: Lease) -> dict[str, Any]:
    return {
        "task_id": lease.task_id,
        "holder": lease.holder,
        "fence": lease.fence,
        "expires_at": rfc3339(lease.expires_at),
    }
