"""Pages of lists: the position in the cursor of a command, and the page with the next cursor."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from project_manager.schemas import cursor
from project_manager.schemas.commands import Paged
from project_manager.schemas.views import Page

Row = TypeVar("Row")
Item = TypeVar("Item")


def start(command: Paged, filters: Mapping[str, object], length: int) -> tuple[int, ...] | None:
    """Return the position after which the page begins (`length` integers), or None for the first page.

    Raises MalformedCursor.
    """
    return cursor.read(command.cursor, filters, length) if command.cursor else None


def start_id(command: Paged, filters: Mapping[str, object], first: int = 0) -> int:
    """Return the id after which the page begins. For the first page it is `first`."""
    (found,) = start(command, filters, 1) or (first,)
    return found


def page(
    rows: Sequence[Row],
    has_more: bool,
    total: int,
    filters: Mapping[str, object],
    *,
    item: Callable[[Row], Item],
    position: Callable[[Any], tuple[int, ...]] = lambda row: (row.id,),
) -> Page[Item]:
    """Return the page of these rows. `position` returns the position of a row, for the next cursor."""
    following = cursor.write(position(rows[-1]), filters) if has_more else None
    return Page([item(row) for row in rows], following, total)
