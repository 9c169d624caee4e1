"""Jobs of the writer, and their runs in the transaction of a batch.

The writes of a failed job are rolled back without an effect on other jobs.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from project_manager.domain.actors import Actor
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.service_errors import Internal
from project_manager.observability.logging import bind_context
from project_manager.store.transaction import BatchState, Tx
from project_manager.store.write_connection import WriteConnection

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Work = Callable[[Tx], Result]


@dataclass(slots=True)
class Job(Generic[Result]):
    """Unit of work with the future of its caller."""

    name: str
    work: Work[Result]
    actor: Actor
    request_id: str
    future: asyncio.Future[Result]
    outcome: Result | None = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Resolve the future with the outcome or the error, unless the caller has cancelled it."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.outcome)  # type: ignore[arg-type]


class JobRunner:
    """Runs the jobs of a batch in its transaction. `on_query` gets (job name, seconds) of each."""

    def __init__(self, session: WriteConnection, on_query: Callable[[str, float], None], max_attempts: int) -> None:
        self._session = session
        self._connection = session.connection
        self._driver_error = session.connection.dialect.driver_error
        self._on_query = on_query
        self._max_attempts = max_attempts

    def run_all(self, batch: list[Job[Any]], tx: Tx, shared: BatchState) -> None:
        """Run the jobs without a savepoint for each, because a savepoint costs a tenth of a claim.

        When a failed job leaves writes, all jobs are rolled back. Several jobs then run again, each in a savepoint. So
        a job need not wait for the writes of the job before, although it may get their error.
        """
        mark = shared.mark
        self._connection.postpone("SAVEPOINT jobs")
        self._session.trust_changes(len(batch) > 1)
        try:
            if all(self._run_job(job, tx, shared, flushes=job is batch[-1]) for job in batch):
                return
            self._session.trust_changes(False)
            self._connection.execute("ROLLBACK TO jobs")
            shared.undo(mark)
            if len(batch) > 1:
                for job in batch:
                    self._run_in_savepoint(job, tx, shared)
        finally:
            self._session.trust_changes(False)
            bind_context("", None)

    def _run_in_savepoint(self, job: Job[Any], tx: Tx, shared: BatchState) -> None:
        mark = shared.mark
        self._connection.postpone("SAVEPOINT job")
        if not self._run_job(job, tx, shared, flushes=True):
            self._connection.execute("ROLLBACK TO job")
            shared.undo(mark)
        self._connection.postpone("RELEASE job")

    def _run_job(self, job: Job[Any], tx: Tx, shared: BatchState, *, flushes: bool) -> bool:
        """Run a job. Return False when it has failed, and the transaction must be rolled back to a savepoint.

        With `flushes`, the database has executed all statements of the job at the end.
        """
        started = time.perf_counter()
        mark, changes = shared.mark, self._session.changes
        job.error = None
        bind_context(job.request_id, job.actor.token_id)
        try:
            job_tx = Tx(tx.connection, tx.now, job.actor, job.request_id, self._max_attempts, shared, tx.wall)
            try:
                job.outcome = job.work(job_tx)
            finally:
                if flushes:
                    self._session.flush()
        except ProjectManagerError as error:
            job.error = error
        except self._driver_error as error:
            if self._session.ends_transaction(error):
                raise
            job.error = internal_error(job.name, error)
        except Exception as error:  # noqa: BLE001 an error of one job does not stop the other jobs
            job.error = internal_error(job.name, error)
        self._on_query(job.name, time.perf_counter() - started)
        if job.error is None:
            return True
        return shared.mark == mark and self._session.changes == changes and not self._session.is_aborted


def internal_error(name: str, error: BaseException) -> Internal:
    """Log the error of a write with its traceback, and return the error for its caller."""
    log.error("a write failed", exc_info=error, extra={"action": "write_failed", "operation": name})
    return Internal("internal server error; nothing was written")
