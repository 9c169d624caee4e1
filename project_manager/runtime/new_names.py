"""Writes that may create a project or an epic by name."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from project_manager.services.resolve import TypoCheckRequired
from project_manager.store.transaction import Tx

Written = TypeVar("Written")


async def write(
    attempt: Callable[[frozenset[str]], Awaitable[Written]], read: Callable[[Callable[[Tx], None]], Awaitable[None]]
) -> Written:
    """Run `attempt`, repeat it for each new name, and return its result.

    Between two attempts `read` compares the new name with the existing names on a reader. Raises Invalid for a name
    that is probably a misspelling of an existing one.
    """
    compared: frozenset[str] = frozenset()
    while True:
        try:
            return await attempt(compared)
        except TypoCheckRequired as new:
            await read(new.check)
            compared |= {new.name}
