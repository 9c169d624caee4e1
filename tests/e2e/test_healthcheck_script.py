"""The health check of the image finds the service by the settings that the service reads."""

import importlib.util
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from types import ModuleType

import pytest

from tests.e2e.command_line import CommandLine
from tests.e2e.conftest import Start
from tests.e2e.service import CHECKOUT, Service, environment

SCRIPT = CHECKOUT / "deploy" / "docker-healthcheck.py"


def check(service: Service, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-IS", str(SCRIPT)],
        cwd=service.folder,
        env=environment(**{**service.settings, **variables}),
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.returncode, done.stdout


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docker_healthcheck", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_PATH", "my ta?ks %41#.db"),
        ("DATABASE_URL", "sqlite:///my%20ta%3Fks%20%2541%23.db"),
        ("DATABASE_URL", "sqlite:///~/my%20ta%3Fks%20%2541%23.db"),
    ],
)
def test_the_database_is_found_with_any_characters_in_its_path(
    prepare_service: Start, template: Path, tmp_path: Path, name: str, text: str
) -> None:
    copyfile(template, tmp_path / "my ta?ks %41#.db")
    service = prepare_service(DATABASE_PATH="", HOME=tmp_path)
    service.settings[name] = text
    service.start()
    before = sorted(path.name for path in tmp_path.iterdir())
    assert check(service) == (0, "healthy\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert before[:2] == ["my ta?ks %41#.db", "my ta?ks %41#.db-shm"]


@pytest.mark.parametrize(
    ("setting", "asked"),
    [
        ("", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("10.0.0.7", "10.0.0.7"),
    ],
)
def test_the_health_check_uses_the_address_that_the_service_listens_on(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, setting: str, asked: str
) -> None:
    monkeypatch.setitem(os.environ, "HOST", setting)
    assert script.host() == asked


def test_a_service_on_an_ipv6_address_is_checked_at_that_address(prepare_service: Start) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6):
        pass  # fails with a clear error on a machine without IPv6
    service = prepare_service(HOST="[::1]")
    service.spawn()
    service.wait_until(lambda: check(service) == (0, "healthy\n"), 20)
    said = CommandLine(service.folder).says("healthcheck", **service.settings)
    assert said == "healthy\n"


def test_the_database_is_found_by_a_url_in_a_file(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, template: Path
) -> None:
    path = Path(copyfile(template, tmp_path / "my tasks.db"))
    secret = tmp_path / "url"
    monkeypatch.setitem(os.environ, "DATABASE_URL_FILE", str(secret))
    with pytest.raises(script.Unhealthy, match="DATABASE_URL_FILE names"):
        script.check_database_file(0.0)
    secret.write_text(f"sqlite:///{path.as_posix().replace(' ', '%20')}\n")
    assert str(path) in script.check_database_file(0.0)


def test_a_service_stays_healthy_while_another_program_locks_the_database(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, template: Path
) -> None:
    path = Path(copyfile(template, tmp_path / "pm.db"))
    monkeypatch.setitem(os.environ, "DATABASE_PATH", str(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert "locked by another process" in script.check_database_file(0.0)
    path.write_bytes(b"noise" * 1000)
    with pytest.raises(script.Unhealthy, match="cannot be read"):
        script.check_database_file(0.0)
