"""Messages to agents and people: kinds, states, and the part that fits into the response of another call."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class MessageKind(StrEnum):
    """Kind of a message. A stop ends leases. A steer must be acknowledged, a note is read with the next call."""

    NOTE = "note"
    STEER = "steer"
    STOP = "stop"


class MessageState(StrEnum):
    """State of a message. An acknowledged message does not expire."""

    SENT = "sent"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    EXPIRED = "expired"


LIFETIME_MS = 24 * 3_600_000
REPEAT_MS = 60_000
"""Time after which an unacknowledged message is delivered again."""
DELIVERED_AT_ONCE = 3
DELIVERED_BYTES = 2400
"""Maximum size of the messages in one response: 600 tokens of 4 bytes."""
_SHORTEST_BODY = 40


# orjson encodes a dataclass without slots three times as fast.
@dataclass
class DeliveredMessage:
    """A message in the response of another call. Acknowledge it by its id. `body_cut` is whether the body is cut."""

    id: int
    kind: str
    sender: str
    body: str
    task_id: int | None
    project_id: int | None
    sent_at: str
    body_cut: bool = False


def state_of(*, delivered: bool, acknowledged: bool, expired: bool) -> MessageState:
    """Return the state of a message from the facts about its receipts and its expiry."""
    if acknowledged:
        return MessageState.ACKNOWLEDGED
    if expired:
        return MessageState.EXPIRED
    return MessageState.DELIVERED if delivered else MessageState.SENT


def fitting(messages: Iterable[DeliveredMessage]) -> list[DeliveredMessage]:
    """Return the first messages that fit into one response. The body of the last one may be cut."""
    found: list[DeliveredMessage] = []
    room = DELIVERED_BYTES
    for message in messages:
        if len(found) == DELIVERED_AT_ONCE:
            break
        fit = _cut(message, room)
        if fit is None:
            break
        found.append(fit)
        room -= _size(fit)
    return found


def _cut(message: DeliveredMessage, room: int) -> DeliveredMessage | None:
    """Return the message with the part of its body that fits, or None if less than _SHORTEST_BODY characters fit."""
    body = message.body
    while _size(message) > room:
        if len(body) <= _SHORTEST_BODY:
            return None
        body = body[: max(_SHORTEST_BODY, len(body) - max(8, (_size(message) - room) // 4))]
        message = replace(message, body=body, body_cut=True)
    return message


def _size(message: DeliveredMessage) -> int:
    return len(json.dumps(vars(message), ensure_ascii=False).encode()) + 1
