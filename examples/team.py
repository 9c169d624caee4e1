"""Three scripted agents that take a project to its end: they claim, submit, review, ask, and read messages.

    .venv/bin/python examples/team.py [--url http://localhost:8080] [--database data/tasks.db] [--seconds 0.5]
                                      [--no-review]

`codex` works over MCP by HTTP, `claude` over MCP by stdio, and `gemini` over REST. The tutorial docs/tutorial-team.md
explains the run. The script ends when no task of the project is open. On a server with tokens, `codex` and `gemini`
need a token each, in the environment variables PM_TOKEN_CODEX and PM_TOKEN_GEMINI.
"""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import httpx2
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

Json = dict[str, Any]
Call = Callable[..., Awaitable[Json]]

PROJECT = "Card payments"
QUESTION = "Choose the payment provider"
"""The task that needs a decision of a person."""
REWORK = "Refuse expired cards"
"""The task with a first round that its reviewer sends back."""
COMMAND = Path(sys.executable).with_name("project-manager")
TIMEOUT = 30
ROUTES = {
    "claim_next_task": ("POST", "/api/tasks/claim"),
    "list_tasks": ("GET", "/api/tasks"),
    "add_task_log": ("POST", "/api/tasks/{task_id}/log"),
    "ask": ("POST", "/api/tasks/{task_id}/questions"),
    "update_task_status": ("POST", "/api/tasks/{task_id}/status"),
    "review_task": ("POST", "/api/tasks/{task_id}/reviews"),
}
"""The routes of the operations that an agent over REST calls."""


class Refused(Exception):
    """The service refused the call. The text begins with a stable code."""


class Agent:
    """An agent with a name. `send` calls an operation over its interface."""

    def __init__(self, name: str, send: Call, seconds: float, *, reviews: bool) -> None:
        self.name = name
        self._send = send
        self._seconds = seconds
        self._reviews = reviews
        self._read: list[int] = []

    def report(self, text: str) -> None:
        print(f"{self.name}: {text}", flush=True)

    async def call(self, operation: str, **arguments: Any) -> Json:
        """Call an operation, acknowledge the messages of the last response, and print new ones."""
        read, self._read = self._read, []
        response = await self._send(operation, read, **arguments)
        for message in response.get("messages", ()):
            self.report(f"got a {message['kind']} from {message['sender']}: {message['body']}")
            self._read.append(message["id"])
        return response

    async def run(self) -> None:
        """Review and work until no task of the project is open."""
        while await self.has_open_tasks():
            if not (self._reviews and await self.review()):
                await self.work()

    async def has_open_tasks(self) -> bool:
        status = "BACKLOG,TODO,IN_PROGRESS,REVIEW,BLOCKED"
        return bool((await self.call("list_tasks", project_name=PROJECT, status=status))["items"])

    async def review(self) -> bool:
        """Review one submission of another agent. Return whether there was one."""
        claim = await self.call("claim_next_task", project_name=PROJECT, kind="review")
        if not claim.get("task"):
            return False
        task, submission = claim["task"], claim["submission"]
        verdict = {"verdict": "approved", "body": "The evidence fits."}
        if task["name"] == REWORK and submission["round"] == 1:
            verdict = {"verdict": "changes_requested", "body": "The page names no reason."}
        given = {"task_id": task["id"], "digest": submission["digest"], "fence": claim["lock"]["fence"], **verdict}
        await self.call("review_task", **given)
        self.report(f"reviewed {task['name']!r}: {verdict['verdict']}")
        return True

    async def work(self) -> None:
        """Claim the next task and submit its work. Wait for a second if no task is ready."""
        claim = await self.call("claim_next_task", project_name=PROJECT, wait_seconds=1)
        task = claim.get("task")
        if not task:
            if claim.get("paused"):
                self.report(f"waits, paused: {claim['paused']['reason']}")
            return
        mine = {"task_id": task["id"], "fence": claim["lock"]["fence"]}
        if claim.get("review"):
            self.report(f"reworks {task['name']!r}: {claim['review']['body']}")
        if task["name"] == QUESTION and not claim.get("answer"):
            await self.call("ask", text="Which provider do we take?", options=["Alpha", "Beta"], **mine)
            self.report(f"asked about {task['name']!r}")
            return
        self.report(f"begins {task['name']!r}")
        await self.call("add_task_log", body="Begun.", kind="progress", **mine)
        await anyio.sleep(self._seconds)
        evidence = [
            {"criterion": index, "command": f"make check-{index}", "exit_code": 0}
            for index, _ in enumerate(task["acceptance"])
        ]
        summary = claim.get("answer", {}).get("answer") or "Finished as described."
        await self.call("update_task_status", status="REVIEW", summary=summary, evidence=evidence, **mine)
        self.report(f"submitted {task['name']!r}")


