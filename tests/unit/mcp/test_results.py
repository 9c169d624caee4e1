"""The short form of responses, in cases that the tests of their budget do not cover."""

import orjson

from project_manager.mcp.results import shorten


def test_a_fence_that_was_asked_for_is_in_the_row_of_a_list() -> None:
    page = orjson.dumps({"items": [{"id": 7, "fence": 3}], "next_cursor": None, "total": 1})
    assert shorten("list_tasks", page) == {"items": [{"id": 7, "fence": 3}], "total": 1}


def test_a_project_shows_only_the_rules_of_its_policy_that_are_not_the_default() -> None:
    rules = {"review": "none", "reviewer": "other_agent", "evidence": "none", "max_review_rounds": 3}
    policy = {**rules, "merge_completes": False, "checks": []}
    row = {"id": 1, "name": "Shop", "description": ""}
    items = [{**row, "policy": policy}, {**row, "policy": {**policy, "review": "required", "checks": ["lint"]}}]
    shown = shorten("list_projects", orjson.dumps({"items": items}))["items"]
    assert shown == [
        {"id": 1, "name": "Shop"},
        {"id": 1, "name": "Shop", "policy": {"review": "required", "checks": ["lint"]}},
    ]
