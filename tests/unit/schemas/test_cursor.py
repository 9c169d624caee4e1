import pytest
from hypothesis import given
from hypothesis import strategies as st

from project_manager.domain.errors import MalformedCursor
from project_manager.schemas import cursor

position = st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=3).map(tuple)


@given(position)
def test_a_cursor_gives_back_the_position_that_was_put_into_it(place: tuple[int, ...]) -> None:
    assert cursor.read(cursor.write(place, {"a": 1}), {"a": 1}, len(place)) == place


@given(st.text())
def test_any_text_that_is_no_cursor_is_refused_as_one(text: str) -> None:
    with pytest.raises(MalformedCursor):
        cursor.read(text, {}, 1)


@given(position)
def test_a_cursor_of_another_list_is_refused(place: tuple[int, ...]) -> None:
    written = cursor.write(place, {"a": 1})
    with pytest.raises(MalformedCursor, match="other filters"):
        cursor.read(written, {"a": 2}, len(place))
    with pytest.raises(MalformedCursor):
        cursor.read(written, {"a": 1}, len(place) + 1)
