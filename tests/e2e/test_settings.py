"""The effect of every setting on a running service, for more than one value."""

import json
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from mcp import Client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.e2e.conftest import Start
from tests.e2e.service import COMMAND, START_SECONDS, TIMEOUT, Service, environment, sample
from tests.e2e.sockets import read_frames, stalled_websocket

DAY_MS = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Start a service with only its ports and its database file set."""
    service = Service(tmp_path_factory.mktemp("plain"))
    service.start()
    yield service
    service.end()


def answers_at(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), TIMEOUT).close()
    except ConnectionRefusedError:
        return False
    return True


def test_the_host_setting_selects_the_addresses_that_accept_connections(start_service: Start, plain: Service) -> None:
    everywhere = start_service(HOST="0.0.0.0")
    for port in (everywhere.port, everywhere.mcp_port):
        assert answers_at("127.0.0.1", port)
        assert answers_at("127.0.0.2", port)
    assert "every client has full access" in everywhere.log
    for port in (plain.port, plain.mcp_port):
        assert not answers_at("127.0.0.2", port)
    assert "every client has full access" not in plain.log


def test_the_mcp_port_is_the_next_one_unless_it_is_set(prepare_service: Start, plain: Service) -> None:
    service = prepare_service()
    del service.settings["MCP_PORT"]
    service.start()
    assert httpx.get(f"http://127.0.0.1:{service.port + 1}/healthz", trust_env=False).status_code == 200
    assert answers_at("127.0.0.1", plain.mcp_port)


def mcp_statuses(service: Service) -> dict[str, int]:
    """Return the status of POST /mcp and GET /sse on the MCP port and the API port. 0 means that the port is closed."""
    found = {}
    for port, base in (("mcp", service.mcp_url), ("api", service.url)):
        for path, method in (("/mcp", "POST"), ("/sse", "GET")):
            try:
                with httpx.stream(method, base + path, timeout=TIMEOUT, trust_env=False) as answer:
                    found[port + path] = answer.status_code
            except httpx.ConnectError:
                found[port + path] = 0
    return found


@pytest.mark.parametrize(
    ("transport", "expected"),
    [
        ("sse", {"mcp/mcp": 415, "mcp/sse": 200, "api/mcp": 415, "api/sse": 200}),
        ("http", {"mcp/mcp": 415, "mcp/sse": 404, "api/mcp": 415, "api/sse": 404}),
        ("streamable-http", {"mcp/mcp": 415, "mcp/sse": 404, "api/mcp": 415, "api/sse": 404}),
        ("none", {"mcp/mcp": 0, "mcp/sse": 0, "api/mcp": 404, "api/sse": 404}),
    ],
)
def test_the_transport_setting_selects_where_mcp_is_served(
    start_service: Start, transport: str, expected: dict[str, int]
) -> None:
    assert mcp_statuses(start_service(MCP_TRANSPORT=transport)) == expected


async def tools(service: Service) -> set[str]:
    async with Client(f"{service.mcp_url}/mcp") as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def test_the_tools_shown_are_the_core_or_all(start_service: Start, plain: Service) -> None:
    core, everything = await tools(plain), await tools(start_service(MCP_TOOLS="all"))
    assert core < everything
    assert "delete_task" in everything - core


def test_mcp_connections_over_the_limit_are_refused(start_service: Start, plain: Service) -> None:
    limited = start_service(MCP_MAX_CONNECTIONS=1)
    with mcp_stream(limited) as first, mcp_stream(limited) as second:
        assert (first, second) == (200, 503)
    with mcp_stream(plain) as first, mcp_stream(plain) as second, mcp_stream(plain) as third:
        assert (first, second, third) == (200, 200, 200)


@contextmanager
def mcp_stream(service: Service) -> Iterator[int]:
    """Open an SSE stream for the duration of the block and yield its status."""
    with httpx.stream("GET", f"{service.mcp_url}/sse", timeout=TIMEOUT, trust_env=False) as answer:
        yield answer.status_code


@pytest.mark.parametrize("name", ["DATABASE_PATH", "DATABASE_URL"])
def test_the_database_is_at_the_path_of_the_setting(prepare_service: Start, tmp_path: Path, name: str) -> None:
    service = prepare_service(empty=True)
    del service.settings["DATABASE_PATH"]
    service.settings[name] = "sqlite:///elsewhere/team.db" if name == "DATABASE_URL" else "elsewhere/team.db"
    service.start()
    assert (tmp_path / "elsewhere" / "team.db").exists()
    assert list(tmp_path.glob("*.db")) == []


def connections(service: Service) -> int:
    """Return how many times the process has the database file open.

    This is the minimum of several samples, because the process also opens the file for short moments.
    """
    return min(open_files(service).count(service.database) for _ in range(5))


def open_files(service: Service) -> list[Path]:
    found = []
    for link in Path(f"/proc/{service.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed in the meantime
            found.append(link.readlink())
    return found


def test_the_pool_size_is_the_number_of_reading_connections(start_service: Start, tmp_path: Path) -> None:
    small, large = (start_service(folder(tmp_path, size), DATABASE_POOL_SIZE=size) for size in ("1", "6"))
    assert connections(large) - connections(small) == 5


def folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made


def fill(service: Service, tasks: int = 4000) -> None:
    with service.http() as http:
        for _ in range(tasks // 500):
            created = http.post("/api/tasks/bulk", json={"tasks": [{"name": "find the needle"}] * 500})
            assert created.status_code == 201


def test_a_read_that_exceeds_the_timeout_is_cancelled(start_service: Start) -> None:
    service = start_service(QUERY_TIMEOUT_SECONDS="0.01")
    fill(service)
    with service.http() as http:
        slow = http.get("/api/export")
        assert (slow.status_code, slow.json()["code"]) == (503, "query_timeout")
        assert http.get("/api/tasks/1").status_code == 200
    assert service.stop() == 0
    service.settings["QUERY_TIMEOUT_SECONDS"] = "5"
    service.start()
    with service.http() as http:
        assert http.get("/api/export").status_code == 200


def test_without_auto_migrate_only_a_migrated_database_is_served(prepare_service: Start) -> None:
    service = prepare_service(empty=True, AUTO_MIGRATE="false")
    service.spawn()
    assert service.process.wait(START_SECONDS) != 0
    assert "AUTO_MIGRATE" in service.log
    assert not service.database.exists()
    migrate = subprocess.run(
        [*COMMAND, "migrate"], env=environment(**service.settings), timeout=START_SECONDS, capture_output=True
    )
    assert migrate.returncode == 0
    service.start()


def batches(service: Service) -> int:
    with service.http() as http:
        return int(sample(http.get("/metrics").text, "pm_writer_batch_jobs_count"))


def test_the_cleanup_interval_is_the_longest_time_between_two_cleanups(start_service: Start, tmp_path: Path) -> None:
    often = start_service(folder(tmp_path, "often"), LOCK_CLEANUP_INTERVAL="0.01")
    seldom = start_service(folder(tmp_path, "seldom"))
    often.wait_until(lambda: batches(often) > 100)
    assert batches(seldom) < 20


@pytest.mark.parametrize(("cap", "expected"), [("1", "BLOCKED"), ("0", "TODO"), (None, "TODO")])
def test_a_task_is_blocked_after_so_many_failed_attempts(start_service: Start, cap: str | None, expected: str) -> None:
    service = start_service(**({} if cap is None else {"MAX_ATTEMPTS": cap}))
    with service.http() as http:
        http.post("/api/tasks", json={"name": "hard"})
        for _ in range(1 if cap else 5):
            held = http.post("/api/tasks/1/lock", json={"agent_id": "a"}).json()["lock"]
            body = {"agent_id": "a", "fence": held["fence"], "failed": True}
            status = http.request("DELETE", "/api/tasks/1/lock", json=body).json()["task"]["status"]
            if cap is None and held["fence"] == 5:
                expected = "BLOCKED"
        assert status == expected


@pytest.mark.parametrize(("limit", "refused"), [("1", True), ("0", False), (None, False)])
def test_an_agent_that_exceeds_the_rate_limit_must_wait(start_service: Start, limit: str | None, refused: bool) -> None:
    service = start_service(**({} if limit is None else {"RATE_LIMIT_PER_SECOND": limit}))
    with service.http() as http:
        answers = [http.post("/api/tasks/claim", json={"agent_id": "wild"}) for _ in range(30)]
        assert answers[9].status_code == 200
        assert (answers[-1].status_code == 429) is refused
        if refused:
            assert (answers[-1].json()["code"], answers[-1].headers["retry-after"]) == ("rate_limited", "1")
        assert http.post("/api/tasks/claim", json={"agent_id": "calm"}).status_code == 200
        assert [http.get("/api/projects").status_code for _ in range(30)] == [200] * 30


@pytest.mark.parametrize(("days", "kept"), [("2", False), ("90", True)])
def test_events_older_than_the_retention_are_deleted(prepare_service: Start, days: str, kept: bool) -> None:
    service = prepare_service(EVENT_RETENTION_DAYS=days).start()
    with service.http() as http:
        http.post("/api/tasks/bulk", json={"tasks": [{"name": "old"}] * 10})
        epoch = http.get("/api/events").json()["epoch"]
    assert service.stop() == 0
    with closing(sqlite3.connect(service.database)) as database:
        database.execute("UPDATE events SET at = at - ? WHERE seq <= 5", (3 * DAY_MS,))
        database.commit()
    service.start()
    service.wait_until(lambda: (oldest(service) == 1) is kept)
    with service.http() as http:
        page = http.get("/api/events", params={"since": 2, "epoch": epoch}).json()
    assert page["resync"] is not kept
    assert page["head"] == 11


def oldest(service: Service) -> int:
    with closing(sqlite3.connect(service.database)) as database:
        return int(database.execute("SELECT min(seq) FROM events").fetchone()[0])


@pytest.mark.parametrize(
    ("level", "reads", "writes"), [("DEBUG", True, True), ("INFO", False, True), ("WARNING", False, False)]
)
def test_the_log_level_selects_the_messages_that_are_logged(
    start_service: Start, level: str, reads: bool, writes: bool
) -> None:
    service = start_service(LOG_LEVEL=level)
    with service.http() as http:
        http.post("/api/tasks", json={"name": "told"})
        http.get("/api/tasks/1")
    assert service.stop() == 0
    assert bool(service.lines("get_task")) is reads
    assert bool(service.lines("create_task")) is writes


def test_the_log_is_json_or_text(start_service: Start, plain: Service) -> None:
    assert plain.lines("started")
    text = start_service(LOG_FORMAT="text")
    assert text.lines("started") == []
    assert "started" in text.log


def test_the_log_also_goes_to_a_file_when_one_is_named(start_service: Start, plain: Service, tmp_path: Path) -> None:
    service = start_service(LOG_FILE=tmp_path / "logs" / "pm.log")
    written = (tmp_path / "logs" / "pm.log").read_text()
    assert "started" in [json.loads(line)["action"] for line in written.splitlines()]
    assert service.lines("started")
    assert list(plain.folder.glob("*.log")) == []


@contextmanager
def connected_websocket(service: Service) -> Iterator[ClientConnection]:
    """Open a WebSocket and wait for the first message."""
    with connect(service.websocket_url, proxy=None) as websocket:
        websocket.recv(TIMEOUT)
        yield websocket


def test_websockets_over_the_limit_are_closed_with_try_again_later(start_service: Start, plain: Service) -> None:
    limited = start_service(WEBSOCKET_MAX_CONNECTIONS="1")
    with connected_websocket(limited), pytest.raises(ConnectionClosed) as refused, connected_websocket(limited):
        pass
    assert refused.value.rcvd is not None
    assert refused.value.rcvd.code == 1013
    with limited.http() as http:
        assert "pm_websocket_refused_total 1.0" in http.get("/metrics").text
        limited.wait_until(lambda: http.get("/healthz").json()["active_websocket_connections"] == 0)
    with (
        connected_websocket(limited),
        connected_websocket(plain),
        connected_websocket(plain),
        connected_websocket(plain),
    ):
        pass


def test_websockets_are_pinged_and_closed_when_they_do_not_answer(start_service: Start, plain: Service) -> None:
    lively = start_service(WEBSOCKET_PING_INTERVAL="0.05", WEBSOCKET_PING_TIMEOUT="0.2")
    with stalled_websocket(lively.port) as silent:
        kinds = [kind for kind, _ in read_frames(silent)]
    assert kinds[:2] == ["text", "ping"]
    assert kinds[-1] in ("close", "end")
    with connected_websocket(lively) as answering, lively.http() as http:
        lively.wait_until(lambda: closed(http, "lost") + closed(http, "client") >= 1)
        http.post("/api/tasks", json={"name": "still there"})
        assert json.loads(answering.recv(TIMEOUT))["type"] == "project.created"
    with stalled_websocket(plain.port) as silent, plain.http() as http:
        http.post("/api/tasks", json={"name": "the next frame after hello", "project_name": "pings"})
        frames = read_frames(silent)
        assert [next(frames)[0], next(frames)[0]] == ["text", "text"]


def closed(http: httpx.Client, reason: str) -> int:
    return int(sample(http.get("/metrics").text, f'pm_websocket_closed_total{{reason="{reason}"}}'))


ELSEWHERE = "https://pages.example"


def test_cross_origin_requests_are_allowed_only_from_listed_origins(start_service: Start, plain: Service) -> None:
    listed = start_service(CORS_ORIGINS=ELSEWHERE)
    preflight = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"}
    with listed.http() as http:
        answer = http.get("/api/tasks", headers={"Origin": ELSEWHERE})
        assert answer.headers["Access-Control-Allow-Origin"] == ELSEWHERE
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert http.options("/api/tasks", headers=preflight).status_code == 200
        assert http.get("/api/tasks", headers={"Origin": "https://another.example"}).status_code == 403
    with plain.http() as http:
        answer = http.get("/api/tasks", headers={"Origin": ELSEWHERE})
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Access-Control-Allow-Origin" not in http.options("/api/tasks", headers=preflight).headers


def test_cross_origin_cookies_are_accepted_only_when_allowed(start_service: Start) -> None:
    service = start_service(CORS_ORIGINS=ELSEWHERE, CORS_ALLOW_CREDENTIALS="true")
    with service.http() as http:
        answer = http.get("/api/tasks", headers={"Origin": ELSEWHERE})
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize(
    ("allowed", "named", "any_other"), [("pm.example", 200, 403), ("*", 200, 200), (None, 403, 403)]
)
def test_only_allowed_host_headers_are_served(
    start_service: Start, allowed: str | None, named: int, any_other: int
) -> None:
    service = start_service(**({} if allowed is None else {"ALLOWED_HOSTS": allowed}))
    with service.http() as http:
        assert http.get("/api/tasks", headers={"Host": "pm.example"}).status_code == named
        assert http.get("/api/tasks", headers={"Host": "rebound.example"}).status_code == any_other
        assert http.get("/api/tasks", headers={"Host": f"localhost:{service.port}"}).status_code == 200
        at_mcp = httpx.post(f"{service.mcp_url}/mcp", headers={"Host": "rebound.example"}, trust_env=False)
        assert (at_mcp.status_code == 403) is (any_other == 403)


def test_with_auth_required_every_interface_requires_a_token(start_service: Start, plain: Service) -> None:
    service = start_service(AUTH_REQUIRED="true")
    secret = make_token(service)
    with service.http() as http:
        assert http.get("/healthz").status_code == 200
        assert http.get("/api/tasks").status_code == 401
        assert http.get("/api/tasks", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    with pytest.raises(ConnectionClosed) as refused, connected_websocket(service):
        pass
    assert refused.value.rcvd is not None
    assert refused.value.rcvd.code == 4401
    assert httpx.post(f"{service.mcp_url}/mcp", trust_env=False).status_code == 401
    with plain.http() as http:
        assert http.get("/api/tasks").status_code == 200


def make_token(service: Service) -> str:
    command = [*COMMAND, "token", "create", "ci", "--role", "operator", "--json"]
    made = subprocess.run(command, env=environment(**service.settings), timeout=START_SECONDS, capture_output=True)
    assert made.returncode == 0, made.stderr
    return str(json.loads(made.stdout)["secret"])


@pytest.mark.parametrize(("enabled", "status"), [("true", 200), ("false", 404)])
def test_metrics_are_served_only_when_they_are_enabled(start_service: Start, enabled: str, status: int) -> None:
    with start_service(METRICS_ENABLED=enabled).http() as http:
        assert http.get("/metrics").status_code == status
        assert http.get("/api/metrics").status_code == status
        assert http.get("/healthz").status_code == 200


@pytest.mark.parametrize("expected", [0, 3])
def test_the_expected_number_of_instances_is_a_metric(start_service: Start, expected: int) -> None:
    with start_service(EXPECTED_INSTANCES=str(expected)).http() as http:
        assert sample(http.get("/metrics").text, "project_manager_expected_instances") == expected


def health_check(service: Service, **settings: str) -> subprocess.CompletedProcess[str]:
    variables = environment(**service.settings, **settings)
    command = [*COMMAND, "healthcheck"]
    return subprocess.run(command, env=variables, timeout=START_SECONDS, capture_output=True, text=True)


def test_the_health_check_fails_after_its_timeout_and_verbose_adds_details(start_service: Start) -> None:
    service = start_service()
    short = health_check(service)
    verbose = health_check(service, HEALTH_CHECK_VERBOSE="true")
    assert (short.returncode, verbose.returncode) == (0, 0)
    assert len(verbose.stdout + verbose.stderr) > len(short.stdout + short.stderr)
    service.signal(signal.SIGSTOP)
    assert health_check(service, HEALTH_CHECK_TIMEOUT="0.1").returncode != 0
    service.signal(signal.SIGCONT)
    assert health_check(service, HEALTH_CHECK_TIMEOUT="5").returncode == 0
