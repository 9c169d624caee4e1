"""The command copy."""

import re
from dataclasses import asdict
from pathlib import Path

import click

from project_manager.cli import databases, json_output
from project_manager.cli.backups import TAMPERED_HINT, print_problems
from project_manager.cli.failures import CommandError, Exit
from project_manager.config import paths
from project_manager.config.errors import ConfigError
from project_manager.config.settings import path_of_url
from project_manager.observability import logging as logs
from project_manager.store import copying
from project_manager.store.copying import Copied

_URL = re.compile(r"postgres(ql)?:|\w+://")


def copy(source: str, target: str, as_json: bool) -> Exit:
    """Copy a database to a new one. Each is a path or a URL.

    Raises ConfigError, MissingTargetError, CommandError, BackupError, DatabaseOpenError.
    """
    logs.configure("ERROR", "text")
    from_address, to_address = _address(source, "FROM"), _address(target, "TO")
    if _are_same(from_address, to_address):
        raise CommandError("FROM and TO are the same database; choose another target")
    databases.check_exists(from_address, "correct FROM")
    done = copying.copy(from_address, to_address)
    if as_json:
        json_output.show(
            {
                "from": done.source,
                "to": done.target,
                "schema": done.revision,
                "epoch": done.epoch,
                "head": None if done.head is None else str(done.head),
                "tables": {name: asdict(digest) for name, digest in done.tables.items()},
                "differences": list(done.differences),
            }
        )
    else:
        _report(done)
    if done.differences:
        title = f"{done.target} is an exact copy, but its contents do not match its events"
        print_problems(title, done.differences, TAMPERED_HINT)
    return Exit.DONE


def _address(text: str, argument: str) -> Path | str:
    """Return the path of a file, or the URL of PostgreSQL. Raises ConfigError, without a password in its message."""
    if _URL.match(text):
        path = path_of_url(text, argument)
        return text if path is None else path
    try:
        return Path(paths.expand(text))
    except ValueError as error:
        raise ConfigError(f"{argument} cannot be used: {error}.") from error


def _are_same(source: Path | str, target: Path | str) -> bool:
    if isinstance(source, Path) and isinstance(target, Path):
        return source.resolve() == target.resolve()
    return source == target


def _report(done: Copied) -> None:
    rows = sum(digest.rows for digest in done.tables.values())
    click.echo(f"Copied {done.source} to {done.target}: {rows:,} rows, compared on both sides.")
    width = max(map(len, done.tables))
    for name, digest in done.tables.items():
        click.echo(f"  {name:{width}}  {digest.rows:>11,} rows  sha256 {digest.sha256[:16]}")
    click.echo(f"Counters and events are intact; schema {done.revision}.")
    if done.head is not None:
        click.echo(f"Latest event: {done.head}")
    click.echo(f"Start the service on {done.target} now, and never again on {done.source}.")