def headers_of(agent: str) -> Json:
    """Return the headers with the token of the agent, if it has one."""
    token = os.environ.get(f"PM_TOKEN_{agent.upper()}")
    return {"Authorization": f"Bearer {token}"} if token else {}


async def over_http(url: str, agent: str, stack: AsyncExitStack) -> Call:
    """Return the function that calls tools over MCP by HTTP as this agent."""
    address = f"{url}/mcp?agent_id={agent}&project={quote(PROJECT)}"
    http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers_of(agent), timeout=TIMEOUT))
    return await over_mcp(Client(streamable_http_client(address, http_client=http)), stack)


async def over_stdio(database: str, agent: str, stack: AsyncExitStack) -> Call:
    """Return the function that calls tools over MCP by stdio as this agent. It needs no token."""
    flags = ["mcp", "--db-path", database, "--agent-id", agent, "--project", PROJECT]
    return await over_mcp(Client(StdioServerParameters(command=str(COMMAND), args=flags)), stack)


async def over_mcp(connection: Client, stack: AsyncExitStack) -> Call:
    """Return the function that calls tools of an MCP server. The connection fixes the agent id."""
    client = await stack.enter_async_context(connection)

    async def send(operation: str, read: list[int], **arguments: Any) -> Json:
        result = await client.call_tool(operation, {**arguments, **({"ack": read} if read else {})})
        if result.is_error:
            raise Refused("".join(part.text for part in result.content if part.type == "text"))
        return dict(result.structured_content or {})

    return send


async def over_rest(url: str, agent: str, stack: AsyncExitStack) -> Call:
    """Return the function that calls the REST API as this agent."""
    headers = {"X-Agent-ID": agent, **headers_of(agent)}
    http = await stack.enter_async_context(httpx2.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT))

    async def send(operation: str, read: list[int], **arguments: Any) -> Json:
        method, path = ROUTES[operation]
        given = {**arguments, "agent_id": agent}
        path = path.format(task_id=given.pop("task_id", ""))
        headers = {"Message-Ack": ",".join(map(str, read))} if read else {}
        sent = {"params": given} if method == "GET" else {"json": given}
        response = await http.request(method, path, headers=headers, **sent)
        if response.is_error:
            raise Refused(response.text)
        body = response.json()
        return {name: value for name, value in body.items() if value is not None}

    return send


async def run_team(url: str, database: str, seconds: float, *, reviews: bool) -> None:
    """Run the three agents until the project has no open task."""
    async with AsyncExitStack() as stack:
        calls = {
            "codex": await over_http(url, "codex", stack),
            "claude": await over_stdio(database, "claude", stack),
            "gemini": await over_rest(url, "gemini", stack),
        }
        async with anyio.create_task_group() as team:
            for name, send in calls.items():
                team.start_soon(Agent(name, send, seconds, reviews=reviews).run)
    print("no task is open", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Three scripted agents on one project.")
    parser.add_argument("--url", default="http://localhost:8080")
    parser.add_argument("--database", default=os.environ.get("DATABASE_PATH", "data/tasks.db"))
    parser.add_argument("--seconds", type=float, default=0.5, help="length of the work on a task")
    parser.add_argument("--no-review", action="store_true", help="leave the reviews to a person")
    given = parser.parse_args()
    anyio.run(partial(run_team, given.url, given.database, given.seconds, reviews=not given.no_review))


if __name__ == "__main__":
    main()
