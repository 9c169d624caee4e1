import secrets
from collections.abc import Iterator

import httpx
import pytest

from tests.deploy.stack import API, Stack


@pytest.fixture(scope="session")
def running() -> Iterator[Stack]:
    """Start three instances behind the load balancer for the whole run."""
    stack = Stack()
    stack.down()
    stack.up()
    yield stack
    stack.down()


@pytest.fixture
def stack(running: Stack) -> Stack:
    """Return the stack, restored to its normal state after the last test."""
    running.wait_until_complete()
    return running


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    """Return a client of the load balancer."""
    with httpx.Client(base_url=API, timeout=20) as client:
        yield client


@pytest.fixture
def project(api: httpx.Client) -> int:
    made = api.post("/api/projects", json={"name": f"project-{secrets.token_hex(4)}"})
    assert made.status_code == 201, made.text
    return int(made.json()["id"])
