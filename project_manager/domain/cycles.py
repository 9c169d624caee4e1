"""Find the cycles in a whole graph. `graph.py` finds the cycle that a single change would close."""

from collections.abc import Callable, Iterator, Mapping, Sequence

MAX_NODES_SHOWN = 20


def cycles(edges: Mapping[int, Sequence[int]], on_node: Callable[[], None] = lambda: None) -> Iterator[list[int]]:
    """Yield the cycle `[node, .., node]` of each edge that closes one, in depth-first order.

    `on_node` is called at each node, because a large graph takes long.
    """
    finished: set[int] = set()
    for root in edges:
        if root in finished:
            continue
        path, position = [root], {root: 0}
        ahead = [iter(edges[root])]
        while path:
            following = next(ahead[-1], None)
            if following is None:
                on_node()
                finished.add(path[-1])
                del position[path.pop()]
                ahead.pop()
            elif following in position:
                yield [*path[position[following] :], following]
            elif following not in finished:
                position[following] = len(path)
                path.append(following)
                ahead.append(iter(edges.get(following, ())))


def format_cycle(cycle: Sequence[int], name: Callable[[int], str]) -> str:
    """Return the cycle as `A -> B -> A`. Omit the middle of a long cycle."""
    left_out = len(cycle) - MAX_NODES_SHOWN
    if left_out <= 0:
        return " -> ".join(map(name, cycle))
    return " -> ".join([*map(name, cycle[: MAX_NODES_SHOWN - 1]), f"({left_out} more)", name(cycle[-1])])
