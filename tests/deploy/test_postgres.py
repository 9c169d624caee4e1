"""The stack of compose.postgres.yaml: three instances, and two database servers of which one is lost.

The tests run in this order on one stack.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.mcp_session import Session
from tests.deploy.stack import API, CHECKOUT, MCP, SERVICE, Container, Stack, docker, run, wait_until
from tests.deploy.test_upgrade import IMAGE, NEW_COLUMN, build_next_release, images_of
from tests.deploy.worker_agents import agents_working, make_tasks

SERVERS = ("postgres1", "postgres2")
PROMOTION_SECONDS = 60
"""Bound for a busy machine. docs/postgresql.md has the measured time."""


class Cluster(Stack):
    """The stack with its database servers."""

    def down(self) -> None:
        """Remove everything without a clean shutdown of the servers."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "1")

    def member(self, role: str) -> str:
        """Return the name of the server in this role of Patroni, or "" if there is none."""
        for name in SERVERS:
            listed = self.compose("exec", "-T", name, "patronictl", "list", "--format", "json", check=False)
            members = json.loads(listed) if listed.startswith("[") else []
            found = [member["Member"] for member in members if (member["Role"], member["State"]) == (role, "running")]
            if found:
                return str(found[0])
        return ""

    def server(self, name: str) -> Container:
        return self.containers(name)[0]

    def wait_until_synchronous(self) -> None:
        wait_until("a standby has all acknowledged commits", lambda: self.member("Sync Standby"), 60)

    def sql(self, statement: str) -> str:
        """Return the output of a statement on the primary, as superuser."""
        words = ("psql", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1", "project_manager", "-c", statement)
        return self.compose("exec", "-T", self.member("Leader"), *words)

    def states_of_application(self, statements: list[str]) -> list[str]:
        """Return the SQLSTATE of the error of each statement with the service's role, or "" without an error."""
        program = (
            "import os, psycopg; url = open(os.environ['DATABASE_URL_FILE']).read().strip()\n"
            "with psycopg.connect(url, target_session_attrs='read-write', autocommit=True) as link:\n"
            f"  for statement in {statements!r}:\n"
            "    try: link.execute(statement)\n"
            "    except psycopg.Error as error: print(error.sqlstate)\n"
            "    else: print()"
        )
        return self.instances[0].execute("python", "-c", program).split("\n")


@pytest.fixture(scope="module")
def cluster(running: Stack) -> Iterator[Cluster]:
    """Start the stack as a new user does. The other stack is stopped meanwhile, because it has the same ports."""
    running.down()
    stack = Cluster(project="project-manager-postgres", file="compose.postgres.yaml")
    stack.down()
    run("deploy/postgres/create-secrets.sh", timeout=120)
    stack.compose("up", "-d", "--wait", timeout=180)
    stack.wait_until_synchronous()
    yield stack
    stack.down()


@pytest.fixture
def client(cluster: Cluster) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=API, timeout=30) as client:
        yield client


def new_project(client: httpx.Client) -> int:
    made = client.post("/api/projects", json={"name": f"project-{secrets.token_hex(4)}"})
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


