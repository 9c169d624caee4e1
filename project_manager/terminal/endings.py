"""How a command ends: the exit status, and one sentence on standard error when it did not do what was asked."""

from enum import IntEnum
from typing import Any

import click

from project_manager.config import ConfigError
from project_manager.domain.errors import (
    Invalid,
    NotFound,
    ProjectManagerError,
    ProjectNotFound,
    StorageFull,
    Unavailable,
)
from project_manager.store.backup import BackupRefused, NotNow
from project_manager.store.database import DatabaseNotNow, DatabaseRefused


class Exit(IntEnum):
    """What the exit status says. The table of docs/cli.md is this one."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    FAULTY = 4
    NOT_NOW = 5


class NothingThere(Exception):
    """Something that the command names does not exist; one sentence."""


class Refused(Exception):
    """The command cannot do it; one sentence."""


_HINTS: dict[type[ProjectManagerError], str] = {
    ProjectNotFound: "`project-manager export` shows every project; of a running server GET /api/projects lists them.",
}
"""What to do next at a command line, where the error's own hint names a tool of agents."""

REFUSALS = (ProjectManagerError, ConfigError, DatabaseRefused, BackupRefused, NothingThere, Refused)


def end(error: Exception) -> Exit:
    """Says what went wrong; the exit status for it."""
    if isinstance(error, ProjectManagerError):
        return _end_of_operation(error)
    click.echo(_sentence(str(error)), err=True)
    if isinstance(error, ConfigError):
        return Exit.USAGE
    if isinstance(error, NothingThere):
        return Exit.NOT_FOUND
    return Exit.NOT_NOW if isinstance(error, NotNow) else Exit.FAILED


def _end_of_operation(error: ProjectManagerError) -> Exit:
    faults: Any = error.details.get("faults")
    if isinstance(error, Invalid) and faults:
        _list_faults(error, faults)
        return Exit.FAULTY
    click.echo(_sentence(error.message), err=True)
    hint = _HINTS.get(type(error), error.hint) if error.hint == error.default_hint else error.hint
    if hint:
        click.echo(hint, err=True)
    if isinstance(error, NotFound):
        return Exit.NOT_FOUND
    return Exit.NOT_NOW if isinstance(error, Unavailable | StorageFull | DatabaseNotNow) else Exit.FAILED


def _list_faults(error: Invalid, faults: list[dict[str, Any]]) -> None:
    for fault in faults:
        place = f"{fault['source']}:{fault['line']}:{fault['column']}: " if "line" in fault else ""
        click.echo(f"{place}{fault['message']}" + (f" ({fault['hint']})" if fault["hint"] else ""), err=True)
    total = int(str(error.details.get("total", len(faults))))
    more = f", {total - len(faults)} of them not shown" if total > len(faults) else ""
    ends = "Nothing was written." if "line" in faults[0] else "The command did nothing."
    click.echo(f"{total} fault{'' if total == 1 else 's'}{more}. {ends}", err=True)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ")")) else ".")
