"""Pages of rows, limited by the number of rows and the length of their texts."""

from collections.abc import Callable
from typing import Any

from project_manager.domain.limits import PAGE_CHARACTERS
from project_manager.store.statement import Converted, Row, Statement
from project_manager.store.transaction import Tx


def page(
    tx: Tx,
    make: Callable[[Row], Converted],
    statement: Statement,
    parameters: dict[str, Any],
    limit: int,
    *,
    texts: tuple[int, ...] | None = None,
) -> tuple[list[Converted], bool]:
    """Return up to `limit` rows of a statement with the parameter `limit`, and whether more follow.

    The page ends early, after one row or more, when its texts reach PAGE_CHARACTERS. `texts` are the indexes of the
    columns that can be long, or None for all columns with text.
    """
    rows: list[Converted] = []
    size = 0
    for row in statement.each(tx, **parameters, limit=limit + 1):
        if len(rows) == limit or size >= PAGE_CHARACTERS:
            return rows, True
        rows.append(make(row))
        if texts is None:
            size += sum(len(value) for value in row if isinstance(value, str))
        else:
            size += sum([len(row[place]) for place in texts])
    return rows, False


def counted(
    tx: Tx,
    make: Callable[[Row], Converted],
    statements: tuple[Statement, Statement],
    filters: dict[str, Any],
    position: dict[str, Any],
    limit: int,
) -> tuple[list[Converted], bool, int]:
    """Return a page, whether more follow, and the number of rows that match `filters`.

    `statements` read the page and the number. `position` has the parameters that only the first statement has.
    """
    rows, more = page(tx, make, statements[0], {**filters, **position}, limit)
    return rows, more, int(statements[1].value(tx, **filters))


def after(position: tuple[int, ...] | None) -> dict[str, int]:
    """Return the parameters `after_0`, `after_1` .. for the position after which a page begins."""
    return {f"after_{number}": value for number, value in enumerate(position or ())}
