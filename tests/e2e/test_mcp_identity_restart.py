"""An issued agent id survives kill -9, and is the same at another instance."""

import signal
from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.e2e.mcp_listener import ACCEPT, HANDSHAKE, TIMEOUT, Wire, call
from tests.e2e.mcp_process import free_ports, service

PATH = "/mcp?agent_id=auto"


def client(url: str) -> httpx.AsyncClient:
    headers = {"accept": ACCEPT, "content-type": "application/json"}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False)


async def result(bare: Wire, tool: str, **arguments: Any) -> Any:
    answer = await bare.post(call(tool, **arguments), path=PATH)
    return orjson.loads(answer.json()["result"]["content"][0]["text"])


async def open_session(http: httpx.AsyncClient) -> Wire:
    bare = Wire(http)
    params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "claude-code", "version": "1"}}
    opening = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    bare.session = (await bare.post(opening, path=PATH)).headers["mcp-session-id"]
    return bare


async def test_a_session_finds_its_lease_after_a_killed_server_and_at_another_instance(tmp_path: Path) -> None:
    database, ports = tmp_path / "pm.db", free_ports()
    async with service(database, ports) as first, client(first.mcp) as http:
        bare = await open_session(http)
        await result(bare, "create_task", name="x")
        claim = await result(bare, "claim_next_task")
        await first.stop(signal.SIGKILL)
    async with service(database, ports) as again, service(database, free_ports()) as other:
        for instance in (again, other):
            async with client(instance.mcp) as http:
                continued = Wire(http)
                continued.session = bare.session
                context = await result(continued, "get_context")
                assert context["agent_id"] == claim["agent_id"]
                assert [held["lock"]["fence"] for held in context["holding"]] == [1]
                renewed = await result(continued, "renew_task_lock")
                assert (renewed["agent_id"], len(renewed["leases"])) == (claim["agent_id"], 1)
