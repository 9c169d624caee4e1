"""Refused tokens: each is counted. Repeated failures of an address delay its responses and limit its log lines."""

import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from project_manager.clock import monotonic
from project_manager.observability.logging import log_action

log = logging.getLogger(__name__)

FAILURES_WITHOUT_DELAY = 3
FIRST_DELAY_SECONDS = 0.05
LONGEST_DELAY_SECONDS = 1.0
FORGET_SECONDS = 60.0
ADDRESSES_REMEMBERED = 10_000
DELAYED_AT_ONCE = 1_000
"""Limit on responses that are delayed at the same time. Further ones are sent at once, to bound memory."""

IPV6_CLIENT_BITS = 64
LINES_AT_ONCE = 5
LOG_AGAIN_SECONDS = 10.0
"""Minimum time between two log lines of an address, after one line for each of its first LINES_AT_ONCE failures."""


@dataclass(slots=True)
class _Failures:
    """The failures of one address. `newest` and `logged` are in seconds of `monotonic`."""

    number: int = 0
    newest: float = 0.0
    logged: float = 0.0


class RefusedTokens:
    """The refused tokens of one process. `count` increments the metric."""

    def __init__(self, count: Callable[[], None]) -> None:
        self._count = count
        self._failures: dict[str, _Failures] = {}
        self._delayed = 0
        self._ended = anyio.Event()

    def end_delays(self) -> None:
        """Send the delayed responses at once for the shutdown. Later responses are not delayed."""
        self._ended.set()

    async def record_refusal(self, address: str) -> None:
        """Record a refused token of this address, and return when the response may be sent."""
        delay = self.record(address, monotonic())
        if delay and self._delayed < DELAYED_AT_ONCE:
            self._delayed += 1
            try:
                with anyio.move_on_after(delay):
                    await self._ended.wait()
            finally:
                self._delayed -= 1

    def record(self, address: str, now: float) -> float:
        """Count and log a failure at `now`, in seconds of `monotonic`. Return the delay of the response in seconds."""
        self._count()
        network = _client_network(address)
        failures = self._failures.pop(network, None)
        if failures is None or now - failures.newest > FORGET_SECONDS:
            failures = _Failures()
        failures.number += 1
        failures.newest = now
        self._failures[network] = failures  # the newest is last, so that the oldest is dropped first
        if len(self._failures) > ADDRESSES_REMEMBERED:
            del self._failures[next(iter(self._failures))]
        delay = _delay(failures.number)
        if failures.number <= LINES_AT_ONCE or now - failures.logged >= LOG_AGAIN_SECONDS:
            failures.logged = now
            fields = {"address": address[:100], "failures": failures.number, "delay_milliseconds": round(delay * 1000)}
            log_action(log, "token_refused", logging.WARNING, **fields)
        return delay


def _delay(failures: int) -> float:
    """Return the delay after so many failures, in seconds. It doubles up to LONGEST_DELAY_SECONDS."""
    doublings = failures - FAILURES_WITHOUT_DELAY - 1
    if doublings < 0:
        return 0.0
    return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * float(2 ** min(doublings, 10)))


def _client_network(address: str) -> str:
    """Return an IPv4 address as it is, the /64 network of an IPv6 address, or 100 characters of another text."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found), IPV6_CLIENT_BITS), strict=False))
