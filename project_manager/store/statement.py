"""SQLAlchemy Core statements, compiled at their first use and run on the driver's connection.

A claim through `Connection.execute` costs four to six times as much CPU (docs/performance.md). There are no type
processors, so columns hold integers, text and bytes only. For IN use `is_among` with numbers, `elements` with texts.
"""

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Column, Select, Text, bindparam, column, null, select
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import Executable
from sqlalchemy.sql.selectable import TableValuedAlias

from project_manager.store.connection import Cursor, Dialect
from project_manager.store.functions import IsAmong, JsonElements, JsonMembers
from project_manager.store.transaction import Tx

Row = tuple[Any, ...]
Converted = TypeVar("Converted")


class Statement:
    """A statement built once at module level, with parameters by name at each call.

    The driver gets the parameters by position, because SQLite finds a name by a search through all names.
    """

    __slots__ = ("_clause", "_compiled")

    def __init__(self, clause: Executable) -> None:
        self._clause = clause
        self._compiled: dict[Dialect, _Compiled] = {}

    def compiled(self, dialect: Dialect) -> "_Compiled":
        """Return the SQL for a database. It is compiled at the first use, because a start uses few statements."""
        found = self._compiled.get(dialect)
        if found is None:
            found = self._compiled[dialect] = _compile(self._clause, dialect)
        return found

    def run(self, tx: Tx, **parameters: Any) -> int:
        """Run the statement and return the number of rows that it changed."""
        return int(self._execute(tx, parameters).rowcount)

    def write(self, tx: Tx, **parameters: Any) -> None:
        """Run a statement without a result. The next one may raise its error: see `Connection.postpone`."""
        sql, values_of = self.compiled(tx.connection.dialect)
        tx.connection.postpone(sql, values_of(parameters))

    def write_in_order(self, tx: Tx, values: Sequence[Any]) -> None:
        """Like `write`, with all parameters in the order in which the statement names them."""
        tx.connection.postpone(self.compiled(tx.connection.dialect).sql, values)

    def change_row(self, tx: Tx, **parameters: Any) -> bool:
        """Run a statement that changes one row or none, and return whether it did: see `Connection.change_row`."""
        sql, values_of = self.compiled(tx.connection.dialect)
        return tx.connection.change_row(sql, values_of(parameters))

    def row(self, tx: Tx, **parameters: Any) -> Row | None:
        """Return the first row, or None."""
        row: Row | None = self._execute(tx, parameters).fetchone()
        return row

    def rows(self, tx: Tx, **parameters: Any) -> list[Row]:
        """Return all rows."""
        rows: list[Row] = self._execute(tx, parameters).fetchall()
        return rows

    def rows_in_order(self, tx: Tx, values: Sequence[Any]) -> list[Row]:
        """Like `rows`, with all parameters in the order in which the statement names them."""
        rows: list[Row] = tx.connection.execute(self.compiled(tx.connection.dialect).sql, values).fetchall()
        return rows

    def one(self, tx: Tx, make: Callable[[Row], Converted], **parameters: Any) -> Converted | None:
        """Return the first row as `make` converts it, or None."""
        row = self.row(tx, **parameters)
        return None if row is None else make(row)

    def all(self, tx: Tx, make: Callable[[Row], Converted], **parameters: Any) -> list[Converted]:
        """Return all rows as `make` converts them."""
        return [make(row) for row in self.rows(tx, **parameters)]

    def each(self, tx: Tx, **parameters: Any) -> Iterator[Row]:
        """Iterate over the rows. A caller that stops early does not read the rest."""
        sql, values_of = self.compiled(tx.connection.dialect)
        return tx.connection.stream(sql, values_of(parameters))

    def value(self, tx: Tx, **parameters: Any) -> Any:
        """Return the first column of the first row, or None."""
        return self.one(tx, itemgetter(0), **parameters)

    def _execute(self, tx: Tx, parameters: dict[str, Any]) -> Cursor:
        connection = tx.connection
        sql, values_of = self._compiled.get(connection.dialect) or self.compiled(connection.dialect)
        return connection.execute(sql, values_of(parameters))


class _Compiled(NamedTuple):
    """The SQL of a statement, and the function that returns its parameters in the order in which the SQL names them."""

    sql: str
    values_of: Callable[[dict[str, Any]], Sequence[Any]]


def _compile(clause: Executable, dialect: Dialect) -> _Compiled:
    compiled = clause.compile(dialect=dialect.compiler)  # type: ignore[attr-defined]
    defaults = {name: value for name, value in compiled.params.items() if value is not None}
    return _Compiled(str(compiled), _value_extractor(tuple(compiled.positiontup or ()), defaults))


def _value_extractor(names: tuple[str, ...], defaults: dict[str, Any]) -> Callable[[dict[str, Any]], Sequence[Any]]:
    """Return a function that returns the values of these names, in this order. `defaults` are for missing names."""
    extract = itemgetter(*names) if len(names) > 1 else lambda parameters: [parameters[name] for name in names]
    return (lambda parameters: extract({**defaults, **parameters})) if defaults else extract


def bindparams(*columns: str) -> dict[str, Any]:
    """Return a bound parameter of the same name for each column, as the values of an INSERT or UPDATE."""
    return {name: bindparam(name) for name in columns}


def is_among(number: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return the condition that a number is in the parameter `name`, a JSON array of numbers."""
    return IsAmong(number, bindparam(name))


def elements(name: str) -> Select[Any]:
    """Select the texts in the parameter `name`, a JSON array."""
    return select(json_elements(bindparam(name)).c.value)


def json_elements(array: ColumnElement[Any] | Column[Any]) -> TableValuedAlias:
    """Return the elements of a JSON array as rows with one column `value`."""
    return JsonElements(array).table_valued(column("value", Text))


def json_members(text: ColumnElement[Any] | Column[Any]) -> TableValuedAlias:
    """Return the members of a JSON object as rows with the columns `key` and `value`."""
    return JsonMembers(text).table_valued(column("key", Text), column("value", Text))


def has_labels(labels: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that `labels` contains every label of the parameter `labels` (a JSON array)."""
    wanted = json_elements(bindparam("labels")).alias("wanted")
    present = json_elements(labels).alias("present")
    missing = select(null()).select_from(wanted).where(wanted.c.value.not_in(select(present.c.value)))
    return ~missing.exists()
