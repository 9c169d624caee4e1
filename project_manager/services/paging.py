"""Pages of lists: the position in the cursor of a command, and the page with its total and the next cursor."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from project_manager.schemas import cursor
from project_manager.schemas.commands import Paged
from project_manager.schemas.views import Page
from project_manager.store.pages import Total

Row = TypeVar("Row")
Item = TypeVar("Item")


class Count(Protocol):
    """A function that counts the rows of a list, all of them if `exact`."""

    def __call__(self, *, exact: bool) -> Total: ...


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
    command: Paged,
    filters: Mapping[str, object],
    rows: Sequence[Row],
    has_more: bool,
    count: Count,
    *,
    item: Callable[[Row], Item],
    position: Callable[[Any], tuple[int, ...]] = lambda row: (row.id,),
) -> Page[Item]:
    """Return the page of these rows. `position` returns the position of a row, for the next cursor."""
    following = cursor.write(position(rows[-1]), filters) if has_more else None
    total = count(exact=command.total == "exact") if has_more or command.cursor else Total(len(rows))
    return Page([item(row) for row in rows], following, total.number, total.is_minimum)
