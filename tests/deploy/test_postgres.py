"""The stack of compose.postgres.yaml: three instances, and two database servers of which one is lost.

The tests run in this order on one stack. They run the commands of docs/postgresql.md as they are written.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.deploy.cluster import SERVERS, Cluster
from tests.deploy.follower import following
from tests.deploy.guide import Block, Page, run_commands
from tests.deploy.mcp_session import Session
from tests.deploy.stack import API, CHECKOUT, MCP, SERVICE, Container, Stack, docker, wait_until
from tests.deploy.test_upgrade import IMAGE, NEW_COLUMN, build_next_release, images_of
from tests.deploy.worker_agents import agents_working, make_tasks

PROMOTION_SECONDS = 60
"""Bound for a busy machine. docs/postgresql.md has the measured time."""

GUIDE = Page(CHECKOUT / "docs" / "postgresql.md")
START = GUIDE.block("up -d --wait\ndeploy/verify-deployment.sh")
LIST = GUIDE.block("patronictl list")
RENEW_CERTIFICATE = GUIDE.block("rm secrets/server.crt")
CHANGE_PASSWORD = GUIDE.block("exec postgres1 psql project_manager")
CHANGE_CLUSTER = GUIDE.block("patronictl edit-config")
COPY_STANDBY = GUIDE.block("patronictl reinit")
BACK_UP = GUIDE.block("pgbackrest info")
RESTORE = GUIDE.block("RESTORE_TARGET=")
UPGRADE = GUIDE.block("git pull")
REPLACE_SERVERS = GUIDE.block("build --pull --no-cache postgres1")

SEVERAL_HOSTS = Page(CHECKOUT / "docs" / "several-hosts.md")
STORE_URL = SEVERAL_HOSTS.block("install -m 400")
WRITE_VARIABLES = SEVERAL_HOSTS.block("cat > .env")
NOT_RUN = [
    (SEVERAL_HOSTS.block("up -d --wait --scale project-manager=2"), "needs a database that two hosts reach"),
    (SEVERAL_HOSTS.block("apt-get install keepalived"), "installs a service of a host"),
    (SEVERAL_HOSTS.block("docker compose build\ndeploy/upgrade.sh"), "upgrades two hosts"),
    (SEVERAL_HOSTS.block("kubectl create namespace"), "needs a Kubernetes cluster"),
    (SEVERAL_HOSTS.block("kubectl delete job"), "needs a Kubernetes cluster"),
]
"""The blocks that cannot run on the host of the tests. Other tests check the files that they use."""


def test_each_command_block_is_run_or_has_a_reason() -> None:
    assert [*map(str, GUIDE.unused), *map(str, SEVERAL_HOSTS.unused)] == []
    assert all(reason for _, reason in NOT_RUN)


def test_the_files_of_one_of_two_hosts_are_used(tmp_path: Path) -> None:
    url, variables = tmp_path / "project-manager.url", tmp_path / "variables"
    store = STORE_URL.text.replace("-o 1000", f"-o {os.getuid()}")
    write = WRITE_VARIABLES.text.replace("> .env", f"> {variables}")
    run_commands((store + write).replace("/etc/project-manager.url", str(url)))
    assert stat.S_IMODE(url.stat().st_mode) == 0o400
    shown = yaml.safe_load(docker("compose", "--env-file", str(variables), "config"))
    assert shown["secrets"]["database_url"]["file"] == str(url)
    assert {port["host_ip"] for port in shown["services"]["lb"]["ports"]} == {"0.0.0.0"}


@pytest.fixture(scope="module")
def cluster(running: Stack) -> Iterator[Cluster]:
    """Start the stack as a new user does. The other stack is stopped meanwhile, because it has the same ports."""
    running.down()
    stack = Cluster(project="project-manager-postgres", file="compose.postgres.yaml")
    stack.down()
    START.run(timeout=300)
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


def test_the_stack_starts_as_documented_with_the_example_plan(cluster: Cluster, client: httpx.Client) -> None:
    assert len(cluster.instances) == 3
    assert "Web shop" in {project["name"] for project in client.get("/api/projects").json()["items"]}
    assert cluster.member("leader") in LIST.run()
    assert cluster.member("sync_standby")


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
    make_tasks(client, project, 3000)
    over_mcp = Session()
    over_mcp.open(MCP)
    with agents_working(project) as agents:
        agents.wait_until_finished(50)
        primary, standby = cluster.member("leader"), cluster.member("sync_standby")
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
    start, switch, change = CHANGE_CLUSTER.commands
    run_commands(start)
    primary, standby = cluster.member("leader"), cluster.member("sync_standby")
    run_commands(switch, answers=f"{primary}\n{standby}\nnow\ny\n")
    wait_until("the servers have changed roles", lambda: cluster.member("leader") == standby, 30)
    run_commands(change, answers="y\n")
    wait_until("the setting is changed", lambda: cluster.sql("SHOW archive_timeout") == "1min", 30)
    new_project(client)


def test_a_standby_is_copied_again_from_the_primary(cluster: Cluster) -> None:
    cluster.wait_until_synchronous()
    run_commands(COPY_STANDBY.text.replace("postgres2", cluster.member("sync_standby")), answers="y\n")
    cluster.wait_until_synchronous()


def test_a_backup_is_taken_on_the_primary(cluster: Cluster) -> None:
    assert re.search(r"status: ok[\s\S]+full backup: ", BACK_UP.run())


def test_a_renewed_certificate_is_used_after_a_restart(cluster: Cluster, client: httpx.Client) -> None:
    before = [certificate_of(cluster, name) for name in SERVERS]
    RENEW_CERTIFICATE.run()
    cluster.wait_until_synchronous()
    assert {certificate_of(cluster, name) for name in SERVERS}.isdisjoint(before)
    new_project(client)


def certificate_of(cluster: Cluster, name: str) -> str:
    """Return the fingerprint of the certificate that this server shows a client."""
    show = f"openssl s_client -starttls postgres -connect {name}:5432 < /dev/null 2> /dev/null"
    return cluster.server(name).execute("sh", "-c", f"{show} | openssl x509 -noout -fingerprint")


def test_a_password_is_changed(cluster: Cluster, client: httpx.Client) -> None:
    cluster.make_primary("postgres1")
    password = secrets.token_hex(24)
    files = [CHECKOUT / "secrets" / name for name in ("application.password", "application.url")]
    former = files[0].read_text().strip()
    for file in files:
        file.write_text(file.read_text().replace(former, password))
    alter, replace = CHANGE_PASSWORD.commands
    run_commands(alter, answers=f"ALTER ROLE pm_app PASSWORD '{password}';\n")
    run_commands(replace)
    assert all(password in instance.execute("cat", "/run/secrets/application_url") for instance in cluster.instances)
    new_project(client)


def test_the_image_of_the_database_is_replaced_on_one_server_after_the_other(
    cluster: Cluster, client: httpx.Client
) -> None:
    cluster.make_primary("postgres1")
    old = {cluster.server(name).inspect()["Image"] for name in SERVERS}
    run_commands(without_registry(REPLACE_SERVERS))
    assert old.isdisjoint(cluster.server(name).inspect()["Image"] for name in SERVERS)
    assert cluster.member("leader") == "postgres2"
    new_project(client)


def without_registry(block: Block) -> str:
    """Return the commands for an engine that cannot pull the base image."""
    return block.text.replace(" --pull", "")


def claim(client: httpx.Client, project: int) -> tuple[int, int]:
    """Claim a task and return its id and its fence."""
    wanted = {"agent_id": "operator", "project_id": project, "ttl_seconds": 600}
    claimed = client.post("/api/tasks/claim", json=wanted)
    assert claimed.status_code == 200, claimed.text
    return claimed.json()["task"]["id"], claimed.json()["lock"]["fence"]


def test_a_moment_is_restored_in_a_new_epoch_and_clients_of_events_resync(
    cluster: Cluster, client: httpx.Client
) -> None:
    project = new_project(client)
    tasks = make_tasks(client, project, 3)
    with following() as follower:
        claims = [claim(client, project)]
        moment = cluster.sql("SELECT clock_timestamp()")
        claims += [claim(client, project), claim(client, project)]
        lost = new_project(client)
        newest = client.get("/api/events", params={"types": "project.created"}).json()["last_seq"]
        wait_until("the follower has the newest event", lambda: follower.seq >= newest, 10)
        epoch = follower.epoch
        said = run_commands(re.sub(r"RESTORE_TARGET='[^']+'", f"RESTORE_TARGET='{moment}'", RESTORE.text), timeout=240)
        assert "is intact: counters and events" in said
        wait_until("the follower has resynced", lambda: follower.resyncs, 20)
        assert client.get(f"/api/projects/{lost}").status_code == 404
        again = [claim(client, project) for _ in tasks]
        wait_until("the follower has an event of the new epoch", lambda: "task.locked" in follower.types(), 10)
    assert follower.resyncs == [follower.epoch]
    assert follower.epoch != epoch
    assert sorted(task for task, _ in again) == sorted(tasks) == sorted(task for task, _ in claims)
    assert min(fence for _, fence in again) > max(fence for _, fence in claims)
    assert cluster.member("sync_standby")


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
            said = run_commands(UPGRADE.commands[-1], timeout=180)
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
