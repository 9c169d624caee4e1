import json
import re
import secrets
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.stack import Container, docker, wait_until

IMAGE = "project-manager:latest"
BASE = "python:3.13-slim"


@pytest.fixture(scope="module")
def image() -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(docker("image", "inspect", IMAGE))[0]
    return seen


@pytest.fixture
def alone() -> Iterator[Container]:
    """Run one container of the image alone: no compose, no settings, a separate volume."""
    container = Container(docker("run", "--detach", "--name", f"alone-{secrets.token_hex(4)}", IMAGE))
    yield container
    docker("rm", "--force", "--volumes", container.id)


def in_image(*command: str) -> str:
    return docker("run", "--rm", IMAGE, *command)


def test_the_image_runs_as_a_user_without_rights() -> None:
    assert in_image("sh", "-c", "id -u; id -un").split() == ["1000", "appuser"]


def test_the_image_declares_how_to_run_it(image: dict[str, Any]) -> None:
    config = image["Config"]
    assert set(config["ExposedPorts"]) == {"8080/tcp", "8081/tcp"}
    assert set(config["Volumes"]) == {"/app/data"}
    assert config["StopSignal"] == "SIGTERM"
    assert "/app/docker-healthcheck.py" in config["Healthcheck"]["Test"]
    assert config["Labels"]["org.opencontainers.image.title"] == "Project Manager"
    assert not any(word.startswith("PIP_") for word in config["Env"])


def test_the_image_contains_operating_tools_and_no_build_tools() -> None:
    assert "curl " in in_image("curl", "--version")
    assert in_image("sqlite3", "--version")
    assert in_image("sh", "-c", "ls /opt/venv/bin/pip* /src 2>/dev/null || echo none") == "none"


def test_the_image_adds_little_to_its_base(image: dict[str, Any]) -> None:
    base = json.loads(docker("image", "inspect", BASE))[0]["Size"]
    added = (image["Size"] - base) / 1e6
    print(f"{image['Size'] / 1e6:.0f} MB, of which {added:.0f} MB are not the base's")
    assert added < 150


def test_alembic_brings_an_empty_database_to_the_newest_schema() -> None:
    said = in_image("sh", "-c", "alembic upgrade head && alembic current 2>/dev/null")
    assert "(head)" in said


def test_a_container_alone_becomes_healthy_and_ends_with_status_zero(alone: Container) -> None:
    wait_until("the container is healthy", lambda: alone.health == "healthy", 20)
    assert alone.execute("curl", "-sf", "http://localhost:8080/healthz")
    docker("stop", alone.id)
    assert alone.state["ExitCode"] == 0


def test_an_unknown_setting_value_stops_the_start_with_one_sentence() -> None:
    said = docker("run", "--rm", "--env", "LOG_LEVEL=LOUD", IMAGE, "sh", "-c", "project-manager serve 2>&1 || echo $?")
    assert "LOG_LEVEL" in said
    assert "Traceback" not in said


def test_a_database_url_is_enough_to_choose_a_server() -> None:
    tried = "DATABASE_URL=postgresql://pm@127.0.0.1:9/tasks project-manager migrate 2>&1 || true"
    assert "database postgresql://127.0.0.1:9/tasks cannot be reached" in in_image("sh", "-c", tried)


def handles_sigterm(container: Container) -> bool:
    """Return whether process 1 has a handler. Without one the kernel delivers no signal to it."""
    caught = re.search(r"^SigCgt:\s+(\w+)$", container.execute("cat", "/proc/1/status"), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_sigterm_ends_process_one_of_a_container_that_has_just_started(alone: Container) -> None:
    """Stop a container without init. Docker's own stop would kill it after ten seconds and show status 137."""
    wait_until("process 1 has a handler", lambda: handles_sigterm(alone), 20)
    docker("kill", "--signal", "TERM", alone.id)
    assert docker("wait", alone.id, timeout=20) in ("143", "0")


@pytest.mark.parametrize("command", ["alembic upgrade head", "project-manager migrate", "project-manager serve"])
def test_a_read_only_file_system_is_named_in_one_line_of_json(command: str) -> None:
    given = ["--read-only", "--env", "DATABASE_PATH=/srv/data/tasks.db", "--env", "LOG_FORMAT=json"]
    *lines, status = docker("run", "--rm", *given, IMAGE, "sh", "-c", f"{command} 2>&1 || echo $?").splitlines()
    (said,) = map(json.loads, lines)
    assert (said["level"], status) == ("ERROR", "1")
    assert "/srv is on a read-only file system: mount it writable for uid 1000" in said["message"]
