"""The server as a child process of its client."""

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import orjson
import pytest
from mcp import Client, StdioServerParameters

from tests.e2e.mcp_listener import HANDSHAKE, MODERN, TIMEOUT, call, modern

COMMAND = [sys.executable, "-c", "import anyio; from tests.e2e.mcp_stdio_server import main; anyio.run(main)"]
START_SECONDS = 20.0
GREETING = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "pipe", "version": "1"}}


class Pipe:
    """One end of the connection. Each message is one line."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        self._rest = b""
        self._timeout = START_SECONDS

    async def send(self, *messages: Any) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(b"".join(orjson.dumps(message) + b"\n" for message in messages))

    async def read(self) -> Any:
        assert self.process.stdout is not None
        with anyio.fail_after(self._timeout):
            while b"\n" not in self._rest:
                self._rest += await self.process.stdout.receive()
        self._timeout = TIMEOUT
        line, self._rest = self._rest.split(b"\n", 1)
        return orjson.loads(line)

    async def close(self) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.aclose()


@asynccontextmanager
async def pipe(*arguments: str) -> AsyncIterator[Pipe]:
    async with await anyio.open_process([*COMMAND, *arguments], stderr=None) as process:
        try:
            yield Pipe(process)
        finally:
            if process.returncode is None:
                process.kill()


def text_of(answer: Any) -> str:
    return str(answer["result"]["content"][0]["text"])


@pytest.mark.parametrize(("mode", "version"), [("auto", MODERN), ("legacy", HANDSHAKE)])
async def test_both_protocol_versions_are_served_on_stdio(mode: Any, version: str) -> None:
    parameters = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:])
    with anyio.fail_after(2 * START_SECONDS):
        async with Client(parameters, mode=mode) as client:
            assert client.protocol_version == version
            result = await client.call_tool("echo", {"words": "hello"})
            assert [block.model_dump()["text"] for block in result.content] == ["hello"]


async def test_a_client_may_switch_from_the_new_to_the_old_protocol_version() -> None:
    discover, _ = modern({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {}})
    with anyio.fail_after(2 * START_SECONDS):
        async with pipe() as end:
            await end.send(discover)
            assert MODERN in (await end.read())["result"]["supportedVersions"]
            await end.send({"jsonrpc": "2.0", "id": 2, "method": "initialize", "params": GREETING})
            assert (await end.read())["result"]["protocolVersion"] == HANDSHAKE
            await end.send({"jsonrpc": "2.0", "method": "notifications/initialized"}, call("echo", 3))
            assert text_of(await end.read()) == "echo"
            await end.send(modern(call("echo", 4))[0])
            assert text_of(await end.read()) == "echo"


async def test_requests_sent_before_the_end_of_the_input_are_answered() -> None:
    with anyio.fail_after(2 * START_SECONDS):
        async with pipe("--finish") as end:
            await end.send(*(modern(call("quiet_hold", number))[0] for number in range(1, 6)))
            await end.close()
            found: set[int] = set()
            while len(found) < 5:
                message = await end.read()
                if "id" in message:
                    assert text_of(message) == "quiet_hold"
                    found.add(message["id"])
            assert found == {1, 2, 3, 4, 5}
            with anyio.fail_after(TIMEOUT):
                assert await end.process.wait() == 0


async def test_the_process_does_not_wait_for_a_subscribed_client_that_disconnects() -> None:
    params = {"notifications": {"toolsListChanged": True}}
    listen, _ = modern({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params})
    with anyio.fail_after(2 * START_SECONDS):
        async with pipe() as end:
            await end.send(listen)
            assert (await end.read())["method"] == "notifications/subscriptions/acknowledged"
            await end.close()
            assert (await end.read())["id"] == 1
            with anyio.fail_after(TIMEOUT):
                assert await end.process.wait() == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_while_its_input_stays_open(sent: signal.Signals) -> None:
    with anyio.fail_after(2 * START_SECONDS):
        async with pipe() as end:
            await end.send(modern(call("echo"))[0])
            await end.read()
            end.process.send_signal(sent)
            with anyio.fail_after(TIMEOUT):
                assert await end.process.wait() == 0


async def test_a_stray_print_does_not_reach_the_protocol() -> None:
    with anyio.fail_after(2 * START_SECONDS):
        async with pipe() as end:
            await end.send(modern(call("stray_print"))[0])
            assert text_of(await end.read()) == "stray_print"


NO_MESSAGES: list[tuple[bytes, int, int | str | None]] = [
    (b"hello", -32700, None),
    (b'{"jsonrpc": "2.0", "id": 7, "method": "ping"', -32700, None),
    (b'{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "\xff"}}', -32700, None),
    (b'[{"jsonrpc": "2.0", "id": 7, "method": "ping"}]', -32600, None),
    (b'{"id": 7}', -32600, None),
    (b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": [1]}', -32600, 7),
    (b'{"jsonrpc": "1.0", "id": "seven", "method": "ping"}', -32600, "seven"),
]


async def test_an_invalid_line_gets_an_error_and_the_next_message_is_processed() -> None:
    with anyio.fail_after(2 * START_SECONDS):
        async with pipe() as end:
            assert end.process.stdin is not None
            for line, code, call_id in NO_MESSAGES:
                await end.process.stdin.send(b"\n" + line + b"\r\n")
                answer = await end.read()
                assert (answer["jsonrpc"], answer["id"], answer["error"]["code"]) == ("2.0", call_id, code), line
            await end.send(modern(call("echo"))[0])
            assert "result" in await end.read()


async def test_an_invalid_line_is_answered_before_the_input_ends() -> None:
    with anyio.fail_after(2 * START_SECONDS):
        async with pipe() as end:
            assert end.process.stdin is not None
            await end.process.stdin.send(b"hello\n")
            await end.close()
            assert (await end.read())["error"]["message"] == "PARSE_ERROR: the line is not JSON in UTF-8."
            assert await end.process.wait() == 0


@pytest.mark.parametrize("protocol", ["2025", "2026"])
async def test_a_parameter_of_the_wrong_type_is_named(protocol: str) -> None:
    async with pipe() as end:
        message = call("list_tasks", 7)
        message["params"]["arguments"] = "{}"
        await end.send(message if protocol == "2025" else modern(message)[0])
        error = (await end.read())["error"]
        assert (error["code"], error["data"]) == (-32602, {"parameter": "arguments"})
        assert error["message"] == "INVALID_PARAMS: `params.arguments` must be an object. Send an object."
        await end.close()
