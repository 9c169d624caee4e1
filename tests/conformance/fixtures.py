"""The tools, resources and prompts that the official conformance suite expects, on the MCP interface of the product.

The product never imports this module. `python -m tests.conformance.fixtures PORT` serves it.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from mcp import types as wire
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CompleteRequestParams,
    CompleteResult,
    EmptyResult,
    GetPromptRequestParams,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    SetLevelRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)
from pydantic import BaseModel

from project_manager.mcp.server import McpSdkServer
from tests.conformance.tools import (
    BUS,
    FIXED,
    IMAGE,
    INFO,
    NO_ARGUMENTS,
    PIXEL,
    PREFIX,
    RESOURCE,
    SCHEMAS,
    TOOLS,
    Context,
    Json,
    ask,
    need,
    responses,
)


async def list_tools(_ctx: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
    tools = [
        wire.Tool(name=name, description=name.replace("_", " "), input_schema=SCHEMAS.get(name, NO_ARGUMENTS))
        for name in TOOLS
    ]
    return ListToolsResult(tools=tools, ttl_ms=60_000, cache_scope="public")


async def call_tool(ctx: Context, params: CallToolRequestParams) -> Any:
    tool = TOOLS.get(params.name)
    if tool is None:
        raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
    return {"resultType": "complete", **await tool(ctx, params)}


class Encoded:
    """A result, encoded as the bytes of a complete response."""

    def __init__(self, result: Json) -> None:
        self.result = result

    def response(self, call_id: str | int | None, version: str, server_info: bytes) -> bytes:
        result = dict(self.result)
        if version == "2026-07-28":
            result |= {"resultType": "complete", "_meta": {INFO: orjson.loads(server_info)}}
        return orjson.dumps({"jsonrpc": "2.0", "id": call_id, "result": result})


async def call_directly(_scope: object, _version: str, params: Mapping[str, Any]) -> Encoded:
    """Call a tool that needs neither context nor notifications."""
    return Encoded(FIXED[params["name"]])


RESOURCES: dict[str, Json] = {
    "test://static-text": {"mimeType": "text/plain", "text": "This is the content of the static text resource."},
    "test://static-binary": {"mimeType": "image/png", "blob": PIXEL},
    "test://watched-resource": {"mimeType": "text/plain", "text": "Watched resource content"},
}


async def list_resources(_ctx: Context, _params: PaginatedRequestParams | None) -> ListResourcesResult:
    found = [wire.Resource(uri=uri, name=uri, mime_type=body["mimeType"]) for uri, body in RESOURCES.items()]
    return ListResourcesResult(resources=found)


async def list_templates(_ctx: Context, _params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
    template = wire.ResourceTemplate(
        uri_template="test://template/{id}/data", name="template", mime_type="application/json"
    )
    return ListResourceTemplatesResult(resource_templates=[template])


def _contents(content: Json) -> Json:
    return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "contents": [content]}


async def read_resource(_ctx: Context, params: ReadResourceRequestParams) -> Any:
    uri = str(params.uri)
    if uri in RESOURCES:
        return _contents({"uri": uri, **RESOURCES[uri]})
    if uri.startswith("test://template/") and uri.endswith("/data"):
        found = uri.removeprefix("test://template/").removesuffix("/data")
        body = f'{{"id":"{found}","templateTest":true,"data":"Data for ID: {found}"}}'
        return _contents({"uri": uri, "mimeType": "application/json", "text": body})
    raise MCPError(INVALID_PARAMS, "Resource not found", data={"uri": uri})


PROMPTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    PREFIX + "prompt": (),
}


async def list_prompts(_ctx: Context, _params: PaginatedRequestParams | None) -> ListPromptsResult:
    return ListPromptsResult(
        prompts=[
            wire.Prompt(
                name=name, description=name, arguments=[wire.PromptArgument(name=word, required=True) for word in words]
            )
            for name, words in PROMPTS.items()
        ]
    )


def _prompt_message(*contents: Json) -> Json:
    return {"resultType": "complete", "messages": [{"role": "user", "content": content} for content in contents]}


async def get_prompt(_ctx: Context, params: GetPromptRequestParams) -> Any:
    given = params.arguments or {}
    if params.name == PREFIX + "prompt":
        if not responses(params):
            return need({"user_context": ask("What context should the prompt use?", "context")})
        return _prompt_message({"type": "text", "text": "With your context."})
    if params.name not in PROMPTS:
        raise MCPError(INVALID_PARAMS, f"Unknown prompt: {params.name}")
    embedded = {"type": "resource", "resource": {**RESOURCE, "uri": given.get("resourceUri", RESOURCE["uri"])}}
    return {
        "test_simple_prompt": _prompt_message({"type": "text", "text": "This is a simple prompt for testing."}),
        "test_prompt_with_arguments": _prompt_message(
            {"type": "text", "text": f"arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'"}
        ),
        "test_prompt_with_embedded_resource": _prompt_message(
            embedded, {"type": "text", "text": "Process the resource."}
        ),
        "test_prompt_with_image": _prompt_message(IMAGE, {"type": "text", "text": "Analyze the image."}),
    }[params.name]


async def complete(_ctx: Context, _params: CompleteRequestParams) -> CompleteResult:
    return CompleteResult(completion=wire.Completion(values=["paris", "park"], total=2, has_more=False))


async def acknowledge(_ctx: Context, _params: BaseModel) -> EmptyResult:
    return EmptyResult()


def build() -> McpSdkServer:
    """Return the fixture server. It marks the tools that never notify, so that the suite tests both response paths."""
    server = McpSdkServer(
        "conformance-fixtures",
        sends_no_notifications=lambda name, _arguments: name in FIXED,
        call_directly=call_directly,
        listen=ListenHandler(BUS),
        version="1",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        get_tool_input_schema=lambda name: SCHEMAS.get(name, NO_ARGUMENTS) if name in TOOLS else None,
    )
    server.add_request_handler("resources/subscribe", SubscribeRequestParams, acknowledge)
    server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, acknowledge)
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, acknowledge)
    return server
