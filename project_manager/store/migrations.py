"""Migration of a database to the schema that this release needs."""

from contextlib import AbstractContextManager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from project_manager.config import database_urls
from project_manager.config.database_urls import is_postgresql
from project_manager.store.opening import postgres_module
from project_manager.store.revisions import scripts_folder
from project_manager.store.sqlite import migrations as sqlite


def upgrade(target: str, revision: str = "head") -> None:
    """Run the missing migrations up to `revision` in one transaction, so that all are kept, or none.

    `target` is the path of a SQLite file, or the URL of a PostgreSQL database. Raises DatabaseOpenError, such as when
    rows would be left without their parents.
    """
    command.upgrade(configuration(target), revision)


def configuration(target: str) -> Config:
    """Return the configuration of Alembic for a database."""
    config = _config()
    config.attributes["url" if is_postgresql(target) else "path"] = target
    return config


def transaction(target: str) -> AbstractContextManager[Connection]:
    """Return a transaction for migrations of the database. Raises DatabaseOpenError."""
    if not is_postgresql(target):
        return sqlite.transaction(Path(target))
    of_server: AbstractContextManager[Connection] = postgres_module("migrations").transaction(target)
    return of_server


def name_of(target: str) -> str:
    """Return the name of the database for messages: its path, or its URL without secrets."""
    return database_urls.name(target) if is_postgresql(target) else target


def oldest_release(scripts: ScriptDirectory | None = None) -> str:
    """Return the newest migration that the oldest release knows which runs on the newest schema.

    A release that does not run on an older schema does not run on a newer one either, even if the newer migration
    names it as `oldest_release`.
    """
    newest, *others = (scripts or ScriptDirectory.from_config(_config())).walk_revisions()
    named = (getattr(script.module, "oldest_release", "") for script in others)
    return max(getattr(newest.module, "oldest_release", newest.revision), *named, key=str)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    return config
