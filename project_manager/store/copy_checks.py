"""The conditions that a database has to meet before it is copied, or before another one is copied to it."""

from project_manager.domain.actors import SYSTEM
from project_manager.store import instances, meta, revisions
from project_manager.store.connection import Connection
from project_manager.store.errors import CheckNotPossible, CopyError, DatabaseInUse, OtherRelease
from project_manager.store.transaction import Tx


def check_schema(connection: Connection, name: str) -> None:
    """Raise CopyError, CheckNotPossible or OtherRelease unless the database has the schema of this release."""
    found = revisions.current(connection)
    if found is None or revisions.is_foreign(connection):
        raise CopyError(f"{name} is not a Project Manager database")
    if found not in revisions.known_revisions():
        raise OtherRelease(f"the database {revisions.other_release_message(name, found)}")
    if found != revisions.head():
        raise CheckNotPossible(
            f"the database {name} has schema {found}, and this release copies schema {revisions.head()}: run "
            "`project-manager migrate` on it first"
        )


def transaction(connection: Connection, now: int) -> Tx:
    """Return a transaction in database time, which is `now` or later (milliseconds since the epoch)."""
    tx = Tx(connection, now, SYSTEM, "", 0)
    tx.now = max(now, meta.clock_high(tx))
    return tx


def check_unused(tx: Tx, name: str) -> None:
    """Raise DatabaseInUse if a process uses the database."""
    try:
        instances.check_unused(tx)
    except DatabaseInUse as error:
        raise DatabaseInUse(f"the database {name} cannot be copied now: {error}") from error


def in_use(name: str) -> DatabaseInUse:
    """Return the refusal for a database that another process has locked."""
    return DatabaseInUse(
        f"the database {name} is in use: stop the service and every other process that uses it, then copy"
    )
