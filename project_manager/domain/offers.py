"""Offers: a task that is ready for one agent only, for a limited time."""

from enum import StrEnum

OFFER_MS = 10 * 60 * 1000
"""Longest time of an offer."""
SEEN_WITHIN_MS = 2 * 60 * 1000
"""An offer ends when its agent has made no call for this long."""


class OfferReason(StrEnum):
    """Reason for an offer."""

    REWORK = "rework"
    ANSWER = "answer"
    ASSIGNED = "assigned"


def ends_at(until: int, last_seen: int) -> int:
    """Return the instant when an offer ends, from its latest end and the last call of its agent (milliseconds)."""
    return min(until, last_seen + SEEN_WITHIN_MS)
