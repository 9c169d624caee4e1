"""Settings and operations for commands: loaded from flags, run on the database in this process."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import click
import orjson

from project_manager.catalogue import BY_NAME
from project_manager.cli.failures import CommandError, MissingTargetError
from project_manager.config import settings as config
from project_manager.config.settings import LoadedSettings, Settings
from project_manager.domain.actors import LOCAL
from project_manager.domain.limits import PAGE_MAXIMUM
from project_manager.observability import logging as logs
from project_manager.runtime.calls import Caller
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.open import open_runtime
from project_manager.store.sqlite import access

Result = TypeVar("Result")


def load(flags: Mapping[str, object], env_file: Path | None) -> LoadedSettings:
    """Return the effective settings. Raises ConfigError."""
    return config.load(flags, config.read_environment(), env_file)


def with_warnings(loaded: LoadedSettings) -> LoadedSettings:
    """Write the warnings about the settings to standard error, and return the settings."""
    for sentence in loaded.warnings:
        click.echo(sentence, err=True)
    return loaded


def settings_of(flags: Mapping[str, object], env_file: Path | None) -> Settings:
    """Return the settings for a command that is not a server. Only errors are logged, as text for the terminal."""
    settings = with_warnings(load(flags, env_file)).settings
    logs.configure("ERROR", "text")
    logging.getLogger("project_manager.migrations").setLevel(logging.WARNING)  # shows renamed rows
    return settings


class Operations:
    """The operations of the catalogue for the user at the terminal."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def run(self, name: str, raw: Mapping[str, object], request_id: str = "") -> Any:
        """Run the operation and return its view. Raises ProjectManagerError."""
        caller = Caller(LOCAL, "cli", request_id or secrets.token_hex(8))
        return (await self._runtime.run(BY_NAME[name], raw, caller)).view

    async def stream(self, name: str, raw: Mapping[str, object], write: Callable[[str], object]) -> None:
        """Pass the operation's text to `write` in pieces. Raises ProjectManagerError, and errors of `write`."""
        caller = Caller(LOCAL, "cli", secrets.token_hex(8))
        async with self._runtime.stream(BY_NAME[name], raw, caller) as (_, fetch):
            while piece := await fetch():
                await anyio.to_thread.run_sync(write, piece)


def check_database_exists(database: Path) -> None:
    """Raise MissingTargetError if the database is missing or empty, and CommandError if it is not accessible."""
    try:
        is_there = database.exists() and database.stat().st_size > 0
    except OSError as error:
        raise CommandError(
            access.permission_problem(database) or f"cannot read database {database}: {error.strerror}"
        ) from error
    if not is_there:
        raise MissingTargetError(
            f"no database at {database}; set --db-path or DATABASE_PATH, or create one with `project-manager migrate`"
        )


def perform(settings: Settings, work: Callable[[Operations], Awaitable[Result]], *, may_create: bool = False) -> Result:
    """Open the database, run `work` with the operations, and return its result.

    Without `may_create`, a mistyped path does not create an empty database. Raises MissingTargetError,
    DatabaseOpenError, ProjectManagerError.
    """

    async def run_on_database() -> Result:
        async with open_runtime(settings, kind="command") as runtime:
            return await work(Operations(runtime))

    if not may_create:
        check_database_exists(settings.database_path)
    return anyio.run(run_on_database)


def run(settings: Settings, name: str, raw: Mapping[str, object]) -> Any:
    """Run one operation on the database and return its view. Raises the errors of `perform`."""
    return perform(settings, lambda client: client.run(name, raw))


def show_json(value: Any) -> None:
    """Write the value to standard output as indented JSON."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())  # text: click bypasses our streams for bytes


async def all_pages(client: Operations, operation: str, raw: dict[str, Any], limit: int) -> tuple[list[Any], int]:
    """Return up to `limit` items, read page by page, and the total number of items, which the first page counts."""
    page = await client.run(operation, {**raw, "total": "exact", "limit": min(PAGE_MAXIMUM, limit)})
    items, total = page.items, page.total
    while page.next_cursor is not None and len(items) < limit:
        page = await client.run(
            operation, {**raw, "cursor": page.next_cursor, "limit": min(PAGE_MAXIMUM, limit - len(items))}
        )
        items += page.items
    return items, total
