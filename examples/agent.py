"""A complete agent: takes tasks one after the other, keeps its lease while it works, reports, finishes or hands over.

    python examples/agent.py --url http://localhost:8081/mcp --name agent-1 [--project 1] [--once]

Replace `work` with what your agent does. Needs the package `mcp`.
"""

import argparse
import os
from typing import Any

import anyio
from mcp.client import Client


class Refused(Exception):
    """The service said no; the text says why and what to do next, and begins with a stable code."""


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Calls a tool; its structured result. Raises Refused."""
    result = await client.call_tool(tool, {name: value for name, value in arguments.items() if value is not None})
    if result.is_error:
        raise Refused(result.content[0].text)
    return dict(result.structured_content)


async def work(task: dict[str, Any]) -> str:
    """The work itself; what it returns is kept in the task's log."""
    await anyio.sleep(0.05)
    return f"Did what was asked: {task['name']}"


async def keep_lease(client: Client, agent: str, lock: dict[str, Any], lost: anyio.CancelScope) -> None:
    """Renews the lease every third of its length; stops the work when the lease is gone."""
    while True:
        await anyio.sleep(lock["ttl_seconds"] / 3)
        try:
            await call(client, "renew_task_lock", task_id=lock["task_id"], agent_id=agent, fence=lock["fence"])
        except Refused:
            lost.cancel()
            return


async def do_one(client: Client, agent: str, task: dict[str, Any], lock: dict[str, Any]) -> None:
    """Works on one task under its lease. A fence goes with every write, so that nothing late can do harm."""
    mine = {"task_id": task["id"], "agent_id": agent, "fence": lock["fence"]}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_lease, client, agent, lock, tasks.cancel_scope)
        try:
            report = await work(task)
        except Exception as error:  # noqa: BLE001 whatever went wrong, the next agent should know, and may try again
            await call(client, "release_task_lock", **mine, handoff=f"Failed: {error}", failed=True)
        else:
            await call(client, "add_task_log", **mine, kind="evidence", body=report)
            await call(client, "update_task_status", **mine, status="DONE")
        tasks.cancel_scope.cancel()


async def run(url: str, agent: str, project: int | None, once: bool) -> None:
    """Takes tasks until there are none (`once`), or for ever."""
    async with Client(url) as client:
        for holding in (await call(client, "get_context", agent_id=agent))["holding"]:
            print(f"{agent} goes on with #{holding['task']['id']}", flush=True)
            await do_one(client, agent, holding["task"], holding["lock"])
        while True:
            claim = await call(
                client, "claim_next_task", agent_id=agent, project_id=project, wait_seconds=0 if once else 50
            )
            if claim["task"] is None:
                if once:
                    print(claim["message"], flush=True)
                    return
                continue
            print(f"{agent} takes #{claim['task']['id']} {claim['task']['name']}", flush=True)
            await do_one(client, agent, claim["task"], claim["lock"])


def main() -> None:
    parser = argparse.ArgumentParser(description="An agent that takes tasks and finishes them.")
    parser.add_argument("--url", default="http://localhost:8081/mcp", help="the MCP endpoint")
    parser.add_argument("--name", default=f"agent-{os.getpid()}", help="the agent's id")
    parser.add_argument("--project", type=int, help="take tasks of this project only")
    parser.add_argument("--once", action="store_true", help="end when nothing is ready instead of waiting")
    given = parser.parse_args()
    anyio.run(run, given.url, given.name, given.project, given.once)


if __name__ == "__main__":
    main()
