"""Use cases of the sessions of MCP: to which resources they are subscribed, whichever instance a request reaches."""

from collections.abc import Collection

from project_manager.store import subscriptions
from project_manager.store.subscriptions import SubscriptionRow
from project_manager.store.transaction import Tx

KEPT_MS = 24 * 3_600_000
"""How long the subscriptions of a session are kept of which nothing is heard."""


def subscribe(tx: Tx, session_id: str, uri: str, owner: str, limit: int) -> bool:
    """False, and nothing done, when the session has as many subscriptions as it may."""
    if subscriptions.count(tx, session_id, owner) >= limit:
        return False
    subscriptions.enter(tx, uri, session_id, owner)
    return True


def unsubscribe(tx: Tx, session_id: str, uri: str, owner: str) -> None:
    subscriptions.leave(tx, uri, session_id, owner)


def end_session(tx: Tx, session_id: str, owner: str) -> None:
    subscriptions.leave_all(tx, session_id, owner)


def of_sessions(tx: Tx, sessions: Collection[str]) -> list[SubscriptionRow]:
    """What these sessions are subscribed to."""
    return subscriptions.of(tx, sessions)


def wanting(tx: Tx, uris: Collection[str]) -> list[SubscriptionRow]:
    """Who is subscribed to these resources."""
    return subscriptions.to(tx, uris)


def keep(tx: Tx, sessions: Collection[str]) -> None:
    """These sessions listen still."""
    subscriptions.keep(tx, sessions)


def forget_silent(tx: Tx) -> None:
    subscriptions.forget(tx, tx.now - KEPT_MS)
