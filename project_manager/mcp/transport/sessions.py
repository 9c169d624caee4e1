"""The sessions of 2025-era clients. A session is a small record; the SDK's machinery is made when it
needs a stream.

Because a record can be made again from the id alone, a session outlives a restart, an idle reap, and the
instance that
opened it: the id is the only thing that a client has to keep.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from mcp.server.connection import Connection
from mcp.types import InitializeRequestParams

from project_manager.clock import monotonic
from project_manager.mcp.profiles import ToolProfile
from project_manager.mcp.transport.live import LiveSession
from project_manager.mcp.transport.sdk import Greeting

_ID = re.compile(r"[\x21-\x7e]{1,128}")
_ENDED_KEPT = 10_000


@dataclass(eq=False)
class Session:
    """One 2025-era session: who opened it, in which version, and its live part if it has one."""

    id: str
    owner: str
    version: str
    params: InitializeRequestParams | None
    profile: ToolProfile
    used: float = field(default_factory=monotonic)
    live: LiveSession | None = None
    active: int = 0
    """Requests and streams that are open now: such a session is never reaped or evicted."""

    @property
    def greeting(self) -> Greeting:
        return Greeting(self.version, self.params, greeted=True)


class SessionGone(Exception):
    """The client ended this session, or it is somebody else's."""


class NoRoom(Exception):
    """Every session that may exist is in use at this moment."""


class Sessions:
    """At most `limit` sessions. The one that was idle longest makes room for a new one: its client does
    not notice."""

    def __init__(self, limit: int, idle_seconds: float, opened: Callable[[], None], closed: Callable[[], None]) -> None:
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._opened = opened
        self._closed = closed
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, connection: Connection, owner: str, profile: ToolProfile) -> Session:
        """A new session for a client that has just introduced itself. Raises NoRoom."""
        return self._add(uuid4().hex, owner, connection.protocol_version, connection.client_params, profile)

    def find(self, session_id: str, owner: str, version: str, profile: ToolProfile) -> Session:
        """The session of that id: known, or taken over from before a restart or from another instance.

        Raises SessionGone, NoRoom.
        """
        session = self._sessions.get(session_id)
        if session is None:
            if session_id in self._ended or not _ID.fullmatch(session_id):
                raise SessionGone
            return self._add(session_id, owner, version, None, profile)
        if session.owner != owner:
            raise SessionGone
        self._note_use(session)
        return session

    @contextmanager
    def in_use(self, session: Session) -> Iterator[None]:
        """A request or stream of the session is open: it stays."""
        session.active += 1
        try:
            yield
        finally:
            session.active -= 1
            self._note_use(session)

    def end(self, session: Session) -> None:
        """Its client is done with it: the id is refused from now on."""
        self._drop(session)
        self._ended[session.id] = None
        if len(self._ended) > _ENDED_KEPT:
            self._ended.popitem(last=False)

    def all(self) -> list[Session]:
        return list(self._sessions.values())

    def reap(self) -> None:
        """Forgets the sessions that were idle for too long. Their clients may go on all the same."""
        oldest = monotonic() - self._idle_seconds
        for session in self.all():
            if session.used > oldest:
                return
            if not session.active:
                self._drop(session)

    def _add(
        self, session_id: str, owner: str, version: str, params: InitializeRequestParams | None, profile: ToolProfile
    ) -> Session:
        if len(self._sessions) >= self._limit:
            self._make_room()
        session = Session(session_id, owner, version, params, profile)
        self._sessions[session_id] = session
        self._opened()
        return session

    def _note_use(self, session: Session) -> None:
        """The sessions stand in the order in which they were used last."""
        session.used = monotonic()
        if self._sessions.get(session.id) is session:
            self._sessions.move_to_end(session.id)

    def _make_room(self) -> None:
        idle = next((session for session in self._sessions.values() if not session.active), None)
        if idle is None:
            raise NoRoom
        self._drop(idle)

    def _drop(self, session: Session) -> None:
        if self._sessions.pop(session.id, None) is None:
            return
        if session.live is not None:
            session.live.stop()
        self._closed()
