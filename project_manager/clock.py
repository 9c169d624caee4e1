"""Time: the one place that reads a clock. Instants are integers, milliseconds since the epoch, UTC."""

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

LAST_INSTANT = 253_402_300_799_999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LEAP_SECOND = re.compile(r"(?<=\d\d:\d\d):60(?:\.\d+)?(?=[Z+-])")


class Clock(Protocol):
    """Where `now` comes from. Tests move theirs."""

    def now(self) -> int:
        """Milliseconds since the epoch."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


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


def parse_rfc3339(text: str) -> int:
    """Milliseconds since the epoch. A date alone is its midnight UTC; a leap second is the last millisecond before
    it; a time without an offset is refused by ValueError.
    """
    text = text.strip().upper()
    moment = datetime.fromisoformat(_LEAP_SECOND.sub(":59.999", text))
    if moment.tzinfo is None:
        if len(text) > len("2026-11-23"):
            raise ValueError("the time has no offset from UTC")
        moment = moment.replace(tzinfo=UTC)
    instant = (moment - _EPOCH) // _MILLISECOND
    if not 0 <= instant <= LAST_INSTANT:
        raise ValueError("the time is not between the years 1970 and 9999")
    return instant
