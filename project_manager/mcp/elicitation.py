"""MCP elicitation: a question of an agent is offered to the user of its client before the operation `ask` runs.

Versions up to 2025-11-25 send a request to the client, and the call waits for its answer. With 2026-07-28, the client
repeats the call with the answer. Without an answer, `ask` runs as for a client that cannot ask its user.
"""

import logging
from collections.abc import Mapping
from functools import partial
from hashlib import blake2b
from typing import Any

import anyio
import anyio.lowlevel
import orjson
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitResult
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from project_manager.catalogue import BY_NAME
from project_manager.domain.errors import Invalid, ProjectManagerError, Unauthorized
from project_manager.domain.limits import NAME_CHARACTERS, QUESTION_CHARACTERS
from project_manager.domain.service_errors import ShuttingDown
from project_manager.mcp.callers import Context
from project_manager.runtime.calls import Caller
from project_manager.runtime.dispatch import Runtime
from project_manager.schemas import validation
from project_manager.schemas.questions import Ask

_log = logging.getLogger(__name__)

Arguments = Mapping[str, object]
Result = dict[str, Any]

ASK = "ask"
SECONDS = 60.0
"""Time for the user to answer."""
_PART_OF_LEASE = 0.8
"""Part of a short lease after which the question ends, so that the lease is still valid for `ask`."""
_OPTION, _TEXT = "option", "text"
_INPUT = "answer"
_TEXT_CHARACTERS = QUESTION_CHARACTERS - NAME_CHARACTERS - 2
"""Maximum length of the text, so that an answer of option, `: ` and text is not too long."""
_CLIENT_ANSWER = "client_answer"


class InputRequired(Exception):
    """A call of version 2026-07-28 needs an answer of the user. `result` asks the client to repeat the call with it."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


class Elicitation:
    """Offers questions to the users of clients. `draining` ends the wait for an answer."""

    def __init__(self, runtime: Runtime, draining: anyio.Event) -> None:
        self._runtime = runtime
        self._draining = draining

    async def answer(self, ctx: Context, arguments: Arguments, caller: Caller) -> Arguments:
        """Return the answer of the user as an argument of `ask`. It is empty without an answer.

        The lease is renewed first, because the answer is recorded only for its holder. If that fails, the user is not
        asked, and neither if the request was executed before. Raises InputRequired, ShuttingDown and Unauthorized.
        """
        if not _can_ask_user(ctx) or arguments.get(_CLIENT_ANSWER) is not None:
            return {}
        try:
            command: Ask = validation.read(Ask, arguments)
        except Invalid:
            return {}  # `ask` raises it again
        state = _state_of(command)
        is_modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        if is_modern and ctx.params and ctx.params.get("requestState") == state:
            return _as_argument(arguments, _text_of(_result_in(ctx.params.get("inputResponses"))))
        try:
            if command.request_id is not None and await self._runtime.is_repeated(BY_NAME[ASK], command, caller):
                return {}
            lease_seconds = await self._renew(command, caller)
        except ProjectManagerError:
            return {}  # `ask` checks the key and the lease too, and raises its own error
        form = _form(command)
        if is_modern:
            request = {"method": "elicitation/create", "params": {"mode": "form", **form}}
            raise InputRequired(
                {"resultType": "input_required", "inputRequests": {_INPUT: request}, "requestState": state}
            )
        result = await self._wait(ctx, form, caller, min(SECONDS, lease_seconds * _PART_OF_LEASE))
        return _as_argument(arguments, _text_of(result))

    async def _renew(self, command: Ask, caller: Caller) -> float:
        """Renew the lease of the task, and return its length in seconds. Raises ProjectManagerError."""
        lease = {"task_id": command.task_id, "agent_id": command.agent_id, "fence": command.fence}
        given = {name: value for name, value in lease.items() if value is not None}
        renewed = await self._runtime.run(BY_NAME["renew_task_lock"], given, caller)
        return float(orjson.loads(renewed.body)["timeout"])

    async def _wait(self, ctx: Context, form: Result, caller: Caller, seconds: float) -> ElicitResult | None:
        """Return the response of the client, or None after `seconds`. Raises ShuttingDown and Unauthorized."""
        result: ElicitResult | None = None
        ends: list[ProjectManagerError] = []
        async with anyio.create_task_group() as tasks:

            def end(error: ProjectManagerError) -> None:
                ends.append(error)
                tasks.cancel_scope.cancel()

            async def end_at_drain() -> None:
                await self._draining.wait()
                end(ShuttingDown("the server is shutting down; the question ended and nothing was changed"))

            revoke = partial(end, Unauthorized("access was revoked during the question; the task is unchanged"))
            tasks.start_soon(end_at_drain)
            with anyio.move_on_after(seconds), self._runtime.revocation_watch.registered(caller.secret, revoke):
                result = await _elicit(ctx, form)
            tasks.cancel_scope.cancel()
        if result is None and ends:
            raise ends[0]
        return result


def _can_ask_user(ctx: Context) -> bool:
    """Return whether the client has declared forms. A capability without modes means forms."""
    can = ctx.session.client_capabilities
    if can is None or can.elicitation is None:
        return False
    return can.elicitation.form is not None or can.elicitation.url is None


async def _elicit(ctx: Context, form: Result) -> ElicitResult | None:
    """Send the question to the client. Return its response, or None if it failed."""
    try:
        return await ctx.session.elicit_form(form["message"], form["requestedSchema"], ctx.request_id)
    except (MCPError, ValidationError) as error:
        _log.debug("a client could not ask its user: %s", type(error).__name__)
        await anyio.lowlevel.checkpoint()  # at the end of a connection, the call is cancelled here
        return None


def _form(command: Ask) -> Result:
    """Return message and schema of the form. Clients show only flat properties."""
    text = {"type": "string", "title": "Answer", "maxLength": _TEXT_CHARACTERS}
    schema: Result = {"type": "object", "properties": {_TEXT: text}, "required": [_TEXT]}
    if command.options:
        option = {"type": "string", "title": "Answer", "enum": list(dict.fromkeys(command.options))}
        comment = {**text, "title": "Other answer or comment"}
        schema = {"type": "object", "properties": {_OPTION: option, _TEXT: comment}}
    return {"message": f"Task {command.task_id}: {command.text}", "requestedSchema": schema}


def _state_of(command: Ask) -> str:
    """Return the digest of the question. An answer counts only for the same question."""
    asked = orjson.dumps([command.task_id, command.text, command.options, command.fence])
    return blake2b(asked, digest_size=16).hexdigest()


def _result_in(responses: object) -> ElicitResult | None:
    """Return the response to the form in the responses of a repeated call."""
    try:
        return ElicitResult.model_validate(responses[_INPUT]) if isinstance(responses, Mapping) else None
    except (KeyError, ValidationError):
        return None


def _text_of(result: ElicitResult | None) -> str:
    """Return the option and the text that the user accepted, or an empty text."""
    if result is None or result.action != "accept" or result.content is None:
        return ""
    given = (result.content.get(name) for name in (_OPTION, _TEXT))
    return ": ".join(value.strip() for value in given if isinstance(value, str) and value.strip())


def _as_argument(arguments: Arguments, text: str) -> Arguments:
    """Return the answer as a further argument. It is left out if it is empty or invalid."""
    answer = {_CLIENT_ANSWER: text}
    try:
        validation.read(Ask, {**arguments, **answer})
    except Invalid:
        return {}
    return answer
