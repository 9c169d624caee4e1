#!/usr/bin/env python3
"""Check a running deployment from outside. Print one line per check.

    verify-deployment.py [--url http://127.0.0.1:8080] [--mcp-url http://127.0.0.1:8081] [--token-file FILE]

The script creates a project, works in it as an agent, and deletes it. With --read-only it changes nothing.
It needs only Python 3.11. Exit status: 0 all checks passed, 1 a check failed, 2 wrong usage.
"""

import argparse
import base64
import hashlib
import http.client
import json
import os
import secrets
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HANDSHAKE_VERSION = "2025-06-18"
CLIENT = {"name": "verify-deployment", "version": "1"}


class Failed(Exception):
    """A failed check. The message is for the operator."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body[:200].decode(errors="replace")

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Failed(f"the response with status {self.status} is not JSON") from error


@dataclass(frozen=True)
class Endpoint:
    """An address of the deployment. Each request opens a connection, so the load balancer selects an instance again."""

    url: str
    token: str
    timeout: float
    trust: ssl.SSLContext

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or "localhost"

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def connection(self) -> http.client.HTTPConnection:
        if self.secure:
            return http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout, context=self.trust)
        return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)

    @contextmanager
    def open(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        sent = {"Accept": "application/json", **self.authorization, **(headers or {})}
        encoded = None if body is None else json.dumps(body).encode()
        if encoded is not None:
            sent["Content-Type"] = "application/json"
        connection = self.connection()
        try:
            connection.request(method, path, encoded, sent)
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"{method} {self.url}{path}: {error or type(error).__name__}") from error
        finally:
            connection.close()

    def send(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Answer:
        with self.open(method, path, body, headers) as response:
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )

    def expect(self, status: int, method: str, path: str, body: object = None) -> Any:
        answer = self.send(method, path, body)
        if answer.status != status:
            raise Failed(f"{method} {path} got {answer.status}, not {status}: {answer.text}")
        return answer.json() if answer.body else None


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
    said = deployment.api.expect(200, "GET", "/healthz")
    if said.get("status") != "healthy" or said.get("database_connected") is not True:
        raise Failed(f"/healthz answered {said}")
    for path in ("/livez", "/readyz"):
        deployment.api.expect(200, "GET", path)
    return f"healthy, {said.get('active_websocket_connections')} WebSockets at this instance"


def metrics(deployment: Deployment) -> str:
    answer = deployment.api.send("GET", "/metrics")
    if answer.status != 200 or b"\npm_" not in answer.body:
        raise Failed(f"/metrics answered {answer.status} without a pm_ series")
    summary = deployment.api.expect(200, "GET", "/api/metrics")
    missing = {"connections", "tasks", "performance", "system"} - set(summary)
    if missing:
        raise Failed(f"/api/metrics lacks {', '.join(sorted(missing))}")
    return f"{answer.body.count(b'# TYPE')} families, {summary['tasks']['total']} tasks"


def headers_of_pages(deployment: Deployment) -> str:
    answer = deployment.api.send("GET", "/", headers={"Accept": "text/html"})
    if answer.status != 200:
        raise Failed(f"the dashboard answered {answer.status}")
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
        "POST",
        "/api/projects",
        {"name": f"foreign-{deployment.mark}"},
        {"Origin": "https://attacker.invalid"},
    )
    if answer.status != 403:
        raise Failed(f"a write with a foreign Origin got {answer.status}, not 403")
    return "a write with a foreign Origin is rejected"


def access(deployment: Deployment) -> str:
    bare = Endpoint(deployment.api.url, "", deployment.api.timeout, deployment.api.trust)
    status = bare.send("GET", "/api/projects").status
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
    if second.status != 409 or second.json().get("code") != "lock_held":
        raise Failed(f"a second agent got {second.status} {second.body[:120]!r}, not 409 lock_held")
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
    if late.status != 409 or late.json().get("code") != "stale_fence":
        raise Failed(f"a write with fence {old} got {late.status}, not 409 stale_fence")
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


class WebSocket:
    """The part of RFC 6455 that is needed to read text frames."""

    def __init__(self, endpoint: Endpoint, path: str) -> None:
        plain = socket.create_connection((endpoint.host, endpoint.port), timeout=endpoint.timeout)
        self._socket = endpoint.trust.wrap_socket(plain, server_hostname=endpoint.host) if endpoint.secure else plain
        self._reader = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {endpoint.host}:{endpoint.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
        ]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in endpoint.authorization.items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._handshake(key)

    def _handshake(self, key: str) -> None:
        status = self._reader.readline().decode().strip()
        headers = {}
        while line := self._reader.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        expected = base64.b64encode(hashlib.sha1((key + WEBSOCKET_GUID).encode(), usedforsecurity=False).digest())
        if " 101 " not in status + " " or headers.get("sec-websocket-accept") != expected.decode():
            raise Failed(f"no WebSocket: {status or 'no response'}; check that the proxy forwards the Upgrade header")

    def _take(self, count: int) -> bytes:
        taken = self._reader.read(count)
        if len(taken) < count:
            raise Failed("the WebSocket ended")
        return taken

    def receive(self) -> Any:
        """Return the next text message as JSON. Ignore control frames."""
        while True:
            first, length = self._take(2)
            if length == 126:
                length = int.from_bytes(self._take(2))
            elif length == 127:
                length = int.from_bytes(self._take(8))
            payload = self._take(length)
            if first & 0x0F == 8:
                raise Failed(f"the WebSocket was closed with {int.from_bytes(payload[:2])}")
            if first & 0x0F == 1:
                return json.loads(payload)

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


def live_events(deployment: Deployment) -> str:
    try:
        stream = WebSocket(deployment.api, f"/ws/updates?project_id={deployment.project_id}")
        try:
            hello = stream.receive()
            if hello.get("type") != "hello":
                raise Failed(f"the first frame is {hello.get('type')}, not hello")
            task = deployment.new_task("seen live")
            started = time.monotonic()
            while True:
                event = stream.receive()
                if event.get("type") == "task.created" and event.get("task_id") == task["id"]:
                    return f"arrived {(time.monotonic() - started) * 1000:.0f} ms after the response"
        finally:
            stream.close()
    except OSError as error:
        raise Failed(f"the event did not arrive: {error}") from error


def rpc(method: str, params: dict[str, Any] | None = None, number: int | None = 1) -> dict[str, Any]:
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return message if number is None else {**message, "id": number}


def greeting() -> dict[str, Any]:
    return rpc("initialize", {"protocolVersion": HANDSHAKE_VERSION, "capabilities": {}, "clientInfo": CLIENT})


def rpc_answer(answer: Answer) -> dict[str, Any]:
    if answer.status != 200:
        raise Failed(f"MCP answered {answer.status}: {answer.text}")
    body = answer.body
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        frames = [line[5:] for line in body.splitlines() if line.startswith(b"data:") and line[5:].strip()]
        body = frames[-1]
    said: dict[str, Any] = json.loads(body)
    if "result" not in said:
        raise Failed(f"MCP answered {said.get('error')}")
    return said


def mcp_streamable(deployment: Deployment) -> str:
    accept = {"Accept": "application/json, text/event-stream"}
    hello = deployment.mcp.send("POST", "/mcp", greeting(), accept)
    version = rpc_answer(hello)["result"]["protocolVersion"]
    session = {**accept, "MCP-Protocol-Version": version}
    if "mcp-session-id" in hello.headers:
        session["Mcp-Session-Id"] = hello.headers["mcp-session-id"]
    deployment.mcp.send("POST", "/mcp", rpc("notifications/initialized", number=None), session)
    for number in range(2, 8):
        tools = rpc_answer(deployment.mcp.send("POST", "/mcp", rpc("tools/list", number=number), session))
    deployment.mcp.send("DELETE", "/mcp", headers=session)
    names = {tool["name"] for tool in tools["result"]["tools"]}
    if "claim_next_task" not in names:
        raise Failed("tools/list lacks claim_next_task")
    return f"{version}, {len(names)} tools, six calls of one session"


def sse_data(response: http.client.HTTPResponse) -> str:
    while line := response.readline():
        if line.startswith(b"data:"):
            return line[5:].strip().decode()
    raise Failed("the SSE stream ended")


def mcp_sse(deployment: Deployment) -> str:
    with deployment.mcp.open("GET", "/sse", headers={"Accept": "text/event-stream"}) as stream:
        if stream.status == 404:
            return "disabled (MCP_TRANSPORT is not sse)"
        endpoint = sse_data(stream)
        for message in (
            greeting(),
            rpc("notifications/initialized", number=None),
            rpc("tools/list", number=2),
        ):
            posted = deployment.mcp.send("POST", endpoint, message)
            if posted.status not in (200, 202):
                raise Failed(
                    f"a message to {endpoint.partition('?')[0]} got {posted.status}: it reached another instance"
                )
            if "id" in message and "result" not in json.loads(sse_data(stream)):
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
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        holds, detail = False, f"unexpected response: {error!r}"
    milliseconds = round((time.monotonic() - started) * 1000)
    return {"check": check.name, "holds": holds, "detail": detail, "ms": milliseconds}


def run(deployment: Deployment, read_only: bool) -> list[dict[str, Any]]:
    return [result_of(check, deployment) for check in CHECKS if check.applies(deployment, read_only)]


def show(results: list[dict[str, Any]]) -> None:
    width = max(len(result["check"]) for result in results)
    for result in results:
        mark = "ok  " if result["holds"] else "FAIL"
        print(f"{mark}  {result['check']:<{width}}  {result['ms']:>5} ms  {result['detail']}")
    failed = sum(not result["holds"] for result in results)
    print(f"\n{len(results) - failed} of {len(results)} checks passed" + (f", {failed} failed" if failed else ""))


def home_path(text: str) -> Path:
    """Return the path with `~` expanded. A shell does not expand it in `--token-file=~/ops.token`."""
    return Path(text).expanduser()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Check a running deployment from outside.")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="API and dashboard (default: %(default)s)")
    parser.add_argument("--mcp-url", help="MCP (default: the port after that of --url; the same port for https)")
    parser.add_argument("--token-file", type=home_path, help="file with the token of an operator")
    parser.add_argument("--ca-file", type=home_path, help="certificate to trust, for https")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for each response (default: %(default)s)")
    parser.add_argument("--read-only", action="store_true", help="run read-only checks")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    token = given.token_file.read_text().strip() if given.token_file else ""
    trust = ssl.create_default_context(cafile=given.ca_file)
    api = Endpoint(given.url.rstrip("/"), token, given.timeout, trust)
    beside = api.url if api.secure else f"http://{api.host}:{api.port + 1}"
    mcp = Endpoint((given.mcp_url or beside).rstrip("/"), token, given.timeout, trust)
    results = run(Deployment(api, mcp), given.read_only)
    if given.json:
        print(json.dumps(results, indent=2))
    else:
        show(results)
    return 0 if all(result["holds"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
