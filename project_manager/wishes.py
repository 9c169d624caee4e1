"""Of which resources the sessions of MCP want to hear, kept in the database: any instance takes a wish, and the one
that holds the session's stream fulfils it, after a restart as well.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from project_manager.domain.actors import SYSTEM
from project_manager.runtime import Runtime
from project_manager.services import subscriptions
from project_manager.store.subscriptions import SubscriptionRow


@dataclass(frozen=True, slots=True)
class Wish:
    """A session of one owner, and a resource that it wants to hear of."""

    uri: str
    session_id: str
    owner: str


class Wishes:
    """The wishes of all sessions. Each method raises ProjectManagerError when the database does not answer."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def add(self, wish: Wish, limit: int) -> bool:
        """Returns when it is durable; False when the session has as many as it may."""
        work = partial(subscriptions.subscribe, session_id=wish.session_id, uri=wish.uri, owner=wish.owner, limit=limit)
        taken: bool = await self._runtime.database.writer.run("subscribe", work, SYSTEM, "")
        return taken

    async def remove(self, wish: Wish) -> None:
        work = partial(subscriptions.unsubscribe, session_id=wish.session_id, uri=wish.uri, owner=wish.owner)
        await self._runtime.database.writer.run("unsubscribe", work, SYSTEM, "")

    async def end_session(self, session_id: str, owner: str) -> None:
        """The session was ended by its client. Most never wished for anything, and cost no write."""
        if await self.of([session_id]):
            work = partial(subscriptions.end_session, session_id=session_id, owner=owner)
            await self._runtime.database.writer.run("end_session", work, SYSTEM, "")

    async def of(self, sessions: Collection[str]) -> list[Wish]:
        """What these sessions want to hear of."""
        rows = await self._runtime.read("wishes_of", partial(subscriptions.of_sessions, sessions=sessions))
        return _wishes(rows)

    async def wanting(self, uris: Collection[str]) -> list[Wish]:
        """Who wants to hear of these resources."""
        return _wishes(await self._runtime.read("wishes_for", partial(subscriptions.wanting, uris=uris)))

    async def keep(self, sessions: Collection[str]) -> None:
        """These sessions listen still."""
        work = partial(subscriptions.keep, sessions=sessions)
        await self._runtime.database.writer.run("keep_wishes", work, SYSTEM, "")


def _wishes(rows: list[SubscriptionRow]) -> list[Wish]:
    return [Wish(row.uri, row.session_id, row.owner) for row in rows]
