"""Reading one posted message."""

from time import process_time
from typing import Any

import orjson
import pytest

from project_manager.mcp.transport.exchange import MAX_BODY, Refused, parse, read

REQUEST = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "x"}}


def raw(**changes: Any) -> bytes:
    return orjson.dumps({key: value for key, value in {**REQUEST, **changes}.items() if value != "(none)"})


async def test_a_body_in_small_pieces_is_read_in_linear_time() -> None:
    whole = raw(params={"name": "x" * (MAX_BODY - 100)})
    pieces = iter([whole[start : start + 8] for start in range(0, len(whole), 8)])

    async def receive() -> dict[str, Any]:
        piece = next(pieces)
        return {"type": "http.request", "body": piece, "more_body": not piece.endswith(b"}}")}

    started = process_time()
    body, found = await read({"headers": [(b"content-type", b"application/json")]}, receive)
    assert (body, found.id) == (whole, 7)
    assert process_time() - started < 2


def test_a_request_is_read() -> None:
    found = parse(raw())
    assert (found.id, found.method, found.params) == (7, "tools/call", {"name": "x"})


def test_a_notification_has_no_id() -> None:
    found = parse(raw(id="(none)", method="notifications/cancelled"))
    assert found.id is None


def test_the_answer_to_a_request_of_the_server_counts_as_no_request() -> None:
    found = parse(raw(method="(none)", params="(none)", result={}))
    assert (found.id, found.method) == (None, "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        raw(jsonrpc="1.0"),
        raw(id=True),
        raw(id=None),
        raw(id=1.5),
        raw(id=[1]),
        raw(params=[1]),
        raw(params="x"),
        raw(method=3),
        raw(method="(none)"),
        b"[" * 100_000,
    ],
)
def test_any_other_input_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        parse(body)
