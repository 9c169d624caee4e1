import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.stack import SERVICE, Stack, docker, run
from tests.deploy.worker_agents import agents_working, make_tasks

IMAGE = "project-manager:latest"
PACKAGED = "/opt/venv/lib/python3.13/site-packages/project_manager/_migrations/versions"

NEW_COLUMN = """
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = {previous!r}
oldest_release = {previous!r}


def upgrade():
    op.add_column("projects", sa.Column("upgraded", sa.Text))
    op.execute("UPDATE projects SET upgraded = 'yes'")
"""
HALF_AND_THEN_A_FAULT = NEW_COLUMN + '    raise RuntimeError("the second half does not work")\n'


@pytest.fixture
def release(tmp_path: Path) -> Iterator[str]:
    """Keep the tag of the current image and restore it afterwards."""
    kept = f"project-manager:kept-{secrets.token_hex(4)}"
    docker("tag", IMAGE, kept)
    yield kept
    docker("tag", kept, IMAGE)
    docker("rmi", kept)


def build_next_release(folder: Path, migration: str) -> None:
    """Build a release with one more migration, under the tag that compose.yaml uses."""
    previous = docker("run", "--rm", IMAGE, "sh", "-c", "alembic heads 2>/dev/null | cut -d' ' -f1").split()[-1]
    (folder / "9001_next.py").write_text(migration.format(previous=previous))
    dockerfile = f"FROM {IMAGE}\nCOPY 9001_next.py /app/migrations/versions/\nCOPY 9001_next.py {PACKAGED}/\n"
    (folder / "Dockerfile").write_text(dockerfile)
    run("docker", "build", "--quiet", "--tag", IMAGE, str(folder))


def images_of(stack: Stack) -> set[str]:
    return {instance.inspect()["Image"] for instance in stack.instances}


def columns(stack: Stack) -> str:
    return stack.instances[0].execute("sqlite3", "/app/data/tasks.db", "SELECT name FROM pragma_table_info('projects')")


@pytest.fixture
def fresh_data(running: Stack) -> Iterator[None]:
    """Remove the data, so that later tests do not find the schema of another release."""
    yield
    running.down()


def test_instances_are_replaced_one_by_one_forth_and_back_while_no_claim_fails(
    stack: Stack, api: httpx.Client, project: int, release: str, fresh_data: None, tmp_path: Path
) -> None:
    make_tasks(api, project, 12_000)
    old = images_of(stack)
    with agents_working(project) as agents:
        agents.wait_until_finished(50)
        build_next_release(tmp_path, NEW_COLUMN)
        said = run("deploy/upgrade.sh", timeout=180)
        agents.wait_until_finished(50)
        assert "Done: 3 instances" in said.stderr
        assert images_of(stack).isdisjoint(old)
        assert "upgraded" in columns(stack)
        docker("tag", release, IMAGE)
        run("deploy/upgrade.sh", timeout=180)
        agents.wait_until_finished(50)
    assert agents.faults == [], stack.compose("logs", "--no-log-prefix", "--tail", "80", "lb")
    agents.check(api)
    assert images_of(stack) == old
    assert len(stack.instances) == 3
    assert "upgraded" in columns(stack)


def test_nothing_is_done_before_every_container_runs_the_new_release(
    stack: Stack, release: str, tmp_path: Path
) -> None:
    old = images_of(stack)
    stack.compose("up", "-d", "--no-deps", "backup")
    docker("kill", stack.instances[0].id)
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nENV RELEASE=next\n")
    run("docker", "build", "--quiet", "--tag", IMAGE, str(tmp_path))
    pinned = overriding(tmp_path, f"  backup: {{image: {release}}}\n")
    refused = run("deploy/upgrade.sh", timeout=240, check=False, env=pinned).stderr
    (backup,) = stack.containers("backup")
    assert "Not done" in refused
    assert "Done" not in refused
    assert f"{backup.name}: running -, image {short(old.pop())}" in refused
    said = run("deploy/upgrade.sh", timeout=240).stderr
    assert "Done: 3 instances" in said
    serving = [*stack.instances, *stack.containers("backup")]
    states = ("healthy", "healthy", "healthy", "-")
    (image,) = {container.inspect()["Image"] for container in serving}
    listed = [
        f"{container.name}: running {state}, image {short(image)}"
        for container, state in zip(serving, states, strict=True)
    ]
    assert set(listed) <= set(said.splitlines())


