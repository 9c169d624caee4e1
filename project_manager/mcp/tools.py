"""MCP tools: the list of tools, and the handler of calls."""

import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from secrets import token_hex
from typing import Any

import anyio
import orjson
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, CallToolRequestParams, PaginatedRequestParams
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from starlette.types import Scope

from project_manager.catalogue import OPERATIONS
from project_manager.clock import monotonic
from project_manager.domain.actors import Actor, asks_for_id
from project_manager.domain.errors import Invalid, LockHeld, ProjectManagerError
from project_manager.domain.hints import closest, did_you_mean
from project_manager.domain.messages import DeliveredMessage, MessageKind
from project_manager.domain.service_errors import ShuttingDown
from project_manager.mcp import compat
from project_manager.mcp.arguments import ParsedArguments, ToolArguments, split_ack
from project_manager.mcp.callers import Context, actor_of, caller_of, client_connection_of, request_id_of
from project_manager.mcp.connections import AGENT_ID, ClientNames, client_in, connection_in
from project_manager.mcp.elicitation import ASK, Elicitation, InputRequired
from project_manager.mcp.profiles import NO_PROFILE, Dialect, ToolProfile, profile_of
from project_manager.mcp.results import pruned, shorten
from project_manager.mcp.schemas import LISTED_ALL, Listing, input_schema
from project_manager.operations.definition import Hints, Operation, Profile, Tool
from project_manager.runtime.calls import NO_CONNECTION, Caller, ClientConnection, OperationResult
from project_manager.runtime.dispatch import Runtime

_log = logging.getLogger(__name__)

Result = dict[str, Any]
Arguments = Mapping[str, object]

_STRUCTURED = ("2025-06-18", "2025-11-25", *MODERN_PROTOCOL_VERSIONS)
"""Protocol versions with structured content."""
_PROGRESS_SECONDS = 5.0
_ASSUMED_HINTS = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}
"""Defaults of the MCP specification for absent hints."""
_MISSING_AGENT_HINT = "\nNo agent_id was sent. If the lease is yours, send agent_id and fence."


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool: its name, its raw arguments, and the profile and protocol version of the client."""

    tool: str
    arguments: Arguments
    profile: ToolProfile
    version: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a tool call: `text` for the model, and `structured`, the same content as an encoded JSON object.

    An error has no `structured`, because some clients validate it against a schema even when the call failed.
    """

    text: str
    structured: bytes | None = None
    failed: bool = False

    def result(self) -> Result:
        """Return the result for the SDK."""
        result: Result = {"resultType": "complete", "content": [{"type": "text", "text": self.text}]}
        if self.structured is not None:
            result["structuredContent"] = orjson.loads(self.structured)
        return {**result, "isError": self.failed}

    def response(self, call_id: str | int | None, version: str, server_info: bytes) -> bytes:
        """Return the whole JSON-RPC response. The structured content is copied and not encoded again."""
        parts = [b'{"jsonrpc":"2.0","id":', orjson.dumps(call_id), b',"result":{']
        if version in MODERN_PROTOCOL_VERSIONS:
            parts += [b'"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":', server_info, b"},"]
        parts += [b'"content":[{"type":"text","text":', orjson.dumps(self.text), b"}]"]
        if self.structured is not None and version in _STRUCTURED:
            parts += [b',"structuredContent":', self.structured]
        parts += [b',"isError":true}}' if self.failed else b',"isError":false}}']
        return b"".join(parts)


