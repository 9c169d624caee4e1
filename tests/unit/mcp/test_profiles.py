"""The part of the address that chooses tools and the dialect of their schemas."""

import pytest

from project_manager.mcp.profiles import ToolProfile, profile_of


@pytest.mark.parametrize(
    ("query", "profile"),
    [
        (b"", ("", "")),
        (b"tools=all", ("all", "")),
        (b"a=b&tools=core", ("core", "")),
        (b"tools=loop", ("loop", "")),
        (b"tools=everything", ("", "")),
        (b"xtools=all", ("", "")),
        (b"schema=strict", ("", "strict")),
        (b"schema=nullable&tools=all", ("all", "nullable")),
        (b"schema=loose&schema=strict", ("", "")),
        (b"schema=\xff", ("", "")),
    ],
)
def test_the_address_may_name_a_known_profile(query: bytes, profile: tuple[str, str]) -> None:
    assert profile_of({"query_string": query}) == profile


def test_a_part_that_the_address_omits_is_taken_from_the_default() -> None:
    assert ToolProfile("", "strict").with_defaults(ToolProfile("all", "plain")) == ("all", "strict")
