"""serve and mcp: the service itself."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from project_manager import app, logs
from project_manager.config import ConfigError, Settings
from project_manager.terminal import plans, session
from project_manager.terminal.endings import Refused


def serve(flags: Mapping[str, object], env_file: Path | None, project: str | None) -> int:
    settings = session.load(flags, env_file).settings
    _begin_log(settings)
    if project is not None:
        plans.tell(plans.bring_in(settings, project, dry_run=False, status="keep", prune=False, quiet=True))
    # Over stdio standard output carries nothing but the protocol.
    announce = partial(click.echo, err=settings.mcp_transport == "stdio")
    try:
        return app.serve(settings, announce=announce)
    except app.StartRefused as refusal:
        raise Refused(str(refusal)) from refusal


def speak_mcp(flags: Mapping[str, object], env_file: Path | None) -> int:
    settings = session.load(flags, env_file).settings
    _begin_log(settings)
    return app.serve_stdio(settings)


def _begin_log(settings: Settings) -> None:
    try:
        logs.configure(settings.log_level, settings.log_format, settings.log_file)
    except OSError as error:
        raise ConfigError(f"LOG_FILE is {settings.log_file!r}, which cannot be written: {error.strerror}.") from error