class Tools:
    """Handlers of `tools/list` and `tools/call`."""

    def __init__(self, runtime: Runtime, draining: anyio.Event, stdio: ClientConnection = NO_CONNECTION) -> None:
        self.client_names = ClientNames()
        self._stdio = replace(stdio, session_key=f"stdio:{token_hex(16)}")
        self._runtime = runtime
        self._draining = draining
        self._elicitation = Elicitation(runtime, draining)
        self._profile = ToolProfile(runtime.settings.mcp_tools, runtime.settings.mcp_schema)
        self._callable = {operation.name: operation for operation in OPERATIONS if operation.tool is not None}
        self._arguments = {name: ToolArguments(operation) for name, operation in self._callable.items()}

    async def listed(self, ctx: Context, _params: PaginatedRequestParams | None) -> Result:
        """Return the result of `tools/list`."""
        connection = client_connection_of(ctx, self.client_names, self._stdio)
        return tool_list(*self._profile_of(ctx), _listing(connection, caller_of(ctx).actor))

    def _profile_of(self, ctx: Context) -> ToolProfile:
        """Return the profile of this request. Absent parts come from the settings."""
        asked = profile_of(ctx.request.scope) if ctx.request is not None else NO_PROFILE
        return asked.with_defaults(self._profile)

    def schema(self, name: str) -> dict[str, Any] | None:
        """Return the schema of `Mcp-Param-*` headers, which no tool declares, or None for an unknown tool."""
        return {"type": "object"} if name in self._callable else None

    def is_immediate(self, name: str, arguments: Arguments) -> bool:
        """Return whether the call sends no message before its response. A long poll and a question send some."""
        operation = self._callable.get(name)
        if operation is None:
            return True
        if operation.name == ASK:
            return False
        return operation.waits is None or not operation.waits.is_requested(arguments)

    async def call(self, ctx: Context, params: CallToolRequestParams) -> Result:
        """Run a call that arrives through the SDK."""
        call = ToolCall(params.name, params.arguments or {}, self._profile_of(ctx), ctx.protocol_version)
        caller = caller_of(ctx, client_connection_of(ctx, self.client_names, self._stdio))
        try:
            return (await self._call_tool(call, caller, ctx)).result()
        except InputRequired as required:
            return required.result

    async def call_directly(self, scope: Scope, version: str, params: Mapping[str, Any]) -> Outcome:
        """Run a call that sends no notifications, directly from its HTTP request and without the SDK."""
        name, arguments = params["name"], params.get("arguments") or {}
        connection = connection_in(scope, self.client_names, client_in(params.get("_meta")))
        caller = Caller(actor_of(scope), "mcp", request_id_of(scope), connection=connection)
        call = ToolCall(name, arguments, profile_of(scope).with_defaults(self._profile), version)
        return await self._call_tool(call, caller, None)

    async def _call_tool(self, call: ToolCall, caller: Caller, ctx: Context | None) -> Outcome:
        operation = self._callable.get(call.tool)
        if operation is None:
            raise MCPError(INVALID_PARAMS, self._unknown(call.tool))
        given = compat.drop_obsolete(call.tool, call.arguments)
        reading = ParsedArguments({})
        began = monotonic()
        outcome = "cancelled"
        try:
            given, ack = split_ack(given)
            caller = replace(caller, ack=ack)
            reading = self._arguments[operation.name].read(given, nullable=call.profile.schema != "plain")
            result = await self._run(operation, reading.arguments, caller, ctx)
            body = result_text(operation, result, reading.ignored)
            outcome = "ok"
            return Outcome(body.decode(), body)
        except ProjectManagerError as error:
            outcome = error.code
            named = _is_fixed(caller.connection, caller.actor) or given.get(operation.acts_as) is not None
            return error_result(error, named=named, hint=_ignored_hint(operation, reading.ignored))
        except InputRequired:
            outcome = "input_required"
            raise
        finally:
            self._runtime.metrics.mcp_call(operation.name, call.version, outcome, monotonic() - began)

    async def _run(
        self, operation: Operation, arguments: Arguments, caller: Caller, ctx: Context | None
    ) -> OperationResult:
        if ctx is not None and operation.name == ASK:
            answer = await self._elicitation.answer(ctx, arguments, caller)
            arguments, caller = {**arguments, **answer}, replace(caller, added=frozenset(answer))
        work = self._runtime.run(operation, arguments, caller)
        if ctx is None or operation.waits is None or not operation.waits.is_requested(arguments):
            return await work
        return await self._run_with_progress(ctx, work, _seconds(arguments[operation.waits.field]))

    async def _run_with_progress(
        self, ctx: Context, work: Awaitable[OperationResult], total: float | None
    ) -> OperationResult:
        """Run a long poll with progress notifications. Raises ShuttingDown when the server drains."""
        outcome: OperationResult | ProjectManagerError = ShuttingDown(
            "the server is shutting down; the wait ended and nothing was changed"
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_on_drain, tasks.cancel_scope)
            tasks.start_soon(_report_progress, ctx, total)
            try:
                outcome = await work
            except ProjectManagerError as error:  # raised here, it would become an exception group
                outcome = error
            tasks.cancel_scope.cancel()
        if isinstance(outcome, ProjectManagerError):
            raise outcome
        return outcome

    async def _cancel_on_drain(self, scope: anyio.CancelScope) -> None:
        await self._draining.wait()
        scope.cancel()

    def _unknown(self, name: str) -> str:
        return f"Unknown tool: {name[:80]}{did_you_mean(closest(name, self._callable)) or '.'}"


