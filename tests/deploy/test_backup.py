import re
import secrets

import httpx
import pytest

from tests.deploy.stack import API, SERVICE, CommandFailed, Stack, docker, run, wait_until
from tests.deploy.worker_agents import agents_working, make_tasks

DATA = "project_data:/app/data"
IMAGE = "project-manager:latest"
TOOL = ("run", "--rm", "--no-deps", "migrate", "project-manager")


def backup_of(stack: Stack, *arguments: str) -> str:
    """Take a backup and return the name of its file."""
    said = stack.compose(*TOOL, "backup", "/app/backups", *arguments)
    found = re.search(r"/app/backups/\S+\.db", said)
    assert found, said
    return found[0]


def claim(client: httpx.Client, task: int, agent: str) -> int:
    answer = client.post(f"/api/tasks/{task}/lock", json={"agent_id": agent, "ttl_seconds": 600})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["lock"]["fence"])


def flip_bytes(path: str) -> None:
    """Damage the middle of a file on the volume."""
    damage = (
        "import os, sys\n"
        f"with open({path!r}, 'r+b') as file:\n"
        "    for place in range(5 * 4096, os.path.getsize(file.name), 4096):\n"
        "        file.seek(place); file.write(bytes(255 - byte for byte in os.pread(file.fileno(), 64, place)))\n"
    )
    docker("run", "--rm", "--volume", DATA, IMAGE, "python", "-c", damage)


def test_a_backup_taken_while_agents_work_is_whole_and_has_a_checksum(
    stack: Stack, api: httpx.Client, project: int
) -> None:
    make_tasks(api, project, 2000)
    with agents_working(project) as agents:
        agents.wait_until_finished(20)
        file = backup_of(stack)
        agents.wait_until_finished(20)
    agents.check(api)
    assert agents.faults == []
    said = stack.compose(*TOOL, "verify", file)
    assert "is intact" in said
    stack.compose("run", "--rm", "--no-deps", "migrate", "sh", "-c", f"cd /app/backups && sha256sum -c {file}.sha256")


def test_only_the_newest_backups_are_kept(stack: Stack) -> None:
    for _ in range(3):
        backup_of(stack, "--keep", "2")
    listed = stack.compose("run", "--rm", "--no-deps", "migrate", "sh", "-c", "ls /app/backups/tasks-*.db")
    assert len(listed.split()) == 2


def test_a_restore_is_refused_while_instances_run(stack: Stack, api: httpx.Client) -> None:
    file = backup_of(stack)
    epoch = api.get("/api/events", params={"limit": 1}).json()["epoch"]
    with pytest.raises(CommandFailed, match="use"):
        stack.compose(*TOOL, "restore", file)
    assert api.get("/api/events", params={"limit": 1}).json()["epoch"] == epoch


def test_after_a_restore_no_fence_repeats_and_clients_are_notified(
    stack: Stack, api: httpx.Client, project: int
) -> None:
    (task,) = make_tasks(api, project, 1)
    first = claim(api, task, "early")
    file = backup_of(stack)
    epoch = api.get("/api/events", params={"limit": 1}).json()["epoch"]
    api.delete(f"/api/tasks/{task}/lock", params={"agent_id": "early", "fence": first})
    later = [claim_and_release(api, task) for _ in range(3)]
    stack.compose("stop", SERVICE)
    stack.compose(*TOOL, "restore", file)
    stack.wait_until_complete()
    assert api.get("/api/events", params={"limit": 1}).json()["epoch"] != epoch
    assert claim(api, task, "after") > max(first, *later)
    late = api.post(f"/api/tasks/{task}/status", json={"agent_id": "early", "status": "DONE", "fence": first})
    assert (late.status_code, late.json()["code"]) == (409, "stale_fence")


def claim_and_release(client: httpx.Client, task: int) -> int:
    fence = claim(client, task, "early")
    client.delete(f"/api/tasks/{task}/lock", params={"agent_id": "early", "fence": fence})
    return fence


def test_damage_is_found_and_work_continues_after_a_restore(stack: Stack, api: httpx.Client, project: int) -> None:
    make_tasks(api, project, 300)
    file = backup_of(stack)
    stack.compose("stop", SERVICE)
    flip_bytes("/app/data/tasks.db")
    with pytest.raises(CommandFailed, match="damaged"):
        stack.compose(*TOOL, "verify")
    stack.compose(*TOOL, "restore", file)
    assert "is intact" in stack.compose(*TOOL, "verify")
    stack.wait_until_complete()
    with agents_working(project) as agents:
        agents.wait_until_finished(50)
    agents.check(api)


def test_a_damaged_backup_is_not_restored(stack: Stack) -> None:
    name = f"damaged-{secrets.token_hex(4)}.db"
    stack.compose(*TOOL, "backup", f"/app/data/{name}")
    flip_bytes(f"/app/data/{name}")
    stack.compose("stop", SERVICE)
    with pytest.raises(CommandFailed, match="checksum"):
        stack.compose(*TOOL, "restore", f"/app/data/{name}")
    assert "is intact" in stack.compose(*TOOL, "verify")


def test_the_scheduled_backup_runs_and_the_metric_has_its_time(stack: Stack, api: httpx.Client) -> None:
    often = Stack(environment={"BACKUP_INTERVAL_SECONDS": "1"})
    often.compose("--profile", "backup", "up", "-d", "--no-deps", "backup")
    try:
        container = often.compose("--profile", "backup", "ps", "--quiet", "backup")
        wait_until("two backups were taken", lambda: taken(container) >= 2, 30)
        docker("stop", container)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0"
    finally:
        often.compose("--profile", "backup", "rm", "--force", "--stop", "backup")
    for instance in stack.instances:
        seen = instance.execute("curl", "-s", "http://localhost:8080/metrics")
        (value,) = re.findall(r"^pm_backup_verified_timestamp_seconds (\S+)$", seen, re.MULTILINE)
        assert float(value) > 0


def taken(container: str) -> int:
    done = run("docker", "logs", container)
    return (done.stdout + done.stderr).count("bytes, verified, sha256")


def test_a_service_on_the_restored_data_of_a_tar_is_the_same_service(
    stack: Stack, api: httpx.Client, project: int
) -> None:
    make_tasks(api, project, 5)
    before = httpx.get(f"{API}/api/export").text
    stack.compose("stop", SERVICE)
    shell = "tar c -C /app/data . | tar x -C /app/backups/copied"
    stack.compose(
        "run",
        "--rm",
        "--no-deps",
        "migrate",
        "sh",
        "-c",
        f"rm -rf /app/backups/copied; mkdir /app/backups/copied; {shell}",
    )
    stack.compose(
        "run",
        "--rm",
        "--no-deps",
        "migrate",
        "sh",
        "-c",
        "rm -r /app/data/tasks.db*; tar c -C /app/backups/copied . | tar x -C /app/data",
    )
    stack.wait_until_complete()
    assert httpx.get(f"{API}/api/export").text == before
