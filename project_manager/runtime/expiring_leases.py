"""Leases of an agent that end soon: less than a third of their length is left."""

from project_manager.domain.leases import LockView
from project_manager.domain.limits import LEASE_SECONDS_MINIMUM
from project_manager.services import leases, serializers
from project_manager.store.transaction import Tx

AGENTS_REMEMBERED = 10_000


class ExpiringLeases:
    """Reader of the leases that end soon. For each agent, it remembers the time before which no lease ends soon."""

    def __init__(self) -> None:
        self._not_before: dict[str, int] = {}

    def of(self, tx: Tx) -> list[LockView]:
        """Return the leases of the actor that end soon. Read the database only when there can be one.

        A lease that is claimed or renewed later reaches its last third only after two thirds of the minimum length.
        """
        agent = tx.actor.id
        if tx.now < self._not_before.get(agent, 0):
            return []
        first = leases.next_to_expire(tx)
        soon = [lease for lease in first if (lease.expires_at - tx.now) * 3 < lease.ttl]
        if not soon:
            new = tx.now + LEASE_SECONDS_MINIMUM * 2000 // 3
            if len(self._not_before) > AGENTS_REMEMBERED:
                self._not_before.clear()
            self._not_before[agent] = min([new, *(lease.expires_at - lease.ttl // 3 for lease in first)])
        return [serializers.lock(lease) for lease in soon]
