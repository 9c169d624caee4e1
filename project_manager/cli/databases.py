"""The database of a command that is not a server: its settings, and whether it exists."""

from collections.abc import Mapping
from pathlib import Path

from project_manager.cli import settings
from project_manager.cli.failures import CommandError, MissingTargetError
from project_manager.config import database_urls
from project_manager.config.errors import ConfigError
from project_manager.config.settings import Settings
from project_manager.observability import logging as logs
from project_manager.store.opening import open_backend
from project_manager.store.sqlite import access

FILE_REMEDY = "set --db-path or DATABASE_PATH"


def settings_of(flags: Mapping[str, object], env_file: Path | None) -> Settings:
    """Return the settings of a command. Only errors are logged, as text for the terminal. Raises ConfigError."""
    loaded = settings.load_with_warnings(flags, env_file)
    logs.configure("ERROR", "text")
    return loaded.settings


def file_of(settings: Settings) -> Path:
    """Return the path of the database file. Raises ConfigError if the database is on a server."""
    if settings.database_url:
        raise ConfigError(
            f"This command needs a database file, and DATABASE_URL names {settings.database_name}: back up and restore "
            "PostgreSQL with its own tools, such as pg_dump and pg_restore, or pgBackRest."
        )
    return settings.database_path


def check_database_exists(settings: Settings) -> None:
    """Raise MissingTargetError if the database of the settings is missing or empty, like `check_exists`."""
    is_file = isinstance(settings.database_address, Path)
    check_exists(settings.database_address, FILE_REMEDY if is_file else "correct DATABASE_URL")


def check_exists(address: Path | str, remedy: str) -> None:
    """Raise MissingTargetError with a remedy if the database is missing or empty.

    Raises CommandError if its file is not accessible, and DatabaseOpenError if its server does not open it.
    """
    if isinstance(address, Path):
        check_file_exists(address, remedy)
    elif open_backend(address).revision() is None:
        raise MissingTargetError(
            f"no tables of Project Manager in {database_urls.name(address)}; {remedy}, or create them with "
            "`project-manager migrate`"
        )


def check_file_exists(database: Path, remedy: str = FILE_REMEDY) -> None:
    """Raise MissingTargetError if the database is missing or empty, and CommandError if it is not accessible."""
    try:
        is_there = database.exists() and database.stat().st_size > 0
    except OSError as error:
        raise CommandError(
            access.permission_problem(database) or f"cannot read database {database}: {error.strerror}"
        ) from error
    if not is_there:
        raise MissingTargetError(f"no database at {database}; {remedy}, or create one with `project-manager migrate`")
