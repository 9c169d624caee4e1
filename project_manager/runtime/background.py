"""Background jobs: the one mechanism for all work that no request starts.

Each run is counted and timed in the metrics. A failed run is logged as `NAME_failed`, and repeated when it is due.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

import anyio

from project_manager.clock import monotonic
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.service_errors import Internal
from project_manager.observability.logging import RateLimitedWarning
from project_manager.observability.metrics import Metrics

log = logging.getLogger(__name__)

ProcessKind = Literal["serve", "mcp", "command"]
EVERY_PROCESS: frozenset[ProcessKind] = frozenset({"serve", "mcp", "command"})
LONG_LIVED: frozenset[ProcessKind] = frozenset({"serve", "mcp"})
SERVICE: frozenset[ProcessKind] = frozenset({"serve"})

PAUSE_AFTER_FAILURE_SECONDS = 1.0

Wait = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Job:
    """Work that repeats. `name` identifies it in metrics and in the log.

    `due` returns when the next `run` is due; with `at_start`, the first run does not wait for it. `stop` is called at
    shutdown, after the last run.
    """

    name: str
    run: Wait
    due: Wait
    processes: frozenset[ProcessKind] = EVERY_PROCESS
    at_start: bool = False
    stop: Callable[[], object] | None = None


def every(seconds: float) -> Wait:
    """Return a `due` for a job that runs at this interval."""
    return partial(anyio.sleep, seconds)


class BackgroundJobs:
    """The background jobs of one process, `by_name`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.by_name: dict[str, Job] = {}
        self._warnings: dict[str, RateLimitedWarning] = {}

    def register(self, job: Job) -> None:
        """Add a job. Call this before `running`."""
        if job.name in self.by_name:
            raise ValueError(f"the background job {job.name!r} is already registered")
        self.by_name[job.name] = job

    async def run_once(self, name: str) -> bool:
        """Run a job now, and return whether it succeeded."""
        with suppress(Exception), self.observed(name):
            await self.by_name[name].run()
            return True
        return False

    @contextmanager
    def observed(self, name: str) -> Iterator[None]:
        """Count, time and log one run of a job. Exceptions pass through. Any thread may run the job."""
        started = monotonic()
        warning = self._warnings.setdefault(name, RateLimitedWarning(log, f"{name}_failed", f"background job {name}"))
        try:
            yield
        except ProjectManagerError as error:
            self._metrics.background_job(name, error.code, monotonic() - started)
            warning.failed(error.message)
            raise
        except Exception as error:
            self._metrics.background_job(name, Internal.code, monotonic() - started)
            warning.failed(repr(error), traceback=True)
            raise
        self._metrics.background_job(name, "ok", monotonic() - started)
        warning.recovered()

    @asynccontextmanager
    async def running(self, kind: ProcessKind) -> AsyncIterator[None]:
        """Repeat the jobs for a process of this kind while the body runs. A single exception is raised as it is."""
        try:
            async with anyio.create_task_group() as tasks:
                for job in self.by_name.values():
                    if kind in job.processes:
                        tasks.start_soon(self._repeat, job, name=job.name)
                try:
                    yield
                finally:
                    tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from group.exceptions[0].__cause__
            raise

    async def _repeat(self, job: Job) -> None:
        try:
            if not job.at_start:
                await job.due()
            while True:
                if not await self.run_once(job.name):
                    await anyio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
                await job.due()
        finally:
            if job.stop is not None:
                job.stop()
