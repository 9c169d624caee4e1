"""Calls of MCP connections with an agent, a project or a token of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL
from project_manager.mcp.server import build_server
from project_manager.runtime.calls import Caller
from project_manager.runtime.dispatch import Runtime
from tests.e2e.mcp_listener import HANDSHAKE, TIMEOUT, Wire, call, listening, wire
from tests.operations_client import Json, OperationsClient

PROTOCOLS = ["2025", "2026"]
FILLED = {
    "agent_id": "",
    "project_id": 0,
    "project_name": "",
    "epic_id": 0,
    "epic_name": "",
    "labels": [],
    "ttl_seconds": 0,
    "wait_seconds": 0,
    "request_id": "",
}


@asynccontextmanager
async def served(runtime: Runtime, **given: Any) -> AsyncIterator[Wire]:
    """Serve MCP on a new instance of its server, and yield a client."""
    async with listening(build_server(runtime), **given) as listener, wire(listener) as bare:
        yield bare


async def ask(bare: Wire, protocol: str, path: str, tool: str, headers: Any = None, **arguments: Any) -> str:
    """Call a tool and return the text of its result. A client of 2025 opens a session at its first call."""
    if protocol == "2025":
        if not bare.session:
            await initialize(bare, path)
        answer = await bare.post(call(tool, **arguments), headers, path)
    else:
        answer = await post_modern(bare, path, call(tool, **arguments), headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["result"]["content"][0]["text"])


async def initialize(bare: Wire, path: str, client: str = "claude-code") -> None:
    params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": client, "version": "1"}}
    opening = await bare.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, path=path)
    bare.session = opening.headers["mcp-session-id"]
    await bare.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, path=path)


async def post_modern(bare: Wire, path: str, message: Json, headers: Json | None = None) -> httpx.Response:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "Codex MCP", "version": "1"},
    }
    named = {"mcp-name": message["params"]["name"]} if "name" in message["params"] else {}
    routing = {"mcp-protocol-version": "2026-07-28", "mcp-method": message["method"], **named, **(headers or {})}
    body = {**message, "params": {**message["params"], "_meta": meta}}
    return await bare.http.post(path, content=orjson.dumps(body), headers=routing)


async def listed(bare: Wire, path: str, protocol: str = "2026", headers: Json | None = None) -> Json:
    """Return the input schemas of the listed tools by name."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    if protocol == "2025":
        await initialize(bare, path)
        answer = await bare.post(message, headers, path)
        body = orjson.loads(answer.text.partition("data: ")[2].strip())
    else:
        body = (await post_modern(bare, path, message, headers)).json()
    return {tool["name"]: tool["inputSchema"] for tool in body["result"]["tools"]}


async def holder(api: OperationsClient, task_id: int) -> str | None:
    lock = (await api.get_task(task_id))["lock"]
    return lock and str(lock["holder"])


async def new_token(api: OperationsClient, role: str, agent_id: str | None = None) -> dict[str, str]:
    raw = {"name": f"{role} {agent_id}", "role": role, "agent_id": agent_id}
    answer = await api.runtime.run(BY_NAME["create_token"], raw, Caller(LOCAL, "cli", "test"))
    return {"authorization": f"Bearer {answer.view.secret}"}


@asynccontextmanager
async def wire_of(bare: Wire) -> AsyncIterator[Wire]:
    """Yield another client of the same listener."""
    async with httpx.AsyncClient(
        base_url=bare.http.base_url, headers=bare.http.headers, timeout=TIMEOUT, trust_env=False
    ) as http:
        yield Wire(http)
