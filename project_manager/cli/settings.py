"""The effective settings of a command."""

from collections.abc import Mapping
from pathlib import Path

import click

from project_manager.config import settings as config
from project_manager.config.errors import ConfigError
from project_manager.config.settings import LoadedSettings


def load(flags: Mapping[str, object], env_file: Path | None, *, postgresql: bool = False) -> LoadedSettings:
    """Return the effective settings. Raises ConfigError, also for PostgreSQL unless the command supports it."""
    loaded = config.load(flags, config.read_environment(), env_file)
    if loaded.settings.database_url and not postgresql:
        raise ConfigError(
            f"DATABASE_URL names {loaded.settings.database_name}, and PostgreSQL is not supported yet by this command."
        )
    return loaded


def load_with_warnings(
    flags: Mapping[str, object], env_file: Path | None, *, postgresql: bool = False
) -> LoadedSettings:
    """Return the effective settings, and write the warnings about them to standard error. Raises ConfigError."""
    loaded = load(flags, env_file, postgresql=postgresql)
    for sentence in loaded.warnings:
        click.echo(sentence, err=True)
    return loaded
