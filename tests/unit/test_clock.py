import pytest
from hypothesis import given
from hypothesis import strategies as st

from project_manager.clock import MAX_INSTANT, SystemClock, parse_rfc3339, rfc3339

BEYOND = ["1969-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
NEARLY = ["2016-12-31T23:59:60", "2016-12-31T23:59:61Z", "2016-12-31T23:60:00Z", "2016-12-31T23:59:60+25:00"]


@given(st.integers(0, MAX_INSTANT))
def test_an_instant_is_read_as_it_was_written(instant: int) -> None:
    text = rfc3339(instant)
    assert len(text) == len("2026-11-23T10:00:00.000Z")
    assert text.endswith("Z")
    assert parse_rfc3339(text) == instant


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00.000Z"),
        ("2026-11-23T12:00:00+02:00", "2026-11-23T10:00:00.000Z"),
        ("2026-11-23T10:00:00.123456Z", "2026-11-23T10:00:00.123Z"),
        (" 2026-11-23 10:00:00-00:00 ", "2026-11-23T10:00:00.000Z"),
        ("2026-11-23", "2026-11-23T00:00:00.000Z"),
        ("2026-11-23t10:00:00z", "2026-11-23T10:00:00.000Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"),
        ("2016-12-31T15:59:60.25-08:00", "2016-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:60Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_read_in_the_forms_that_people_write(text: str, same: str) -> None:
    assert rfc3339(parse_rfc3339(text)) == same


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-23T10:00:00", "2026-13-01T00:00:00Z", "23.11.2026", "1700000000", *BEYOND, *NEARLY]
)
def test_an_invalid_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_rfc3339(text)


def test_the_wall_clock_counts_milliseconds_of_this_century() -> None:
    assert parse_rfc3339("2024-01-01") < SystemClock().now() < parse_rfc3339("2100-01-01")
