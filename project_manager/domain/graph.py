"""Find the cycle that new edges would close in a graph."""

from collections.abc import Callable, Iterable
from typing import TypeVar

Node = TypeVar("Node")


def find_cycle(start: Node, links: Iterable[Node], links_of: Callable[[Node], Iterable[Node]]) -> list[Node] | None:
    """Return the cycle `[start, .., start]` that edges from `start` to `links` would close, or None."""
    previous: dict[Node, Node] = {}
    stack: list[Node] = []
    for link in links:
        if link == start:
            return [start, start]
        if link not in previous:
            previous[link] = start
            stack.append(link)
    while stack:
        node = stack.pop()
        for following in links_of(node):
            if following == start:
                return _path(node, start, previous)
            if following not in previous:
                previous[following] = node
                stack.append(following)
    return None


def _path(end: Node, start: Node, previous: dict[Node, Node]) -> list[Node]:
    path = [start, end]
    while path[-1] != start:
        path.append(previous[path[-1]])
    path.reverse()
    return path