def short(image: str) -> str:
    return image.removeprefix("sha256:")[:12]


def test_a_change_of_ports_is_refused_before_anything_is_replaced(stack: Stack, tmp_path: Path) -> None:
    before = [instance.id for instance in stack.instances]
    moved = "{environment: {DEFAULT_PORT: 9000}}"
    done = run(
        "deploy/upgrade.sh", check=False, env=overriding(tmp_path, f"  migrate: {moved}\n  {SERVICE}: {moved}\n")
    )
    assert done.returncode == 1
    assert "Ports cannot change one instance after the other" in done.stderr
    assert [instance.id for instance in stack.instances] == before


def overriding(folder: Path, services: str) -> dict[str, str]:
    """Return the environment that makes compose read one more file."""
    (folder / "override.yaml").write_text(f"services:\n{services}")
    return {"COMPOSE_FILE": f"compose.yaml:{folder}/override.yaml"}


def test_a_schema_that_the_running_release_does_not_support_is_refused_before_the_migration(
    stack: Stack, release: str, tmp_path: Path
) -> None:
    before = [instance.id for instance in stack.instances]
    build_next_release(tmp_path, NEW_COLUMN.replace("oldest_release = {previous!r}", ""))
    done = run("deploy/upgrade.sh", timeout=180, check=False)
    assert done.returncode == 1
    assert "does not run on schema 9001, which needs 9001 or newer" in done.stderr
    assert "docker compose up -d --wait" in done.stderr
    assert [instance.id for instance in stack.instances] == before
    assert "upgraded" not in columns(stack)


def test_a_migration_that_fails_leaves_the_old_state_in_service(
    stack: Stack, api: httpx.Client, project: int, release: str, tmp_path: Path
) -> None:
    make_tasks(api, project, 2000)
    before = [instance.id for instance in stack.instances]
    build_next_release(tmp_path, HALF_AND_THEN_A_FAULT)
    with agents_working(project) as agents:
        done = run("deploy/upgrade.sh", timeout=180, check=False)
        agents.wait_until_finished(50)
    assert done.returncode != 0
    assert "the second half does not work" in done.stdout + done.stderr
    assert "The migration failed and changed nothing." in done.stderr
    assert agents.faults == [], stack.compose("logs", "--no-log-prefix", "--tail", "80", "lb")
    agents.check(api)
    assert [instance.id for instance in stack.instances] == before
    assert "upgraded" not in columns(stack)


def test_a_release_that_does_not_get_healthy_is_rolled_back(
    stack: Stack, api: httpx.Client, project: int, release: str, tmp_path: Path
) -> None:
    before = [instance.id for instance in stack.instances]
    (tmp_path / "Dockerfile").write_text(f'FROM {IMAGE}\nCMD ["sh", "-c", "echo broken; exit 1"]\n')
    run("docker", "build", "--quiet", "--tag", IMAGE, str(tmp_path))
    done = run("deploy/upgrade.sh", timeout=180, check=False)
    assert done.returncode != 0
    assert "broken" in done.stderr
    assert [instance.id for instance in stack.instances] == before
    assert api.get("/healthz").status_code == 200


def test_data_survives_an_upgrade_by_a_plain_up(
    stack: Stack, api: httpx.Client, project: int, release: str, fresh_data: None, tmp_path: Path
) -> None:
    make_tasks(api, project, 20)
    before = api.get("/api/export").json()
    stack.compose("down")
    build_next_release(tmp_path, NEW_COLUMN)
    stack.wait_until_complete()
    assert api.get("/api/export").json() == before
    assert "upgraded" in columns(stack)
    assert SERVICE in stack.instances[0].name
