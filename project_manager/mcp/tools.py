"""The catalogue as tools: what is listed, and how a call becomes an operation and its answer."""

import logging
from collections.abc import Awaitable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from types import NoneType
from typing import Any, get_args

import anyio
import orjson
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, CallToolRequestParams, PaginatedRequestParams
from starlette.types import Scope

from project_manager.calls import Answer, Caller
from project_manager.catalogue import OPERATIONS
from project_manager.clock import monotonic
from project_manager.domain.actors import LOCAL, Actor
from project_manager.domain.errors import Invalid, LockHeld, ProjectManagerError, ShuttingDown
from project_manager.mcp import exchange, predecessor, sdk
from project_manager.mcp.outcome import Outcome
from project_manager.mcp.schemas import input_schema
from project_manager.operations.definition import Operation, Profile, Tool
from project_manager.runtime import Runtime

_log = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Any]
Result = dict[str, Any]
Arguments = Mapping[str, object]

_WAIT = "wait_seconds"
_PROGRESS_SECONDS = 5.0
_FORGOTTEN = "\nYou sent no agent_id: if the lease is yours, send yours, with its fence."


class Tools:
    """The tools of one server."""

    def __init__(self, runtime: Runtime, draining: anyio.Event) -> None:
        self._runtime = runtime
        self._draining = draining
        self._profile = "all" if runtime.settings.mcp_tools == "all" else "core"
        self._callable: dict[str, Operation] = {}
        for operation in OPERATIONS:
            if operation.tool is not None:
                self._callable[operation.name] = operation
        self._lists = _lists()
        self._nullable = {name: _nullable(operation) for name, operation in self._callable.items()}

    async def listed(self, ctx: Context, _params: PaginatedRequestParams | None) -> Result:
        client = sdk.current_client()
        asked = (client.tools if client is not None else "") or (
            exchange.tool_profile(ctx.request.scope) if ctx.request else ""
        )
        return self._lists[asked or self._profile]

    def schema(self, name: str) -> dict[str, Any] | None:
        """The announced input schema, for the comparison of headers with arguments: no tool of ours
        declares a header."""
        return {"type": "object"} if name in self._callable else None

    def is_quiet(self, _name: str, arguments: Arguments) -> bool:
        """Whether the call is answered at once: nothing to announce meanwhile, nobody to wait for."""
        return arguments.get(_WAIT) in (None, 0, "0", "")

    async def call(self, ctx: Context, params: CallToolRequestParams) -> Result:
        """A call that came through the SDK."""
        caller = Caller(actor=actor_of(ctx), door="mcp", request_id=request_id_of(ctx), secret=_secret_of(ctx))
        outcome = await self._perform(params.name, params.arguments or {}, caller, ctx.protocol_version, ctx)
        return outcome.result()

    async def call_directly(self, scope: Scope, version: str, name: str, arguments: Arguments) -> Outcome:
        """A call that never notifies, straight from its HTTP request."""
        caller = Caller(actor=exchange.actor_of(scope), door="mcp", request_id=exchange.request_id_of(scope))
        return await self._perform(name, arguments, caller, version, None)

    async def _perform(
        self, called: str, arguments: Arguments, caller: Caller, version: str, ctx: Context | None
    ) -> Outcome:
        operation = self._callable.get(called)
        if operation is None:
            raise MCPError(INVALID_PARAMS, self._unknown(called))
        given = predecessor.with_meaning(called, arguments)
        began = monotonic()
        outcome = "ok"
        try:
            answer = await self._run(operation, self._arguments(operation, given), caller, ctx)
            body = with_notice(answer)
            return Outcome(body.decode(), body)
        except ProjectManagerError as error:
            outcome = error.code
            return failure(error, named=caller.actor.bound or given.get("agent_id") is not None)
        finally:
            self._runtime.metrics.mcp_call(operation.name, version, outcome, monotonic() - began)

    async def _run(self, operation: Operation, arguments: Arguments, caller: Caller, ctx: Context | None) -> Answer:
        work = self._runtime.run(operation, arguments, caller)
        if ctx is None or self.is_quiet(operation.name, arguments):
            return await work
        return await self._waiting(ctx, work, arguments)

    async def _waiting(self, ctx: Context, work: Awaitable[Answer], arguments: Arguments) -> Answer:
        """Waits for the operation, tells how long it has been, and gives up in time when the server stops."""
        outcome: Answer | ProjectManagerError = ShuttingDown(
            "the server is stopping and ended the wait; nothing was taken or changed"
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._give_up_when_draining, tasks.cancel_scope)
            tasks.start_soon(_tell_progress, ctx, _seconds(arguments))
            try:
                outcome = await work
            except ProjectManagerError as error:  # raised in here it would come out as a group
                outcome = error
            tasks.cancel_scope.cancel()
        if isinstance(outcome, ProjectManagerError):
            raise outcome
        return outcome

    async def _give_up_when_draining(self, scope: anyio.CancelScope) -> None:
        await self._draining.wait()
        scope.cancel()

    def _arguments(self, operation: Operation, given: Arguments) -> dict[str, object]:
        """What was sent, without the nulls that only mean "not given", and with the defaults of this door."""
        nullable = self._nullable[operation.name]
        arguments = {name: value for name, value in given.items() if value is not None or name in nullable}
        if operation.tool is not None:
            for name, value in operation.tool.defaults.items():
                arguments.setdefault(name, value)
        return arguments

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name, self._callable, n=1)
        guess = f" Did you mean {near[0]}?" if near else ""
        return f"Unknown tool: {name[:80]}.{guess}"


