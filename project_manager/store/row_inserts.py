"""Inserts of many rows per statement."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Table, bindparam, insert

from project_manager.store.statement import Statement
from project_manager.store.transaction import Tx


class RowInsert:
    """An INSERT of rows into a table. It has many rows per statement, because each one costs a server a round trip.

    `columns` are in the order of the table. `sizes` are the numbers of rows of a statement, the largest first, and 1
    at the end. With `returns_ids`, the rows get ascending ids, and only `ids` inserts them.
    """

    def __init__(
        self, table: Table, columns: Sequence[str], sizes: Sequence[int] = (32, 8, 1), *, returns_ids: bool = False
    ) -> None:
        self._table = table
        self._columns = columns
        self._sizes = sizes
        self._returns_ids = returns_ids
        self._statements: dict[int, Statement] = {}

    def write(self, tx: Tx, values: Sequence[Any]) -> None:
        """Insert rows. `values` are those of all rows, one row after another."""
        for statement, part in self._parts(values):
            statement.write_in_order(tx, part)

    def ids(self, tx: Tx, values: Sequence[Any]) -> list[int]:
        """Insert rows like `write`, and return their ids in the same order."""
        ids: list[int] = []
        for statement, part in self._parts(values):
            # The rows get ascending ids in their order. RETURNING may return them in any order.
            ids += sorted(int(row[0]) for row in statement.rows_in_order(tx, part))
        return ids

    def statements(self) -> list[Statement]:
        """Return the statement of each size."""
        return [self._statement(size) for size in self._sizes]

    def _parts(self, values: Sequence[Any]) -> Iterator[tuple[Statement, Sequence[Any]]]:
        start = 0
        for size in self._sizes:
            length = size * len(self._columns)
            while len(values) - start >= length:
                yield self._statement(size), values[start : start + length]
                start += length

    def _statement(self, size: int) -> Statement:
        found = self._statements.get(size)
        if found is None:
            found = self._statements[size] = self._build(size)
        return found

    def _build(self, size: int) -> Statement:
        rows: list[dict[str, Any]] = [
            {name: bindparam(f"{name}_{number}") for name in self._columns} for number in range(size)
        ]
        inserted = insert(self._table).values(rows)
        return Statement(inserted.returning(self._table.c.id) if self._returns_ids else inserted)
