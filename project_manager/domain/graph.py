"""Find the cycle that new edges would close in a graph."""

from collections.abc import Callable, Iterable, Iterator
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


def find_any_cycle(starts: Iterable[Node], links_of: Callable[[Node], Iterable[Node]]) -> list[Node] | None:
    """Return a cycle `[node, .., node]` that can be reached from one of `starts`, or None. It reads each node once."""
    is_finished: dict[Node, bool] = {}  # False for the nodes of the path. A link to one of them closes a cycle.
    for start in starts:
        path: list[tuple[Node, Iterator[Node]]] = []
        following: Node | None = None if start in is_finished else start
        while following is not None or path:
            if following is not None:
                is_finished[following] = False
                path.append((following, iter(links_of(following))))
            following = next((link for link in path[-1][1] if not is_finished.get(link, False)), None)
            if following is None:
                is_finished[path.pop()[0]] = True
            elif following in is_finished:
                nodes = [node for node, _ in path]
                return [*nodes[nodes.index(following) :], following]
    return None


def _path(end: Node, start: Node, previous: dict[Node, Node]) -> list[Node]:
    path = [start, end]
    while path[-1] != start:
        path.append(previous[path[-1]])
    path.reverse()
    return path
