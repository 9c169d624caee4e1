"""The short form of responses, in cases that the tests of their budget do not cover."""

import orjson

from project_manager.mcp.results import shorten


def test_a_fence_that_was_asked_for_is_in_the_row_of_a_list() -> None:
    page = orjson.dumps({"items": [{"id": 7, "fence": 3}], "next_cursor": None, "total": 1})
    assert shorten("list_tasks", page) == {"items": [{"id": 7, "fence": 3}], "total": 1}
