"""The commands `serve` and `mcp`, which run the service itself."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from project_manager import server
from project_manager.cli import output, plans, start_errors
from project_manager.cli import settings as command_settings
from project_manager.cli.failures import CommandError
from project_manager.config import settings as config
from project_manager.config.errors import ConfigError
from project_manager.config.settings import LoadedSettings, Settings
from project_manager.observability import logging as logs
from project_manager.runtime.calls import ClientConnection

log = logging.getLogger(__name__)


def serve(flags: Mapping[str, object], env_file: Path | None, project: str | None) -> int:
    """Import the plan file `project`, if any, run the service until a signal, and return the exit status."""
    with start_errors.log_json(flags, env_file, unset="json"):
        loaded = command_settings.load(flags, env_file)
        _configure_logging(loaded)
        settings = loaded.settings
        if project is not None:
            view = plans.import_file(settings, project, dry_run=False, status="keep", prune=False, quiet=True)
            with output.ignore_output_errors():
                plans.report(view)
        try:
            return server.serve(settings, announce=partial(_print_addresses, settings))
        except server.StartError as refusal:
            raise CommandError(str(refusal)) from refusal


def _print_addresses(settings: Settings, line: str) -> None:
    """Print the addresses of the service for the user. Programs read the log line `started` instead."""
    if settings.log_format == "text" or sys.stdout.isatty():
        with output.ignore_output_errors():
            click.echo(line, err=settings.mcp_transport == "stdio")  # standard output then carries only the protocol


def serve_mcp(flags: Mapping[str, object], env_file: Path | None, agent_id: str | None, project: str | None) -> int:
    """Serve MCP on standard input and output until the client disconnects, and return the exit status.

    `agent_id` and `project` are those of all calls. Clients show standard error to their users,
    so calls are logged there only if LOG_LEVEL is set.
    """
    with start_errors.log_json(flags, env_file, unset="json"):
        loaded = command_settings.load(flags, env_file)
        settings = loaded.settings
        if {loaded.sources[name] for name in ("DATABASE_PATH", "DATABASE_URL")} == {"default"}:
            settings = replace(settings, database_path=_user_database(settings.database_path))
        _configure_logging(loaded, quiet=loaded.sources["LOG_LEVEL"] == "default")
        if not settings.database_url and not settings.database_path.exists():
            logs.log_action(log, "database_created", logging.WARNING, database=str(settings.database_path))
        return server.serve_stdio(settings, ClientConnection(_given(agent_id), _given(project)))


def _given(value: str | None) -> tuple[str, ...]:
    """Return the value of an option, if it is not empty. A client may fill it from an unset variable."""
    return (value.strip(),) if value and value.strip() else ()


def _user_database(default: Path) -> Path:
    """Return the database for a client that configures none: the default one if it exists, else one per user.

    A client starts its servers in any folder. A new database in that folder would be a queue that no other agent sees.
    """
    if default.exists():
        return default
    folder = Path(config.read_environment().get("XDG_DATA_HOME", ""))
    if not folder.is_absolute():  # the XDG specification requires that relative paths are ignored
        try:
            folder = Path.home() / ".local" / "share"
        except RuntimeError as error:
            raise ConfigError("No home folder for the default database; set --db-path.") from error
    return folder / "project-manager" / "tasks.db"


def _configure_logging(loaded: LoadedSettings, *, quiet: bool = False) -> None:
    settings = loaded.settings
    try:
        logs.configure(settings.log_level, settings.log_format, settings.log_file, quiet=quiet)
    except OSError as error:
        reason = f"{error.strerror}; set another path"
        raise ConfigError(f"Cannot write LOG_FILE {settings.log_file!r}: {reason}.") from error
    for sentence in loaded.warnings:
        log.warning("%s", sentence, extra={"action": "unknown_setting"})