def result_text(operation: Operation, result: OperationResult, ignored: Sequence[str] = ()) -> bytes:
    """Return the short form of the result, with ignored arguments, an issued id, messages, and leases that end soon."""
    content = shorten(operation.name, result.body)
    if ignored:
        content["ignored"] = ignored
    if result.issued_id is not None:
        content[AGENT_ID] = result.issued_id
    if result.messages:
        content |= _messages(result.messages)
    if result.expiring_leases:
        content["your_leases_end_soon"] = [
            {"task_id": lock.task_id, "fence": lock.fence, "expires_at": lock.expires_at}
            for lock in result.expiring_leases
        ]
    return orjson.dumps(content)


def _listing(connection: ClientConnection, actor: Actor) -> Listing:
    """Return the arguments that the tools list to a connection. They omit those that its token or address fixes."""
    is_auto = any(map(asks_for_id, connection.agent_ids))
    with_agent = not _is_fixed(connection, actor)
    return Listing(with_agent=with_agent, requires_agent=not is_auto, with_project=not connection.projects)


def _is_fixed(connection: ClientConnection, actor: Actor) -> bool:
    """Return whether the token or the connection fixes the agent, so that calls need no agent id.

    A client without a session has to send an issued id.
    """
    if actor.bound:
        return True
    if not connection.agent_ids:
        return False
    return bool(connection.session_key) or not any(map(asks_for_id, connection.agent_ids))


@cache
def tool_list(tools: str, dialect: Dialect, listing: Listing = LISTED_ALL) -> Result:
    """Return the result of `tools/list` for this profile, with the arguments of `listing`."""
    entries = [
        _tool_definition(row, row.tool.in_profile(Profile(tools)), dialect, listing)
        for row in OPERATIONS
        if row.tool is not None and Profile(tools).includes(row.tool.profile)
    ]
    shared = "public" if listing == LISTED_ALL else "private"
    return {"resultType": "complete", "tools": entries, "ttlMs": 60_000, "cacheScope": shared}


def _tool_definition(operation: Operation, tool: Tool, dialect: Dialect, listing: Listing) -> dict[str, Any]:
    return {
        "name": operation.name,
        "title": tool.title,
        "description": operation.summary,
        "inputSchema": input_schema(operation.command, tool, dialect, listing),
        "annotations": _annotations(tool.hints),
    }


def _annotations(hints: Hints) -> dict[str, bool]:
    """Return the hints that differ from the defaults of MCP. Two of them do not apply to a read-only tool."""
    every = {
        "readOnlyHint": hints.read_only,
        "destructiveHint": hints.destructive or hints.read_only,
        "idempotentHint": hints.idempotent and not hints.read_only,
        "openWorldHint": hints.open_world,
    }
    return {name: value for name, value in every.items() if value is not _ASSUMED_HINTS[name]}


def error_result(error: ProjectManagerError, *, named: bool, hint: str = "") -> Outcome:
    """Return the error as an outcome. If the call has not `named` its agent, the text of LockHeld asks for it."""
    text = error_text(error)
    if not named and isinstance(error, LockHeld):
        text += _MISSING_AGENT_HINT
    return Outcome(f"{text}\n{hint}" if hint else text, failed=True)


def _ignored_hint(operation: Operation, ignored: Sequence[str]) -> str:
    if not ignored:
        return ""
    remedy = " To clear a field, use `clear`." if operation.tool and operation.tool.clearable else ""
    return f"Ignored empty values: {', '.join(ignored)}.{remedy}"


def _messages(messages: Sequence[DeliveredMessage]) -> Result:
    """Return the messages for the agent, and how to acknowledge those that need it."""
    content: Result = {"messages": [pruned(vars(message)) for message in messages]}
    ids = [message.id for message in messages if message.kind != MessageKind.NOTE]
    if ids:
        content["to_acknowledge"] = f"send ack: {ids} with your next call"
    return content


def error_text(error: ProjectManagerError) -> str:
    """Return code and message, hint, and details, one line each. A truncated text still begins with the code."""
    lines = [f"{error.code.upper()}: {error.message}"]
    if error.hint:
        lines.append(error.hint)
    if error.messages:
        lines.append(orjson.dumps(_messages(error.messages)).decode())
    if error.details and not isinstance(error, Invalid):
        lines.append(orjson.dumps(error.details, default=str).decode())
    return "\n".join(lines)


def _seconds(given: object) -> float | None:
    try:
        return float(str(given))
    except ValueError:
        return None


async def _report_progress(ctx: Context, total: float | None) -> None:
    """Report the progress every _PROGRESS_SECONDS until cancelled, if the client sent a progress token."""
    started = monotonic()
    while True:
        await ctx.session.report_progress(round(monotonic() - started, 1), total, "waiting")
        await anyio.sleep(_PROGRESS_SECONDS)
