"""Operations for commands, run on the database in this process."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from project_manager.catalogue import BY_NAME
from project_manager.cli import databases
from project_manager.config.settings import Settings
from project_manager.domain.actors import LOCAL
from project_manager.domain.limits import PAGE_MAXIMUM
from project_manager.runtime.calls import Caller
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.open import open_runtime

Result = TypeVar("Result")


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


def perform(settings: Settings, work: Callable[[Operations], Awaitable[Result]], *, may_create: bool = False) -> Result:
    """Open the database, run `work` with the operations, and return its result.

    Without `may_create`, a mistyped name of the database does not create an empty one. Raises MissingTargetError,
    DatabaseOpenError, ProjectManagerError.
    """

    async def run_on_database() -> Result:
        async with open_runtime(settings, kind="command") as runtime:
            return await work(Operations(runtime))

    if not may_create:
        databases.check_database_exists(settings)
    return anyio.run(run_on_database)


def run(settings: Settings, name: str, raw: Mapping[str, object]) -> Any:
    """Run one operation on the database and return its view. Raises the errors of `perform`."""
    return perform(settings, lambda client: client.run(name, raw))


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
