"""A complete agent. It claims one task at a time, renews its lease while it works, reports, and completes the task or
releases it with a handoff note. It survives restarts of the server.

    .venv/bin/python examples/agent.py --name agent-1 [--url http://localhost:8081/mcp] [--project "Web shop"] [--once]

Replace `work` with the work of your agent. The script needs the package `mcp`, a dependency of the service. Pass a
token in the environment variable PM_TOKEN, or with --token, which other users of the host can see.
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

TEMPORARY = {"QUEUE_FULL", "DATABASE_BUSY", "DATABASE_UNAVAILABLE", "QUERY_TIMEOUT", "SHUTTING_DOWN", "RATE_LIMITED"}
WITH_REQUEST_ID = {"claim_next_task", "add_task_log", "update_task_status", "release_task_lock"}
DENIED = {
    401: "requires a valid token: use --token or the environment variable PM_TOKEN",
    403: "denies access to this caller",
}
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
WAIT_SECONDS = 20
TIMEOUT = httpx2.Timeout(10, read=WAIT_SECONDS + 20)

Json = dict[str, Any]


class Refused(Exception):
    """The service rejected the call. The text has a stable code, the reason and the next step."""


class TemporaryFailure(Exception):
    """A temporary failure: no response, or an error that asks for a retry."""


class Service:
    """Client of the service for one agent. Each call opens a connection, so it needs no special code for a restart."""

    def __init__(self, url: str, agent: str, token: str) -> None:
        self.agent = agent
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def call(self, tool: str, **arguments: Any) -> Json:
        """Return the structured result of a tool. Raises Refused.

        While the server is unavailable, repeat the call. The tools in WITH_REQUEST_ID get the same request_id again:
        if the first call took effect and its response was lost, the server replays the response.
        """
        sent = {name: value for name, value in arguments.items() if value is not None} | {"agent_id": self.agent}
        if tool in WITH_REQUEST_ID:
            sent["request_id"] = str(uuid.uuid4())
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._call_once(tool, sent)
            except TemporaryFailure as reason:
                if pause == FIRST_PAUSE:
                    print(f"{self.agent} retries {tool}: {reason}", file=sys.stderr, flush=True)
            await anyio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _call_once(self, tool: str, arguments: Json) -> Json:
        statuses = [0]

        async def note(response: httpx2.Response) -> None:
            statuses.append(response.status_code)

        try:
            async with (
                httpx2.AsyncClient(headers=self._headers, timeout=TIMEOUT, event_hooks={"response": [note]}) as http,
                Client(streamable_http_client(self._url, http_client=http)) as client,
            ):
                result = await client.call_tool(tool, arguments)
        except (ExceptionGroup, httpx2.TransportError, MCPError) as error:
            raise self._classified(_first(error), max(statuses)) from error
        if result.is_error:
            text = "".join(part.text for part in result.content if part.type == "text")
            raise TemporaryFailure(text) if text.partition(":")[0] in TEMPORARY else Refused(text)
        return dict(result.structured_content or {})

    def _classified(self, error: Exception, status: int) -> Exception:
        """Return the error as TemporaryFailure if a retry can help, else as Refused or unchanged."""
        if 400 <= status < 500:
            return Refused(f"{self._url} {DENIED.get(status, f'answered {status}')}")
        if isinstance(error, MCPError) and error.error.code not in (INVALID_PARAMS, METHOD_NOT_FOUND):
            return TemporaryFailure(f"{self._url} ended the call ({error})")
        if isinstance(error, httpx2.TransportError):
            return TemporaryFailure(f"{self._url} does not respond ({error})")
        return error


def _first(error: Exception) -> Exception:
    """Return the first error of nested groups."""
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


async def work(task: Json) -> str:
    """Do the work. Return the report for the log of the task."""
    await anyio.sleep(0.05)
    return f"Completed: {task['name']}"


async def keep_lease(service: Service, task_id: int, lock: Json, lost: anyio.CancelScope) -> None:
    """Renew the lease at once, because a resumed lease may be old, and then after every third of its length.

    Cancel the work when the service reports that the lease has ended, or when no renewal succeeded for its whole
    length. A short outage of the server does not cancel it.
    """
    third = lock["ttl_seconds"] / 3
    left = lock["ttl_seconds"]
    while True:
        with anyio.move_on_after(left) as patience:
            try:
                await service.call("renew_task_lock", task_id=task_id, fence=lock["fence"])
            except Refused as refusal:
                print(f"{service.agent} stops work: {refusal}", file=sys.stderr, flush=True)
                lost.cancel()
        if patience.cancelled_caught:
            lost.cancel()
        await anyio.sleep(third)
        left = lock["ttl_seconds"] - third


async def do_one(service: Service, task: Json, lock: Json) -> None:
    """Work on one task under its lease. Every write has the fence, so the server rejects late writes."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_lease, service, task["id"], lock, tasks.cancel_scope)
        try:
            await finish(service, task, {"task_id": task["id"], "fence": lock["fence"]})
        except Refused as refusal:  # the lease has ended, and another agent may have the task
            print(f"{service.agent} abandons #{task['id']}: {refusal}", file=sys.stderr, flush=True)
        tasks.cancel_scope.cancel()


async def finish(service: Service, task: Json, lease: Json) -> None:
    try:
        report = await work(task)
    except Exception as error:  # noqa: BLE001 report every error to the next agent, which may retry
        await service.call("release_task_lock", **lease, handoff=f"Failed: {error}", failed=True)
        return
    await service.call("add_task_log", **lease, kind="evidence", body=report)
    await service.call("update_task_status", **lease, status="DONE")


async def run(service: Service, project: str | None, once: bool) -> None:
    """Work on tasks until none is ready (`once`), or forever. `project` is a name or an id."""
    place = {"project_id" if project.isdecimal() else "project_name": project} if project else {}
    for holding in (await service.call("get_context")).get("holding", ()):
        print(f"{service.agent} resumes #{holding['task']['id']}", flush=True)
        await do_one(service, holding["task"], holding["lock"])
    wait = 0 if once else WAIT_SECONDS
    while True:
        claim = await service.call("claim_next_task", **place, wait_seconds=wait)
        if "task" in claim:
            print(f"{service.agent} claims #{claim['task']['id']} {claim['task']['name']}", flush=True)
            await do_one(service, claim["task"], claim["lock"])
        elif once:
            print(claim["message"], flush=True)
            return


def main() -> None:
    parser = argparse.ArgumentParser(description="An agent that claims tasks and completes them.")
    parser.add_argument("--url", default="http://localhost:8081/mcp", help="the MCP endpoint")
    parser.add_argument("--name", default=f"agent-{os.getpid()}", help="unique agent id")
    parser.add_argument("--token", default=os.environ.get("PM_TOKEN", ""), help="token (default: PM_TOKEN)")
    parser.add_argument("--project", help="claim only tasks of this project (name or id)")
    parser.add_argument("--once", action="store_true", help="exit when no task is ready, instead of waiting")
    options = parser.parse_args()
    try:
        anyio.run(run, Service(options.url, options.name, options.token), options.project, options.once)
    except Refused as refusal:
        sys.exit(f"{options.name} stops: {refusal}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
