"""Clocks of the program. Only logs and metrics read others. Instants are integers: milliseconds since the UTC epoch."""

import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Protocol

MAX_INSTANT = 253_402_300_799_999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LEAP_SECOND = re.compile(r"(?<=\d\d:\d\d):60(?:\.\d+)?(?=[Z+-])")


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME_NAMESPACE = Path("/proc/self/ns/time")


class Clock(Protocol):
    """Interface of the wall clock, and of the boot time clock, which cannot be set. Tests implement their own."""

    def now(self) -> int:
        """Return the wall clock in milliseconds since the epoch."""
        ...

    def boottime(self) -> int:
        """Return the milliseconds since the machine started, including suspend. It never jumps."""
        ...

    def boot_id(self) -> str:
        """Return the id of the current boot, or an empty string when the system has none."""
        ...


class SystemClock:
    """Clocks of the machine."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def boottime(self) -> int:
        return time.clock_gettime_ns(_BOOT_CLOCK) // 1_000_000

    def boot_id(self) -> str:
        return _boot_id()


_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@cache
def _boot_id() -> str:
    """Return the id of the boot and of the time namespace.

    A container with its own time namespace has another CLOCK_BOOTTIME than its host.
    """
    with suppress(OSError):
        return f"{_BOOT_ID.read_text().strip()} {_TIME_NAMESPACE.readlink()}"
    return ""


def monotonic() -> float:
    """Return seconds for measuring durations within this process."""
    return time.monotonic()


@lru_cache(maxsize=4096)
def rfc3339(instant: int) -> str:
    """Return an instant in the form `2026-11-23T10:00:00.000Z`."""
    seconds, milliseconds = divmod(instant, 1000)
    days, seconds = divmod(seconds, 86_400)
    minutes, seconds = divmod(seconds, 60)
    return f"{_format_day(days)}T{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{milliseconds:03d}Z"


def sortable_timestamp(instant: int) -> str:
    """Return an instant in the form `20261123T100000123Z`, for names that sort by time."""
    return re.sub(r"[-:.]", "", rfc3339(instant))


@lru_cache(maxsize=4096)
def _format_day(days: int) -> str:
    """Return the date of a day since the epoch. A board has thousands of instants, but few days."""
    return (_EPOCH + timedelta(days=days)).strftime("%Y-%m-%d")


class OutOfRange(ValueError):
    """Time outside the years 1970 to 9999."""


def parse_rfc3339(text: str) -> int:
    """Parse an RFC 3339 time or date and return the milliseconds since the epoch.

    A date without a time is midnight UTC. The leap second `:60` counts as the last millisecond of `:59`. Raises
    ValueError for another text or a time without an offset, and OutOfRange for a time before 1970 or after 9999.
    """
    text = text.strip().upper()
    moment = datetime.fromisoformat(_LEAP_SECOND.sub(":59.999", text))
    if moment.tzinfo is None:
        if len(text) > len("2026-11-23"):
            raise ValueError("the time has no offset from UTC")
        moment = moment.replace(tzinfo=UTC)
    instant = (moment - _EPOCH) // _MILLISECOND
    if not 0 <= instant <= MAX_INSTANT:
        raise OutOfRange("the time is not between the years 1970 and 9999")
    return instant
