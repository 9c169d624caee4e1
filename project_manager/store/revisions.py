"""Schema revisions of databases, and the revision that this release needs."""

import re
from pathlib import Path
from typing import Any

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


def current(connection: Any) -> str | None:
    """Return the revision of an open database, or None without one. Raises the driver's error for another file."""
    if "alembic_version" not in _tables(connection):
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def is_compatible(connection: Any) -> bool:
    """Return whether this release runs on the schema: its own, or one that lists it in `running_releases`."""
    found = current(connection)
    if found == head():
        return True
    if found is None or "running_releases" not in _tables(connection):
        return False
    wanted = "SELECT 1 FROM running_releases WHERE schema = ? AND release = ?"
    return connection.execute(wanted, (found, head())).fetchone() is not None


def newer_revision(connection: Any) -> str | None:
    """Return the revision of an open database when only a newer release can use it, else None."""
    found = current(connection)
    if found is None or found <= head() or is_foreign(connection) or is_compatible(connection):
        return None
    return found


def newer_release_message(path: Path, revision: str) -> str:
    """Return the error message for a database that only a newer release can use."""
    return (
        f"{path} has schema {revision} of a newer release, and this release supports schemas up to {head()}: "
        "use the newer release"
    )


def is_foreign(connection: Any) -> bool:
    """Return whether the database belongs to another program: it has tables, but not those of this one."""
    tables = _tables(connection)
    return bool(tables) and not tables >= {"alembic_version", "meta", "tasks"}


def _tables(connection: Any) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {row[0] for row in rows}
