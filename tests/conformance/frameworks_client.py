"""Run the loop with the tools of two real frameworks: `python frameworks_client.py smolagents|openai-agents URL`.

It needs the packages of `frameworks.txt`, which require an older `mcp` than the service. Exit status 0: everything
passed.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

Json = dict[str, Any]
Call = Callable[..., Any]


def loop(call: Call) -> None:
    """Create, edit and finish a task. The edit keeps the fields that it does not name."""
    created = call("create_task", name="one", description="all of it", labels=["ui"], priority=3, agent_id="ann")
    claim = call("claim_next_task", agent_id="ann")
    assert claim["task"]["id"] == created["id"], claim
    assert claim["task"]["created_by"] == "ann", claim
    mine = {"task_id": created["id"], "agent_id": "ann", "fence": claim["lock"]["fence"]}
    call("add_task_log", body="half", **mine)
    call("renew_task_lock", **mine)
    call("update_task", name="the one", **mine)
    task = call("get_task_details", task_id=created["id"])["task"]
    kept = (task["name"], task["description"], task["labels"], task["priority"])
    assert kept == ("the one", "all of it", ["ui"], 3), task
    assert call("update_task_status", status="DONE", **mine)["status"] == "DONE"


def with_smolagents(url: str) -> None:
    """Run the loop with smolagents, which validates each call, with the required arguments only."""
    collect = import_module("smolagents").ToolCollection.from_mcp
    validate = import_module("smolagents.tools").validate_tool_arguments
    server = {"url": url, "transport": "streamable-http"}
    with collect(server, trust_remote_code=True, structured_output=False) as collection:
        tools = {tool.name: tool for tool in collection.tools}

        def call(tool: str, /, **arguments: Any) -> Json:
            validate(tools[tool], arguments)
            answer: Json = json.loads(tools[tool](**arguments))
            return answer

        loop(call)


def with_openai_agents(url: str) -> None:
    """Run the loop like a model in strict mode, which sends every argument: null if possible, else an empty value."""
    mcp = import_module("agents.mcp")

    async def run() -> None:
        async with mcp.MCPServerStreamableHttp({"url": url}, client_session_timeout_seconds=30) as server:
            schemas = {}
            for listed in await server.list_tools():
                strict = mcp.MCPUtil.to_function_tool(listed, server, convert_schemas_to_strict=True)
                assert strict.strict_json_schema, listed.name
                schemas[listed.name] = strict.params_json_schema
            asyncio_loop = asyncio.get_running_loop()

            def call(tool: str, /, **arguments: Any) -> Json:
                everything = filled(schemas[tool], arguments)
                work = asyncio.run_coroutine_threadsafe(server.call_tool(tool, everything), asyncio_loop)
                result = work.result(timeout=30)
                text = result.content[0].text
                assert not result.isError, (tool, everything, text)
                answer: Json = json.loads(text)
                return answer

            await asyncio.to_thread(loop, call)

    asyncio.run(run())


def filled(schema: Json, arguments: Json) -> Json:
    """Return the arguments, with a filler for each other one that the schema requires."""
    fillers = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}
    everything = {}
    for name, node in schema["properties"].items():
        kind = node["type"]
        if name in arguments:
            everything[name] = arguments[name]
        elif isinstance(kind, list):
            assert "null" in kind, (name, node)
            everything[name] = None
        elif "enum" in node:
            everything[name] = node["enum"][0]
        else:
            everything[name] = fillers[kind]
    assert set(everything) >= set(schema["required"]) >= set(arguments)
    return everything


if __name__ == "__main__":
    {"smolagents": with_smolagents, "openai-agents": with_openai_agents}[sys.argv[1]](sys.argv[2])
