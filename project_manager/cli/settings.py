"""The effective settings of a command."""

from collections.abc import Mapping
from pathlib import Path

import click

from project_manager.config import settings as config
from project_manager.config.settings import LoadedSettings


def load(flags: Mapping[str, object], env_file: Path | None) -> LoadedSettings:
    """Return the effective settings. Raises ConfigError."""
    return config.load(flags, config.read_environment(), env_file)


def load_with_warnings(flags: Mapping[str, object], env_file: Path | None) -> LoadedSettings:
    """Return the effective settings, and write the warnings about them to standard error. Raises ConfigError."""
    loaded = load(flags, env_file)
    for sentence in loaded.warnings:
        click.echo(sentence, err=True)
    return loaded