def with_notice(answer: Answer) -> bytes:
    """The answer, and the caller's leases that end soon: models forget to renew."""
    if not answer.ending_soon:
        return answer.body
    notice = [
        {"task_id": lock.task_id, "fence": lock.fence, "expires_at": lock.expires_at} for lock in answer.ending_soon
    ]
    return answer.body[:-1] + b',"your_leases_end_soon":' + orjson.dumps(notice) + b"}"


def actor_of(ctx: Context) -> Actor:
    """Who calls: the gate's word over HTTP, the person at the machine over stdio."""
    return exchange.actor_of(ctx.request.scope) if ctx.request is not None else LOCAL


def _secret_of(ctx: Context) -> str | None:
    return exchange.secret_of(ctx.request.scope) if ctx.request is not None else None


def request_id_of(ctx: Context) -> str:
    return exchange.request_id_of(ctx.request.scope) if ctx.request is not None else f"mcp-{ctx.request_id}"


@cache
def _lists() -> dict[str, Result]:
    """The tools of each profile."""
    tools = [(row.tool.profile, _announced(row, row.tool)) for row in OPERATIONS if row.tool is not None]
    return {
        "core": _listing(announced for profile, announced in tools if profile is Profile.CORE),
        "all": _listing(announced for _, announced in tools),
    }


def _listing(tools: Iterable[dict[str, Any]]) -> Result:
    return {"resultType": "complete", "tools": list(tools), "ttlMs": 60_000, "cacheScope": "public"}


def _announced(operation: Operation, tool: Tool) -> dict[str, Any]:
    return {
        "name": operation.name,
        "title": tool.title,
        "description": operation.summary,
        "inputSchema": input_schema(operation.command, tool.arguments, tool.needed),
        "annotations": {
            "readOnlyHint": tool.hints.read_only,
            "destructiveHint": tool.hints.destructive,
            "idempotentHint": tool.hints.idempotent,
            "openWorldHint": tool.hints.open_world,
        },
    }


def _nullable(operation: Operation) -> frozenset[str]:
    """The arguments to which null is a value, such as a date that is taken away."""
    fields = operation.command.model_fields
    return frozenset(name for name, field in fields.items() if NoneType in get_args(field.annotation))


def failure(error: ProjectManagerError, *, named: bool) -> Outcome:
    """`named`: the caller said which agent it is. One that did not is told so where another would be let in."""
    text = error_text(error)
    return Outcome(text if named or not isinstance(error, LockHeld) else text + _FORGOTTEN, failed=True)


def error_text(error: ProjectManagerError) -> str:
    """Code, what and why, what to do next, and the facts. One line each, so that a cut text still begins
    with the code."""
    lines = [f"{error.code.upper()}: {error.message}"]
    if error.hint:
        lines.append(error.hint)
    if error.details and not isinstance(error, Invalid):
        lines.append(orjson.dumps(error.details, default=str).decode())
    return "\n".join(lines)


def _seconds(arguments: Arguments) -> float | None:
    try:
        return float(str(arguments.get(_WAIT)))
    except ValueError:
        return None


async def _tell_progress(ctx: Context, total: float | None) -> None:
    """Announces the wait from time to time; without a progress token from the client nothing is sent."""
    began = monotonic()
    while True:
        await ctx.session.report_progress(round(monotonic() - began, 1), total, "waiting")
        await anyio.sleep(_PROGRESS_SECONDS)
