"""Host, Origin and cookies in the forms that browsers and proxies send."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Origin

from project_manager.runtime.open import open_runtime
from tests.http_service import HttpService, frame, run_http_service
from tests.integration.test_access import bearer, token
from tests.operations_client import MovableClock, OperationsClient
from tests.stored_rows import Address, settings_of, write

PROXIED = {"ALLOWED_HOSTS": "pm.example.com"}

SAME = [
    ("pm.example.com:443", "https://pm.example.com"),
    ("pm.example.com", "https://pm.example.com"),
    ("pm.example.com", "https://pm.example.com:443"),
    ("pm.example.com:80", "http://pm.example.com"),
    ("PM.example.com:443", "https://pm.Example.com"),
    ("pm.example.com:8443", "https://pm.example.com:8443"),
    ("[::1]:80", "http://[::1]"),
]
OTHER = [
    ("pm.example.com:443", "http://pm.example.com"),
    ("pm.example.com:80", "https://pm.example.com"),
    ("pm.example.com:8443", "https://pm.example.com"),
    ("pm.example.com", "https://pm.example.com:8443"),
    ("pm.example.com", "http://other.example.com"),
    ("pm.example.com", "https://pm.example.com.evil.example"),
    ("pm.example.com:443", "https://pm.example.com:99999999"),
    ("", "https://"),
]


@pytest.mark.promise("access:cross-origin")
@pytest.mark.parametrize("settings", [PROXIED])
@pytest.mark.parametrize(("host", "origin"), SAME)
async def test_the_default_port_makes_no_other_origin(service: HttpService, host: str, origin: str) -> None:
    await service.ok("POST", "/api/tasks", {"name": "x"}, Host=host, Origin=origin)
    address = f"ws://{host}/ws/updates"
    async with connect(address, host="127.0.0.1", port=service.port, origin=Origin(origin), proxy=None) as socket:
        assert (await frame(socket))["type"] == "hello"


@pytest.mark.promise("access:cross-origin")
@pytest.mark.parametrize("settings", [PROXIED])
@pytest.mark.parametrize(("host", "origin"), OTHER)
async def test_another_port_or_scheme_makes_another_origin(service: HttpService, host: str, origin: str) -> None:
    error = await service.error(403, "POST", "/api/tasks", {"name": "x"}, Host=host, Origin=origin)
    assert error["code"] == "origin_not_allowed"


@pytest.mark.promise("access:cross-origin")
@pytest.mark.parametrize("settings", [PROXIED])
@pytest.mark.parametrize("host", ["pm.example.com:x", "127.0.0.1:evil.com", "[x].evil.com", "pm.example.com:1:2"])
async def test_a_host_that_is_no_host_and_port_is_refused(service: HttpService, host: str) -> None:
    assert (await service.error(403, "GET", "/api/tasks", Host=host))["code"] == "host_not_allowed"


@pytest.mark.parametrize(
    "settings", [{"ALLOWED_HOSTS": "pm.example.com:443", "CORS_ORIGINS": "https://board.example:443"}]
)
async def test_a_default_port_in_the_settings_is_the_one_that_browsers_omit(service: HttpService) -> None:
    answer = await service.send("GET", "/api/tasks", Host="pm.example.com", Origin="https://board.example")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://board.example"


@asynccontextmanager
async def server(database: Address) -> AsyncIterator[HttpService]:
    settings = settings_of(database)
    async with open_runtime(settings, clock=MovableClock()) as runtime, run_http_service(runtime) as service:
        yield service


@pytest.mark.promise("access:session")
async def test_two_servers_on_one_host_do_not_sign_each_other_out(database: Address, other_database: Address) -> None:
    write(other_database, "UPDATE meta SET epoch = 'other'")  # both are copies of the same database
    async with server(database) as one, server(other_database) as two, httpx.AsyncClient(trust_env=False) as browser:
        for service in (one, two):
            secret = await token(OperationsClient(service.runtime, MovableClock()), "operator")
            assert (await browser.post(f"{service.url}/api/session", json={"token": secret})).is_success
        for service in (one, two, one):
            assert (await browser.get(f"{service.url}/api/tasks")).status_code == 200
        assert len(browser.cookies) == 2
        await browser.delete(f"{two.url}/api/session")
        assert (await browser.get(f"{two.url}/api/tasks")).status_code == 401
        assert (await browser.get(f"{one.url}/api/tasks")).status_code == 200


@pytest.mark.promise("access:session")
async def test_instances_on_one_database_share_the_session(database: Address) -> None:
    async with server(database) as one, server(database) as two:
        secret = await token(OperationsClient(one.runtime, MovableClock()), "operator")
        signed_in = await one.send("POST", "/api/session", {"token": secret})
        jar = signed_in.headers["set-cookie"].partition(";")[0]
        await two.ok("GET", "/api/tasks", Cookie=jar)


async def test_a_bearer_goes_before_the_cookie(service: HttpService, api: OperationsClient) -> None:
    secret = await token(api, "operator")
    await service.send("POST", "/api/session", {"token": secret})
    await service.error(401, "GET", "/api/tasks", **bearer("wrong"))
