"""Check a running deployment from outside. Print one line per check.

    deploy/verify-deployment.sh [--url http://127.0.0.1:8080] [--mcp-url http://127.0.0.1:8081] [--token-file FILE]

The script creates a project, works in it as an agent, and deletes it. With --read-only it changes nothing.
It needs the packages of the service, so verify-deployment.sh runs it in the image: the host needs only Docker.
Exit status: 0 all checks passed, 1 a check failed, 2 wrong usage.
"""

import argparse
import json
import secrets
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

HANDSHAKE_VERSION = "2025-06-18"
CLIENT = {"name": "verify-deployment", "version": "1"}
NEW_CONNECTIONS = httpx2.Limits(max_keepalive_connections=0)
"""Each request opens a connection, so that the load balancer selects an instance again."""
UNEXPECTED = (httpx2.HTTPError, MCPError, OSError, ValueError, LookupError, TypeError, StopIteration, ExceptionGroup)


class Failed(Exception):
    """A failed check. The message is for the operator."""


@dataclass(frozen=True)
class Endpoint:
    """An address of the deployment."""

    url: str
    token: str
    timeout: float
    trust: ssl.SSLContext

    @property
    def secure(self) -> bool:
        return self.url.startswith("https:")

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def options(self) -> dict[str, Any]:
        """Return the settings of a client of this endpoint. Proxies of the environment are not used."""
        return {
            "base_url": self.url,
            "headers": {"Accept": "application/json", **self.authorization},
            "timeout": self.timeout,
            "verify": self.trust,
            "trust_env": False,
            "limits": NEW_CONNECTIONS,
        }

    def send(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        try:
            with httpx2.Client(**self.options) as client:
                return client.request(method, path, json=body, headers=headers)
        except httpx2.TransportError as error:
            raise Failed(f"{method} {self.url}{path}: {error or type(error).__name__}") from error

    def expect(self, status: int, method: str, path: str, body: object = None) -> Any:
        answer = self.send(method, path, body)
        if answer.status_code != status:
            raise Failed(f"{method} {path} got {answer.status_code}, not {status}: {answer.text[:200]}")
        return answer.json() if answer.content else None


@dataclass
class Deployment:
    api: Endpoint
    mcp: Endpoint
    project_id: int = 0
    mark: str = field(default_factory=lambda: secrets.token_hex(4))

    def new_task(self, name: str) -> dict[str, Any]:
        created: dict[str, Any] = self.api.expect(
            201, "POST", "/api/tasks", {"name": name, "project_id": self.project_id}
        )
        return created


def health(deployment: Deployment) -> str:
    report = deployment.api.expect(200, "GET", "/healthz")
    if report.get("status") != "healthy" or report.get("database_connected") is not True:
        raise Failed(f"/healthz answered {report}")
    for path in ("/livez", "/readyz"):
        deployment.api.expect(200, "GET", path)
    return f"healthy, {report.get('active_websocket_connections')} WebSockets at this instance"


def metrics(deployment: Deployment) -> str:
    answer = deployment.api.send("GET", "/metrics")
    if answer.status_code != 200 or b"\npm_" not in answer.content:
        raise Failed(f"/metrics answered {answer.status_code} without a pm_ series")
    summary = deployment.api.expect(200, "GET", "/api/metrics")
    missing = {"connections", "tasks", "performance", "system"} - set(summary)
    if missing:
        raise Failed(f"/api/metrics lacks {', '.join(sorted(missing))}")
    return f"{answer.content.count(b'# TYPE')} families, {summary['tasks']['total']} tasks"


def headers_of_pages(deployment: Deployment) -> str:
    answer = deployment.api.send("GET", "/", headers={"Accept": "text/html"})
    if answer.status_code != 200:
        raise Failed(f"the dashboard answered {answer.status_code}")
    policy = answer.headers.get("content-security-policy", "")
    for word in ("default-src", "frame-ancestors"):
        if word not in policy:
            raise Failed(f"Content-Security-Policy lacks {word}")
    if "unsafe" in policy:
        raise Failed("Content-Security-Policy has an `unsafe` source")
    if answer.headers.get("x-content-type-options") != "nosniff":
        raise Failed("X-Content-Type-Options is not nosniff")
    if deployment.api.secure and "strict-transport-security" not in answer.headers:
        raise Failed("https without Strict-Transport-Security")
    return "CSP, nosniff" + (", HSTS" if deployment.api.secure else "")


def foreign_pages(deployment: Deployment) -> str:
    answer = deployment.api.send(
        "POST", "/api/projects", {"name": f"foreign-{deployment.mark}"}, {"Origin": "https://attacker.invalid"}
    )
    if answer.status_code != 403:
        raise Failed(f"a write with a foreign Origin got {answer.status_code}, not 403")
    return "a write with a foreign Origin is rejected"


def access(deployment: Deployment) -> str:
    bare = Endpoint(deployment.api.url, "", deployment.api.timeout, deployment.api.trust)
    status = bare.send("GET", "/api/projects").status_code
    if deployment.api.token:
        if status != 401:
            raise Failed(f"a request without a token got {status}, not 401")
        return "without a token: 401"
    if status != 200:
        raise Failed(
            f"a request without a token got {status}, not 200; if authentication is required, use --token-file"
        )
    return "OPEN: authentication is disabled"


def make_project(deployment: Deployment) -> str:
    made = deployment.api.expect(201, "POST", "/api/projects", {"name": f"deployment-check-{deployment.mark}"})
    deployment.project_id = made["id"]
    return f"project {made['id']}"


def exclusive_claim(deployment: Deployment) -> str:
    task = deployment.new_task("claimed by one")
    path = f"/api/tasks/{task['id']}/lock"
    first = deployment.api.expect(200, "POST", path, {"agent_id": "check-a", "ttl_seconds": 60})
    fence = first["lock"]["fence"]
    second = deployment.api.send("POST", path, {"agent_id": "check-b"})
    if second.status_code != 409 or second.json().get("code") != "lock_held":
        raise Failed(f"a second agent got {second.status_code} {second.content[:120]!r}, not 409 lock_held")
    return f"fence {fence}; the second agent: 409 lock_held"


def stale_fence(deployment: Deployment) -> str:
    task = deployment.new_task("fenced")
    lock, status = f"/api/tasks/{task['id']}/lock", f"/api/tasks/{task['id']}/status"
    old = deployment.api.expect(200, "POST", lock, {"agent_id": "check-a"})["lock"]["fence"]
    deployment.api.expect(200, "DELETE", f"{lock}?agent_id=check-a&fence={old}")
    new = deployment.api.expect(200, "POST", lock, {"agent_id": "check-a"})["lock"]["fence"]
    if new <= old:
        raise Failed(f"the fence went from {old} to {new}")
    late = deployment.api.send("POST", status, {"agent_id": "check-a", "status": "DONE", "fence": old})
    if late.status_code != 409 or late.json().get("code") != "stale_fence":
        raise Failed(f"a write with fence {old} got {late.status_code}, not 409 stale_fence")
    deployment.api.expect(200, "POST", status, {"agent_id": "check-a", "status": "DONE", "fence": new})
    return f"{old} -> {new}; the late write: 409 stale_fence"


def repeated_request(deployment: Deployment) -> str:
    body = {"name": "made once", "project_id": deployment.project_id}
    key = {"Idempotency-Key": f"check-{deployment.mark}"}
    ids = {deployment.api.send("POST", "/api/tasks", body, key).json().get("id") for _ in range(4)}
    if len(ids) != 1:
        raise Failed(f"four posts with one Idempotency-Key created {len(ids)} tasks")
    return "four posts with one Idempotency-Key: one task"


def event_feed(deployment: Deployment) -> str:
    page = deployment.api.expect(200, "GET", f"/api/events?since=0&project_id={deployment.project_id}&limit=100")
    kinds = {event["type"] for event in page.get("items", page.get("events", []))}
    missing = {"project.created", "task.created", "task.locked", "task.unlocked"} - kinds
    if missing:
        raise Failed(f"the events of these checks lack {', '.join(sorted(missing))}")
    return f"{len(kinds)} event types"


def live_events(deployment: Deployment) -> str:
    api = deployment.api
    url = f"ws{api.url.removeprefix('http')}/ws/updates?project_id={deployment.project_id}"
    trust = api.trust if api.secure else None
    try:
        with connect(
            url, ssl=trust, additional_headers=api.authorization, open_timeout=api.timeout, proxy=None
        ) as stream:
            hello = json.loads(stream.recv(api.timeout))
            if hello.get("type") != "hello":
                raise Failed(f"the first frame is {hello.get('type')}, not hello")
            task = deployment.new_task("seen live")
            started = time.monotonic()
            while True:
                event = json.loads(stream.recv(api.timeout))
                if event.get("type") == "task.created" and event.get("task_id") == task["id"]:
                    return f"arrived {(time.monotonic() - started) * 1000:.0f} ms after the response"
    except (OSError, WebSocketException) as error:
        hint = "check that the proxy forwards the Upgrade header and does not buffer"
        raise Failed(f"no live event: {error or type(error).__name__}; {hint}") from error


def mcp_streamable(deployment: Deployment) -> str:
    statuses: list[int] = []
    try:
        return anyio.run(list_tools, deployment.mcp, statuses)
    except UNEXPECTED as error:
        answered = ", ".join(map(str, statuses)) or "none"
        raise Failed(f"{first_cause(error)} (statuses of the responses: {answered})") from error


async def list_tools(mcp: Endpoint, statuses: list[int]) -> str:
    async def record(response: httpx2.Response) -> None:
        statuses.append(response.status_code)

    async with httpx2.AsyncClient(**mcp.options, event_hooks={"response": [record]}) as http:
        transport = streamable_http_client(f"{mcp.url}/mcp", http_client=http)
        async with Client(transport, mode="legacy", read_timeout_seconds=mcp.timeout) as client:
            for _ in range(6):
                tools = (await client.list_tools()).tools
            version = client.protocol_version
    names = {tool.name for tool in tools}
    if "claim_next_task" not in names:
        raise Failed("tools/list lacks claim_next_task")
    return f"{version}, {len(names)} tools, six calls of one session"


def mcp_sse(deployment: Deployment) -> str:
    """Post each message on a new connection, and read its response from the stream of one instance."""
    hello = {"protocolVersion": HANDSHAKE_VERSION, "capabilities": {}, "clientInfo": CLIENT}
    messages: list[dict[str, Any]] = [
        {"method": "initialize", "params": hello, "id": 1},
        {"method": "notifications/initialized"},
        {"method": "tools/list", "id": 2},
    ]
    with (
        httpx2.Client(**deployment.mcp.options) as client,
        client.stream("GET", "/sse", headers={"Accept": "text/event-stream"}) as stream,
    ):
        if stream.status_code == 404:
            return "disabled (MCP_TRANSPORT is not sse)"
        if stream.status_code != 200:
            raise Failed(f"/sse got {stream.status_code}")
        data = (line.removeprefix("data:").strip() for line in stream.iter_lines() if line.startswith("data:"))
        endpoint = next(data)
        for message in messages:
            posted = deployment.mcp.send("POST", endpoint, {"jsonrpc": "2.0", **message})
            if posted.status_code not in (200, 202):
                place = endpoint.partition("?")[0]
                raise Failed(f"a message to {place} got {posted.status_code}: it reached another instance")
            if "id" in message and "result" not in json.loads(next(data)):
                raise Failed(f"{message['method']} returned an error")
    return "initialize and tools/list over one stream"


def delete_project(deployment: Deployment) -> str:
    deployment.api.expect(200, "DELETE", f"/api/projects/{deployment.project_id}?force=true")
    return f"project {deployment.project_id} deleted"


@dataclass(frozen=True)
class Check:
    name: str
    run: Callable[[Deployment], str]
    writes: bool = False
    in_project: bool = False

    def applies(self, deployment: Deployment, read_only: bool) -> bool:
        if self.in_project and not deployment.project_id:
            return False
        return not (self.writes and read_only)


CHECKS = (
    Check("health", health),
    Check("metrics", metrics),
    Check("security headers", headers_of_pages),
    Check("foreign origin rejected", foreign_pages, writes=True),
    Check("access", access),
    Check("create", make_project, writes=True),
    Check("claims are exclusive", exclusive_claim, in_project=True),
    Check("stale fences rejected", stale_fence, in_project=True),
    Check("idempotency", repeated_request, in_project=True),
    Check("event feed", event_feed, in_project=True),
    Check("WebSocket", live_events, in_project=True),
    Check("MCP streamable HTTP", mcp_streamable),
    Check("MCP legacy SSE", mcp_sse),
    Check("clean up", delete_project, in_project=True),
)


def result_of(check: Check, deployment: Deployment) -> dict[str, Any]:
    started = time.monotonic()
    try:
        holds, detail = True, check.run(deployment)
    except Failed as failure:
        holds, detail = False, str(failure)
    except UNEXPECTED as error:
        holds, detail = False, f"unexpected response: {first_cause(error)!r}"
    milliseconds = round((time.monotonic() - started) * 1000)
    return {"check": check.name, "holds": holds, "detail": detail, "ms": milliseconds}


def first_cause(error: BaseException) -> BaseException:
    """Return the first error of nested groups, which the tasks of an MCP client raise."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def run(deployment: Deployment, read_only: bool) -> list[dict[str, Any]]:
    return [result_of(check, deployment) for check in CHECKS if check.applies(deployment, read_only)]


def show(results: list[dict[str, Any]]) -> None:
    width = max(len(result["check"]) for result in results)
    for result in results:
        mark = "ok  " if result["holds"] else "FAIL"
        print(f"{mark}  {result['check']:<{width}}  {result['ms']:>5} ms  {result['detail']}")
    failed = sum(not result["holds"] for result in results)
    print(f"\n{len(results) - failed} of {len(results)} checks passed" + (f", {failed} failed" if failed else ""))


def secret(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(unreadable(path, error)) from error


def trust(path: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise argparse.ArgumentTypeError(unreadable(path, error)) from error


def unreadable(path: str, error: Exception) -> str:
    return f"cannot read {path}: {error}; verify-deployment.sh sees only files below the current folder"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="verify-deployment", description="Check a running deployment from outside.")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="API and dashboard (default: %(default)s)")
    parser.add_argument("--mcp-url", help="MCP (default: the port after that of --url; the same port for https)")
    parser.add_argument("--token-file", dest="token", type=secret, metavar="FILE", help="token of an operator")
    parser.add_argument("--ca-file", dest="trust", type=trust, metavar="FILE", help="certificate to trust, for https")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for each response (default: %(default)s)")
    parser.add_argument("--read-only", action="store_true", help="run read-only checks")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    url = httpx2.URL(given.url.rstrip("/"))
    beside = url if url.scheme == "https" else url.copy_with(port=(url.port or 80) + 1)
    trusted = given.trust or ssl.create_default_context()
    api, mcp = (
        Endpoint(address.rstrip("/"), given.token or "", given.timeout, trusted)
        for address in (str(url), given.mcp_url or str(beside))
    )
    results = run(Deployment(api, mcp), given.read_only)
    if given.json:
        print(json.dumps(results, indent=2))
    else:
        show(results)
    return 0 if all(result["holds"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
