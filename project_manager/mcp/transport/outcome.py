"""What a tool call came to, in the two forms that leave: a result for the SDK, and the bytes of a whole answer."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from project_manager.mcp.transport.sdk import MODERN_PROTOCOL_VERSIONS, STRUCTURED_PROTOCOL_VERSIONS


@dataclass(frozen=True, slots=True)
class Outcome:
    """`text` is what a model reads; `structured` is a JSON object in bytes that says the same, None on errors.

    Errors are text only: some clients validate structured content against a schema even when the call failed.
    """

    text: str
    structured: bytes | None = None
    failed: bool = False

    def result(self) -> dict[str, Any]:
        """The result as the SDK takes it."""
        result: dict[str, Any] = {"resultType": "complete", "content": [{"type": "text", "text": self.text}]}
        if self.structured is not None:
            result["structuredContent"] = orjson.loads(self.structured)
        return {**result, "isError": self.failed}

    def answer(self, call_id: str | int, version: str, server_info: bytes) -> bytes:
        """The whole JSON-RPC answer. Nothing is encoded twice: the structured part is copied as it is."""
        parts = [b'{"jsonrpc":"2.0","id":', orjson.dumps(call_id), b',"result":{']
        if version in MODERN_PROTOCOL_VERSIONS:
            parts += [b'"resultType":"complete",', _stamp(server_info)]
        parts += [b'"content":[{"type":"text","text":', orjson.dumps(self.text), b"}]"]
        if self.structured is not None and version in STRUCTURED_PROTOCOL_VERSIONS:
            parts += [b',"structuredContent":', self.structured]
        parts += [b',"isError":true}}' if self.failed else b',"isError":false}}']
        return b"".join(parts)


@cache
def _stamp(server_info: bytes) -> bytes:
    return b'"_meta":{"io.modelcontextprotocol/serverInfo":' + server_info + b"},"
