"""Use cases of the subscriptions of MCP sessions to resources, shared by all instances."""

from collections.abc import Collection

from project_manager.store import subscriptions
from project_manager.store.subscriptions import SubscriptionRow
from project_manager.store.transaction import Tx

RETENTION_MS = 24 * 3_600_000
"""Retention of subscriptions for sessions that stopped sending heartbeats, in milliseconds."""


def subscribe(tx: Tx, session_id: str, uri: str, owner: str, limit: int) -> bool:
    """Subscribe the session to a resource and return True.

    Return False without a change when the session has `limit` subscriptions.
    """
    if subscriptions.count(tx, session_id, owner) >= limit:
        return False
    subscriptions.enter(tx, uri, session_id, owner)
    return True


def unsubscribe(tx: Tx, session_id: str, uri: str, owner: str) -> None:
    """Remove one subscription of the session."""
    subscriptions.leave(tx, uri, session_id, owner)


def end_session(tx: Tx, session_id: str, owner: str) -> None:
    """Remove all subscriptions of the session."""
    subscriptions.remove_all(tx, session_id, owner)


def for_sessions(tx: Tx, sessions: Collection[str]) -> list[SubscriptionRow]:
    """Return the subscriptions of these sessions."""
    return subscriptions.for_sessions(tx, sessions)


def subscribers_of(tx: Tx, uris: Collection[str]) -> list[SubscriptionRow]:
    """Return the subscriptions to these resources."""
    return subscriptions.subscribers_of(tx, uris)


def renew(tx: Tx, sessions: Collection[str]) -> None:
    """Renew the heartbeat of these sessions."""
    subscriptions.keep(tx, sessions)


def forget_silent(tx: Tx) -> None:
    """Remove the subscriptions of sessions that stopped sending heartbeats."""
    subscriptions.forget(tx, tx.now - RETENTION_MS)
