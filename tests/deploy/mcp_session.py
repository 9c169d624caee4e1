"""A minimal MCP session with handshake. Each of its requests can go to another instance."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.deploy.stack import http

VERSION = "2025-11-25"
LOCAL = {"Host": "localhost"}


@dataclass
class Session:
    headers: dict[str, str] = field(default_factory=dict)
    number: int = 0

    def open(self, base: str) -> None:
        hello = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        answer = self._post(base, {"method": "initialize", "params": hello}, expects_answer=True)
        self.headers["MCP-Protocol-Version"] = VERSION
        self.headers["Mcp-Session-Id"] = answer.headers["mcp-session-id"]
        self._post(base, {"method": "notifications/initialized"}, expects_answer=False)

    def call(self, base: str, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool at the instance or load balancer at `base`. Return its structured content."""
        result = self._result(base, tool, arguments)
        assert not result.get("isError"), result
        content: dict[str, Any] = result["structuredContent"]
        return content

    def refusal(self, base: str, tool: str, **arguments: object) -> str:
        """Return the error of a tool call that must be refused."""
        result = self._result(base, tool, arguments)
        assert result.get("isError"), result
        return str(result["content"][0]["text"])

    def _result(self, base: str, tool: str, arguments: dict[str, object]) -> dict[str, Any]:
        params = {"name": tool, "arguments": arguments}
        answer = self._post(base, {"method": "tools/call", "params": params}, expects_answer=True)
        said = message_of(answer)
        assert "result" in said, said
        result: dict[str, Any] = said["result"]
        return result

    def _post(self, base: str, message: dict[str, Any], *, expects_answer: bool) -> httpx.Response:
        body = {"jsonrpc": "2.0", "params": {}, **message}
        if expects_answer:
            self.number += 1
            body["id"] = self.number
        accept = {"Accept": "application/json, text/event-stream"}
        answer = http.post(f"{base}/mcp", json=body, headers={**LOCAL, **accept, **self.headers}, timeout=20)
        assert answer.status_code in (200, 202), f"{answer.status_code}: {answer.text}"
        return answer


def message_of(answer: httpx.Response) -> dict[str, Any]:
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        frames = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
        text = next(frame for frame in frames if frame and "result" in json.loads(frame))
    said: dict[str, Any] = json.loads(text)
    return said
