"""Every cycle of a whole graph; graph.py looks for the one that a single change would close."""

from collections.abc import Callable, Iterator, Mapping, Sequence

SHOWN = 20


def cycles(edges: Mapping[int, Sequence[int]]) -> Iterator[list[int]]:
    """For each edge that closes a cycle, in depth-first order, that cycle as [node, .., node]."""
    finished: set[int] = set()
    for root in edges:
        if root in finished:
            continue
        path, position = [root], {root: 0}
        ahead = [iter(edges[root])]
        while path:
            following = next(ahead[-1], None)
            if following is None:
                finished.add(path[-1])
                del position[path.pop()]
                ahead.pop()
            elif following in position:
                yield [*path[position[following] :], following]
            elif following not in finished:
                position[following] = len(path)
                path.append(following)
                ahead.append(iter(edges.get(following, ())))


def shown(cycle: Sequence[int], name: Callable[[int], str]) -> str:
    """Return the cycle as `A -> B -> A`, a long one without its middle."""
    left_out = len(cycle) - SHOWN
    if left_out <= 0:
        return " -> ".join(map(name, cycle))
    return " -> ".join([*map(name, cycle[: SHOWN - 1]), f"({left_out} more)", name(cycle[-1])])
