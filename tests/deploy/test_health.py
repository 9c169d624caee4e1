import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.deploy.stack import Container, Stack, docker, run, wait_until

SCRIPT = "/app/docker-healthcheck.py"
DATABASE = "/app/data/tasks.db"


def check(instance: Container, *environment: str) -> tuple[int, str]:
    """Run the health script by hand, as documented. Return its status and output."""
    named = [word for pair in environment for word in ("--env", pair)]
    done = run("docker", "exec", *named, instance.id, "python", SCRIPT, check=False)
    return done.returncode, done.stdout


@contextmanager
def as_root() -> Iterator[Container]:
    """Run a command as root in a container with the volume, like the shell of an operator."""
    mount = "project_data:/app/data"
    id_ = docker("run", "--detach", "--user", "0", "--volume", mount, "project-manager:latest", "sleep", "60")
    try:
        yield Container(id_)
    finally:
        docker("rm", "--force", id_)


def test_healthcheck_reports_healthy_and_details_with_verbose(stack: Stack) -> None:
    instance = stack.instances[0]
    assert check(instance, "HEALTH_CHECK_VERBOSE=false") == (0, "healthy\n")
    status, said = check(instance, "HEALTH_CHECK_VERBOSE=true")
    assert status == 0
    for word in ("port 8080 accepts", "port 8081 accepts", "/healthz answered 200", f"{DATABASE} is readable"):
        assert word in said


def test_a_stopped_process_makes_its_container_unhealthy_until_it_continues(stack: Stack) -> None:
    instance = stack.instances[0]
    instance.signal("STOP")
    try:
        status, said = check(instance, "HEALTH_CHECK_TIMEOUT=1")
        assert (status, "no response from" in said) == (1, True)
        wait_until("the container is unhealthy", lambda: instance.health == "unhealthy", 40)
        assert "no response from" in instance.state["Health"]["Log"][-1]["Output"]
    finally:
        instance.signal("CONT")
    wait_until("the container is healthy again", lambda: instance.health == "healthy", 20)


def test_an_unreadable_database_makes_it_unhealthy_until_it_is_readable(stack: Stack) -> None:
    instance = stack.instances[0]
    with as_root() as root:
        root.execute("mv", DATABASE, f"{DATABASE}.away")
        try:
            status, said = check(instance)
            assert status == 1
            assert "database" in said
            wait_until("the container is unhealthy", lambda: instance.health == "unhealthy", 40)
        finally:
            root.execute("mv", f"{DATABASE}.away", DATABASE)
    wait_until("the container is healthy again", lambda: instance.health == "healthy", 20)


def test_the_script_names_a_file_that_it_may_not_read(stack: Stack) -> None:
    with as_root() as root:
        root.execute("chmod", "000", DATABASE)
        try:
            status, said = check(stack.instances[0])
        finally:
            root.execute("chmod", "644", DATABASE)
    assert (status, f"{DATABASE} is missing or not readable by uid 1000" in said) == (1, True)


def test_the_script_names_a_port_that_is_closed(stack: Stack) -> None:
    status, said = check(stack.instances[0], "DEFAULT_PORT=9", "MCP_PORT=8081")
    assert (status, "port 9 of 127.0.0.1 does not accept connections" in said) == (1, True)


def test_health_has_the_documented_shape_and_readiness_names_each_condition(stack: Stack) -> None:
    instance = stack.instances[0]
    healthy = json.loads(instance.execute("curl", "-sf", "http://localhost:8080/healthz"))
    assert set(healthy) == {"status", "database_connected", "active_websocket_connections", "timestamp"}
    ready = json.loads(instance.execute("curl", "-sf", "http://localhost:8080/readyz"))
    assert ready["status"] == "ready"
    assert json.loads(instance.execute("curl", "-sf", "http://localhost:8080/livez")) == {"status": "alive"}
