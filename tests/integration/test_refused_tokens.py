"""A refused token causes a log line and a metric. Repeated failures of an address delay only its refusals."""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.to_thread
import pytest
from websockets.exceptions import ConnectionClosed

from project_manager.clock import monotonic
from project_manager.observability.logging import ActionRecord
from project_manager.runtime import refused_tokens
from project_manager.web.middleware import session_cookie
from tests.http_service import HttpService, frame
from tests.integration.test_audit import bearer
from tests.operations_client import TIMEOUT, Json, OperationsClient

pytestmark = pytest.mark.slow

WRONG = {"authorization": "Bearer pm_wrong"}
Attempt = Callable[[HttpService], Coroutine[Any, Any, None]]


async def rest(service: HttpService) -> None:
    await service.error(401, "GET", "/api/tasks", **WRONG)


async def another_scheme(service: HttpService) -> None:
    await service.error(401, "GET", "/api/tasks", Authorization="Basic YTpi")


async def metrics(service: HttpService) -> None:
    await service.error(401, "GET", "/metrics", **WRONG)


async def cookie(service: HttpService) -> None:
    await service.error(401, "GET", "/api/tasks", Cookie=f"{session_cookie(service.runtime.hub.epoch)}=pm_wrong")


async def sign_in(service: HttpService) -> None:
    await service.error(401, "POST", "/api/session", {"token": "pm_wrong"})


async def stale_session(service: HttpService) -> None:
    assert (await service.ok("GET", "/api/session", **WRONG))["actor"] is None


async def websocket(service: HttpService) -> None:
    async with service.listen(additional_headers=WRONG) as connection:
        with pytest.raises(ConnectionClosed):
            await frame(connection)


ATTEMPTS = [rest, another_scheme, metrics, cookie, sign_in, stale_session, websocket]


def lines(caplog: pytest.LogCaptureFixture) -> list[Json]:
    """Return the fields of the log lines of refused tokens."""
    return [
        record.fields for record in caplog.records if isinstance(record, ActionRecord) and record.msg == "token_refused"
    ]


async def counted(api: OperationsClient) -> str:
    """Return the count as Prometheus reads it."""
    page = await anyio.to_thread.run_sync(api.runtime.metrics.render)
    (line,) = [line for line in page.decode().splitlines() if line.startswith("project_manager_tokens_refused_total ")]
    return line.split()[1]


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_a_refused_token_leaves_a_log_line_and_a_metric(
    service: HttpService, api: OperationsClient, caplog: pytest.LogCaptureFixture, attempt: Attempt
) -> None:
    await bearer(api, "operator")
    await attempt(service)
    assert lines(caplog) == [{"address": "127.0.0.1", "failures": 1, "delay_milliseconds": 0}]
    assert await counted(api) == "1.0"
    assert "pm_wrong" not in caplog.text


async def test_a_request_without_a_token_is_no_refused_token(
    service: HttpService, api: OperationsClient, caplog: pytest.LogCaptureFixture
) -> None:
    await bearer(api, "operator")
    for _ in range(10):
        await service.error(401, "GET", "/api/tasks")
        await service.ok("GET", "/api/session")
    assert lines(caplog) == []
    assert await counted(api) == "0.0"


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_repeated_failures_delay_refusals_and_no_valid_token(
    service: HttpService, api: OperationsClient, monkeypatch: pytest.MonkeyPatch, attempt: Attempt
) -> None:
    """The valid token is answered while the refusal waits. That delay is longer than the timeout of the test."""
    operator = await bearer(api, "operator")
    monkeypatch.setattr(refused_tokens, "FAILURES_WITHOUT_DELAY", 1)
    monkeypatch.setattr(refused_tokens, "FIRST_DELAY_SECONDS", 0.1)
    await attempt(service)
    began = monotonic()
    await attempt(service)
    assert monotonic() - began >= 0.1
    monkeypatch.setattr(refused_tokens, "FIRST_DELAY_SECONDS", 10 * TIMEOUT)
    monkeypatch.setattr(refused_tokens, "LONGEST_DELAY_SECONDS", 10 * TIMEOUT)
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as attempts:
            attempts.start_soon(attempt, service)
            while not api.runtime.refused_tokens._delayed:  # noqa: ASYNC110 a delay has no event
                await anyio.sleep(0.001)
            await service.ok("GET", "/api/tasks", **operator)
            assert (await service.ok("GET", "/api/session", **operator))["actor"]["role"] == "operator"
            api.runtime.refused_tokens.end_delays()


@pytest.mark.parametrize(
    ("settings", "forwarded", "address"),
    [
        ({}, "203.0.113.7", "203.0.113.7"),
        ({}, "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ({"FORWARDED_ALLOW_IPS": "10.0.0.0/8"}, "203.0.113.7", "127.0.0.1"),
        ({"FORWARDED_ALLOW_IPS": "127.0.0.1,203.0.113.0/24"}, "198.51.100.1, 203.0.113.7", "198.51.100.1"),
    ],
)
async def test_the_address_is_the_one_that_a_trusted_proxy_forwards(
    service: HttpService, api: OperationsClient, caplog: pytest.LogCaptureFixture, forwarded: str, address: str
) -> None:
    await bearer(api, "operator")
    await service.error(401, "GET", "/api/tasks", x_forwarded_for=forwarded, **WRONG)
    await service.error(401, "POST", "/api/session", {"token": "pm_wrong"}, x_forwarded_for=forwarded)
    assert [(line["address"], line["failures"]) for line in lines(caplog)] == [(address, 1), (address, 2)]
