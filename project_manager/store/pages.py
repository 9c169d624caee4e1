"""Pages of rows, limited by the number of rows and the length of their texts, and the total of a list."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, func, null, select
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.limits import PAGE_CHARACTERS, TOTAL_MAXIMUM
from project_manager.store.functions import Number
from project_manager.store.statement import Converted, Row, Statement
from project_manager.store.transaction import Tx

_COUNT_MAXIMUM = 2**62
"""More than the number of rows of any table."""
_ONE: ColumnElement[int] = literal_column("1")


class Total(NamedTuple):
    """The number of rows in a list. If it `is_minimum`, there are more."""

    number: int
    is_minimum: bool = False

    @classmethod
    def of(cls, number: int, maximum: int) -> "Total":
        """Return the total of a list with this number of rows, or more than `maximum`."""
        return cls(number) if number <= maximum else cls(maximum, is_minimum=True)


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


def counter(rows: Select[Any]) -> Statement:
    """Return the statement with which `count` counts the rows of a selection."""
    counted = rows.with_only_columns(null(), maintain_column_froms=True).order_by(None).limit(bindparam("most"))
    return Statement(select(func.count()).select_from(counted.subquery()))


def index_counter(entries: Select[Any]) -> Statement:
    """Return a `counter` for the entries of one index."""
    return Statement(select(number_up_to(entries, bindparam("most", type_=Number))))


def number_up_to(entries: Select[Any], most: ColumnElement[int]) -> ColumnElement[int]:
    """Return the number of entries of one index. Counting ends at `most`.

    It first skips `most` - 1 entries, and counts them only if no entry follows. SQLite skips entries four times as fast
    as it counts them up to a limit.
    """
    last = entries.with_only_columns(most, maintain_column_froms=True).limit(_ONE).offset(most - _ONE)
    number = entries.with_only_columns(func.count(), maintain_column_froms=True)
    return func.coalesce(last.scalar_subquery(), number.scalar_subquery())


def count(
    tx: Tx, counter: Statement, parameters: dict[str, Any], *, exact: bool, maximum: int = TOTAL_MAXIMUM
) -> Total:
    """Return the number of rows of a selection. Unless `exact`, it reads at most `maximum` + 1 of them."""
    return count_all(tx, (counter,), parameters, exact=exact, maximum=maximum)


def count_all(
    tx: Tx, counters: Sequence[Statement], parameters: dict[str, Any], *, exact: bool, maximum: int = TOTAL_MAXIMUM
) -> Total:
    """Return the number of rows of several selections together, as `count` does."""
    most = _COUNT_MAXIMUM if exact else maximum + 1
    number = sum(int(counter.value(tx, **parameters, most=most)) for counter in counters)
    return Total(number) if exact else Total.of(number, maximum)


def after(position: tuple[int, ...] | None) -> dict[str, int]:
    """Return the parameters `after_0`, `after_1` .. for the position after which a page begins."""
    return {f"after_{number}": value for number, value in enumerate(position or ())}
