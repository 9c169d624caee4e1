"""Pages of rows, bounded by number and by how much text they carry."""

from typing import Any

from project_manager.domain.limits import PAGE_CHARACTERS
from project_manager.store.statement import Row, Statement
from project_manager.store.transaction import Tx


def page(
    tx: Tx, statement: Statement, parameters: dict[str, Any], limit: int, *, texts: tuple[int, ...] | None = None
) -> tuple[list[Row], bool]:
    """Up to `limit` rows of a statement that takes a limit, and whether there are more. The page ends early when its
    texts are PAGE_CHARACTERS together, with one row at least; no row after those is read but the next. `texts` are the
    columns that can be long, all that are text when it is None.
    """
    rows: list[Row] = []
    size = 0
    for row in statement.each(tx, **parameters, limit=limit + 1):
        if len(rows) == limit or size >= PAGE_CHARACTERS:
            return rows, True
        rows.append(row)
        if texts is None:
            size += sum(len(value) for value in row if isinstance(value, str))
        else:
            size += sum([len(row[place]) for place in texts])
    return rows, False
