"""Tasks to claim, and the scripts of agents that claim them."""

from collections.abc import Callable

from tests.bench.servers import Server
from tests.bench.wire import Response, Script, ask, request

Scripts = Callable[[int], Script]
"""Create the script of the agent with this number."""

BULK = 200
MODERN = "2026-07-28"
HANDSHAKE = "2025-11-25"
ACCEPT = "accept: application/json, text/event-stream"


def create(server: Server, count: int, project: str = "Work") -> list[int]:
    """Create `count` ready tasks and return their ids."""
    requests = []
    for first in range(0, count, BULK):
        tasks = [
            {"name": f"task {number}", "description": "What is to be done, in a line or two. " * 3, "labels": ["bench"]}
            for number in range(first, min(first + BULK, count))
        ]
        requests.append(request("POST", "/api/tasks/bulk", {"project_name": project, "tasks": tasks}))
    ids: list[int] = []
    for answer in ask(server.port, *requests):
        if answer.status != 201:
            raise RuntimeError(f"tasks could not be made: {answer.body[:300]!r}")
        found = answer.json()["items"]
        assert isinstance(found, list)
        ids += [int(task["id"]) for task in found]
    return ids


class Stock:
    """A supply of ready tasks in a server for the next slice."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._left: list[int] = []

    def want(self, count: int) -> None:
        if len(self._left) < count:
            self._left += create(self._server, count - len(self._left))

    def take(self) -> int:
        """Return the id of the newest task, which no other client uses."""
        return self._left.pop()

    def claimed(self, count: int) -> None:
        """Record claims by `claim_next`. It claims the oldest tasks, because all have one priority."""
        del self._left[:count]


def claimed_one(answer: Response) -> None:
    if b'"fence"' not in answer.body or b'"task":null' in answer.body:
        raise RuntimeError(f"nothing was claimed: {answer.body[:300]!r}")


def claims(path: str, *, check: Callable[[Response], None] = claimed_one) -> Callable[[int], Script]:
    """Create scripts of agents that repeatedly claim the next task over REST."""

    def script(number: int) -> Script:
        body = request("POST", path, {"agent_id": f"agent-{number}"})
        while True:
            check((yield body))

    return script


def claim_cycles(number: int) -> Script:
    """Create scripts of agents that claim the next task and finish it: two requests per cycle."""
    agent = {"agent_id": f"agent-{number}"}
    claim = request("POST", "/api/tasks/claim", agent)
    while True:
        answer = yield claim
        claimed_one(answer)
        task = answer.json()["task"]
        assert isinstance(task, dict)
        yield request("POST", f"/api/task/{task['id']}/status", {**agent, "status": "DONE"})


def echoes(number: int) -> Script:
    """Create scripts that send the same request to the trivial route."""
    body = request("POST", "/claim", {"agent_id": f"agent-{number}"})
    while True:
        yield body


def lock_cycles(stock: Stock) -> Callable[[int], Script]:
    """Create scripts of agents that lock a task by name and finish it: two requests per cycle."""

    def script(number: int) -> Script:
        agent = {"agent_id": f"agent-{number}"}
        while True:
            task = stock.take()
            yield request("POST", f"/api/task/{task}/lock", agent)
            yield request("POST", f"/api/task/{task}/status", {**agent, "status": "DONE"})

    return script


def modern_claims(number: int) -> Script:
    """Create scripts of claims over /mcp with the 2026 protocol version, where requests are stateless."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = [ACCEPT, f"mcp-protocol-version: {MODERN}", "mcp-method: tools/call", "mcp-name: claim_next_task"]
    body = request("POST", "/mcp", _call(number, {"_meta": meta}), headers)
    while True:
        claimed_one((yield body))


def handshake_claims(number: int, port: int) -> Script:
    """Create scripts of claims over /mcp with a 2025 protocol version. The session is opened before the measurement."""
    hello = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    opening = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
    (opened,) = ask(port, request("POST", "/mcp", opening, [ACCEPT]))
    headers = [ACCEPT, f"mcp-session-id: {opened.header(b'mcp-session-id')}", f"mcp-protocol-version: {HANDSHAKE}"]
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    ask(port, request("POST", "/mcp", ready, headers))
    return _repeat(request("POST", "/mcp", _call(number, {}), headers))


def _repeat(body: bytes) -> Script:
    while True:
        claimed_one((yield body))


def _call(number: int, more: dict[str, object]) -> dict[str, object]:
    params = {"name": "claim_next_task", "arguments": {"agent_id": f"agent-{number}"}, **more}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
