"""The tools that the official conformance suite expects."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    CreateMessageResult,
    ElicitResult,
)
from pydantic import BaseModel

Context = ServerRequestContext[Any, Any]
Json = dict[str, Any]
Tool = Callable[[Context, CallToolRequestParams], Awaitable[Json]]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
SILENCE = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
NO_ARGUMENTS: Json = {"type": "object", "additionalProperties": False}
BUS = InMemorySubscriptionBus()
INFO = "io.modelcontextprotocol/serverInfo"
SECRET = b"fixtures sign the state that they hand out"


def text(words: str, **more: Any) -> Json:
    return {"content": [{"type": "text", "text": words}], **more}


def ask(message: str, field: str, kind: str = "string") -> Json:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sample(words: str, max_tokens: int = 100) -> Json:
    message = {"role": "user", "content": {"type": "text", "text": words}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": max_tokens}}


ROOTS: Json = {"method": "roots/list", "params": {}}


def need(requests: Json, state: str | None = None) -> Json:
    result: Json = {"resultType": "input_required", "inputRequests": requests}
    return result if state is None else {**result, "requestState": sign(state)}


def sign(state: str) -> str:
    return f"{state}.{hmac.new(SECRET, state.encode(), 'sha256').hexdigest()}"


def signed(token: str | None) -> str:
    state, _, _ = (token or "").rpartition(".")
    if not hmac.compare_digest(sign(state), token or ""):
        raise MCPError(INVALID_PARAMS, "requestState was not issued by this server")
    return state


def responses(params: BaseModel) -> Json:
    """Return the valid input responses as plain JSON."""
    dumped = params.model_dump(by_alias=True, mode="json", exclude_none=True)
    found: Json = dumped.get("inputResponses") or {}
    return found


# Plain content


def _fixed(result: Json) -> Tool:
    async def tool(_ctx: Context, _params: CallToolRequestParams) -> Json:
        return result

    return tool


RESOURCE = {"uri": "test://embedded-resource", "mimeType": "text/plain", "text": "An embedded resource."}
MIXED = {"uri": "test://mixed-content-resource", "mimeType": "application/json", "text": '{"test":"data","value":123}'}
IMAGE = {"type": "image", "data": PIXEL, "mimeType": "image/png"}


# Streams


async def logs(ctx: Context, _params: CallToolRequestParams) -> Json:
    for step in ("started", "processing", "completed"):
        await ctx.session.send_log_message("info", f"Tool execution {step}", related_request_id=ctx.request_id)
        await anyio.sleep(0.05)
    return text("Logged.")


async def progresses(ctx: Context, _params: CallToolRequestParams) -> Json:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100, f"Completed step {done} of 100")
        await anyio.sleep(0.05)
    return text("Progressed.")


async def streams_elicitation(ctx: Context, params: CallToolRequestParams) -> Json:
    await ctx.session.report_progress(1, 2)
    return need({"answer": ask("Anything?", "answer")}) if not responses(params) else text("Thank you.")


# Requests to the client, 2025


class _AnyRequest(BaseModel):
    method: str
    params: Json


async def asks_back(ctx: Context, request: Json, kind: type[BaseModel]) -> Json:
    """Send the request on the stream of this call and wait for the response of the client."""
    metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
    answer = await ctx.session.send_request(_AnyRequest(**request), kind, metadata=metadata)  # type: ignore[arg-type]
    return answer.model_dump(by_alias=True, mode="json", exclude_none=True)


async def samples(ctx: Context, params: CallToolRequestParams) -> Json:
    answer = await asks_back(ctx, sample(str((params.arguments or {}).get("prompt", ""))), CreateMessageResult)
    return text(f"LLM response: {answer['content']['text']}")


async def elicits(ctx: Context, params: CallToolRequestParams) -> Json:
    message = str((params.arguments or {}).get("message", ""))
    return await _elicit(ctx, message, {"response": {"type": "string", "description": "User's response"}})


async def _elicit(ctx: Context, message: str, properties: Json) -> Json:
    schema = {"type": "object", "properties": properties, "required": []}
    request = {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}
    answer = await asks_back(ctx, request, ElicitResult)
    return text(f"User response: action={answer['action']}, content={answer.get('content', {})}")


DEFAULTS: Json = {
    "name": {"type": "string", "description": "User name", "default": "John Doe"},
    "age": {"type": "integer", "description": "User age", "default": 30},
    "score": {"type": "number", "description": "User score", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "description": "Verified", "default": True},
}


def _titled(*values: str) -> list[Json]:
    return [{"const": value, "title": f"{value.title()} choice"} for value in values]


ENUMS: Json = {
    "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
    "titledSingle": {"type": "string", "oneOf": _titled("value1", "value2", "value3")},
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
    "titledMulti": {"type": "array", "items": {"anyOf": _titled("value1", "value2", "value3")}},
}


async def elicits_defaults(ctx: Context, _params: CallToolRequestParams) -> Json:
    return await _elicit(ctx, "Please check these values", DEFAULTS)


async def elicits_enums(ctx: Context, _params: CallToolRequestParams) -> Json:
    return await _elicit(ctx, "Please choose", ENUMS)


# Input required, 2026


def _asking(requests: Json, done: Callable[[Json], str], state: str | None = None) -> Tool:
    async def tool(_ctx: Context, params: CallToolRequestParams) -> Json:
        given = responses(params)
        if params.request_state is not None and state is not None:
            signed(params.request_state)
        if not all(_usable(given.get(key)) for key in requests):
            return need(requests, state)
        if state is not None:
            signed(params.request_state)
        return text(done(given))

    return tool


def _usable(response: Any) -> bool:
    return isinstance(response, dict) and bool(response)


async def asks_in_rounds(_ctx: Context, params: CallToolRequestParams) -> Json:
    given = responses(params)
    if "step1" in given and signed(params.request_state) == "round 1":
        return need({"step2": ask("Step 2: What is your favorite color?", "color")}, "round 2")
    if "step2" in given and signed(params.request_state) == "round 2":
        return text("All rounds done.")
    return need({"step1": ask("Step 1: What is your name?", "name")}, "round 1")


async def asks_by_client_capabilities(ctx: Context, params: CallToolRequestParams) -> Json:
    can = ctx.session.client_capabilities
    requests: Json = {}
    if can is not None and can.sampling is not None:
        requests["sampled"] = sample("Say something")
    if can is not None and can.elicitation is not None:
        requests["elicited"] = ask("Say something", "words")
    return need(requests) if requests and not responses(params) else text("Nothing to ask.")


async def needs_sampling(ctx: Context, _params: CallToolRequestParams) -> Json:
    can = ctx.session.client_capabilities
    if can is None or can.sampling is None:
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY, "Needs sampling", data={"requiredCapabilities": {"sampling": {}}}
        )
    return text("Sampling is there.")


async def changes_the_list(ctx: Context, _params: CallToolRequestParams) -> Json:
    await BUS.publish(ToolsListChanged())
    return text("Changed.")


def _hello(given: Json) -> str:
    return f"Hello, {given['user_name'].get('content', {}).get('name', 'stranger')}!"


THREE: Json = {
    "user_name": ask("What is your name?", "name"),
    "greeting": sample("Generate a greeting", 50),
    "client_roots": ROOTS,
}
PREFIX = "test_input_required_result_"
FIXED: dict[str, Json] = {
    "test_simple_text": text("This is a simple text response for testing."),
    "test_image_content": {"content": [IMAGE]},
    "test_audio_content": {"content": [{"type": "audio", "data": SILENCE, "mimeType": "audio/wav"}]},
    "test_embedded_resource": {"content": [{"type": "resource", "resource": RESOURCE}]},
    "test_multiple_content_types": {
        "content": [{"type": "text", "text": "Several types:"}, IMAGE, {"type": "resource", "resource": MIXED}]
    },
    "test_error_handling": text("This tool intentionally returns an error for testing", isError=True),
    "json_schema_2020_12_tool": text("Valid."),
}
TOOLS: dict[str, Tool] = {
    **{name: _fixed(result) for name, result in FIXED.items()},
    "test_custom_headers": _fixed(text("The headers agree.")),
    "test_tool_with_logging": logs,
    "test_logging_tool": logs,
    "test_tool_with_progress": progresses,
    "test_sampling": samples,
    "test_elicitation": elicits,
    "test_elicitation_sep1034_defaults": elicits_defaults,
    "test_elicitation_sep1330_enums": elicits_enums,
    "test_streaming_elicitation": streams_elicitation,
    "test_missing_capability": needs_sampling,
    "test_trigger_tool_change": changes_the_list,
    PREFIX + "elicitation": _asking({"user_name": THREE["user_name"]}, _hello),
    PREFIX + "sampling": _asking(
        {"capital_question": sample("What is the capital of France?")},
        lambda given: str(given["capital_question"].get("content", {}).get("text", "")),
    ),
    PREFIX + "list_roots": _asking({"client_roots": ROOTS}, lambda given: str(given["client_roots"])),
    PREFIX + "request_state": _asking(
        {"confirm": ask("Please confirm", "ok", "boolean")}, lambda _given: "state-ok", "confirming"
    ),
    PREFIX + "multiple_inputs": _asking(THREE, lambda given: f"Got {sorted(given)}", "three"),
    PREFIX + "tampered_state": _asking({"confirm": ask("Please confirm", "ok")}, lambda _given: "state-ok", "kept"),
    PREFIX + "multi_round": asks_in_rounds,
    PREFIX + "capabilities": asks_by_client_capabilities,
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS: dict[str, Json] = {
    "test_sampling": {"type": "object", "properties": {"prompt": {"type": "string"}}},
    "test_elicitation": {"type": "object", "properties": {"message": {"type": "string"}}},
    "test_custom_headers": {
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "priority": {"type": "integer", "x-mcp-header": "Priority"},
            "verbose": {"type": "boolean", "x-mcp-header": "Verbose"},
        },
    },
    "json_schema_2020_12_tool": {
        "$schema": DIALECT,
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
}
