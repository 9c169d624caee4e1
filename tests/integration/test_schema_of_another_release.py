"""An older release on a newer schema: during a rolling update, and after a rollback of a release."""

import shutil
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from project_manager.config.settings import load
from project_manager.runtime.open import open_runtime
from project_manager.store import revisions
from project_manager.store.errors import DatabaseOpenError, DatabaseTemporarilyUnavailable
from project_manager.store.migrations import upgrade
from project_manager.store.sqlite import driver
from tests.http_service import HttpService
from tests.operations_client import OperationsClient
from tests.stored_rows import address_of, write

HEAD = revisions.head()
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = {previous!r}
{said}


def upgrade():
    op.add_column("projects", sa.Column("colour", sa.Text))
"""


@pytest.fixture
def of_the_next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """Return a database migrated by the next release. The parameter is the content of its migration."""
    scripts = tmp_path / "migrations"
    shutil.copytree(revisions.scripts_folder(), scripts)
    (scripts / "versions" / "9001_colour.py").write_text(NEXT.format(previous=HEAD, said=request.param))
    path = tmp_path / "next.db"
    with monkeypatch.context() as patched:
        for module in ("project_manager.store.revisions", "project_manager.store.migrations"):
            patched.setattr(f"{module}.scripts_folder", lambda: scripts)
        upgrade(str(path))
    return path


def settings_of(path: Path) -> Any:
    return load({}, {"DATABASE_PATH": str(path)}, None).settings


@pytest.mark.parametrize("of_the_next_release", [f"oldest_release = {HEAD!r}"], indirect=True)
async def test_a_release_starts_on_a_newer_schema_that_its_migration_allows(of_the_next_release: Path) -> None:
    await anyio.to_thread.run_sync(upgrade, str(of_the_next_release))
    async with open_runtime(settings_of(of_the_next_release)) as runtime:
        assert await runtime.read("fits", lambda tx: revisions.is_compatible(tx.connection)) is True


@pytest.mark.parametrize("of_the_next_release", ["", "oldest_release = '9001'"], indirect=True)
async def test_a_newer_schema_without_that_permission_is_refused_and_left_unchanged(of_the_next_release: Path) -> None:
    before = await anyio.to_thread.run_sync(of_the_next_release.read_bytes)
    with pytest.raises(DatabaseTemporarilyUnavailable, match="schema 9001 of a newer release"):
        async with open_runtime(settings_of(of_the_next_release)):
            pass
    assert await anyio.to_thread.run_sync(of_the_next_release.read_bytes) == before


ORPHAN = """
    op.execute(
        "INSERT INTO epics (id, project_id, name, description, status, position, version, created_at, updated_at)"
        " VALUES (1, 99, 'nowhere', '', 'ACTIVE', 0, 1, 1, 1)"
    )
"""


def test_a_migration_that_leaves_orphaned_rows_is_rolled_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tasks.db"
    upgrade(str(path))
    scripts = tmp_path / "migrations"
    shutil.copytree(revisions.scripts_folder(), scripts)
    (scripts / "versions" / "9001_orphan.py").write_text(NEXT.format(previous=HEAD, said="") + ORPHAN)
    monkeypatch.setattr("project_manager.store.migrations.scripts_folder", lambda: scripts)
    with pytest.raises(DatabaseOpenError, match="without their parents"):
        upgrade(str(path))
    connection = driver.connect(str(path))
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    assert connection.execute("SELECT * FROM epics").fetchall() == []
    assert "colour" not in {row[1] for row in connection.execute("PRAGMA table_info(projects)")}
    connection.close()


async def test_an_instance_is_not_ready_on_a_schema_that_it_does_not_run_on(
    service: HttpService, api: OperationsClient
) -> None:
    database = address_of(api.runtime)
    write(database, "UPDATE alembic_version SET version_num = '9999'")
    answer = await service.send("GET", "/readyz")
    assert (answer.status_code, answer.json()["checks"]["schema"]) == (503, False)
    write(database, "INSERT INTO running_releases VALUES ('9999', ?)", HEAD)
    assert (await service.ok("GET", "/readyz"))["status"] == "ready"
