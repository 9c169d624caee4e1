"""The table of sessions of the 2025 protocol versions."""

import pytest

from project_manager.mcp.profiles import NO_PROFILE
from project_manager.mcp.transport import sessions
from project_manager.mcp.transport.sdk import LATEST_HANDSHAKE_VERSION, single_connection
from project_manager.mcp.transport.sessions import NoRoom, Session, SessionGone, Sessions


class Table:
    """A session table with counts of opened and closed sessions."""

    def __init__(self, limit: int = 2, idle_seconds: float = 60.0) -> None:
        self.opened = self.closed = 0
        self.sessions = Sessions(limit, idle_seconds, self._open, self._close)

    def _open(self) -> None:
        self.opened += 1

    def _close(self) -> None:
        self.closed += 1

    def open(self, owner: str = "ann") -> Session:
        return self.sessions.open(single_connection(LATEST_HANDSHAKE_VERSION), owner, NO_PROFILE)

    def find(self, session_id: str, owner: str = "ann") -> Session:
        return self.sessions.find(session_id, owner, "2025-03-26", NO_PROFILE)


def test_an_open_session_is_found_again() -> None:
    table = Table()
    session = table.open()
    assert table.find(session.id) is session
    assert session.version == LATEST_HANDSHAKE_VERSION


def test_an_id_of_another_instance_is_taken_over() -> None:
    table = Table()
    assert table.find("opened-by-another-instance").version == "2025-03-26"
    assert len(table.sessions) == 1


@pytest.mark.parametrize("session_id", ["", "with blank", "ünïcode", "x" * 129, "new\nline"])
def test_an_invalid_id_is_not_taken_over(session_id: str) -> None:
    with pytest.raises(SessionGone):
        Table().find(session_id)


def test_an_ended_session_is_never_taken_over_again() -> None:
    table = Table()
    session = table.open()
    table.sessions.end(session)
    with pytest.raises(SessionGone):
        table.find(session.id)
    assert (table.opened, table.closed) == (1, 1)


def test_a_session_is_accessible_only_to_its_owner() -> None:
    table = Table()
    session = table.open("ann")
    with pytest.raises(SessionGone):
        table.find(session.id, "bob")


def test_the_longest_idle_session_makes_room() -> None:
    table = Table(limit=2)
    first, second = table.open(), table.open()
    table.find(first.id)
    third = table.open()
    assert {found.id for found in table.sessions.all()} == {first.id, third.id}
    assert second not in table.sessions.all()


def test_a_session_with_a_just_ended_stream_is_not_the_longest_idle_one() -> None:
    table = Table(limit=2)
    streaming = table.open()
    with table.sessions.in_use(streaming):
        idle = table.open()
    third = table.open()
    assert {found.id for found in table.sessions.all()} == {streaming.id, third.id}
    assert idle not in table.sessions.all()


def test_a_session_with_a_just_ended_stream_hides_no_idle_ones_from_the_reaper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(sessions, "monotonic", lambda: now[0])
    table = Table(limit=3, idle_seconds=60.0)
    streaming = table.open()
    with table.sessions.in_use(streaming):
        for session in (table.open(), table.open()):
            session.used = now[0]
        now[0] = 100.0
    table.sessions.reap()
    assert table.sessions.all() == [streaming]


def test_a_session_in_use_is_never_dropped() -> None:
    table = Table(limit=1, idle_seconds=-1.0)
    session = table.open()
    with table.sessions.in_use(session):
        table.sessions.reap()
        assert len(table.sessions) == 1
        with pytest.raises(NoRoom):
            table.open()
    table.sessions.reap()
    assert len(table.sessions) == 0


def test_ended_sessions_are_remembered_within_bounds() -> None:
    table = Table(limit=1)
    for _ in range(10_050):
        table.sessions.end(table.open())
    assert len(table.sessions._ended) == 10_000
