"""Exit statuses of commands, and their error messages on standard error."""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import click

from project_manager.config.errors import ConfigError
from project_manager.domain.errors import Invalid, NotFound, ProjectManagerError, ProjectNotFound
from project_manager.domain.service_errors import DatabaseDamaged, StorageFull, Unavailable
from project_manager.store.errors import (
    BackupError,
    DatabaseOpenError,
    DatabaseTemporarilyUnavailable,
    TemporaryBackupError,
)


class Exit(IntEnum):
    """Exit statuses of all commands. docs/cli.md contains the same table."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    INVALID_INPUT = 4
    UNAVAILABLE = 5


class MissingTargetError(Exception):
    """An object that the command names does not exist. The message is one sentence."""


class CommandError(Exception):
    """The command cannot do its work. The message is one sentence."""


_HINTS: dict[type[ProjectManagerError], str] = {
    ProjectNotFound: "List projects with `project-manager export`, or GET /api/projects on a running server."
}
"""Hints for the command line. They replace default hints that name an agent tool."""

_STATUSES = (
    (ConfigError, Exit.USAGE),
    ((MissingTargetError, NotFound), Exit.NOT_FOUND),
    (DatabaseDamaged, Exit.FAILED),
    ((TemporaryBackupError, Unavailable, StorageFull, DatabaseTemporarilyUnavailable), Exit.UNAVAILABLE),
)
"""The first match counts. `Invalid` with field errors exits with INVALID_INPUT, and any other error with FAILED."""

EXPECTED_ERRORS = (ProjectManagerError, ConfigError, DatabaseOpenError, BackupError, MissingTargetError, CommandError)


@dataclass(frozen=True, slots=True)
class CommandFailure:
    """A failed command: its exit status, and the lines that explain it."""

    status: Exit
    lines: tuple[str, ...]


def report_error(error: Exception) -> Exit:
    """Write the error to standard error, after the traceback if it is unexpected. Return the exit status."""
    failure = describe(error)
    if not isinstance(error, EXPECTED_ERRORS):
        click.echo("".join(traceback.format_exception(error)), nl=False, err=True)
    for line in failure.lines:
        click.echo(line, err=True)
    return failure.status


def describe(error: Exception) -> CommandFailure:
    """Return the exit status and the lines that explain the error."""
    if not isinstance(error, EXPECTED_ERRORS):
        return CommandFailure(Exit.FAILED, (f"Internal error: {error!r}.",))
    if not isinstance(error, ProjectManagerError):
        return CommandFailure(_status(error), (as_sentence(str(error)),))
    errors: Any = error.details.get("errors")
    if isinstance(error, Invalid) and errors:
        return CommandFailure(Exit.INVALID_INPUT, tuple(_field_error_lines(error, errors)))
    hint = _HINTS.get(type(error), error.hint) if error.hint == error.default_hint else error.hint
    return CommandFailure(_status(error), (as_sentence(error.message), *([hint] if hint else [])))


def _status(error: Exception) -> Exit:
    return next((status for kinds, status in _STATUSES if isinstance(error, kinds)), Exit.FAILED)


def _field_error_lines(error: Invalid, errors: list[dict[str, Any]]) -> Iterator[str]:
    for entry in errors:
        place = f"{entry['source']}:{entry['line']}:{entry['column']}: " if "line" in entry else ""
        yield f"{place}{entry['message']}" + (f" ({entry['hint']})" if entry["hint"] else "")
    total = int(str(error.details.get("total", len(errors))))
    more = f", {total - len(errors)} not shown" if total > len(errors) else ""
    outcome = "Nothing was written." if "line" in errors[0] else "Nothing was changed."
    yield f"{total} error{'' if total == 1 else 's'}{more}. {outcome}"


def as_sentence(text: str) -> str:
    """Return the text with a capital first letter, and a full stop unless it ends with punctuation."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ")")) else ".")