def test_the_stack_is_verified_from_outside_and_takes_the_example_plan(cluster: Cluster) -> None:
    assert len(cluster.instances) == 3
    done = run("deploy/verify-deployment.sh", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    plan = (CHECKOUT / "examples" / "web-shop.yaml").read_text()
    files = ("-f", cluster.file, "--project-name", cluster.project)
    run("docker", "compose", *files, "exec", "-T", SERVICE, "project-manager", "import", "-", stdin=plan)


def test_the_role_of_the_service_uses_tls_and_cannot_change_tables(cluster: Cluster) -> None:
    sessions = cluster.sql("SELECT DISTINCT usename, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE ssl")
    assert "pm_app|t" in sessions.splitlines()
    assert "replicator|t" in sessions.splitlines()
    refused = [
        "DROP TABLE project_manager.task_logs",
        "ALTER TABLE project_manager.tasks ADD COLUMN x text",
        "TRUNCATE project_manager.tasks",
        "CREATE TABLE project_manager.x ()",
        "CREATE TABLE public.x ()",
        "CREATE ROLE x",
    ]
    assert cluster.states_of_application(refused) == ["42501"] * len(refused)


@pytest.mark.parametrize("service", ["postgres1", "postgres2", "etcd1", SERVICE, "lb"])
def test_a_container_has_no_rights_and_a_limit(cluster: Cluster, service: str) -> None:
    host = cluster.containers(service)[0].inspect()["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert host["LogConfig"]["Config"]["max-size"] == "10m"


def test_no_password_is_in_the_configuration_or_log_of_a_container(cluster: Cluster) -> None:
    passwords = [file.read_text().strip() for file in (CHECKOUT / "secrets").glob("*.password")]
    assert len(passwords) == 4
    seen = cluster.compose("logs", "--no-color") + "".join(
        json.dumps(container.inspect()) for service in (*SERVERS, SERVICE) for container in cluster.containers(service)
    )
    assert not any(password in seen for password in passwords)


def test_agents_go_on_when_the_primary_is_killed_and_nothing_acknowledged_is_lost(
    cluster: Cluster, client: httpx.Client
) -> None:
    project = new_project(client)
    make_tasks(client, project, 6000)
    over_mcp = Session()
    over_mcp.open(MCP)
    with agents_working(project) as agents:
        agents.wait_until_finished(50)
        primary, standby = cluster.member("Leader"), cluster.member("Sync Standby")
        killed_at = time.monotonic()
        docker("kill", cluster.server(primary).id)
        wait_until("the standby is promoted", lambda: is_primary(cluster.server(standby)), PROMOTION_SECONDS)
        promoted_after = time.monotonic() - killed_at
        agents.wait_until_finished(50)
        made = over_mcp.call(MCP, "create_task", project_id=project, name="made over MCP after the promotion")
        agents.wait_until_finished(10)
    print(f"promoted after {promoted_after:.1f} s, {len(agents.faults)} repeated requests: {agents.faults[:3]}")
    agents.check(client)
    assert client.get(f"/api/tasks/{made['id']}").json()["name"] == "made over MCP after the promotion"
    cluster.compose("run", "--rm", "--no-deps", "-T", "migrate", "project-manager", "verify")


def is_primary(server: Container) -> bool:
    words = ("psql", "--no-align", "--tuples-only", "postgres", "-c", "SELECT pg_is_in_recovery()")
    return server.execute(*words, check=False) == "f"


def test_the_former_primary_returns_as_a_standby_and_can_be_promoted_by_hand(
    cluster: Cluster, client: httpx.Client
) -> None:
    cluster.compose("up", "-d", "--no-recreate", *SERVERS)
    cluster.wait_until_synchronous()
    primary = cluster.member("Leader")
    cluster.compose("exec", "-T", primary, "patronictl", "switchover", "--force")
    wait_until("the servers have changed roles", lambda: cluster.member("Leader") not in ("", primary), 30)
    new_project(client)
    cluster.wait_until_synchronous()


def test_a_release_is_replaced_under_load(cluster: Cluster, client: httpx.Client, tmp_path: Path) -> None:
    kept = f"project-manager:kept-{secrets.token_hex(4)}"
    docker("tag", IMAGE, kept)
    project = new_project(client)
    make_tasks(client, project, 6000)
    old = images_of(cluster)
    try:
        with agents_working(project) as agents:
            agents.wait_until_finished(20)
            build_next_release(tmp_path, NEW_COLUMN)
            said = run("deploy/upgrade.sh", timeout=180, env={"COMPOSE_FILE": cluster.file}).stderr
            agents.wait_until_finished(20)
    finally:
        docker("tag", kept, IMAGE)
        docker("rmi", kept)
    assert "Done: 3 instances" in said
    assert re.search(r"Backup taken on postgres[12]", said)
    assert agents.faults == [], cluster.compose("logs", "--no-log-prefix", "--tail", "80", "lb")
    agents.check(client)
    assert images_of(cluster).isdisjoint(old)
    assert "upgraded" in cluster.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'project_manager'"
    )
