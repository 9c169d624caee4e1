"""The interface of a database as a whole: connections, checks before opening, and health.

`sqlite/` and `postgres/` have a Backend each. `opening.py` chooses one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from project_manager.clock import Clock
from project_manager.observability.metrics import Metrics
from project_manager.store.errors import DatabaseOpenError
from project_manager.store.instances import InstanceRow
from project_manager.store.readers import ReadSession
from project_manager.store.tail import TailSession
from project_manager.store.transaction import Tx
from project_manager.store.write_connection import WriteConnection


@dataclass(frozen=True, slots=True)
class Verified:
    """Time of the last verified backup (seconds since the epoch) and the seconds that copy and check took."""

    at: float
    seconds: float


class Backend(Protocol):
    """A database at an address. `name` is its name in messages. `clock` is the wall clock that its processes share.

    With `is_on_server`, a server owns the files, and this process can neither check nor measure them.
    """

    is_on_server: bool
    name: str
    clock: Clock

    @property
    def address(self) -> Path | str: ...
    @property
    def driver_error(self) -> type[Exception]: ...

    def revision(self) -> str | None:
        """Return the revision of the schema, or None without one. Raises DatabaseOpenError."""

    def prepare(self, *, auto_migrate: bool) -> None:
        """Check the database, and migrate it when allowed. After a DatabaseOpenError, its contents are unchanged."""

    def connect_writer(self) -> WriteConnection:
        """Return the connection of the writer. This and the next methods raise the driver's error."""

    def connect_reader(self) -> ReadSession: ...

    def connect_long_read(self) -> ReadSession:
        """Return a session for a read that takes long.

        Raises DatabaseMoved when the database was replaced, and DatabaseUnavailable when its server cannot be reached.
        """

    def connect_tail(self) -> TailSession: ...

    def opened(self) -> None:
        """Take note that all first connections are open. Raises DatabaseOpenError when they use several databases."""

    def open_error(self, error: BaseException) -> DatabaseOpenError:
        """Return the refusal for an error of the driver while the database is opened."""

    def refuse_instances(self, others: Sequence[InstanceRow]) -> None:
        """Raise DatabaseOpenError when this process cannot use the database together with these instances."""

    def remote_instances(self, others: Sequence[InstanceRow]) -> list[InstanceRow]:
        """Return those of the instances that run on another machine."""

    def problem(self) -> str | None:
        """Return why this process no longer uses the database that its address names, or None. May block."""

    def exists(self) -> bool:
        """Return whether the database of this address exists. May block."""

    def damage(self) -> str | None:
        """Return the first error that reported damage, or None."""

    def measure(self, tx: Tx) -> None:
        """Read the size of a database on a server for `size`, and other figures of the server for its metrics."""

    def register_metrics(self, metrics: Metrics) -> None:
        """Register the metrics that only this kind of database has. Omit those that it does not have."""

    def size(self) -> tuple[int | None, int | None]:
        """Return the sizes of the database and of its write-ahead log in bytes, or None if unknown. May block."""

    def disk_writable(self) -> bool:
        """Return whether the disk of the database takes a page. May block."""

    def disk_free(self) -> int:
        """Return the free bytes of the disk of the database. Raises OSError."""

    def world_accessible_files(self) -> list[Path]:
        """Return the files of the database that other users of this machine can open."""

    def last_backup(self) -> Verified | None:
        """Return the last verified backup, if the service knows it. May block."""
