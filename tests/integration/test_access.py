"""Authentication and roles over HTTP and WebSocket, and checks of Host and Origin."""

from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from project_manager.catalogue import BY_NAME, OPERATIONS
from project_manager.domain.actors import LOCAL, Role
from project_manager.operations.definition import Kind
from project_manager.runtime.authentication import IDENTITY_SECONDS
from project_manager.runtime.calls import Caller
from project_manager.web.middleware import session_cookie
from tests.http_service import HttpService, frame
from tests.operations_client import OperationsClient, clear_identities
from tests.stored_rows import address_of, read_all

pytestmark = pytest.mark.slow

ELSEWHERE = ["http://evil.example", "null", "http://localhost:1", "https://localhost.evil.example", "file://", "x"]
MALFORMED = ["http://[", "http://[::1", "http://]", "http://[v1.x]:1", "http://\u00bd.example", ""]

SESSION_SETTINGS = {"max_attempts": 5, "mcp": {"port": 8081, "api_port": 8080}}
"""The settings that a session names to its actor."""


async def token(api: OperationsClient, role: str, agent_id: str | None = None) -> str:
    """Create a token and return its secret. Clear the cache of authenticated callers."""
    name = f"{role} {agent_id or ''}".strip()
    raw = {} if agent_id is None else {"agent_id": agent_id}
    caller = Caller(LOCAL, "cli", "test")
    made = await api.runtime.run(BY_NAME["create_token"], {"name": name, "role": role, **raw}, caller)
    clear_identities(api.runtime)
    return str(made.view.secret)


def cookie_of(service: HttpService) -> str:
    return session_cookie(service.runtime.hub.epoch)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


# Host and Origin


@pytest.mark.promise("access:cross-origin")
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "a.b", "1.2.3.4.5"],
)
async def test_a_host_name_that_can_be_registered_is_not_answered(service: HttpService, host: str) -> None:
    for path in ("/api/tasks", "/healthz", "/", "/openapi.json", "/ws/updates"):
        error = await service.error(403, "GET", path, Host=host)
        assert error["code"] == "host_not_allowed"
        assert "ALLOWED_HOSTS" in error["hint"]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "127.0.0.1:99", "[::1]:8080", "10.1.2.3", "pm", "pm:80", "x.localhost"]
)
async def test_an_address_or_a_name_without_a_dot_is_answered(service: HttpService, host: str) -> None:
    await service.ok("GET", "/api/tasks", Host=host)


@pytest.mark.parametrize("settings", [{"ALLOWED_HOSTS": "pm.example"}])
async def test_an_allowed_host_is_answered_in_any_case_and_others_are_not(service: HttpService) -> None:
    await service.ok("GET", "/api/tasks", Host="PM.example:443")
    await service.error(403, "GET", "/api/tasks", Host="other.example")


@pytest.mark.promise("access:cross-origin")
@pytest.mark.parametrize("origin", [*ELSEWHERE, *MALFORMED])
async def test_a_page_of_another_origin_can_neither_read_nor_write(service: HttpService, origin: str) -> None:
    for method, path, body in [
        ("GET", "/api/tasks", None),
        ("POST", "/api/tasks", b'{"name":"x"}'),
        ("DELETE", "/api/tasks/1", None),
        ("OPTIONS", "/api/tasks", None),
        ("POST", "/api/session", b'{"token":"x"}'),
    ]:
        response = await service.send(method, path, body, Origin=origin, Content_Type="text/plain")
        assert (response.status_code, response.json()["code"]) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in response.headers
    assert (await service.ok("GET", "/api/tasks"))["total"] == 0


