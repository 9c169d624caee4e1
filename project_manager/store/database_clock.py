"""Database time: the clock that decides when leases expire, for every process on one database.

It never goes back. It advances at the rate of CLOCK_BOOTTIME and follows the wall clock forward. It follows a lead of
up to JUMP_MS at once, and a larger lead only if the wall clock still has it SETTLE_MS later. So leases still expire
when the wall clock is set back, or is wrong for a moment.
"""

import logging
from dataclasses import dataclass, replace

from project_manager.clock import Clock, rfc3339

log = logging.getLogger(__name__)

JUMP_MS = 3_600_000
SETTLE_MS = 60_000
DOWNTIME_MS = 30 * 24 * 3_600_000
"""Longest plausible time between two runs of the machine.

After a longer time the wall clock counts as wrong until SETTLE_MS have passed.
"""
KEEP_MS = 24 * 3_600_000
"""Pause of deletions by age after database time followed a jump, because the clock may still be corrected."""
STEP_MS = 1000


@dataclass(frozen=True, slots=True)
class ClockMark:
    """The clock as the database stores it. Times are in milliseconds.

    `latest` is the newest instant of a batch, to within STEP_MS. `offset` is database time minus CLOCK_BOOTTIME in the
    run `boot` of the machine. `jump_at` and `followed_at` are the CLOCK_BOOTTIME at which the wall clock was first too
    far ahead, and at which database time followed.
    """

    latest: int
    offset: int | None = None
    boot: str | None = None
    jump_at: int | None = None
    followed_at: int | None = None


class DatabaseClock:
    """Database time of one process. Only the writer's thread calls `load`, `tick`, `mark_due` and `committed`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._boot = clock.boot_id()
        self._last = 0
        self._offset: int | None = None
        self._jump_at: int | None = None
        self._followed_at: int | None = None
        self._stored = ClockMark(0)

    def now(self) -> int:
        """Return the current instant in milliseconds. It is never earlier than the instant of a previous batch."""
        wall, boot = self._clock.now(), self._clock.boottime()
        if self._offset is None:
            return max(wall, self._last)
        paced = boot + self._offset
        return max(paced, self._last, wall if wall - paced <= JUMP_MS else 0)

    def wall_clock_if_different(self) -> int | None:
        """Return the wall clock when database time differs from it by more than JUMP_MS, else None."""
        return None if self.is_in_sync() else self._clock.now()

    def difference(self) -> int:
        """Return the milliseconds by which database time is ahead of the wall clock."""
        return self.now() - self._clock.now()

    def is_in_sync(self) -> bool:
        """Return whether database time and wall clock differ by at most JUMP_MS."""
        return abs(self.difference()) <= JUMP_MS

    def may_delete(self) -> bool:
        """Return whether rows may be deleted by age. Return False while database time may be wrong."""
        settled = self._followed_at is None or self._clock.boottime() - self._followed_at > KEEP_MS
        return settled and self.is_in_sync()

    def load(self, mark: ClockMark) -> None:
        """Adopt the stored mark, which another process may have written."""
        wall, boot = self._clock.now(), self._clock.boottime()
        same_run = bool(self._boot) and mark.boot == self._boot
        # The larger offset wins, so that database time does not go back when another process was ahead.
        if same_run and mark.offset is not None:
            self._offset = mark.offset if self._offset is None else max(self._offset, mark.offset)
        elif self._offset is None:
            self._offset = max(mark.latest, wall if _is_plausible(mark.latest, wall) else 0) - boot
        self._offset = max(self._offset, mark.latest - boot)
        if not same_run:  # CLOCK_BOOTTIME starts again at each boot
            mark = replace(mark, jump_at=None, followed_at=None)
        if mark.jump_at != self._stored.jump_at:
            self._jump_at = mark.jump_at
        if mark.followed_at is not None:
            self._followed_at = mark.followed_at
        self._stored = mark

    def tick(self) -> int:
        """Advance to the instant of a new batch and return it."""
        wall = self._clock.now()  # first, so that a pause before the second reading is not taken for a lead
        boot = self._clock.boottime()
        offset = self._stored.latest - boot if self._offset is None else self._offset
        ahead = wall - boot - offset
        if ahead <= JUMP_MS:
            self._jump_at = None
            offset += max(ahead, 0)
        elif self._jump_has_settled(boot):
            log.warning(
                "database time advanced to the wall clock: %s", rfc3339(wall), extra={"action": "clock_jump_followed"}
            )
            offset += ahead
            self._jump_at, self._followed_at = None, boot
        self._offset = max(offset, self._last - boot)
        return boot + self._offset

    def mark_due(self, now: int) -> ClockMark | None:
        """Return the mark to store with a batch at `now`, or None while the stored one is recent enough."""
        mark = ClockMark(now, self._offset, self._boot, self._jump_at, self._followed_at)
        kept = self._stored
        changed = (mark.jump_at, mark.followed_at) != (kept.jump_at, kept.followed_at)
        return mark if changed or now - kept.latest >= STEP_MS else None

    def committed(self, now: int, mark: ClockMark | None) -> None:
        """Remember the instant of a durable batch, and the mark that it has stored."""
        self._last = now
        if mark is not None:
            self._stored = mark

    def _jump_has_settled(self, boot: int) -> bool:
        """Return whether the wall clock has been too far ahead for SETTLE_MS. Log the beginning of the lead."""
        if self._jump_at is None or self._jump_at > boot:
            self._jump_at = boot
            log.warning(
                "the wall clock jumped ahead; database time follows in %d s unless the clock is set back",
                SETTLE_MS // 1000,
                extra={"action": "clock_jumped"},
            )
        return boot - self._jump_at >= SETTLE_MS


def _is_plausible(high: int, wall: int) -> bool:
    """Return whether the machine may have been down from `high` to `wall`. `high` is 0 in a new database."""
    return high == 0 or wall - high <= DOWNTIME_MS
