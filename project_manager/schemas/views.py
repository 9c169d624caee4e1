"""Views that several resources share."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list: up to `limit` rows, fewer if their texts reach 1,048,576 characters. `next_cursor` is null on
    the last page. `total` is the number of all rows that match the filters. If more than 1,000 match, it is 1000 and
    `total_is_minimum` is true, unless the request has `total=exact`.
    """

    items: list[Item]
    next_cursor: str | None
    total: int
    total_is_minimum: bool


@dataclass(frozen=True, slots=True)
class NamedView:
    """The id and the name of a resource."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class DeletedView:
    """A deleted resource, with the numbers of epics and tasks that were deleted with it."""

    success: bool
    deleted: str
    id: int
    name: str
    epics: int = 0
    tasks: int = 0
