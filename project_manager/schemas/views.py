"""Views of more than one resource."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list: up to `limit` rows, fewer when their texts are 1 MiB together. `next_cursor` is null on the
    last page; `total` counts all that the filters let through.
    """

    items: list[Item]
    next_cursor: str | None
    total: int


@dataclass(frozen=True, slots=True)
class NamedView:
    """Something by its id and name."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class DeletedView:
    """What was deleted, and how much went with it."""

    success: bool
    deleted: str
    id: int
    name: str
    epics: int = 0
    tasks: int = 0
