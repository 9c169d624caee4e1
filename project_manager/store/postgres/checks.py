"""Check of a database on a server. The server itself checks pages and references."""

from collections.abc import Iterable
from contextlib import closing

from project_manager.config import database_urls
from project_manager.domain.actors import SYSTEM
from project_manager.store import checks, revisions
from project_manager.store.chain import Head
from project_manager.store.checks import CheckResult
from project_manager.store.errors import CheckNotPossible, OtherRelease
from project_manager.store.postgres import driver
from project_manager.store.postgres.database import errors_of
from project_manager.store.transaction import Tx

_BEGIN = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0;"
    " SET LOCAL idle_in_transaction_session_timeout = 0"  # between two queries, the rows of a large table are compared
)


def check(url: str, published: Iterable[Head] = ()) -> CheckResult:
    """Check the rows of one snapshot, and return the result. The hash chain must contain `published`.

    Raises DatabaseOpenError, CheckNotPossible for an older schema, and OtherRelease for a newer one.
    """
    name = database_urls.name(url)
    with errors_of(url), closing(driver.StreamingConnection(url)) as connection:
        connection.run_script(_BEGIN)
        revision = revisions.current(connection)
        if revision is None or revisions.is_foreign(connection):
            return CheckResult(revision, ("it is not a Project Manager database",))
        if revision not in revisions.known_revisions():
            raise OtherRelease(f"the database {revisions.other_release_message(name, revision)}")
        if revision != revisions.head():
            raise CheckNotPossible(
                f"the database {name} has schema {revision}, and this release checks schema {revisions.head()}: run "
                "`project-manager migrate`"
            )
        return checks.check_contents(Tx(connection, 0, SYSTEM, "", 0), revision, published, with_flow=True)
