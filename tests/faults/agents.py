"""Agents that work through a project, each over one interface, and reconnect when a server dies."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import httpx2
import orjson
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client

from project_manager.clock import monotonic
from tests.e2e.service import COMMAND, Service, environment
from tests.faults.history import ObservedLease

WAIT, ANSWER, BACK_OFF = 1, 2, 0.05
LOST = (OSError, httpx.HTTPError, httpx2.HTTPError, MCPError, ExceptionGroup, anyio.BrokenResourceError)
"""Errors of a client when its server dies. The client reconnects and repeats the request."""

Call = Callable[..., Awaitable[dict[str, Any]]]
Interface = Callable[[], AbstractAsyncContextManager[Call]]

ROUTES = {
    "claim_next_task": ("POST", "/api/tasks/claim"),
    "add_task_log": ("POST", "/api/tasks/{task_id}/log"),
    "update_task_status": ("POST", "/api/tasks/{task_id}/status"),
    "release_task_lock": ("DELETE", "/api/tasks/{task_id}/lock"),
}


class Refused(Exception):
    """An error response of the service, with its text."""


def rest(service: Service) -> Interface:
    @asynccontextmanager
    async def open_() -> AsyncIterator[Call]:
        async with service.client() as http:

            async def call(name: str, **arguments: Any) -> dict[str, Any]:
                method, path = ROUTES[name]
                answer = await http.request(method, path.format(**arguments), json=arguments)
                if answer.status_code in (502, 503):
                    raise ConnectionError(answer.text)
                if not answer.is_success:
                    raise Refused(answer.text)
                found: dict[str, Any] = orjson.loads(answer.content)
                return found

            yield call

    return open_


def mcp(open_client: Callable[[], AbstractAsyncContextManager[Client]]) -> Interface:
    @asynccontextmanager
    async def open_() -> AsyncIterator[Call]:
        async with open_client() as client:

            async def call(name: str, **arguments: Any) -> dict[str, Any]:
                with anyio.fail_after(WAIT + ANSWER):
                    result = await client.call_tool(name, arguments)
                if not result.is_error:
                    return dict(result.structured_content or {})
                text = getattr(result.content[0], "text", "")
                if text.startswith(("SHUTTING_DOWN", "DATABASE_BUSY")):
                    raise ConnectionError(text)
                raise Refused(text)

            yield call

    return open_


def over_http(service: Service, mode: Any) -> Interface:
    return mcp(lambda: Client(f"{service.mcp_url}/mcp", mode=mode))


def over_sse(service: Service) -> Interface:
    return mcp(lambda: Client(sse_client(f"{service.mcp_url}/sse"), mode="legacy"))


def over_stdio(service: Service) -> Interface:
    """Open a session with a separate process on the same database."""
    database = {name: value for name, value in service.settings.items() if name in ("DATABASE_PATH", "DATABASE_URL")}
    variables = environment(**database, LOG_FILE=str(service.folder / "stdio.log"))
    parameters = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "mcp"], env=variables)

    @asynccontextmanager
    async def open_client() -> AsyncIterator[Client]:
        with (service.folder / "stdio-errors").open("a") as errors:
            async with Client(stdio_client(parameters, errlog=errors)) as client:
                yield client

    return mcp(open_client)


class Barrier:
    """A barrier: each agent waits until all agents have arrived."""

    def __init__(self, agents: int) -> None:
        self._agents = agents
        self._arrived: set[str] = set()
        self._all_arrived = anyio.Event()

    async def wait(self, agent: str) -> None:
        self._arrived.add(agent)
        if len(self._arrived) == self._agents:
            self._all_arrived.set()
        await self._all_arrived.wait()


@dataclass
class Ledger:
    """The record of all observations of the agents of a test."""

    tasks: int
    agents: int
    leases: list[ObservedLease] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    lost: int = 0
    one_more: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.all_connected = Barrier(self.agents)
        self.all_have_claimed = Barrier(self.agents)

    @property
    def complete(self) -> bool:
        return len(self.finished) >= self.tasks

    def finish(self, task_id: int) -> None:
        self.finished.append(task_id)
        self.one_more.set()
        self.one_more = anyio.Event()

    async def until(self, finished: int) -> None:
        """Wait until this number of tasks is finished."""
        while len(self.finished) < finished:
            await self.one_more.wait()


class Agent:
    """A client that claims, reports and finishes tasks until all are finished.

    It releases every third task once.
    """

    def __init__(self, name: str, interface: Interface, ledger: Ledger) -> None:
        self.name = name
        self._interface = interface
        self._ledger = ledger
        self._steps = self._work()
        self._pending: tuple[str, dict[str, Any]] | None = None
        self._answer: dict[str, Any] | None = None

    async def run(self) -> None:
        """Call a tool. Repeat an unanswered call with the same request_id on a new connection."""
        while not self._ledger.complete:
            try:
                async with self._interface() as call:
                    await self._ledger.all_connected.wait(self.name)
                    await self._continue(call)
            except LOST:
                self._ledger.lost += 1
                await anyio.sleep(BACK_OFF)

    async def _continue(self, call: Call) -> None:
        while not self._ledger.complete:
            if self._pending is None:
                name, arguments = self._steps.send(self._answer)
                self._pending = name, {**arguments, "agent_id": self.name, "request_id": secrets.token_hex(8)}
            name, arguments = self._pending
            self._answer = await call(name, **arguments)
            self._pending = None
            if self._answer.get("task") is not None and name == "claim_next_task":
                await self._ledger.all_have_claimed.wait(self.name)

    def _work(self) -> Generator[tuple[str, dict[str, Any]], Any, None]:
        while True:
            claimed = yield "claim_next_task", {"wait_seconds": WAIT}
            if claimed.get("task") is None:
                continue
            began = monotonic()
            lock = claimed["lock"]
            task_id = claimed["task"]["id"]
            held = {"task_id": task_id, "fence": lock["fence"]}
            yield "add_task_log", {**held, "body": f"{self.name} under {lock['fence']}"}
            again = task_id % 3 == 0 and lock["fence"] == 1
            lease = ObservedLease(task_id, self.name, lock["fence"], began, monotonic())
            self._ledger.leases.append(lease)
            if again:
                yield "release_task_lock", {**held, "handoff": "somebody else finishes it"}
            else:
                yield "update_task_status", {**held, "status": "DONE"}
                self._ledger.finish(task_id)
