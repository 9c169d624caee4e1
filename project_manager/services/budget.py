"""Token budgets: the size of a response, in characters."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from project_manager.store.logs import LogRow

CHARACTERS_PER_TOKEN = 4

Item = TypeVar("Item")


def characters(tokens: int) -> int:
    """Return the number of characters for a budget of tokens."""
    return tokens * CHARACTERS_PER_TOKEN


def within(items: Iterable[Item], room: int | None, size: Callable[[Item], int]) -> list[Item]:
    """Return the first items that fit into `room` characters together, at least one. None is no limit."""
    if room is None:
        return list(items)
    fitting: list[Item] = []
    for item in items:
        room -= size(item)
        if room < 0 and fitting:
            break
        fitting.append(item)
    return fitting


def size_of_log(entry: LogRow) -> int:
    """Return the size of a log entry with its author, kind and time."""
    return len(entry.body) + 100
