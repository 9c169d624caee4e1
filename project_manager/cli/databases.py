"""The database of a command that is not a server: its settings, and its file."""

from collections.abc import Mapping
from pathlib import Path

from project_manager.cli import settings
from project_manager.cli.failures import CommandError, MissingTargetError
from project_manager.config.settings import Settings
from project_manager.observability import logging as logs
from project_manager.store.sqlite import access


def settings_of(flags: Mapping[str, object], env_file: Path | None, *, postgresql: bool = False) -> Settings:
    """Return the settings of a command. Only errors are logged, as text for the terminal. Raises ConfigError."""
    loaded = settings.load_with_warnings(flags, env_file, postgresql=postgresql)
    logs.configure("ERROR", "text")
    return loaded.settings


def check_database_exists(database: Path) -> None:
    """Raise MissingTargetError if the database is missing or empty, and CommandError if it is not accessible."""
    try:
        is_there = database.exists() and database.stat().st_size > 0
    except OSError as error:
        raise CommandError(
            access.permission_problem(database) or f"cannot read database {database}: {error.strerror}"
        ) from error
    if not is_there:
        raise MissingTargetError(
            f"no database at {database}; set --db-path or DATABASE_PATH, or create one with `project-manager migrate`"
        )
