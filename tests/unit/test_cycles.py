from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from project_manager.domain.cycles import cycles

graphs = st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=4), max_size=8)


def reaches_itself(edges: dict[int, list[int]]) -> set[int]:
    """Return the nodes from which a path leads back to the node itself."""
    found = set()
    for start in edges:
        seen: set[int] = set()
        ahead = list(edges[start])
        while ahead:
            node = ahead.pop()
            if node not in seen:
                seen.add(node)
                ahead += edges.get(node, [])
        if start in seen:
            found.add(start)
    return found


@given(graphs)
def test_a_cycle_is_found_exactly_when_there_is_one(edges: dict[int, list[int]]) -> None:
    assert bool(list(cycles(edges))) == bool(reaches_itself(edges))


@given(graphs)
def test_each_cycle_leads_back_to_its_start_along_edges_that_exist(edges: dict[int, list[int]]) -> None:
    for cycle in cycles(edges):
        assert cycle[0] == cycle[-1]
        assert len(cycle) > 1
        assert all(following in edges[node] for node, following in pairwise(cycle))


def test_a_chain_of_a_hundred_thousand_does_not_run_out_of_stack() -> None:
    edges = {node: [node + 1] for node in range(100_000)}
    assert list(cycles(edges)) == []
    assert len(next(cycles({**edges, 100_000: [0]}))) == 100_002
