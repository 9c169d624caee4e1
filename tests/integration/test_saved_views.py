"""Saved views of the dashboard: their names, their queries, their limits, and their events."""

import re
from typing import Any

import pytest

from project_manager.domain import limits
from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import Invalid, NameTaken, RoleRequired, TooManyViews, ViewNotFound
from project_manager.domain.saved_views import PARAMETERS, VIEWS
from tests.architecture.tree import files
from tests.operations_client import Json, OperationsClient, invalid_fields

OPERATOR = Actor("olga", "human", Role.OPERATOR)


async def save(api: OperationsClient, name: str, query: str = "view=table", **more: Any) -> Json:
    saved: Json = await api.acting_as(OPERATOR).call("save_view", name=name, query=query, **more)
    return saved


async def names(api: OperationsClient) -> list[str]:
    return [view["name"] for view in (await api.call("list_views"))["items"]]


async def test_a_view_is_saved_replaced_by_its_name_renamed_and_deleted(api: OperationsClient) -> None:
    first = await save(api, "Late work", "?view=table&label=a&label=b%2Cc&sort=-updated_at")
    assert (first["author"], first["position"]) == ("olga", 0)
    assert first["query"] == "view=table&label=a&label=b%2Cc&sort=-updated_at"
    await save(api, "Reviews", "q=fence")
    await api.advance(60)
    again = await save(api, " LATE  work", "group=epic&view=table")
    assert again["id"] == first["id"]
    assert again["query"] == "view=table&group=epic"
    assert again["created_at"] == first["created_at"] < again["updated_at"]
    assert await names(api) == ["LATE  work", "Reviews"]
    seq = await api.last_seq()
    assert await save(api, "LATE  work", "view=table&group=epic") == again
    assert await api.events(seq) == []
    renamed = await save(api, "Overdue", "view=table&group=epic", view_id=first["id"], position=9)
    assert (renamed["id"], renamed["author"]) == (first["id"], "olga")
    assert await names(api) == ["Reviews", "Overdue"]
    with pytest.raises(NameTaken):
        await save(api, "reviews", view_id=first["id"])
    await api.acting_as(OPERATOR).call("delete_view", view_id=first["id"])
    assert await names(api) == ["Reviews"]
    events = await api.events(seq)
    assert [(event["type"], event["name"]) for event in events] == [
        ("view.saved", "Overdue"),
        ("view.deleted", "Overdue"),
    ]
    for operation in ("delete_view", "save_view"):
        arguments = {} if operation == "delete_view" else {"name": "x", "query": ""}
        with pytest.raises(ViewNotFound):
            await api.acting_as(OPERATOR).call(operation, view_id=first["id"], **arguments)


@pytest.mark.parametrize(
    "query",
    ["task=7", "view", "view=table&script=x", "label=%ff", "x" * 5000, "&".join(["label=a"] * 200), "view=\x00"],
)
async def test_a_view_has_only_parameters_of_the_dashboard(query: str, api: OperationsClient) -> None:
    error = await api.call_error(Invalid, "save_view", name="Mine", query=query)
    assert invalid_fields(error) == ["query"]
    assert await names(api) == []


async def test_an_unknown_view_is_refused_with_the_known_ones(api: OperationsClient) -> None:
    error = await api.call_error(Invalid, "save_view", name="Mine", query="view=tabel&q=x")
    assert invalid_fields(error) == ["query"]
    assert "`query` has the unknown view 'tabel'; the views are board, table, needs," in error.message


async def test_the_number_of_views_and_their_names_are_bounded(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("project_manager.services.saved_views.SAVED_VIEWS", 2)
    for name in ("one", "two"):
        await save(api, name, "")
    await api.call_error(TooManyViews, "save_view", name="three", query="")
    assert (await save(api, "TWO", "q=x"))["name"] == "TWO"
    for name in ("x" * (limits.VIEW_NAME_CHARACTERS + 1), "  ", "a\nb", "a\u202eb"):
        assert invalid_fields(await api.call_error(Invalid, "save_view", name=name, query="")) == ["name"]


@pytest.mark.parametrize("actor", [Actor("codex", "agent", bound=True), Actor("ann", "human", Role.AGENT)], ids=str)
async def test_agents_read_the_views_of_people_and_change_none(actor: Actor, api: OperationsClient) -> None:
    saved = await save(api, "Reviews")
    agent = api.acting_as(actor)
    assert (await agent.call("list_views"))["items"] == [saved]
    await agent.call_error(RoleRequired, "save_view", name="Mine", query="")
    await agent.call_error(RoleRequired, "delete_view", view_id=saved["id"])


def test_a_view_has_the_parameters_of_the_address_of_the_dashboard() -> None:
    (route,) = files("project_manager/web/static/state/route.js")
    lists = re.findall(r"export const (FILTERS\w*) = \[(.*?)\];", route.read_text(), re.DOTALL)
    names = [name for _, items in lists for name in re.findall(r'"(\w+)"', items)]
    assert ["view", *names] == [*PARAMETERS]
    (table,) = files("project_manager/web/static/views/views.js")
    assert re.findall(r"^  (\w+): {", table.read_text(), re.MULTILINE) == [*VIEWS]
