"""The only module that reads a clock. Instants are integers: milliseconds since the epoch, UTC."""

import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Protocol

LAST_INSTANT = 253_402_300_799_999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LEAP_SECOND = re.compile(r"(?<=\d\d:\d\d):60(?:\.\d+)?(?=[Z+-])")


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME_NAMESPACE = Path("/proc/self/ns/time")


class Clock(Protocol):
    """The wall clock, and one that cannot be set. Tests move theirs."""

    def now(self) -> int:
        """Return the wall clock in milliseconds since the epoch."""
        ...

    def boottime(self) -> int:
        """Return the milliseconds since the machine started, its sleep included. It never jumps."""
        ...

    def boot_id(self) -> str:
        """Return the name of the present run of the machine; empty when the system has none."""
        ...


class SystemClock:
    """The clocks of the machine."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def boottime(self) -> int:
        return time.clock_gettime_ns(_STEADY) // 1_000_000

    def boot_id(self) -> str:
        return _boot_id()


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@cache
def _boot_id() -> str:
    """A container with a time namespace of its own has another CLOCK_BOOTTIME than its host."""
    with suppress(OSError):
        return f"{_BOOT_ID.read_text().strip()} {_TIME_NAMESPACE.readlink()}"
    return ""


def monotonic() -> float:
    """Seconds for measuring durations within this process."""
    return time.monotonic()


@lru_cache(maxsize=4096)
def rfc3339(instant: int) -> str:
    """`2026-11-23T10:00:00.000Z`."""
    seconds, milliseconds = divmod(instant, 1000)
    return f"{_to_the_second(seconds)}.{milliseconds:03d}Z"


def stamp(instant: int) -> str:
    """Return `20261123T100000123Z`: names that sort by time."""
    return re.sub(r"[-:.]", "", rfc3339(instant))


@lru_cache(maxsize=4096)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class OutOfRange(ValueError):
    """A time that is not between the years 1970 and 9999."""


def parse_rfc3339(text: str) -> int:
    """Milliseconds since the epoch. A date alone is its midnight UTC; a leap second is the last millisecond before
    it; a time without an offset is refused by ValueError, one before 1970 or after 9999 by OutOfRange.
    """
    text = text.strip().upper()
    moment = datetime.fromisoformat(_LEAP_SECOND.sub(":59.999", text))
    if moment.tzinfo is None:
        if len(text) > len("2026-11-23"):
            raise ValueError("the time has no offset from UTC")
        moment = moment.replace(tzinfo=UTC)
    instant = (moment - _EPOCH) // _MILLISECOND
    if not 0 <= instant <= LAST_INSTANT:
        raise OutOfRange("the time is not between the years 1970 and 9999")
    return instant
