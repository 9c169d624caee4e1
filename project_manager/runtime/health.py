"""Health of the service. The checks never write, and end within three seconds even when the database hangs."""

from collections.abc import Callable
from dataclasses import dataclass

import anyio
import anyio.to_thread

from project_manager.clock import monotonic
from project_manager.domain.errors import ProjectManagerError
from project_manager.runtime.dispatch import Runtime
from project_manager.services import stats as figures
from project_manager.services.stats import Stats
from project_manager.store import revisions

TIMEOUT_SECONDS = 0.8
CHECKS_OF_FILES = frozenset({"file", "integrity", "disk"})
"""Checks that only the server makes if the database is on one."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The reasons against sending work to this instance, and whether it `reads` the database."""

    reasons: list[str]
    reads: bool


@dataclass(frozen=True, slots=True)
class Storage:
    """The sizes of the database and its write-ahead log, None if unknown, and the number of unfinished write jobs."""

    database_bytes: int | None
    wal_bytes: int | None
    writer_queue_depth: int


class Health:
    """The health checks of one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._problem: str | None = None

    async def condition(self) -> Condition:
        """Return the reasons against sending work to this instance."""
        problem = await self._file_problem()
        if problem is not None:
            return Condition([problem], reads=False)
        writer, damage = self._runtime.database.writer, self._runtime.database.backend.damage()
        reads = await self.is_database_responsive()
        found = [] if reads else ["database not readable"]
        if damage is not None:
            found.append(f"database is damaged: {damage}")
        if not writer.alive:
            found.append("database writer stopped")
        elif writer.failure is not None:
            found.append(f"database not writable: {writer.failure}")
        if not self._runtime.database.tail.alive:
            found.append("event reader stopped")
        return Condition(found, reads)

    async def checks(self) -> dict[str, bool]:
        """Return the results of the checks of this database. Work is sent to this instance only when all are true."""
        database = self._runtime.database
        results = {
            "file": await self._file_problem() is None,
            "integrity": database.backend.damage() is None,
            "database": await self.is_database_responsive(),
            "schema": await self._schema_fits(),
            "writer": database.writer.alive and database.writer.failure is None,
            "events": database.tail.alive,
            "disk": await _in_thread(database.backend.disk_writable),
            "clock": database.clock.is_in_sync(),
        }
        omitted = CHECKS_OF_FILES if database.backend.is_on_server else ()
        return {name: result for name, result in results.items() if name not in omitted}

    async def _file_problem(self) -> str | None:
        """Return why this process no longer uses the database that its address names, or None."""
        backend = self._runtime.database.backend
        with anyio.move_on_after(TIMEOUT_SECONDS / 4):
            self._problem = await anyio.to_thread.run_sync(backend.problem, abandon_on_cancel=True)
        return self._problem

    async def _schema_fits(self) -> bool:
        """Return whether this release runs on the present schema, which a newer release may have migrated."""
        with anyio.move_on_after(TIMEOUT_SECONDS):
            try:
                return bool(await self._runtime.read("schema", lambda tx: revisions.is_compatible(tx.connection)))
            except ProjectManagerError:
                return False
        return False

    async def figures(self) -> Stats:
        """Return the figures of the tasks. Raises ProjectManagerError when the database cannot be read."""
        counted: Stats = await self._runtime.read("figures", figures.collect)
        return counted

    async def storage(self) -> Storage:
        """Return the figures of the database and of the writer."""
        database = self._runtime.database
        return Storage(*await anyio.to_thread.run_sync(database.backend.size), database.writer.depth)

    async def is_database_responsive(self) -> bool:
        """Return whether the database exists, and a read neither fails nor hangs. Busy readers may delay it."""
        if not await _in_thread(self._runtime.database.backend.exists):
            return False
        started = monotonic()
        with anyio.move_on_after(TIMEOUT_SECONDS):
            try:
                await self._runtime.read("health", figures.probe)
            except ProjectManagerError:
                return False
            return True
        return self._runtime.database.readers.has_progressed_since(started)


async def _in_thread(check: Callable[[], bool]) -> bool:
    """Return the result of `check`, or False when the file system does not answer in time."""
    with anyio.move_on_after(TIMEOUT_SECONDS / 4):
        return await anyio.to_thread.run_sync(check, abandon_on_cancel=True)
    return False
