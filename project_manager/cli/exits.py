"""Exit statuses of commands, and their error messages on standard error."""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import click

from project_manager.config.settings import ConfigError
from project_manager.domain.errors import (
    DatabaseDamaged,
    Invalid,
    NotFound,
    ProjectManagerError,
    ProjectNotFound,
    StorageFull,
    Unavailable,
)
from project_manager.store.sqlite.backup import BackupRefused, NotNow
from project_manager.store.sqlite.database import DatabaseNotNow, DatabaseRefused


class Exit(IntEnum):
    """Exit statuses of all commands. docs/cli.md contains the same table."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    FAULTY = 4
    NOT_NOW = 5


class NothingThere(Exception):
    """An object that the command names does not exist. The message is one sentence."""


class Refused(Exception):
    """The command cannot do its work. The message is one sentence."""


_HINTS: dict[type[ProjectManagerError], str] = {
    ProjectNotFound: "List projects with `project-manager export`, or GET /api/projects on a running server.",
}
"""Hints for the command line. They replace default hints that name an agent tool."""

REFUSALS = (ProjectManagerError, ConfigError, DatabaseRefused, BackupRefused, NothingThere, Refused)


@dataclass(frozen=True, slots=True)
class Ending:
    """The outcome of a refused command: its exit status, and the lines that explain it."""

    status: Exit
    lines: tuple[str, ...]


def end(error: Exception) -> Exit:
    """Write the reason of the refusal to standard error, and return the exit status.

    For an unexpected exception, the traceback comes first.
    """
    ending = describe(error)
    if not isinstance(error, REFUSALS):
        click.echo("".join(traceback.format_exception(error)), nl=False, err=True)
    for line in ending.lines:
        click.echo(line, err=True)
    return ending.status


def describe(error: Exception) -> Ending:
    """Return the exit status and the lines that explain the error."""
    if isinstance(error, ProjectManagerError):
        return _of_operation(error)
    if not isinstance(error, REFUSALS):
        return Ending(Exit.FAILED, (f"Internal error: {error!r}.",))
    if isinstance(error, ConfigError):
        status = Exit.USAGE
    elif isinstance(error, NothingThere):
        status = Exit.NOT_FOUND
    else:
        status = Exit.NOT_NOW if isinstance(error, NotNow) else Exit.FAILED
    return Ending(status, (_sentence(str(error)),))


def _of_operation(error: ProjectManagerError) -> Ending:
    faults: Any = error.details.get("faults")
    if isinstance(error, Invalid) and faults:
        return Ending(Exit.FAULTY, tuple(_listed(error, faults)))
    hint = _HINTS.get(type(error), error.hint) if error.hint == error.default_hint else error.hint
    lines = (_sentence(error.message), *([hint] if hint else []))
    if isinstance(error, NotFound):
        return Ending(Exit.NOT_FOUND, lines)
    if isinstance(error, DatabaseDamaged):
        return Ending(Exit.FAILED, lines)
    return Ending(Exit.NOT_NOW if isinstance(error, Unavailable | StorageFull | DatabaseNotNow) else Exit.FAILED, lines)


def _listed(error: Invalid, faults: list[dict[str, Any]]) -> Iterator[str]:
    for fault in faults:
        place = f"{fault['source']}:{fault['line']}:{fault['column']}: " if "line" in fault else ""
        yield f"{place}{fault['message']}" + (f" ({fault['hint']})" if fault["hint"] else "")
    total = int(str(error.details.get("total", len(faults))))
    more = f", {total - len(faults)} not shown" if total > len(faults) else ""
    ends = "Nothing was written." if "line" in faults[0] else "Nothing was changed."
    yield f"{total} error{'' if total == 1 else 's'}{more}. {ends}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ")")) else ".")
