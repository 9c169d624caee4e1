"""Delivery of messages with the responses of calls. A note counts as read with the next call of its agent."""

from collections.abc import Sequence

from project_manager.domain.actors import Role
from project_manager.domain.messages import DeliveredMessage, MessageKind
from project_manager.runtime.calls import Call
from project_manager.services import leases, messages
from project_manager.store import rare_states
from project_manager.store.transaction import Tx

AGENTS_REMEMBERED = 10_000


class MessageDelivery:
    """Delivery of messages. It remembers the notes that responses of this process have delivered.

    The next call of the agent acknowledges them. A process that ends first forgets them, so they are delivered again.
    """

    def __init__(self) -> None:
        self._notes: dict[str, tuple[int, tuple[int, ...]]] = {}

    def acknowledged_by(self, call: Call) -> tuple[int, ...]:
        """Return the ids of the messages that the call acknowledges: those that it names, and notes before it."""
        if not call.actor.is_agent or call.actor.role < Role.AGENT:
            return ()
        delivered_at, notes = self._notes.get(call.actor.id, (0, ()))
        return (*call.caller.ack, *(notes if call.called_at >= delivered_at else ()))

    def is_due(self, tx: Tx, call: Call) -> bool:
        """Return whether the call must write: acknowledge messages, confirm leases, or deliver messages."""
        if self.acknowledged_by(call):
            return True
        rare = rare_states.read(tx)
        if rare.unconfirmed and leases.has_unconfirmed(tx, call.called_at):
            return True
        return rare.messages and call.delivers_messages and messages.has_due(tx)

    def exchange(self, tx: Tx, call: Call) -> list[DeliveredMessage]:
        """Acknowledge messages, confirm the leases of the agent, and return messages for the response."""
        leases.confirm(tx, call.called_at)
        self.acknowledge(tx, call)
        return messages.deliver(tx) if call.delivers_messages else []

    def acknowledge(self, tx: Tx, call: Call) -> None:
        """Acknowledge the messages that the call acknowledges."""
        ids = self.acknowledged_by(call)
        if ids:
            messages.acknowledge_ids(tx, ids)

    def committed(self, call: Call, delivered: Sequence[DeliveredMessage], now: int) -> None:
        """Remember the notes of the response after its commit, and forget those that the call has acknowledged."""
        notes = tuple(message.id for message in delivered if message.kind == MessageKind.NOTE)
        delivered_at = self._notes.get(call.actor.id, (0, ()))[0]
        if not notes:
            if call.called_at >= delivered_at:
                self._notes.pop(call.actor.id, None)
            return
        if len(self._notes) > AGENTS_REMEMBERED:
            self._notes.clear()
        self._notes[call.actor.id] = (now, notes)
