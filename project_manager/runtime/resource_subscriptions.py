"""To which resources the sessions of MCP are subscribed, kept in the database: any instance takes a subscription, and
the one that holds the session's stream tells of changes, after a restart as well.
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
    """A session of one owner, and a resource of whose changes it wants to hear."""

    uri: str
    session_id: str
    owner: str


class ResourceSubscriptions:
    """Those of all sessions. Each method raises ProjectManagerError when the database does not answer."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def add(self, one: ResourceSubscription, limit: int) -> bool:
        """Returns when it is durable; False when the session has as many as it may."""
        work = partial(subscriptions.subscribe, session_id=one.session_id, uri=one.uri, owner=one.owner, limit=limit)
        taken: bool = await self._runtime.database.writer.run("subscribe", work, SYSTEM, "")
        return taken

    async def remove(self, one: ResourceSubscription) -> None:
        work = partial(subscriptions.unsubscribe, session_id=one.session_id, uri=one.uri, owner=one.owner)
        await self._runtime.database.writer.run("unsubscribe", work, SYSTEM, "")

    async def end_session(self, session_id: str, owner: str) -> None:
        """The session was ended by its client. Most never subscribed to anything, and cost no write."""
        if await self.of([session_id]):
            work = partial(subscriptions.end_session, session_id=session_id, owner=owner)
            await self._runtime.database.writer.run("end_session", work, SYSTEM, "")

    async def of(self, sessions: Collection[str]) -> list[ResourceSubscription]:
        """What these sessions are subscribed to."""
        rows = await self._runtime.read("subscriptions_of", partial(subscriptions.of_sessions, sessions=sessions))
        return _subscriptions(rows)

    async def wanting(self, uris: Collection[str]) -> list[ResourceSubscription]:
        """Who is subscribed to these resources."""
        return _subscriptions(await self._runtime.read("subscribers", partial(subscriptions.wanting, uris=uris)))

    async def keep(self, sessions: Collection[str]) -> None:
        """These sessions listen still."""
        work = partial(subscriptions.keep, sessions=sessions)
        await self._runtime.database.writer.run("keep_subscriptions", work, SYSTEM, "")


def _subscriptions(rows: list[SubscriptionRow]) -> list[ResourceSubscription]:
    return [ResourceSubscription(row.uri, row.session_id, row.owner) for row in rows]
