"""Identities of callers, cached for IDENTITY_SECONDS.

These are the actors of tokens, and the agent ids of bound tokens. A bound token acts only as its agent.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from project_manager.clock import monotonic
from project_manager.domain.actors import Actor, Role, is_reserved
from project_manager.domain.errors import AgentMismatch
from project_manager.services import tokens
from project_manager.store.transaction import Tx

IDENTITY_SECONDS = 1.0
CACHE_SIZE = 10_000

Read = Callable[[str, Callable[[Tx], Any]], Awaitable[Any]]
"""A function that runs a named read on a reader thread."""


class IdentityCache:
    """A cache of the identities of callers. With `required`, a caller without a token is refused."""

    def __init__(self, read: Read, *, required: bool) -> None:
        self._read = read
        self._required = required
        self._actors = _TtlCache()
        self._bound = _TtlCache()

    async def identify(self, secret: str | None) -> Actor:
        """Return the actor of a token. Raises Unauthorized.

        A revoked token keeps its actor for up to IDENTITY_SECONDS.
        """
        actor: Actor | None = self._actors.find(secret)
        if actor is None:
            actor = await self._read("identify", partial(tokens.identify, secret=secret, required=self._required))
            self._actors.put(secret, actor)
        return actor

    async def check_agent(self, caller: Actor, agent: Actor) -> None:
        """Raise AgentMismatch when the agent id is bound to the token of another caller. Operators may use any id."""
        if not _chooses_agent_id(caller, agent):
            return
        bound: bool | None = self._bound.find(agent.id)
        if bound is None:
            bound = await self._read("is_bound", partial(tokens.is_bound, agent_id=agent.id))
            self._bound.put(agent.id, bound)
        if bound:
            raise _agent_mismatch(agent)


def check_agent_in_transaction(tx: Tx, caller: Actor, agent: Actor) -> None:
    """Raise AgentMismatch like `IdentityCache.check_agent`, but in the transaction of a call that has waited."""
    if _chooses_agent_id(caller, agent) and tokens.is_bound(tx, agent.id):
        raise _agent_mismatch(agent)


def _chooses_agent_id(caller: Actor, agent: Actor) -> bool:
    """Return whether the caller chose the agent id, with a token that is neither bound nor an operator's."""
    return not caller.bound and caller.role < Role.OPERATOR and agent.is_agent and not is_reserved(agent.id)


def _agent_mismatch(agent: Actor) -> AgentMismatch:
    return AgentMismatch(
        f"agent id {agent.id!r} is bound to another token",
        hint="Use that token, or another agent_id.",
        agent_id=agent.id,
    )


class _TtlCache:
    """A cache with values that expire after IDENTITY_SECONDS."""

    def __init__(self) -> None:
        self._entries: dict[str | None, tuple[float, Any]] = {}

    def find(self, key: str | None) -> Any:
        """Return the value, or None when it is missing or expired."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and monotonic() - entry[0] < IDENTITY_SECONDS else None

    def put(self, key: str | None, value: Any) -> None:
        if len(self._entries) > CACHE_SIZE:
            self._entries.clear()
        self._entries[key] = (monotonic(), value)
