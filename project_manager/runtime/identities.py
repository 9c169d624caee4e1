"""The agent and the project of a connection: fixed by its address or headers, issued by the service, or remembered."""

import hashlib
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

from project_manager.clock import monotonic
from project_manager.domain.actors import Actor, Role, agent_required, asks_for_id, check_agent_id
from project_manager.domain.errors import AgentMismatch, Invalid
from project_manager.domain.identities import prefix_of
from project_manager.domain.names import name_key
from project_manager.operations.definition import Kind, Operation
from project_manager.runtime.calls import NO_CONNECTION, Caller, ClientConnection
from project_manager.schemas import validation
from project_manager.schemas.commands import Command
from project_manager.schemas.identities import ConnectionScope
from project_manager.services import identities
from project_manager.store.projects import ProjectRow

PROJECT_SECONDS = 1.0
CACHE_SIZE = 10_000

Run = Callable[[str, Callable[..., Any], Actor], Awaitable[Any]]
"""A function that runs a named piece of work in a transaction."""

_AUTO_HINT = "Omit agent_id. To act as another agent, connect with another agent_id."


class Scope(NamedTuple):
    """The valid agent id and project that a connection fixes. With `is_auto` the service issues the id."""

    agent_id: str | None
    is_auto: bool
    project: str | None


class Identity(NamedTuple):
    """The agent of a call that its command does not name, or None.

    `command` does not ask for an issued id any more. `is_shown` is whether the result names the id. `is_kept` is
    whether the connection keeps the agent that the call acts as.
    """

    command: Command
    agent: str | None = None
    is_shown: bool = False
    is_kept: bool = False


class ConnectionIdentities:
    """The identities of connections, with a cache of those that the database keeps."""

    def __init__(self, read: Run, write: Run) -> None:
        self._read = read
        self._write = write
        self._kept: dict[str, str] = {}
        self._projects: dict[str, tuple[float, ProjectRow]] = {}

    def known_agent_id(self, caller: Caller) -> str | None:
        """Return the agent id of the connection, if it is known without a read. It is not validated."""
        connection = caller.connection
        fixed = next((agent_id for agent_id in connection.agent_ids if not asks_for_id(agent_id)), None)
        return fixed or (self._kept.get(_key(caller, connection.session_key)) if connection.session_key else None)

    async def of(self, operation: Operation, command: Command, caller: Caller) -> Identity:
        """Return the identity of a call, and issue an id if the call asks for one.

        The token of the caller takes precedence over its connection, and the connection over the command. Raises
        AgentMismatch if two of them name different agents, AgentRequired, Invalid.
        """
        scope = scope_of(caller.connection)
        named: str | None = getattr(command, operation.acts_as) if operation.acts_as else None
        asks = asks_for_id(named)
        if caller.actor.bound:
            return _bound(caller.actor, scope, operation, command, asks=asks)
        if scope.agent_id is not None:  # a repeated request for an id is no other agent
            if named is not None and not asks and named != scope.agent_id:
                raise _mismatch(f"this connection acts as {scope.agent_id!r}", named, scope.agent_id)
            return Identity(_with_agent(operation, command, scope.agent_id) if asks else command, scope.agent_id)
        if named is not None and not asks:
            return self._chosen(scope, operation, command, caller, named)
        return await self._kept_or_issued(operation, command, caller, asks=asks, is_auto=asks or scope.is_auto)

    async def keep(self, caller: Caller, agent_id: str) -> None:
        """Keep the agent id that a call of this connection has chosen. Raises AgentMismatch if it has another one."""
        key = _key(caller, caller.connection.session_key)
        kept = self._kept.get(key)
        if kept is None:
            work = partial(identities.keep, key=key, agent_id=agent_id)
            kept = self._remember(key, await self._write("keep_identity", work, caller.actor))
        if kept != agent_id:
            raise _mismatch(f"this connection acts as {kept!r}", agent_id, kept)

    async def with_project(self, operation: Operation, command: Command, caller: Caller) -> Command:
        """Return the command with the project of the connection, if it fixes one and the operation takes one.

        Raises ProjectNotFound, and Invalid if the command names another project.
        """
        if not caller.connection.projects or "project_id" not in operation.command.model_fields:
            return command
        text = scope_of(caller.connection).project or ""
        project = await self._project(text, caller.actor)
        fields = vars(command)
        if fields["project_id"] not in (None, project.id):
            raise _other_project("project_id", fields["project_id"], project)
        name = fields.get("project_name")
        if name is not None and name_key(name) != name_key(project.name):
            raise _other_project("project_name", name, project)
        named = {"project_name": None} if name is not None else {}
        return command.model_copy(update={"project_id": project.id, **named})

    async def _project(self, text: str, actor: Actor) -> ProjectRow:
        found = self._projects.get(text)
        if found is None or monotonic() - found[0] >= PROJECT_SECONDS:
            row = await self._read("project_of_connection", partial(identities.project, text=text), actor)
            if len(self._projects) > CACHE_SIZE:
                self._projects.clear()
            found = self._projects[text] = (monotonic(), row)
        return found[1]

    def _chosen(self, scope: Scope, operation: Operation, command: Command, caller: Caller, named: str) -> Identity:
        """Return the identity of a call that names an agent. With `auto`, a session keeps the first one."""
        keeps = scope.is_auto and bool(caller.connection.session_key)
        kept = self._kept.get(_key(caller, caller.connection.session_key)) if keeps else None
        if kept is not None and kept != named:
            raise _mismatch(f"this connection acts as {kept!r}", named, kept)
        is_new = keeps and kept is None and _needs_agent(operation) and caller.actor.role >= Role.AGENT
        return Identity(command, is_shown=scope.is_auto, is_kept=is_new)

    async def _kept_or_issued(
        self, operation: Operation, command: Command, caller: Caller, *, asks: bool, is_auto: bool
    ) -> Identity:
        """Return the identity of a call that names no agent. It `asks` for an id itself, or its connection does."""
        agent_id = await self._kept_id(operation, caller, is_auto=is_auto)
        may_act = caller.actor.role >= Role.AGENT  # a viewer never holds a lease
        if agent_id is None and may_act and (asks or (is_auto and _needs_agent(operation))):
            agent_id = await self._issue(operation, command, caller)
        if agent_id is None:
            if asks:
                raise agent_required(f"`{operation.acts_as}` cannot be `auto`: a viewer gets no agent id")
            return Identity(command)
        return Identity(_with_agent(operation, command, agent_id) if asks else command, agent_id, is_shown=True)

    async def _kept_id(self, operation: Operation, caller: Caller, *, is_auto: bool) -> str | None:
        """Return the agent id that the database keeps for the session of the call, or None."""
        session_key = caller.connection.session_key
        if not session_key:
            return None
        key = _key(caller, session_key)
        kept = self._kept.get(key)
        if kept is None and (is_auto or _needs_agent(operation)):
            kept = await self._read("identity", partial(identities.find, key=key), caller.actor)
            if kept is not None:
                self._remember(key, kept)
        return kept

    async def _issue(self, operation: Operation, command: Command, caller: Caller) -> str:
        """Issue an agent id. A session keeps it; otherwise a repeated request with the same idempotency key gets it."""
        session_key = caller.connection.session_key
        if not operation.acts_as or operation.command.model_fields[operation.acts_as].is_required():
            raise agent_required(f"`{operation.acts_as}` cannot be `auto` in {operation.name}")
        if vars(command).get("fence") is not None:  # the agent of that lease has an id already
            message = f"`{operation.acts_as}` is missing; the lease with this fence has an agent id"
            raise agent_required(message, "Send the agent_id that the response with the fence named.")
        if not session_key and operation.kind is Kind.READ:
            message = f"`{operation.acts_as}` is missing; {operation.name} issues none to a client without a session"
            raise agent_required(message)
        # The key makes a repeated request the same request: the stored response belongs to the issued id.
        request = (getattr(command, "request_id", None) or caller.idempotency_key) if operation.idempotent else None
        key = _key(caller, session_key or f"request:{request}") if session_key or request else None
        work = partial(identities.issue, key=key, prefix=prefix_of(caller.connection.client))
        agent_id: str = await self._write("issue_agent_id", work, caller.actor)
        return self._remember(key, agent_id) if key is not None else agent_id

    def _remember(self, key: str, agent_id: str) -> str:
        if len(self._kept) > CACHE_SIZE:
            self._kept.clear()
        self._kept[key] = agent_id
        return agent_id


