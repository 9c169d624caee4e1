"""Responses of the MCP port to requests other than MCP."""

import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.e2e.conftest import Start
from tests.e2e.service import TIMEOUT


@pytest.mark.parametrize("path", ["/ws/updates", "/mcp"])
def test_a_websocket_on_the_mcp_port_gets_the_address_of_the_events(start_service: Start, path: str) -> None:
    service = start_service()
    with pytest.raises(InvalidStatus) as refused, connect(f"{service.mcp_url.replace('http', 'ws')}{path}", proxy=None):
        pass
    answer = refused.value.response
    error = orjson.loads(answer.body or b"")
    assert (answer.status_code, error["code"]) == (404, "route_not_found")
    assert error["hint"] == f"The only WebSocket endpoint is /ws/updates on port {service.port}."
    assert error["request_id"] == answer.headers["x-request-id"]
    assert service.stop() == 0
    assert '"level":"ERROR"' not in service.log


def test_a_websocket_on_the_mcp_port_is_authenticated_first(start_service: Start) -> None:
    service = start_service(AUTH_REQUIRED="true")
    with connect(f"{service.mcp_url.replace('http', 'ws')}/ws/updates", proxy=None) as websocket:
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(TIMEOUT)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
