"""Authorization: the role that an operation requires, and the agent that a call acts as."""

from collections.abc import Callable, Mapping

from project_manager.domain.actors import (
    LOCAL,
    Actor,
    Role,
    agent_required,
    anonymous_agent,
    asks_for_id,
    check_agent_id,
    has_unbound_token,
)
from project_manager.domain.errors import AgentMismatch, RoleRequired
from project_manager.domain.limits import AGENT_ID_CHARACTERS
from project_manager.operations.definition import Operation, Tool
from project_manager.runtime.calls import Caller
from project_manager.schemas.commands import Command
from project_manager.schemas.validation import aliases_by_field


def check_role(operation: Operation, actor: Actor) -> None:
    """Raise RoleRequired when the role of the actor is lower than the operation requires."""
    if actor.role < operation.role:
        needed, has = Role(operation.role).name.lower(), Role(actor.role).name.lower()
        raise RoleRequired(
            f"{operation.name} requires the role {needed}; the token has {has}", required=needed, role=has
        )


def rate_limit_actor(
    operation: Operation, raw: Mapping[str, object], caller: Caller, known_agent_id: Callable[[Caller], str | None]
) -> Actor:
    """Return the agent for which the rate limit counts a call.

    It is the one that the raw input names, else the one that `known_agent_id` returns for the connection, else the
    caller.
    """
    if not operation.acts_as or caller.actor.bound:
        return caller.actor
    names = aliases_by_field(operation.command)[operation.acts_as]
    given = next((raw[name] for name in names if name in raw), None)
    if not isinstance(given, str) or not given.strip() or asks_for_id(given):
        given = known_agent_id(caller)
    if given is None:
        return caller.actor
    return Actor(given.strip()[:AGENT_ID_CHARACTERS], "agent", caller.actor.role)


def effective_actor(caller: Caller, operation: Operation, command: Command, connection_agent: str | None) -> Actor:
    """Return the actor of a call: the agent that the command names, that of the connection, or else the caller.

    Raises AgentMismatch when the token is bound to another agent, AgentRequired for a reserved or a missing name, and
    RoleRequired for a flag that the agent may not set.
    """
    actor = caller.actor
    if caller.is_agent and operation.tool is not None:
        _check_flags(actor, operation.tool, command)
    named: str | None = getattr(command, operation.acts_as) if operation.acts_as else None
    named = named or connection_agent
    if named is None:
        return _anonymous_agent(actor, operation, command) if caller.is_agent and not actor.bound else actor
    if actor is LOCAL and named == LOCAL.id and not caller.is_agent:
        return actor  # the dashboard sends the lease holder as the agent, also when it is the local person
    check_agent_id(named)
    if actor.bound and named != actor.id:
        raise AgentMismatch(
            f"this token is bound to {actor.id!r} and cannot act as {named!r}", agent_id=named, bound_to=actor.id
        )
    return Actor(named, "agent", actor.role, actor.bound, actor.token_id, actor.attests)


def _anonymous_agent(actor: Actor, operation: Operation, command: Command) -> Actor:
    """Return an agent without a name, which cannot hold a lease. Raises AgentRequired when a name is required."""
    tool = operation.tool
    if tool is not None and (
        operation.acts_as in tool.required or any(getattr(command, field) is not None for field in tool.named_for)
    ):
        raise agent_required(f"`{operation.acts_as}` is missing; {operation.name} requires it")
    return anonymous_agent(actor)


def _check_flags(actor: Actor, tool: Tool, command: Command) -> None:
    """Raise RoleRequired for a flag of operators if the agent has no token, or a token that is bound to an agent."""
    for flag in tool.operator_only:
        if getattr(command, flag) and not has_unbound_token(actor):
            raise RoleRequired(
                f"over MCP `{flag}` requires an operator token that is not bound to an agent",
                hint=f"Omit {flag}. A person can end the lease on the dashboard or over REST.",
                required=Role.OPERATOR.name.lower(),
            )