def scope_of(connection: ClientConnection) -> Scope:
    """Return the scope of a connection. Raises AgentMismatch, AgentRequired, Invalid."""
    if connection is NO_CONNECTION:
        return _scope((), ())
    return _scope(connection.agent_ids, connection.projects)


@lru_cache(maxsize=1024)
def _scope(agent_ids: tuple[str, ...], projects: tuple[str, ...]) -> Scope:
    if len(agent_ids) > 1:
        named = " and ".join(repr(agent_id[:40]) for agent_id in agent_ids[:2])
        raise AgentMismatch(f"the address and the headers of this connection name {named}", hint="Send one agent_id.")
    if len(projects) > 1:
        named = " and ".join(repr(project[:40]) for project in projects[:2])
        message = f"the address and the headers of this connection name the projects {named}"
        raise Invalid.of("project", message, "Send one of them.")
    sent = {"agent_id": next(iter(agent_ids), None), "project": next(iter(projects), None)}
    read = validation.read(ConnectionScope, {name: value for name, value in sent.items() if value is not None})
    is_auto = asks_for_id(read.agent_id)
    if read.agent_id is not None and not is_auto:
        check_agent_id(read.agent_id)
    return Scope(None if is_auto else read.agent_id, is_auto, read.project)


def _needs_agent(operation: Operation) -> bool:
    """Return whether a call of the operation over MCP requires an agent id, or writes under one."""
    is_required = operation.tool is not None and operation.acts_as in operation.tool.required
    return bool(operation.acts_as) and (is_required or operation.kind is Kind.WRITE)


def _bound(actor: Actor, scope: Scope, operation: Operation, command: Command, *, asks: bool) -> Identity:
    if scope.agent_id not in (None, actor.id):
        raise _mismatch(f"this token is bound to {actor.id!r}", scope.agent_id or "", actor.id)
    command = _with_agent(operation, command, actor.id) if asks else command
    return Identity(command, is_shown=asks or scope.is_auto)


def _with_agent(operation: Operation, command: Command, agent_id: str) -> Command:
    return command.model_copy(update={operation.acts_as: agent_id})


def _mismatch(reason: str, named: str, agent_id: str) -> AgentMismatch:
    return AgentMismatch(f"{reason} and cannot act as {named!r}", hint=_AUTO_HINT, agent_id=named, acts_as=agent_id)


def _other_project(field: str, sent: object, project: ProjectRow) -> Invalid:
    message = f"`{field}` is {str(sent)[:40]!r}, but this connection is for the project `{project.name}` ({project.id})"
    return Invalid.of(field, message, "Omit project_id and project_name.")


def _key(caller: Caller, session_key: str) -> str:
    """Return the key of the database for a session. The actor is part of it, so that no other token can use it."""
    return hashlib.sha256(f"{caller.actor.id}\n{session_key}".encode()).hexdigest()
