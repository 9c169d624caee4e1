"""Schema revisions of databases, and the revision that this release needs."""

import re
from pathlib import Path

from project_manager.store.connection import Connection

_FILE = re.compile(r"^(\d{4})_\w+\.py$")


def scripts_folder() -> Path:
    """Return the folder of the migrations, inside the installed package or next to it in a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "_migrations"
    return packaged if packaged.is_dir() else package.parent / "migrations"


def head() -> str:
    """Return the newest revision that this release knows, from the file names of the migrations."""
    return max(known_revisions())


def known_revisions() -> set[str]:
    """Return all revisions that this release knows."""
    return {match[1] for path in (scripts_folder() / "versions").iterdir() if (match := _FILE.match(path.name))}


def current(connection: Connection) -> str | None:
    """Return the revision of an open database, or None without one. Raises the driver's error for another file."""
    if "alembic_version" not in _tables(connection):
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def is_compatible(connection: Connection) -> bool:
    """Return whether this release runs on the schema: its own, or one that lists it in `running_releases`."""
    found = current(connection)
    if found == head():
        return True
    if found is None or "running_releases" not in _tables(connection):
        return False
    return (found, head()) in connection.execute("SELECT schema, release FROM running_releases").fetchall()


def other_revision(connection: Connection) -> str | None:
    """Return the revision of an open database when only another release can use it, else None."""
    found = current(connection)
    if found is None or found in known_revisions() or is_foreign(connection) or is_compatible(connection):
        return None
    return found


def other_release_message(name: str, revision: str) -> str:
    """Return the error message for the database `name`, which only another release can use."""
    if revision < min(known_revisions()):
        return (
            f"{name} has schema {revision} of a preview of version 0.1.0, and this release cannot migrate it: export "
            "its plans with that preview, and import them into a new database"
        )
    return (
        f"{name} has schema {revision} of a newer release, and this release supports schemas up to {head()}: "
        "use the newer release"
    )


def older_schema_message(name: str, revision: str | None) -> str:
    """Return the error message for the database `name`, which needs a migration that is not allowed."""
    found = f"has schema {revision}" if revision else "is empty"
    return f"{name} {found} and needs {head()}: run `project-manager migrate` (AUTO_MIGRATE is off)"


def is_foreign(connection: Connection) -> bool:
    """Return whether the database belongs to another program: it has tables, but not those of this one."""
    tables = _tables(connection)
    return bool(tables) and not tables >= {"alembic_version", "meta", "tasks"}


def _tables(connection: Connection) -> set[str]:
    return {row[0] for row in connection.execute(connection.dialect.list_tables)}
