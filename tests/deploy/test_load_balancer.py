"""The load balancer: ports from the settings, its own responses, its log, reload and restart."""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.deploy.stack import API, CHECKOUT, MCP, SERVICE, Stack, docker, http, reachable, run, wait_until

OTHER_API = "http://127.0.0.1:18080"
OTHER_MCP = "http://127.0.0.1:18081"
OTHER_TLS = "https://127.0.0.1:18443"
RELOAD = ("exec", "-T", "lb", "bash", "/lb/reload.sh")
PROBE_SECONDS = 0.01
BACKEND = "backend requests\n"
NO_SERVER = "last_resort has no server available"  # of last_resort and of mcp_last_resort
SETTINGS = CHECKOUT / "deploy" / "production.env"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the configuration, which a test may change while the stack runs."""
    for proxy in ("haproxy", "nginx"):
        shutil.copytree(CHECKOUT / "deploy" / proxy, tmp_path / proxy)
    tmp_path.chmod(0o755)
    return tmp_path


def stack_with(
    folder: Path, settings: str, files: tuple[str, ...] = (), proxy: str = "haproxy", **environment: str
) -> Stack:
    """Start a second stack with a copy of the configuration and with different settings."""
    (folder / "production.env").write_text(settings)
    own = f"env_file: !override [{folder}/production.env]"
    (folder / "override.yaml").write_text(
        "services:\n"
        f"  migrate: {{{own}}}\n"
        f"  {SERVICE}: {{{own}}}\n"
        f"  backup: {{{own}}}\n"
        f"  lb:\n    {own}\n    volumes: [{folder}/{proxy}:/lb:ro]\n"
        "volumes:\n  project_data: {name: project_data_other}\n  project_backups: {name: project_backups_other}\n"
    )
    chosen = {"PUBLISH_PORT": "18080", "PUBLISH_MCP_PORT": "18081", **environment}
    return Stack([*files, f"{folder}/override.yaml"], chosen, project="project-manager-other")


@contextmanager
def started(stack: Stack, instances: int = 1) -> Iterator[Stack]:
    try:
        stack.up(instances)
        yield stack
    finally:
        stack.down()


def replaced(path: Path, change: Callable[[str], str]) -> None:
    """Write a file as git and certbot do: a new inode under the same name."""
    fresh = path.with_suffix(".new")
    fresh.write_text(change(path.read_text()))
    fresh.rename(path)


@contextmanager
def probed(*urls: str) -> Iterator[list[str]]:
    """Send requests continuously, each on a new connection and without repetition. Yield the failures."""
    failures: list[str] = []
    sent = dict.fromkeys(urls, 0)
    stop = threading.Event()

    def probe(url: str) -> None:
        while not stop.is_set():
            try:
                answer = httpx.get(url, timeout=10, headers={"Connection": "close"}, verify=False)
                if answer.status_code >= 500:
                    failures.append(f"{url}: {answer.status_code} {answer.text}")
            except httpx.HTTPError as error:
                failures.append(f"{url}: {error!r}")
            sent[url] += 1
            stop.wait(PROBE_SECONDS)

    threads = [threading.Thread(target=probe, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    try:
        wait_until("each probe was answered", lambda: all(sent.values()), 10)
        yield failures
        before = dict(sent)
        wait_until("each probe goes on", lambda: all(sent[url] > before[url] + 20 for url in urls), 20)
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)


@pytest.mark.parametrize("proxy", ["haproxy", "nginx"])
def test_the_load_balancer_follows_the_ports_of_the_settings(folder: Path, proxy: str) -> None:
    changed = re.sub(r"^DEFAULT_PORT=.*$", "DEFAULT_PORT=9000", SETTINGS.read_text(), flags=re.MULTILINE)
    changed = re.sub(r"^MCP_PORT=.*$", "MCP_PORT=", changed, flags=re.MULTILINE)
    files = ("deploy/nginx/compose.nginx.yaml",) if proxy == "nginx" else ()
    with started(stack_with(folder, changed, files, proxy=proxy)) as stack:
        (instance,) = stack.instances
        assert instance.execute("curl", "-sf", "http://localhost:9000/livez")
        assert instance.execute("curl", "-sf", "http://localhost:9001/healthz")
        done = run("deploy/verify-deployment.sh", "--url", OTHER_API, "--mcp-url", OTHER_MCP, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        kept = HTTPConnection("127.0.0.1", 18080, timeout=10)
        assert answer_on(kept) == (200, "")
        stack.compose(*RELOAD)
        if proxy == "haproxy" or keeps_connections(stack):
            wait_until("the former worker announces that it closes", lambda: answer_on(kept) == (200, "close"), 20)
        kept.close()
        stack.compose("stop", SERVICE)
        refused = http.get(f"{OTHER_API}/api/tasks")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["code"] == "unavailable"


def answer_on(kept: HTTPConnection) -> tuple[int, str]:
    """Return the status and the header Connection of an answer. Raises an error when the connection is closed."""
    kept.request("GET", "/livez")
    answer = kept.getresponse()
    answer.read()
    return answer.status, answer.headers.get("connection", "").lower().replace("keep-alive", "")


def keeps_connections(stack: Stack) -> bool:
    """Return whether this nginx is new enough to answer on a kept connection after a reload."""
    return "keepalive.conf" in stack.load_balancer.execute("ls", "/tmp")


def test_a_load_balancer_that_reaches_no_instance_is_not_healthy(stack: Stack) -> None:
    balancer = stack.load_balancer
    check = balancer.inspect()["Config"]["Healthcheck"]["Test"][1:]
    assert run("docker", "exec", balancer.id, *check, check=False).returncode == 0
    stack.compose("stop", SERVICE)
    done = run("docker", "exec", balancer.id, *check, check=False)
    assert (done.returncode, "/healthz on port 8080 answered 503" in done.stdout) == (1, True)


def test_without_an_instance_the_answer_has_the_form_of_the_services_errors(stack: Stack) -> None:
    stack.compose("stop", SERVICE)
    for url in (f"{API}/api/tasks?secret=word", f"{MCP}/mcp"):
        refused = httpx.get(url, headers={"X-Request-ID": 'say-"it"'}, timeout=20)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert set(refused.json()) == {"code", "message", "hint", "details", "request_id"}
        assert (refused.json()["code"], refused.json()["request_id"]) == ("unavailable", 'say-"it"')
    lines = wait_until("the refusal is logged", lambda: logged(stack, 'say-"it"'))
    assert {(line["level"], line["method"], line["status"]) for line in lines} == {("ERROR", "GET", 503)}
    assert {line["path"] for line in lines} <= {"/api/tasks", "/mcp"}
    assert "secret" not in stack.load_balancer.logs()


def logged(stack: Stack, request_id: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in stack.load_balancer.logs().splitlines()]
    return [line for line in lines if line.get("request_id") == request_id]


def test_a_request_has_the_same_id_in_both_logs(stack: Stack) -> None:
    made = httpx.post(f"{API}/api/projects", json={"name": f"named-{time.monotonic_ns()}"}, timeout=20)
    assert re.fullmatch(r"[0-9a-f-]{36}", made.headers["x-request-id"])
    assert made.headers["x-request-id"] in stack.logs()


def test_every_line_of_its_log_is_an_object_with_level_and_action(stack: Stack) -> None:
    stack.compose("up", "-d", "--no-deps", "--force-recreate", "--wait", "lb")
    stack.compose(*RELOAD)
    wait_until("it has reloaded", lambda: "Loading success" in stack.load_balancer.logs())
    wait_until("it has found an instance", lambda: "Server requests/pm1 is UP" in stack.load_balancer.logs())
    lines = [json.loads(line) for line in stack.load_balancer.logs().splitlines()]
    assert {line["level"] for line in lines} <= {"INFO", "WARNING", "ERROR"}
    assert {line["action"] for line in lines} <= {"load_balancer", "proxied", "connection_failed"}
    up = [line for line in lines if "Server requests/pm1 is UP" in line.get("message", "")]
    times = {line["timestamp"] for line in up}  # the texts of two checks may be the same
    assert len(up) == len(times) > 0


def test_a_changed_configuration_and_a_renewed_certificate_are_loaded_without_a_failed_request(folder: Path) -> None:
    config, served = folder / "haproxy" / "haproxy.cfg", folder / "served"
    served.mkdir(mode=0o755)
    tls = {"TLS_CERTIFICATE": str(served), "PUBLISH_TLS_PORT": "18443"}
    stack = stack_with(folder, SETTINGS.read_text(), ("deploy/tls/compose.tls.yaml",), **tls)
    first = make_certificate(folder, served)
    with started(stack, 2):
        assert serial_of("18443") == first
        with probed(*(f"{OTHER_TLS}{path}" for path in ("/livez", "/docs", "/ws/updates", "/mcp"))) as failures:
            second = make_certificate(folder, served)
            replaced(config, lambda text: text.replace(BACKEND, f"{BACKEND}  http-response set-header X-New 1\n"))
            stack.compose(*RELOAD)
            wait_until("the configuration is in force", lambda: "x-new" in http.get(f"{OTHER_TLS}/livez").headers, 10)
        assert failures == []
        assert serial_of("18443") == second != first
        replaced(config, lambda text: text.replace(BACKEND, "backend nobody\n"))
        refused = run("docker", "exec", stack.load_balancer.id, "bash", "/lb/reload.sh", check=False)
        assert refused.returncode == 1
        assert "unable to find required default_backend: 'requests'" in refused.stderr
        assert http.get(f"{OTHER_TLS}/healthz").status_code == 200


def test_a_reload_leaves_no_moment_without_an_instance(stack: Stack) -> None:
    failures: list[str] = []
    stop = threading.Event()
    threads = [threading.Thread(target=ask_until, args=(stop, port, failures)) for port in (8080, 8081) * 4]
    before = stack.load_balancer.logs().count(NO_SERVER)
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            reload(stack)
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)
    # The log shows also a moment in which no request arrived.
    assert (failures, stack.load_balancer.logs().count(NO_SERVER) - before) == ([], 0)


def reload(stack: Stack) -> None:
    before = times_up(stack)
    stack.compose(*RELOAD)
    wait_until("the new worker has found an instance", lambda: times_up(stack) > before)


def times_up(stack: Stack) -> int:
    return stack.load_balancer.logs().count("Server requests/pm1 is UP")


def ask_until(stop: threading.Event, port: int, failures: list[str]) -> None:
    """Send requests without a pause, each on a new connection, so that some arrive in the first moment of a worker."""
    while not stop.is_set():
        asked = HTTPConnection("127.0.0.1", port, timeout=10)
        asked.request("GET", "/livez", headers={"Connection": "close"})
        answer = asked.getresponse()
        if answer.status != 200:
            failures.append(f"{port}: {answer.status} {answer.read().decode()}")
        asked.close()


def make_certificate(folder: Path, served: Path) -> str:
    """Make a certificate for localhost, put it with its key into the served folder, and return its serial."""
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    run("openssl", *words.split(), "-keyout", str(folder / "key.pem"), "-out", str(folder / "chain.pem"))
    both = folder / "both.pem"
    both.write_text((folder / "chain.pem").read_text() + (folder / "key.pem").read_text())
    both.chmod(0o644)
    both.rename(served / "localhost.pem")
    return run("openssl", "x509", "-noout", "-serial", "-in", str(folder / "chain.pem")).stdout.strip()


def serial_of(port: str) -> str:
    shown = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", stdin="", check=False).stdout
    read = run("openssl", "x509", "-noout", "-serial", stdin=shown, check=False)
    return read.stdout.strip()


def test_a_stop_does_not_wait_for_streams_without_a_listener(stack: Stack) -> None:
    balancer = stack.load_balancer
    with connect("ws://127.0.0.1:8080/ws/updates", open_timeout=5, close_timeout=2) as updates:
        assert json.loads(updates.recv(5))["type"] == "hello"
        stack.compose("stop", "lb")
    # 137 would be the kill after the grace period. Releases of haproxy differ in the status of a normal stop.
    assert (balancer.state["Status"], balancer.state["ExitCode"] in (0, 143)) == ("exited", True)
    assert "soft-stop running for too long" not in balancer.logs()


def test_more_than_ten_instances_get_traffic(stack: Stack) -> None:
    stack.compose("up", "-d", "--no-deps", "--no-recreate", "--scale", f"{SERVICE}=11", SERVICE)
    wait_until("eleven instances are reached", lambda: reachable(60) == 11, 240)
    docker("rm", "--force", *[instance.id for instance in stack.instances[3:]])
