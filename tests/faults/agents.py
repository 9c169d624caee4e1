"""Agents that work through a project, each over one interface, and reconnect when a server dies."""

import secrets
from collections import Counter
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
Steps = Generator[tuple[str, dict[str, Any]], Any, None]
"""Calls of an agent: a name and the arguments. Each gets its answer."""

SUBMITS, ASKS = 3, 2
"""Rests of the ids of tasks divided by 4: of those that agents submit, and of those that they ask about."""

READ = "get_task_details"
ROUTES = {
    "claim_next_task": ("POST", "/api/tasks/claim"),
    "add_task_log": ("POST", "/api/tasks/{task_id}/log"),
    "update_task_status": ("POST", "/api/tasks/{task_id}/status"),
    "release_task_lock": ("DELETE", "/api/tasks/{task_id}/lock"),
    "send_message": ("POST", "/api/messages"),
    READ: ("GET", "/api/tasks/{task_id}/details"),
    "review_task": ("POST", "/api/tasks/{task_id}/reviews"),
    "ask": ("POST", "/api/tasks/{task_id}/questions"),
    "answer_question": ("POST", "/api/tasks/{task_id}/questions/{question_id}/answer"),
    "start_pause": ("POST", "/api/pauses"),
}


class Refused(Exception):
    """An error response of the service, with its text."""


def rest(service: Service) -> Interface:
    @asynccontextmanager
    async def open_() -> AsyncIterator[Call]:
        async with service.client() as http:

            async def call(name: str, **arguments: Any) -> dict[str, Any]:
                method, path = ROUTES[name]
                body = None if name == READ else arguments
                answer = await http.request(method, path.format(**arguments), json=body)
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
    """The record of all observations of the agents of a test.

    `written` is the number of acknowledged writes by the type of their event.
    """

    tasks: int
    agents: int
    leases: list[ObservedLease] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    written: Counter[str] = field(default_factory=Counter)
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

    It releases every third task once. It submits some tasks, which another agent id reviews, and sends a message about
    others. Over REST, it also asks a question, which another agent id answers, and pauses a task that it holds.
    """

    def __init__(self, name: str, interface: Interface, ledger: Ledger, *, is_rest: bool) -> None:
        self.name = name
        self._is_rest = is_rest
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
                key = {} if name == READ else {"request_id": secrets.token_hex(8)}
                self._pending = name, {"agent_id": self.name, **arguments, **key}
            name, arguments = self._pending
            self._answer = await call(name, **arguments)
            self._pending = None
            if self._answer.get("task") is not None and name == "claim_next_task":
                await self._ledger.all_have_claimed.wait(self.name)

    def _work(self) -> Steps:
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
            elif task_id % 4 == SUBMITS:
                yield from self._submit(held)
            elif task_id % 4 == ASKS and self._is_rest and not claimed.get("answer"):
                yield from self._ask(held)
            else:
                yield from self._tell_and_pause(held)
                yield "update_task_status", {**held, "status": "DONE"}
                self._ledger.finish(task_id)

    def _submit(self, held: dict[str, Any]) -> Steps:
        """Submit the task, and review it as another agent. Some tasks return to this agent once."""
        yield "update_task_status", {**held, "status": "REVIEW", "summary": "see the log"}
        self._ledger.written["task.submitted"] += 1
        submission = (yield READ, {"task_id": held["task_id"]})["submission"]
        is_approved = submission["round"] > 1 or held["task_id"] % 8 == SUBMITS
        verdict = {"verdict": "approved" if is_approved else "changes_requested", "body": "read"}
        review = {"task_id": held["task_id"], "digest": submission["digest"], "agent_id": f"{self.name}-reviewer"}
        yield "review_task", {**review, **verdict}
        self._ledger.written["task.reviewed"] += 1
        if is_approved:
            self._ledger.finish(held["task_id"])

    def _ask(self, held: dict[str, Any]) -> Steps:
        """Ask a question, and answer it as another agent. The task returns to this agent."""
        asked = yield "ask", {**held, "text": "which colour?"}
        self._ledger.written["task.question_asked"] += 1
        question = {"task_id": held["task_id"], "question_id": asked["question"]["id"]}
        yield "answer_question", {**question, "text": "green", "agent_id": f"{self.name}-lead"}
        self._ledger.written["task.question_answered"] += 1

    def _tell_and_pause(self, held: dict[str, Any]) -> Steps:
        """Write to another agent, and pause the held task, which no other agent could claim now."""
        yield "send_message", {"to_agent": f"{self.name}-lead", "body": f"task {held['task_id']} is nearly done"}
        self._ledger.written["message.sent"] += 1
        if self._is_rest:
            yield "start_pause", {"scope": "task", "id": str(held["task_id"]), "reason": "it is nearly done"}
            self._ledger.written["pause.started"] += 1
