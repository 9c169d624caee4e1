"""Subscriptions of MCP sessions to resources, stored in the database.

Any instance accepts a subscription. The instance with the stream of the session sends the notifications, also after a
restart.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from project_manager.domain.actors import SYSTEM
from project_manager.runtime.dispatch import Runtime
from project_manager.services import subscriptions
from project_manager.store.subscriptions import SubscriptionRow


@dataclass(frozen=True, slots=True)
class ResourceSubscription:
    """A session of one owner, and a resource that it is subscribed to."""

    uri: str
    session_id: str
    owner: str


class ResourceSubscriptions:
    """The subscriptions of all sessions. Each method raises ProjectManagerError when the database does not answer."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def add(self, subscription: ResourceSubscription, limit: int) -> bool:
        """Store a subscription durably. Return False when the session has reached `limit`."""
        work = partial(
            subscriptions.subscribe,
            session_id=subscription.session_id,
            uri=subscription.uri,
            owner=subscription.owner,
            limit=limit,
        )
        taken: bool = await self._runtime.database.writer.run("subscribe", work, SYSTEM, "")
        return taken

    async def remove(self, one: ResourceSubscription) -> None:
        work = partial(subscriptions.unsubscribe, session_id=one.session_id, uri=one.uri, owner=one.owner)
        await self._runtime.database.writer.run("unsubscribe", work, SYSTEM, "")

    async def end_session(self, session_id: str, owner: str) -> None:
        """Delete the subscriptions of a session that its client has ended.

        Most sessions have none, and cost no write.
        """
        if await self.for_sessions([session_id]):
            work = partial(subscriptions.end_session, session_id=session_id, owner=owner)
            await self._runtime.database.writer.run("end_session", work, SYSTEM, "")

    async def for_sessions(self, sessions: Collection[str]) -> list[ResourceSubscription]:
        """Return the subscriptions of these sessions."""
        rows = await self._runtime.read("subscriptions_of", partial(subscriptions.for_sessions, sessions=sessions))
        return _subscriptions(rows)

    async def subscribers_of(self, uris: Collection[str]) -> list[ResourceSubscription]:
        """Return the subscriptions to these resources."""
        return _subscriptions(await self._runtime.read("subscribers", partial(subscriptions.subscribers_of, uris=uris)))

    async def renew(self, sessions: Collection[str]) -> None:
        """Record a heartbeat of these sessions, so that retention keeps their subscriptions."""
        work = partial(subscriptions.renew, sessions=sessions)
        await self._runtime.database.writer.run("keep_subscriptions", work, SYSTEM, "")


def _subscriptions(rows: list[SubscriptionRow]) -> list[ResourceSubscription]:
    return [ResourceSubscription(row.uri, row.session_id, row.owner) for row in rows]
