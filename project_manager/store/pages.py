"""Pages of rows, limited by the number of rows and the length of their texts."""

from typing import Any

from project_manager.domain.limits import PAGE_CHARACTERS
from project_manager.store.statement import Row, Statement
from project_manager.store.transaction import Tx


def page(
    tx: Tx, statement: Statement, parameters: dict[str, Any], limit: int, *, texts: tuple[int, ...] | None = None
) -> tuple[list[Row], bool]:
    """Return up to `limit` rows of a statement with the parameter `limit`, and whether more follow.

    The page has at least one row, and ends early when its texts reach PAGE_CHARACTERS. After the page at most one
    further row is read. `texts` are the indexes of the columns that can be long. None selects all columns with text.
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
