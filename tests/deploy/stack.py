"""The deployment of an operator: docker compose, its containers, and ways to cause failures."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from websockets.sync.client import ClientConnection, connect

T = TypeVar("T")

CHECKOUT = Path(__file__).parents[2]
SERVICE = "project-manager"
API = "http://127.0.0.1:8080"
MCP = "http://127.0.0.1:8081"
APPLICATION = "$(cat /proc/1/task/1/children)"
"""The application inside its container; process 1 is the init process."""

http = httpx.Client(timeout=60, verify=False, limits=httpx.Limits(max_keepalive_connections=None))
"""One client for all instances: creating one costs more than most requests.

With a limit, its pool also closes surplus connections that another thread has just received.
"""


class CommandFailed(AssertionError):
    """A command ended with an unexpected status. The message contains its output."""


def run(
    *command: str,
    timeout: float = 60,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        raise CommandFailed(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def docker(*arguments: str, timeout: float = 60, check: bool = True) -> str:
    return run("docker", *arguments, timeout=timeout, check=check).stdout.strip()


def wait_until(what: str, condition: Callable[[], T], seconds: float = 5) -> T:
    """Call `condition` at short intervals until its result is true, and return that. The bound ends a failing test."""
    deadline = time.monotonic() + seconds
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what} (last seen: {seen!r})")
        time.sleep(0.05)


@dataclass(frozen=True)
class Container:
    id: str

    def inspect(self) -> dict[str, Any]:
        seen: dict[str, Any] = json.loads(docker("inspect", self.id))[0]
        return seen

    @property
    def name(self) -> str:
        return str(self.inspect()["Name"]).lstrip("/")

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.inspect()["State"]
        return state

    @property
    def health(self) -> str:
        return str(self.state["Health"]["Status"])

    @property
    def address(self) -> str:
        networks = self.inspect()["NetworkSettings"]["Networks"]
        return next(str(network["IPAddress"]) for name, network in networks.items() if name.endswith("_backend"))

    @property
    def api(self) -> str:
        return f"http://{self.address}:8080"

    @property
    def mcp(self) -> str:
        return f"http://{self.address}:8081"

    def execute(self, *command: str, check: bool = True, timeout: float = 30) -> str:
        return docker("exec", self.id, *command, check=check, timeout=timeout)

    def signal(self, name: str) -> None:
        """Send the application (not its init) a signal."""
        self.execute("sh", "-c", f"kill -{name} {APPLICATION}")

    def logs(self) -> str:
        done = run("docker", "logs", self.id)
        return done.stdout + done.stderr

    def answers(self) -> bool:
        try:
            return http.get(f"{self.api}/healthz", timeout=1).status_code == 200
        except (httpx.HTTPError, StopIteration):
            return False


def updates_of(instance: Container, query: str = "") -> ClientConnection:
    """Open a WebSocket to this instance."""
    plain = socket.create_connection((instance.address, 8080), timeout=5)
    return connect(f"ws://localhost:8080/ws/updates?{query}", sock=plain, open_timeout=5, close_timeout=2)


@dataclass
class Stack:
    """One compose project. `files` are compose files after `file`, `environment` is their substitution."""

    files: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    project: str = "project-manager"
    file: str = "compose.yaml"

    def compose(self, *arguments: str, timeout: float = 120, check: bool = True) -> str:
        chosen = [word for name in (self.file, *self.files) for word in ("-f", name)]
        chosen += ["--project-name", self.project]
        done = run("docker", "compose", *chosen, *arguments, timeout=timeout, check=check, env=self.environment)
        return done.stdout.strip()

    def up(self, instances: int = 3) -> None:
        self.compose("up", "-d", "--wait", "--scale", f"{SERVICE}={instances}")

    def down(self) -> None:
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "20")

    def containers(self, service: str) -> list[Container]:
        return [Container(line) for line in self.compose("ps", "--all", "--quiet", service).split()]

    @property
    def instances(self) -> list[Container]:
        return self.containers(SERVICE)

    @property
    def load_balancer(self) -> Container:
        return self.containers("lb")[0]

    def unhealthy(self, service: str = SERVICE) -> list[str]:
        labels = (f"label=com.docker.compose.project={self.project}", f"label=com.docker.compose.service={service}")
        filters = [word for label in (*labels, "health=unhealthy") for word in ("--filter", label)]
        return docker("ps", "--quiet", *filters).split()

    def logs(self) -> str:
        """Return the log of the instances. Some releases of compose clear the terminal's line before each line."""
        return self.compose("logs", "--no-color", "--no-log-prefix", SERVICE).replace("\x1b[2K", "")

    def wait_until_complete(self, instances: int = 3) -> None:
        """Wait until all instances are healthy and the load balancer reaches them."""
        if self._is_complete(instances):
            return
        # Compose fails at once on a container that is unhealthy at that moment, although it will recover.
        wait_until("no instance is unhealthy", lambda: not self.unhealthy(), 30)
        if self.unhealthy("lb"):
            self.compose("up", "-d", "--wait", "--no-deps", "--scale", f"{SERVICE}={instances}", SERVICE)
            wait_until("the load balancer is healthy", lambda: not self.unhealthy("lb"), 20)
        self.up(instances)
        wait_until("the load balancer answers", lambda: reach_both_ports(instances), 20)

    def _is_complete(self, instances: int) -> bool:
        present = [*self.instances, *self.containers("lb")]
        if len(present) != instances + 1:
            return False
        ids = [container.id for container in present]
        healths = docker("inspect", "--format", "{{.State.Status}} {{.State.Health.Status}}", *ids)
        return set(healths.splitlines()) == {"running healthy"} and reach_both_ports(instances)


def reach_both_ports(instances: int) -> bool:
    """Return whether so many instances answer on each port. The load balancer checks each port on its own."""
    return all(reachable(port=port) == instances for port in (API, MCP))


def reachable(requests: int = 24, port: str = API) -> int:
    """Return the number of instances that answer this number of requests through the load balancer."""
    seen = set()
    with httpx.Client(base_url=port, timeout=2) as client:
        for _ in range(requests):
            try:
                answer = client.get("/healthz", headers={"Connection": "close"})
            except httpx.HTTPError:
                return 0
            if answer.status_code != 200:
                return 0
            seen.add(answer.headers.get("x-served-by", ""))
    return len(seen)
