"""What commands share: how they end, and the options that each of them takes."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from project_manager.config.paths import expand

Command = TypeVar("Command", bound=Callable[..., Any])


class HomePath(click.Path):
    """A path in which `~` is the home folder, also where no shell has expanded it, as in `--db-path=~/tasks.db`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(expand(os.fspath(value)), param, ctx)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


FILE = HomePath(dir_okay=False, readable=False, path_type=Path)
PLACE = HomePath(readable=False)
"""A file or a folder as text: `-` and a slash at the end keep their meaning."""


class Commands(click.Group):
    """Ends every refusal with one sentence and an exit status."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        from project_manager.cli import output

        output.prepare()
        try:
            return super().main(*args, **kwargs)
        except output.OutputRefused as error:
            from project_manager.cli.exits import Exit

            output.discard()
            click.echo(error, err=True)
            sys.exit(Exit.NOT_NOW)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            status = super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from project_manager.cli import exits, output

            if isinstance(error, output.OutputRefused):
                raise
            status = exits.end(error)
        if status:
            ctx.exit(status)


def settings_options(command: Command) -> Command:
    """What every command that has to find the database takes."""
    for option in (
        click.option(
            "--env-file", type=FILE, help="Settings as NAME=value lines; the environment and flags beat them."
        ),
        click.option("--db-path", metavar="FILE", help="The database.  [DATABASE_PATH, else data/tasks.db]"),
    ):
        command = option(command)
    return command


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(command)


def flags(**given: object) -> dict[str, object]:
    """Flags by the names of their settings; those that were not given are left out."""
    return {name: value for name, value in given.items() if value is not None}


def settings_of(db_path: str | None, env_file: Path | None) -> Any:
    from project_manager.cli import local

    return local.settings_of(flags(DATABASE_PATH=db_path), env_file)
