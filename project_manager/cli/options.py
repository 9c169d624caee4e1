"""Common parts of the commands: error handling and options."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from project_manager.config.paths import expand

Command = TypeVar("Command", bound=Callable[..., Any])


class HomePath(click.Path):
    """A path with `~` for the home folder, even if no shell has expanded it, as in `--db-path=~/tasks.db`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(expand(os.fspath(value)), param, ctx)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


FILE = HomePath(dir_okay=False, readable=False, path_type=Path)
TEXT_PATH = HomePath(readable=False)
"""A file or a folder as text, so that `-` and a slash at the end keep their meaning."""


class Commands(click.Group):
    """A command group that reports errors of its commands as sentences, with an exit status."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        from project_manager.cli import output

        output.prepare()
        try:
            return super().main(*args, **kwargs)
        except output.OutputError as error:
            from project_manager.cli.failures import Exit

            output.redirect_to_devnull()
            click.echo(error, err=True)
            sys.exit(Exit.UNAVAILABLE)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            status = super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from project_manager.cli import failures, output

            if isinstance(error, output.OutputError):
                raise
            status = failures.report_error(error)
        if status:
            ctx.exit(status)


@dataclass(frozen=True, slots=True)
class Source:
    """The options --db-path and --env-file of a command."""

    db_path: str | None
    env_file: Path | None

    def flags(self, **given: object) -> dict[str, object]:
        """Return the flags of the command by the names of their settings."""
        return flags(DATABASE_PATH=self.db_path, **given)

    def settings(self, **given: object) -> Any:
        """Return the settings of a command that is not a server."""
        from project_manager.cli import databases

        return databases.settings_of(self.flags(**given), self.env_file)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that needs the database. The command gets them as `source`."""

    @click.option("--db-path", metavar="FILE", help="Database file.  [DATABASE_PATH, else data/tasks.db]")
    @click.option(
        "--env-file", type=FILE, help="File of NAME=value settings; flags and environment variables take precedence."
    )
    @wraps(command)
    def with_source(*, db_path: str | None, env_file: Path | None, **options: Any) -> Any:
        return command(source=Source(db_path, env_file), **options)

    return with_source


def json_option(command: Command) -> Command:
    """Add the option `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Output JSON.")(command)


def flags(**given: object) -> dict[str, object]:
    """Return the flags by the names of their settings, without those that are None."""
    return {name: value for name, value in given.items() if value is not None}
