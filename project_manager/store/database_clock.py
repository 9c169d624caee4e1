"""Database time: the instant by which leases are judged, for every process on one database.

It never steps back. It goes on at the pace of CLOCK_BOOTTIME and follows the wall clock forward: at once by up to
JUMP_MS, and further only when the wall clock still stands there SETTLE_MS later. So neither a wall clock that is set
back nor one that is wrong for a moment stops the leases from ending.
"""

import logging
from dataclasses import dataclass, replace

from project_manager.clock import Clock, rfc3339

log = logging.getLogger(__name__)

JUMP_MS = 3_600_000
SETTLE_MS = 60_000
DOWNTIME_MS = 30 * 24 * 3_600_000
"""A longer time between two runs of the machine is taken for a wrong wall clock until SETTLE_MS have passed."""
KEEP_MS = 24 * 3_600_000
"""How long deletions by age wait after a jump was followed: the clock may still be set right."""
STEP_MS = 1000


@dataclass(frozen=True, slots=True)
class Mark:
    """The clock as the database stores it.

    `high` is the latest instant that a batch has used, to within STEP_MS. `offset` is database time minus
    CLOCK_BOOTTIME in the run `boot` of the machine. `jump_at` and `followed_at` are instants of CLOCK_BOOTTIME: when
    the wall clock was first seen too far ahead, and when such a jump was last followed.
    """

    high: int
    offset: int | None = None
    boot: str | None = None
    jump_at: int | None = None
    followed_at: int | None = None


class DatabaseClock:
    """Database time of one process. `load`, `tick`, `mark_due` and `committed` belong to the writer's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._boot = clock.boot_id()
        self._last = 0
        self._offset: int | None = None
        self._jump_at: int | None = None
        self._followed_at: int | None = None
        self._stored = Mark(0)

    def now(self) -> int:
        """Return the present instant, never before one that a batch has used."""
        wall, boot = self._clock.now(), self._clock.boottime()
        if self._offset is None:
            return max(wall, self._last)
        paced = boot + self._offset
        return max(paced, self._last, wall if wall - paced <= JUMP_MS else 0)

    def wall_apart(self) -> int | None:
        """Return the wall clock when database time differs from it by more than JUMP_MS, else None."""
        return None if self.agrees() else self._clock.now()

    def difference(self) -> int:
        """Return by how many milliseconds database time is ahead of the wall clock."""
        return self.now() - self._clock.now()

    def agrees(self) -> bool:
        """Return whether database time and wall clock differ by JUMP_MS at most."""
        return abs(self.difference()) <= JUMP_MS

    def may_delete(self) -> bool:
        """Return whether rows may be deleted by their age: not by a time that may be wrong."""
        settled = self._followed_at is None or self._clock.boottime() - self._followed_at > KEEP_MS
        return settled and self.agrees()

    def load(self, mark: Mark) -> None:
        """Take over what the database says, which another process may have written."""
        wall, boot = self._clock.now(), self._clock.boottime()
        same_run = bool(self._boot) and mark.boot == self._boot
        if same_run and mark.offset is not None:
            self._offset = mark.offset if self._offset is None else max(self._offset, mark.offset)
        elif self._offset is None:
            self._offset = max(mark.high, wall if _is_plausible(mark.high, wall) else 0) - boot
        self._offset = max(self._offset, mark.high - boot)
        if not same_run:
            mark = replace(mark, jump_at=None, followed_at=None)
        if mark.jump_at != self._stored.jump_at:
            self._jump_at = mark.jump_at
        if mark.followed_at is not None:
            self._followed_at = mark.followed_at
        self._stored = mark

    def tick(self) -> int:
        """Advance to the instant of a new batch and return it."""
        wall = self._clock.now()  # read first: a pause before the second reading must not count as a lead of the wall
        boot = self._clock.boottime()
        offset = self._stored.high - boot if self._offset is None else self._offset
        ahead = wall - boot - offset
        if ahead <= JUMP_MS:
            self._jump_at = None
            offset += max(ahead, 0)
        elif self._has_stood(boot):
            log.warning(
                "database time follows the wall clock to %s", rfc3339(wall), extra={"action": "clock_jump_followed"}
            )
            offset += ahead
            self._jump_at, self._followed_at = None, boot
        self._offset = max(offset, self._last - boot)
        return boot + self._offset

    def mark_due(self, now: int) -> Mark | None:
        """Return the mark to store with a batch of this instant, or None while the stored one is good enough."""
        mark = Mark(now, self._offset, self._boot, self._jump_at, self._followed_at)
        kept = self._stored
        changed = (mark.jump_at, mark.followed_at) != (kept.jump_at, kept.followed_at)
        return mark if changed or now - kept.high >= STEP_MS else None

    def committed(self, now: int, mark: Mark | None) -> None:
        """Remember the instant of a batch that is durable, and the mark that it has stored."""
        self._last = now
        if mark is not None:
            self._stored = mark

    def _has_stood(self, boot: int) -> bool:
        """Return whether the wall clock was too far ahead for SETTLE_MS; note when it was first seen there."""
        if self._jump_at is None or self._jump_at > boot:
            self._jump_at = boot
            log.warning(
                "the wall clock jumped ahead: database time follows it if it still stands in %d s",
                SETTLE_MS // 1000,
                extra={"action": "clock_jumped"},
            )
        return boot - self._jump_at >= SETTLE_MS


def _is_plausible(high: int, wall: int) -> bool:
    """Return whether the machine may have been down from `high` to `wall`; a new database was never used before."""
    return high == 0 or wall - high <= DOWNTIME_MS
