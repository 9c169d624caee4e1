from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from project_manager.domain.graph import find_any_cycle, find_cycle

Graph = dict[int, set[int]]


@given(
    links=st.dictionaries(st.integers(0, 7), st.sets(st.integers(0, 7), max_size=4)),
    start=st.integers(0, 7),
    new=st.sets(st.integers(0, 7), min_size=1, max_size=3),
)
def test_a_cycle_is_found_exactly_when_the_new_links_lead_back(links: Graph, start: int, new: set[int]) -> None:
    reached, ahead = set(new), list(new)
    while ahead:
        for node in links.get(ahead.pop(), set()) - reached:
            reached.add(node)
            ahead.append(node)
    cycle = find_cycle(start, sorted(new), lambda node: links.get(node, set()))
    assert (cycle is not None) is (start in reached)
    if cycle is not None:
        assert cycle[0] == cycle[-1] == start
        assert cycle[1] in new
        assert all(there in links.get(here, set()) for here, there in pairwise(cycle[1:]))


def test_a_chain_of_ten_thousand_is_followed_to_its_end() -> None:
    cycle = find_cycle(0, [1], lambda node: [(node + 1) % 10_000])
    assert cycle is not None
    assert len(cycle) == 10_001


@given(
    links=st.dictionaries(st.integers(0, 7), st.sets(st.integers(0, 7), max_size=4)),
    starts=st.lists(st.integers(0, 7), max_size=3),
)
def test_any_cycle_is_found_exactly_when_the_starts_lead_to_one(links: Graph, starts: list[int]) -> None:
    visited: list[int] = []

    def links_of(node: int) -> set[int]:
        visited.append(node)
        return links.get(node, set())

    reached, ahead = set(starts), [*starts]
    while ahead:
        for node in links.get(ahead.pop(), set()) - reached:
            reached.add(node)
            ahead.append(node)
    cycle = find_any_cycle(starts, links_of)
    assert len(visited) == len({*visited})
    assert (cycle is not None) is any(
        find_cycle(node, sorted(links.get(node, set())), lambda node: links.get(node, set())) for node in reached
    )
    if cycle is not None:
        assert cycle[0] == cycle[-1]
        assert all(there in links.get(here, set()) for here, there in pairwise(cycle))
