"""Reading one posted message."""

from typing import Any

import orjson
import pytest

from project_manager.mcp.transport.exchange import Refused, parse

REQUEST = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "x"}}


def raw(**changes: Any) -> bytes:
    return orjson.dumps({key: value for key, value in {**REQUEST, **changes}.items() if value != "(none)"})


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
