"""The interface that statements and transactions use: a connection of a driver, with the dialect of its SQL.

`sqlite/` and `postgres/` have a dialect each, and all else that differs between the databases. Only the functions that
these spell differently are in `functions.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.engine import Dialect as Compiler

if TYPE_CHECKING:
    from project_manager.store.search import SearchIndex


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """The SQL of a database.

    `compiler` compiles statements, `driver_error` is the base of its driver's errors, and `search` its search index.
    `list_tables` selects the names of the tables, and `last_event` the highest number ever assigned to an event.
    """

    compiler: Compiler
    driver_error: type[Exception]
    search: "SearchIndex"
    list_tables: str
    last_event: str


class Cursor(Protocol):
    """The rows of a statement. `rowcount` is the number of rows that it has changed."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection in a transaction. `trusts_changes` is whether `change_row` may return True too early."""

    trusts_changes: bool

    @property
    def dialect(self) -> Dialect: ...
    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...
    def postpone(self, sql: str, parameters: Sequence[Any] = ..., /) -> object:
        """Execute a statement without a result. A server may get it later, with the next statement of `execute`.

        That one then raises the error of this one.
        """

    def change_row(self, sql: str, parameters: Sequence[Any] = ..., /) -> bool:
        """Execute a statement that changes one row or none. Return whether it has changed one.

        While `trusts_changes`, a server gets it later, like those of `postpone`, and the answer is True. If no row
        changes, the next statement of `execute` then raises a driver's error.
        """

    def stream(self, sql: str, parameters: Sequence[Any] = ..., /) -> Iterator[Any]:
        """Yield the rows of a query that may have too many for the memory."""

    def keep_alive(self) -> None:
        """Execute a statement if the last one ended too long ago, because the server ends an idle transaction."""
