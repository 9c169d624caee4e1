"""schemathesis with all its checks: valid and invalid requests by the API description, with a token of each role."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.service import CHECKOUT, Service, environment

HERE = Path(__file__).parent
SECONDS = 240
SEED = "20261128"
ROLES = ("operator", "agent", "viewer")
WITHOUT_TOKENS = ("--exclude-path-regex", "^/api/tokens")
"""Items without dependencies are created first in a stateful run. With tokens, these are tokens only."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Start a server with the example plan, without a rate limit."""
    running = Service(tmp_path_factory.mktemp("described"), RATE_LIMIT_PER_SECOND=0, LOG_LEVEL="ERROR")
    _command(running, "import", str(CHECKOUT / "examples" / "web-shop.yaml"))
    running.start()
    yield running
    running.end()


@pytest.fixture(scope="module")
def tokens(service: Service) -> dict[str, str]:
    return {role: _command(service, "token", "create", role, "--role", role).strip() for role in ROLES}


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("operator", ["--phases", "coverage", "--exclude-deprecated"]),
        ("operator", ["--phases", "stateful", "--max-examples", "60", *WITHOUT_TOKENS]),
        ("agent", ["--phases", "fuzzing,stateful", "--max-examples", "2", *WITHOUT_TOKENS]),
        ("viewer", ["--phases", "fuzzing", "--max-examples", "1"]),
    ],
)
def test_responses_to_described_requests_match_the_description(
    service: Service, tokens: dict[str, str], tmp_path: Path, role: str, words: list[str]
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml", "--no-color"),
            *("run", f"{service.url}/openapi.json", "--header", f"Authorization: Bearer {tokens[role]}"),
            *words,
            *("--seed", SEED, "--no-shrink", "--continue-on-failure", "--request-timeout", "20"),
        ],
        cwd=tmp_path,
        env=environment(SCHEMATHESIS_HOOKS="tests.conformance.openapi_hooks"),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert re.search(r"^  [1-9]\d* generated", done.stdout, re.MULTILINE), done.stdout
    assert not service.log


def _command(service: Service, *words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "project_manager", *words],
        env=environment(DATABASE_PATH=str(service.database)),
        capture_output=True,
        check=True,
        text=True,
        timeout=SECONDS,
    ).stdout
