"""Every cycle of a whole graph; graph.py looks for the one that a single change would close."""

from collections.abc import Iterator, Mapping, Sequence


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
