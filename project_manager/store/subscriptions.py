"""Subscriptions of MCP sessions to resources, across all instances."""

import json
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from project_manager.store.statement import Statement, each
from project_manager.store.tables import mcp_subscriptions
from project_manager.store.transaction import Tx


class SubscriptionRow(NamedTuple):
    """A subscription of a session to a resource. `owner` is the actor that subscribed."""

    uri: str
    session_id: str
    owner: str


_table = mcp_subscriptions.c
_COLUMNS = [_table[name] for name in SubscriptionRow._fields]
_OF_SESSION = [_table.session_id == bindparam("session_id"), _table.owner == bindparam("owner")]
_ENTER = Statement(
    insert(mcp_subscriptions)
    .values(
        uri=bindparam("uri"), session_id=bindparam("session_id"), owner=bindparam("owner"), used_at=bindparam("now")
    )
    .on_conflict_do_update(
        index_elements=[_table.uri, _table.session_id],
        set_={"owner": bindparam("owner"), "used_at": bindparam("now")},
    )
)
_LEAVE = Statement(delete(mcp_subscriptions).where(_table.uri == bindparam("uri"), *_OF_SESSION))
_LEAVE_ALL = Statement(delete(mcp_subscriptions).where(*_OF_SESSION))
_COUNT = Statement(select(func.count()).select_from(mcp_subscriptions).where(*_OF_SESSION))
_SUBSCRIBERS_OF = Statement(select(*_COLUMNS).where(_table.uri.in_(select(each(bindparam("uris")).c.value))))
_FOR_SESSIONS = Statement(select(*_COLUMNS).where(_table.session_id.in_(select(each(bindparam("sessions")).c.value))))
_KEEP = Statement(
    update(mcp_subscriptions)
    .where(_table.session_id.in_(select(each(bindparam("sessions")).c.value)))
    .values(used_at=bindparam("now"))
)
_FORGET = Statement(delete(mcp_subscriptions).where(_table.used_at < bindparam("before")))


def enter(tx: Tx, uri: str, session_id: str, owner: str) -> None:
    """Insert a subscription, or update its owner and its time of use."""
    _ENTER.run(tx, uri=uri, session_id=session_id, owner=owner, now=tx.now)


def leave(tx: Tx, uri: str, session_id: str, owner: str) -> None:
    """Delete the owner's subscription of a session to a resource."""
    _LEAVE.run(tx, uri=uri, session_id=session_id, owner=owner)


def remove_all(tx: Tx, session_id: str, owner: str) -> None:
    """Delete the owner's subscriptions of a session."""
    _LEAVE_ALL.run(tx, session_id=session_id, owner=owner)


def count(tx: Tx, session_id: str, owner: str) -> int:
    """Return the number of the owner's subscriptions of a session."""
    return int(_COUNT.value(tx, session_id=session_id, owner=owner))


def subscribers_of(tx: Tx, uris: Iterable[str]) -> list[SubscriptionRow]:
    """Return the subscriptions to these resources."""
    return [SubscriptionRow._make(row) for row in _SUBSCRIBERS_OF.rows(tx, uris=json.dumps(list(uris)))]


def for_sessions(tx: Tx, sessions: Iterable[str]) -> list[SubscriptionRow]:
    """Return the subscriptions of these sessions."""
    return [SubscriptionRow._make(row) for row in _FOR_SESSIONS.rows(tx, sessions=json.dumps(list(sessions)))]


def keep(tx: Tx, sessions: Iterable[str]) -> None:
    """Set the time of use of the subscriptions of these sessions to now."""
    _KEEP.run(tx, sessions=json.dumps(list(sessions)), now=tx.now)


def forget(tx: Tx, before: int) -> int:
    """Delete the subscriptions last used before the instant `before` (milliseconds) and return their number."""
    return _FORGET.run(tx, before=before)
