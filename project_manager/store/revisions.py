"""Which schema a database has, and which one this release needs."""

import re
from pathlib import Path
from typing import Any

_FILE = re.compile(r"^(\d{4})_\w+\.py$")


def scripts_folder() -> Path:
    """The migrations: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parents[1]
    packaged = package / "_migrations"
    return packaged if packaged.is_dir() else package.parent / "migrations"


def head() -> str:
    """The newest revision that this release knows, read from the names of the migrations."""
    return max(known())


def known() -> set[str]:
    return {match[1] for path in (scripts_folder() / "versions").iterdir() if (match := _FILE.match(path.name))}


def present(connection: Any) -> str | None:
    """The revision of an open database; None when it has no tables of ours. Raises the driver's error when it is
    no database.
    """
    if "alembic_version" not in _tables(connection):
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def fits(connection: Any) -> bool:
    """Whether this release runs on the schema of an open database: its own, or a newer one that says so."""
    found = present(connection)
    if found == head():
        return True
    if found is None or "running_releases" not in _tables(connection):
        return False
    wanted = "SELECT 1 FROM running_releases WHERE schema = ? AND release = ?"
    return connection.execute(wanted, (found, head())).fetchone() is not None


def made_by_newer(connection: Any) -> str | None:
    """Return the revision of an open database of a newer release whose schema this release does not know, else None."""
    found = present(connection)
    if found is None or found <= head() or is_foreign(connection) or fits(connection):
        return None
    return found


def use_newer(path: Path, revision: str) -> str:
    """Return the sentence on a database that only a newer release can use."""
    return (
        f"{path} has the schema {revision} of a newer release, and this release knows schemas up to {head()}: "
        "use the newer release"
    )


def is_foreign(connection: Any) -> bool:
    """Whether the database is somebody else's: it has tables, and not those that every release of ours has made."""
    tables = _tables(connection)
    return bool(tables) and not tables >= {"alembic_version", "meta", "tasks"}


def has_table(connection: Any, name: str) -> bool:
    """Return whether an open database, which may have an older schema, has this table."""
    return name in _tables(connection)


def has_column(connection: Any, table: str, name: str) -> bool:
    """Return whether an open database, which may have an older schema, has this column."""
    return any(row[1] == name for row in connection.execute(f"PRAGMA table_info({table})"))


def _tables(connection: Any) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {row[0] for row in rows}
