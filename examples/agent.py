"""A complete agent: takes tasks one after the other, keeps its lease while it works, reports, finishes or hands over,
and goes on when the server is restarted.

    .venv/bin/python examples/agent.py --name agent-1 [--url http://localhost:8081/mcp] [--project "Web shop"] [--once]

Replace `work` with what your agent does. Needs the package `mcp`, which the service brings along. A token is given
with --token, or out of sight of others in the environment variable PM_TOKEN.
"""

import argparse
import os
import sys
import uuid
from typing import Any

import anyio
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, METHOD_NOT_FOUND

PASSING = {"QUEUE_FULL", "DATABASE_BUSY", "DATABASE_UNAVAILABLE", "QUERY_TIMEOUT", "SHUTTING_DOWN", "RATE_LIMITED"}
ANSWERED_ONCE = {"claim_next_task", "add_task_log", "update_task_status", "release_task_lock"}
NOT_LET_IN = {
    401: "wants a token that it knows: send one with --token, or in the environment variable PM_TOKEN",
    403: "does not let this caller in",
}
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
WAIT_SECONDS = 20
PATIENCE = httpx2.Timeout(10, read=WAIT_SECONDS + 20)

Json = dict[str, Any]


class Refused(Exception):
    """The service said no; the text says why and what to do next, and begins with a stable code."""


class Passing(Exception):
    """No answer, or one that says that another moment is better."""


class Service:
    """The service, as one agent sees it. Every call connects anew, so that a restart is nothing special."""

    def __init__(self, url: str, agent: str, token: str) -> None:
        self.agent = agent
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def call(self, tool: str, **arguments: Any) -> Json:
        """The structured result of a tool. Raises Refused.

        While the server is away the call is repeated with the same request_id: what had taken effect before its answer
        was lost is answered again and not done twice.
        """
        sent = {name: value for name, value in arguments.items() if value is not None} | {"agent_id": self.agent}
        if tool in ANSWERED_ONCE:
            sent["request_id"] = str(uuid.uuid4())
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._call_once(tool, sent)
            except Passing as reason:
                if pause == FIRST_PAUSE:
                    print(f"{self.agent} tries {tool} again: {reason}", file=sys.stderr, flush=True)
            await anyio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _call_once(self, tool: str, arguments: Json) -> Json:
        statuses = [0]

        async def note(response: httpx2.Response) -> None:
            statuses.append(response.status_code)

        try:
            async with (
                httpx2.AsyncClient(headers=self._headers, timeout=PATIENCE, event_hooks={"response": [note]}) as http,
                Client(streamable_http_client(self._url, http_client=http)) as client,
            ):
                result = await client.call_tool(tool, arguments)
        except (ExceptionGroup, httpx2.TransportError, MCPError) as error:
            raise self._meaning(_first(error), max(statuses)) from error
        if result.is_error:
            text = "".join(part.text for part in result.content if part.type == "text")
            raise Passing(text) if text.partition(":")[0] in PASSING else Refused(text)
        return dict(result.structured_content or {})

    def _meaning(self, error: Exception, status: int) -> Exception:
        """Whether it helps to try again."""
        if 400 <= status < 500:
            return Refused(f"{self._url} {NOT_LET_IN.get(status, f'answered {status}')}")
        if isinstance(error, MCPError) and error.error.code not in (INVALID_PARAMS, METHOD_NOT_FOUND):
            return Passing(f"{self._url} broke off ({error})")
        if isinstance(error, httpx2.TransportError):
            return Passing(f"{self._url} does not answer ({error})")
        return error


def _first(error: Exception) -> Exception:
    """The first error in a group that is not a group itself."""
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


async def work(task: Json) -> str:
    """The work itself; what it returns is kept in the task's log."""
    await anyio.sleep(0.05)
    return f"Did what was asked: {task['name']}"


async def keep_lease(service: Service, task_id: int, lock: Json, lost: anyio.CancelScope) -> None:
    """Renews the lease at once, since one that is taken up again may be old, and then every third of its length.

    Stops the work when the service says that the lease is gone, or when nobody has renewed it for its whole length: a
    server that is away for a moment is no reason.
    """
    third = lock["ttl_seconds"] / 3
    left = lock["ttl_seconds"]
    while True:
        with anyio.move_on_after(left) as patience:
            try:
                await service.call("renew_task_lock", task_id=task_id, fence=lock["fence"])
            except Refused as refusal:
                print(f"{service.agent} stops: {refusal}", file=sys.stderr, flush=True)
                lost.cancel()
        if patience.cancelled_caught:
            lost.cancel()
        await anyio.sleep(third)
        left = lock["ttl_seconds"] - third


async def do_one(service: Service, task: Json, lock: Json) -> None:
    """Works on one task under its lease. A fence goes with every write, so that nothing late can do harm."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_lease, service, task["id"], lock, tasks.cancel_scope)
        try:
            await finish(service, task, {"task_id": task["id"], "fence": lock["fence"]})
        except Refused as refusal:  # the lease ended meanwhile: the task is somebody else's now
            print(f"{service.agent} leaves #{task['id']}: {refusal}", file=sys.stderr, flush=True)
        tasks.cancel_scope.cancel()


async def finish(service: Service, task: Json, mine: Json) -> None:
    try:
        report = await work(task)
    except Exception as error:  # noqa: BLE001 whatever went wrong, the next agent should know, and may try again
        await service.call("release_task_lock", **mine, handoff=f"Failed: {error}", failed=True)
        return
    await service.call("add_task_log", **mine, kind="evidence", body=report)
    await service.call("update_task_status", **mine, status="DONE")


async def run(service: Service, project: str | None, once: bool) -> None:
    """Take tasks until there are none (`once`), or for ever. `project` is a name or an id."""
    place = {"project_id" if project.isdecimal() else "project_name": project} if project else {}
    for holding in (await service.call("get_context")).get("holding", ()):
        print(f"{service.agent} goes on with #{holding['task']['id']}", flush=True)
        await do_one(service, holding["task"], holding["lock"])
    wait = 0 if once else WAIT_SECONDS
    while True:
        claim = await service.call("claim_next_task", **place, wait_seconds=wait)
        if "task" in claim:
            print(f"{service.agent} takes #{claim['task']['id']} {claim['task']['name']}", flush=True)
            await do_one(service, claim["task"], claim["lock"])
        elif once:
            print(claim["message"], flush=True)
            return


def main() -> None:
    parser = argparse.ArgumentParser(description="An agent that takes tasks and finishes them.")
    parser.add_argument("--url", default="http://localhost:8081/mcp", help="the MCP endpoint")
    parser.add_argument("--name", default=f"agent-{os.getpid()}", help="the agent's id, which no other agent uses")
    parser.add_argument("--token", default=os.environ.get("PM_TOKEN", ""), help="comes in with this token (PM_TOKEN)")
    parser.add_argument("--project", help="take tasks of this project only: its name or id")
    parser.add_argument("--once", action="store_true", help="end when nothing is ready instead of waiting")
    given = parser.parse_args()
    try:
        anyio.run(run, Service(given.url, given.name, given.token), given.project, given.once)
    except Refused as refusal:
        sys.exit(f"{given.name} ends: {refusal}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