@pytest.mark.promise("access:cross-origin")
@pytest.mark.parametrize("origin", ["http://evil.example", "http://["])
async def test_the_websocket_refuses_a_page_of_another_origin(service: HttpService, origin: str) -> None:
    async with service.listen(origin=origin) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await frame(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_the_dashboard_of_this_very_server_may_read_and_write(service: HttpService) -> None:
    origin = f"http://127.0.0.1:{service.port}"
    await service.ok("POST", "/api/tasks", {"name": "x"}, Origin=origin)
    async with service.listen(origin=origin) as socket:
        assert (await frame(socket))["type"] == "hello"


@pytest.mark.parametrize("settings", [{"CORS_ORIGINS": "https://board.example"}])
async def test_a_listed_origin_may_call_and_read_and_others_may_not(service: HttpService) -> None:
    asked = {"Access_Control_Request_Method": "PATCH", "Access_Control_Request_Headers": "authorization"}
    preflight = await service.send("OPTIONS", "/api/tasks/1", Origin="https://board.example", **asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://board.example"
    answer = await service.send("GET", "/api/tasks", Origin="https://board.example")
    assert answer.headers["access-control-allow-origin"] == "https://board.example"
    assert "access-control-allow-credentials" not in answer.headers
    assert (await service.send("OPTIONS", "/api/tasks/1", Origin="https://evil.example", **asked)).status_code == 400
    assert (await service.send("GET", "/api/tasks", Origin="https://evil.example")).status_code == 403


# tokens


@pytest.mark.promise("access:tokens")
async def test_access_is_open_without_tokens_and_closed_with_the_first_one(
    service: HttpService, api: OperationsClient
) -> None:
    await service.ok("GET", "/api/tasks")
    secret = await token(api, "viewer")
    refusal = await service.send("GET", "/api/tasks")
    assert (refusal.status_code, refusal.json()["code"]) == (401, "unauthorized")
    assert refusal.headers["www-authenticate"].startswith("Bearer")
    await service.ok("GET", "/api/tasks", **bearer(secret))


@pytest.mark.promise("access:tokens")
@pytest.mark.parametrize("settings", [{"AUTH_REQUIRED": "true"}])
async def test_auth_required_asks_for_a_token_before_there_is_one(service: HttpService) -> None:
    await service.error(401, "GET", "/api/tasks")
    for open_path in ("/healthz", "/livez", "/readyz", "/openapi.json", "/schemas/events.json", "/docs", "/"):
        assert (await service.send("GET", open_path)).status_code == 200
    for closed_path in ("/metrics", "/api/metrics", "/api/board/state", "/api/events"):
        await service.error(401, "GET", closed_path)


@pytest.mark.promise("access:tokens")
@pytest.mark.parametrize("settings", [{"AUTH_REQUIRED": "true"}])
async def test_options_names_the_methods_of_every_path_and_needs_no_token(service: HttpService) -> None:
    documented = (await service.ok("GET", "/openapi.json"))["paths"]
    others = ("/", "/docs", "/openapi.json", "/favicon.ico", "/static/x/main.js", "/healthz", "/livez", "/readyz")
    for path in (*documented, *others, "/schemas/events.json", "/metrics", "/api/metrics", "/api/session"):
        answer = await service.send("OPTIONS", path.replace("{", "").replace("}", ""))
        assert answer.status_code == 405, path
        assert answer.headers["allow"], path
        assert answer.headers["x-request-id"], path


@pytest.mark.promise("access:tokens")
@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic YTpi", "pm_x", "", "Bearer \u00e9"])
async def test_an_invalid_token_is_refused(service: HttpService, api: OperationsClient, header: str) -> None:
    await token(api, "operator")
    await service.error(401, "GET", "/api/tasks", Authorization=header)


@pytest.mark.promise("access:tokens")
async def test_a_revoked_token_is_refused(service: HttpService, api: OperationsClient) -> None:
    secret = await token(api, "operator")
    await service.ok("GET", "/api/tasks", **bearer(secret))
    await api.call("revoke_token", token_id=1)
    clear_identities(api.runtime)
    assert IDENTITY_SECONDS <= 1
    await service.error(401, "GET", "/api/tasks", **bearer(secret))


@pytest.mark.promise("access:tokens")
async def test_revoking_the_last_token_closes_access_and_warns(service: HttpService, api: OperationsClient) -> None:
    first, last = await token(api, "viewer"), await token(api, "operator")
    assert (await service.ok("DELETE", "/api/tokens/1", **bearer(last)))["notice"] is None
    said = await service.ok("DELETE", "/api/tokens/2", **bearer(last))
    assert said["notice"].startswith(
        "all tokens are revoked: every request is rejected until `project-manager token create`"
    )
    clear_identities(api.runtime)
    for headers in ({}, bearer(first), bearer(last)):
        await service.error(401, "GET", "/api/tasks", **headers)
    assert await service.ok("GET", "/api/session") == {"actor": None, "auth_required": True}
    again = await token(api, "viewer")
    await service.ok("GET", "/api/tasks", **bearer(again))


@pytest.mark.promise("access:tokens")
async def test_clearing_all_tokens_at_the_command_line_opens_access_again(
    service: HttpService, api: OperationsClient
) -> None:
    secret = await token(api, "operator")
    assert (await service.send("POST", "/api/session", {"token": secret})).is_success
    await api.call("revoke_token", token_id=1)
    assert await api.call("clear_tokens") == {"deleted": 1}
    clear_identities(api.runtime)
    session = await service.send("GET", "/api/session")
    local = {"id": "local", "kind": "human", "role": "operator"}
    assert session.json() == {"actor": local, "auth_required": False, **SESSION_SETTINGS}
    assert not service.client.cookies
    await service.ok("GET", "/api/tasks")
    await service.error(401, "GET", "/api/tasks", **bearer(secret))
    assert BY_NAME["clear_tokens"].http == ""
    assert BY_NAME["clear_tokens"].tool is None


@pytest.mark.promise("access:tokens")
@pytest.mark.parametrize("settings", [{"AUTH_REQUIRED": "true"}])
async def test_clearing_all_tokens_opens_nothing_where_a_token_is_required(
    service: HttpService, api: OperationsClient
) -> None:
    await token(api, "operator")
    await api.call("clear_tokens")
    clear_identities(api.runtime)
    await service.error(401, "GET", "/api/tasks")


@pytest.mark.slow
@pytest.mark.promise("access:tokens")
async def test_an_open_stream_without_a_token_is_closed_once_a_token_is_required(
    service: HttpService, api: OperationsClient
) -> None:
    async with service.listen() as socket:
        assert (await frame(socket))["type"] == "hello"
        await token(api, "operator")
        assert (await frame(socket))["type"] == "token.created"
        with pytest.raises(ConnectionClosed) as closed:
            await frame(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
    assert closed.value.rcvd.reason.startswith("authentication required")


@pytest.mark.promise("access:tokens")
async def test_a_secret_is_shown_once_and_only_its_hash_is_stored(service: HttpService, api: OperationsClient) -> None:
    secret = await token(api, "operator")
    listed = await service.ok("GET", "/api/tokens", **bearer(secret))
    assert [item["secret"] for item in listed["items"]] == [None]
    database = address_of(api.runtime)
    assert secret not in str(read_all(database))
    if isinstance(database, Path):
        assert secret.encode() not in database.read_bytes() + database.with_name("pm.db-wal").read_bytes()


@pytest.mark.promise("access:tokens")
@pytest.mark.parametrize("settings", [{"AUTH_REQUIRED": "true"}])
async def test_the_websocket_asks_for_a_token_too(service: HttpService, api: OperationsClient) -> None:
    async with service.listen() as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await frame(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
    secret = await token(api, "viewer")
    async with service.listen(additional_headers=bearer(secret)) as socket:
        assert (await frame(socket))["type"] == "hello"


# roles


@pytest.mark.promise("access:roles")
@pytest.mark.parametrize("role", ["viewer", "agent", "operator"])
async def test_each_role_may_run_its_operations_only(service: HttpService, api: OperationsClient, role: str) -> None:
    secret = await token(api, role)
    for operation in OPERATIONS:
        if not operation.http:
            continue
        method, path = operation.http.split(" ")
        for name in ("task_id", "project_id", "epic_id", "token_id", "agent_id", "knowledge_id"):
            path = path.replace(f"{{{name}}}", "999999")
        response = await service.send(method, path, b"{}" if method in ("POST", "PATCH") else None, **bearer(secret))
        refused = response.status_code == 403 and response.json()["code"] == "role_required"
        assert refused is (operation.role > Role[role.upper()]), f"{operation.name}: {response.text}"


@pytest.mark.promise("access:roles")
def test_every_write_requires_more_than_the_viewer_role() -> None:
    assert [row.name for row in OPERATIONS if row.kind is Kind.WRITE and row.role < Role.AGENT] == []
    assert [row.name for row in OPERATIONS if "token" in row.name and row.role < Role.OPERATOR] == []


@pytest.mark.promise("access:roles")
async def test_a_bound_token_is_its_agent_and_cannot_be_another(service: HttpService, api: OperationsClient) -> None:
    task = await api.create_task()
    secret = await token(api, "agent", "ann")
    lock = await service.ok("POST", f"/api/tasks/{task['id']}/lock", {}, **bearer(secret))
    assert lock["lock"]["holder"] == "ann"
    for body in ({"agent_id": "bob"}, {"agent_id": "Ann"}):
        error = await service.error(403, "DELETE", f"/api/tasks/{task['id']}/lock", body, **bearer(secret))
        assert error["code"] == "agent_mismatch"
    await service.ok("DELETE", f"/api/tasks/{task['id']}/lock", {"agent_id": "ann"}, **bearer(secret))
    (locked,) = await api.events(0, "task.locked")
    assert locked["actor"] == {"id": "ann", "kind": "agent"}


@pytest.mark.promise("access:roles")
async def test_an_agent_with_an_unbound_token_must_send_its_id(service: HttpService, api: OperationsClient) -> None:
    task = await api.create_task()
    secret = await token(api, "agent")
    lock = await service.ok("POST", f"/api/tasks/{task['id']}/lock", {"agent_id": "bob"}, **bearer(secret))
    assert lock["lock"]["holder"] == "bob"
    await service.error(403, "POST", "/api/tokens", {"name": "more", "role": "operator"}, **bearer(secret))
    await service.error(403, "DELETE", f"/api/tasks/{task['id']}", **bearer(secret))


async def test_two_tokens_of_one_name_are_refused(api: OperationsClient) -> None:
    from project_manager.domain.errors import NameTaken, TokenNotFound  # noqa: PLC0415

    await token(api, "viewer")
    await api.call_error(NameTaken, "create_token", name="viewer", role="operator")
    await api.call_error(TokenNotFound, "revoke_token", token_id=9)


async def test_a_name_is_free_again_when_its_token_is_revoked(service: HttpService, api: OperationsClient) -> None:
    old, operator = await token(api, "viewer"), await token(api, "operator")
    await api.call("revoke_token", token_id=1)
    new = await token(api, "viewer")
    listed = await service.ok("GET", "/api/tokens", **bearer(operator))
    assert [(item["id"], item["name"], item["revoked_at"] is None) for item in listed["items"]] == [
        (1, "viewer", False),
        (2, "operator", True),
        (3, "viewer", True),
    ]
    await service.ok("GET", "/api/tasks", **bearer(new))
    await service.error(401, "GET", "/api/tasks", **bearer(old))


@pytest.mark.promise("access:tokens")
@pytest.mark.parametrize("role", ["viewer", "agent"])
async def test_a_first_token_without_the_operator_role_is_refused(service: HttpService, role: str) -> None:
    error = await service.error(409, "POST", "/api/tokens", {"name": "first", "role": role})
    assert (error["code"], "operator" in error["hint"]) == ("operator_token_required", True)
    made = await service.ok("POST", "/api/tokens", {"name": "ada", "role": "operator"})
    clear_identities(service.runtime)
    await service.error(401, "POST", "/api/tokens", {"name": "first", "role": role})
    await service.ok("POST", "/api/tokens", {"name": "first", "role": role}, **bearer(made["secret"]))


# the dashboard's session


@pytest.mark.promise("access:session")
async def test_signing_in_gives_a_cookie_that_scripts_and_other_sites_cannot_have(
    service: HttpService, api: OperationsClient
) -> None:
    secret = await token(api, "operator")
    assert await service.ok("GET", "/api/session") == {"actor": None, "auth_required": True}
    answer = await service.send("POST", "/api/session", {"token": secret})
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/", "max-age="))
    assert "secure" not in cookie
    assert secret not in answer.text
    shown = await service.ok("GET", "/api/session")
    actor = {"id": "operator", "kind": "human", "role": "operator"}
    assert shown == {"actor": actor, "auth_required": True, **SESSION_SETTINGS}
    await service.ok("POST", "/api/tasks", {"name": "x"})
    jar = {"Cookie": f"{cookie_of(service)}={secret}"}
    async with service.listen(additional_headers=jar) as socket:
        assert (await frame(socket))["type"] == "hello"
    gone = await service.send("DELETE", "/api/session")
    assert gone.status_code == 204
    await service.error(401, "GET", "/api/tasks")


@pytest.mark.promise("access:session")
async def test_behind_https_the_cookie_is_for_https_only(service: HttpService, api: OperationsClient) -> None:
    secret = await token(api, "operator")
    answer = await service.send("POST", "/api/session", {"token": secret}, X_Forwarded_Proto="https")
    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.promise("access:session")
@pytest.mark.parametrize(
    ("body", "status"),
    [({"token": "wrong"}, 401), ({"token": ""}, 422), ({}, 422), ({"token": 7}, 422), (b"x", 400), (b"[]", 400)],
)
async def test_signing_in_with_an_invalid_token_sets_no_cookie(
    service: HttpService, api: OperationsClient, body: Any, status: int
) -> None:
    await token(api, "operator")
    await service.error(status, "POST", "/api/session", body)
    assert not service.client.cookies


@pytest.mark.promise("access:session")
@pytest.mark.parametrize("other", ['prefs={"a":1}', "a[0]=1", "n=Jean Dupont", "x=\u00e9", "x", '"', "a=;;", "=1"])
async def test_the_cookie_is_found_among_those_of_other_applications(
    service: HttpService, api: OperationsClient, other: str
) -> None:
    name = cookie_of(service)
    session = f"{name}={await token(api, 'operator')}"
    for jar in (f"{other}; {session}", f"{session}; {other}"):
        await service.ok("GET", "/api/tasks", Cookie=jar)
        await service.error(401, "GET", "/api/tasks", Cookie=jar.replace(f"{name}=", f"{name}=x"))


async def test_a_broken_cookie_is_no_cookie(service: HttpService, api: OperationsClient) -> None:
    name = cookie_of(service)
    await service.ok("GET", "/api/tasks", Cookie=f'{name}; ="; x=y')
    await token(api, "operator")
    await service.error(401, "GET", "/api/tasks", Cookie=f"{name}=wrong; {name}=")
