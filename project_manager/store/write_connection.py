"""The interface that the writer uses: how a batch begins and ends in a database."""

from enum import Enum, auto
from typing import Protocol

from project_manager.domain.errors import ProjectManagerError
from project_manager.store.connection import Connection


class Recovery(Enum):
    """The state of a batch after an error of the driver, at its COMMIT or before."""

    FAILED = auto()
    """Nothing of it is kept, and the jobs get the error."""
    LOST = auto()
    """Nothing of it is kept, because the connection was lost. The connection is open again."""
    KEPT = auto()
    """The database has committed it, although the connection was lost. The connection is open again."""


class WriteConnection(Protocol):
    """The connection of a writer: how a batch begins and ends in one of the databases.

    `changes` is a number that grows with each row that is written.
    """

    @property
    def connection(self) -> Connection: ...
    @property
    def changes(self) -> int: ...

    def begin(self) -> bool:
        """Begin a batch. Until its end no other process writes. Return whether none has committed since the last one.

        Raises a driver's error, or a ProjectManagerError when this process may not write.
        """

    def commit(self) -> None:
        """Make the batch durable."""

    def recover(self, error: Exception) -> Recovery:
        """Return the state of the batch after an error of the driver. Connect again if the connection is lost.

        Raises the driver's error when this fails, or WriteUnconfirmed when it fails after the COMMIT.
        """

    def roll_back(self) -> None:
        """Undo a failed batch, if its transaction is still open."""

    def trust_changes(self, trusts: bool) -> None:
        """Set whether `change_row` of the connection may return True before the database has changed the row."""

    def flush(self) -> None:
        """Wait until the database has executed all statements. Raises the driver's error of one of them."""

    @property
    def is_aborted(self) -> bool:
        """Return whether a statement has failed so that all further ones fail, up to a rollback to a savepoint."""

    def ends_transaction(self, error: Exception) -> bool:
        """Return whether the whole batch has failed with this error of the driver."""

    def as_domain_error(self, error: Exception) -> ProjectManagerError:
        """Return the error for the jobs of a batch that has failed with this error of the driver."""

    def shorten_timeout(self) -> None:
        """Shorten the wait for another process from now on."""

    def close(self) -> None: ...
