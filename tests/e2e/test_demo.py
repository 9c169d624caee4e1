"""The command `demo`: scripted agents on a running server, and on a temporary one."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import COMMAND, CommandLine
from tests.e2e.conftest import Start
from tests.e2e.service import Service, environment, free_port

SPEED = "40"
HIGHEST_SPEED = "100"
LONGEST_RUN = 60
"""Limit of one run in seconds. At these speeds the script takes 3 to 8 s."""


@pytest.fixture
def demo(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, LONGEST_RUN)


def items(service: Service, path: str, **headers: str) -> list[dict[str, Any]]:
    with service.http(**headers) as http:
        found: list[dict[str, Any]] = http.get(path, params={"limit": 500}).json()["items"]
        return found


def test_the_demonstration_shows_a_failure_a_lost_lease_a_question_and_a_review(
    start_service: Start, demo: CommandLine
) -> None:
    service = start_service()
    printed = demo.says("demo", "--url", service.url, "--speed", SPEED)
    ended = [lease["reason"] for lease in items(service, "/api/leases")]
    assert None not in ended
    assert (ended.count("failed"), ended.count("lock_expired")) == (1, 1)
    assert len({lease["agent_id"] for lease in items(service, "/api/leases")}) == 6
    for scene in ("asks about", "answers the question", "submits", "approves", "is stale"):
        assert scene in printed


def test_a_second_run_has_a_project_and_agents_of_its_own(start_service: Start, demo: CommandLine) -> None:
    service = start_service()
    for _ in range(2):
        demo.says("demo", "--url", service.url, "--speed", HIGHEST_SPEED)
    assert [project["name"] for project in items(service, "/api/projects")] == [
        "Bike rental (demo)",
        "Bike rental (demo 2)",
    ]
    leases = items(service, "/api/leases")
    first, second = ({lease["agent_id"] for lease in leases if lease["project_id"] == project} for project in (1, 2))
    assert len(first) == len(second) == 6
    assert not first & second


def test_without_a_url_the_server_is_temporary_and_nothing_stays(tmp_path: Path, demo: CommandLine) -> None:
    (tmp_path / "tmp").mkdir()
    port = free_port()
    printed = demo.says(
        "demo", "--port", str(port), "--speed", HIGHEST_SPEED, TMPDIR=str(tmp_path / "tmp"), DEFAULT_PORT="1"
    )
    assert f"http://127.0.0.1:{port}/?project=1" in printed
    assert [path.name for path in tmp_path.rglob("*")] == ["tmp"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demonstration_hands_over_every_task(
    start_service: Start, cli: CommandLine, number: signal.Signals
) -> None:
    service = start_service()
    token = cli.says("token", "create", "demo", "--db-path", str(service.database)).strip()
    interrupt("--url", service.url, number=number, PM_TOKEN=token)
    leases = items(service, "/api/leases", Authorization=f"Bearer {token}")
    assert {lease["reason"] for lease in leases} == {"explicit_release"}


def test_an_interrupted_demonstration_removes_its_server_and_database(tmp_path: Path) -> None:
    interrupt("--port", str(free_port()), number=signal.SIGINT, TMPDIR=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def interrupt(*words: str, number: signal.Signals, **variables: str) -> None:
    """Start the demonstration, send it the signal after its first claim, and check that it ends well."""
    process = subprocess.Popen(
        [*COMMAND, "demo", *words],
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any(" claims " in line for line in process.stdout)
    process.send_signal(number)
    _, errors = process.communicate(timeout=LONGEST_RUN)
    assert (process.returncode, errors) == (0, "")


def test_a_demonstration_without_a_server_or_a_token_says_what_to_do(start_service: Start, cli: CommandLine) -> None:
    assert "does not answer" in cli.refuses(5, "demo", "--url", f"http://127.0.0.1:{free_port()}")
    service = start_service(AUTH_REQUIRED="true")
    assert "PM_TOKEN" in cli.refuses(1, "demo", "--url", service.url)


def test_a_port_in_use_is_refused_with_the_way_to_use_its_server(start_service: Start, cli: CommandLine) -> None:
    service = start_service()
    assert f"--url {service.url}" in cli.refuses(1, "demo", "--port", str(service.port))
