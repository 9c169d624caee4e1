"""Errors of the service itself: it is unavailable, its disk is full, or it has a defect.

They are part of the tree in `errors.py`, which has the errors of requests.
"""

from typing import ClassVar

from project_manager.domain.errors import ProjectManagerError


class Unavailable(ProjectManagerError):
    """The service cannot run the request now. The request has no effect, except perhaps with DatabaseMoved.

    The client may send the same request again after `retry_after` seconds.
    """

    retry_after: ClassVar[int] = 1
    default_hint = "Retry the same request."


class QueueFull(Unavailable):
    """A queue is full: of reads, of writes, or of large responses."""


class DatabaseBusy(Unavailable):
    """Another process locked the database for longer than the service waits."""


class DatabaseUnavailable(Unavailable):
    """The database cannot be read or written."""


class WriteUnconfirmed(Unavailable):
    """The database or its standby was lost during a commit. The write may or may not be present."""

    default_hint = "Repeat the command with the same Idempotency-Key. Without a key, read the current state first."


class DatabaseMoved(Unavailable):
    """The database file or one of its logs was removed, renamed or replaced while the server runs."""

    retry_after: ClassVar[int] = 10
    default_hint = (
        "The write is not acknowledged. Operator: stop the server, put the database file back, start it again. Then "
        "retry the request."
    )


class DatabaseDamaged(Unavailable):
    """SQLite has found damage in the database file. Reads continue where possible, and all writes fail."""

    retry_after: ClassVar[int] = 60
    default_hint = (
        "Nothing was written. Operator: stop the server and restore a backup (`project-manager restore`). Then retry "
        "the request."
    )


class QueryTimeout(Unavailable):
    default_hint = "Add filters or reduce limit."


class ImportInProgress(Unavailable):
    retry_after = 10
    default_hint = "Another large import is running; retry when it has finished."


class ShuttingDown(Unavailable):
    default_hint = "The server is shutting down; retry the request."


class RateLimited(Unavailable):
    default_hint = "Retry after one second. To wait for tasks or events, send wait_seconds instead of polling."


class ConnectionLimit(Unavailable):
    default_hint = "Close unused connections, or retry after one second."


class Overloaded(Unavailable):
    """Incomplete requests use all the memory that is available to them."""


class StorageFull(ProjectManagerError):
    default_hint = "The disk of the database is full; nothing was written. Free space, then retry."


class Internal(ProjectManagerError):
    default_hint = "See the server log for this request_id."


class OutcomeUnknown(Internal):
    """The disk failed during a write. The write may or may not be present after the next start."""

    default_hint = "Check the disk. Then read the current state before you repeat the command."
