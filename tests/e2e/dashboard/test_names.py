"""Labels, agents and projects with any characters in their names survive forms, filters and links."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

Start = Callable[..., Service]
ODD_NAMES = ("client/one", '50%25 #1?a&b=c+"q"\\<b>x</b>')


def save(tab: Dashboard) -> None:
    tab.page.get_by_test_id("save").click()
    expect(tab.dialog).to_have_count(0)


def expect_query(tab: Dashboard, query: dict[str, list[str]]) -> None:
    """Wait until the address has exactly these filters."""
    tab.page.wait_for_url(lambda url: parse_qs(urlsplit(url).query) == query)


@pytest.mark.parametrize("labels", [["needs, review", "plain"], ['"now"', 'say "no", please', ",", '"', '5" disk']])
def test_labels_survive_an_edit_of_the_labels(
    service: Service, browser: Browser, client: RestClient, labels: list[str]
) -> None:
    task = client.create_task(client.create_project(), "Labelled", labels=labels)
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("edit").click()
        field = tab.dialog.get_by_label("Labels")
        field.press("End")
        field.type(", third")
        save(tab)
        expect(tab.drawer.locator(".label").filter(has_text="third")).to_be_visible()
    assert client.get_task(task)["labels"] == [*labels, "third"]


def test_a_quoted_label_is_one_label_and_an_unclosed_quote_is_part_of_it(
    service: Service, browser: Browser, client: RestClient
) -> None:
    client.create_project()
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.get_by_test_id("new-task").click()
        tab.dialog.get_by_label("Name").fill("Labelled")
        tab.dialog.get_by_label("Labels").fill('"now, or never" , "open, b,, b')
        save(tab)
        expect(tab.drawer).to_contain_text("Labelled")
    assert client.get_task(1)["labels"] == ["now, or never", '"open', "b"]


def test_an_edit_of_another_field_keeps_a_label_with_a_comma(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Labelled", labels=["needs, review"])
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("edit").click()
        client.send("PATCH", f"/api/tasks/{task}", {"labels": ["needs, review", "theirs"]})
        tab.dialog.get_by_label("Name").fill("Renamed")
        tab.page.get_by_test_id("save").click()
        expect(tab.dialog.get_by_test_id("form-error")).to_contain_text('Labels is now: "needs, review", theirs')
        save(tab)
    after = client.get_task(task)
    assert (after["name"], after["labels"]) == ("Renamed", ["needs, review", "theirs"])


@pytest.mark.parametrize("label", ["needs, review", *ODD_NAMES])
def test_a_filter_by_any_label_survives_in_the_address(
    service: Service, browser: Browser, client: RestClient, label: str
) -> None:
    project = client.create_project()
    labelled, other = client.create_task(project, "Labelled", labels=[label]), client.create_task(project, "Other")
    with dashboard(service, browser) as tab:
        tab.open()
        tab.filter_by("label", label)
        expect(tab.card(other)).to_have_count(0)
        expect_query(tab, {"label": [label]})
        tab.page.reload()
        expect(tab.card(labelled)).to_be_visible()
        expect(tab.card(other)).to_have_count(0)
        tab.page.get_by_test_id("new-task").click()
        tab.dialog.get_by_label("Name").fill("Another")
        save(tab)
        expect(tab.drawer).to_contain_text("Another")
    assert client.get_task(3)["labels"] == [label]


@pytest.mark.parametrize("agent", ODD_NAMES)
def test_every_link_to_an_agent_leads_to_its_page(
    service: Service, browser: Browser, client: RestClient, agent: str
) -> None:
    project = client.create_project()
    held, other = client.create_task(project, "Held"), client.create_task(project, "Other")
    client.claim(held, agent)

    def expect_its_tasks(tab: Dashboard) -> None:
        tab.page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("holder") == [agent])
        expect(tab.card(held)).to_be_visible()
        expect(tab.card(other)).to_have_count(0)

    def expect_its_page(tab: Dashboard) -> None:
        expect(tab.page.get_by_role("heading", name=agent, level=1, exact=True)).to_be_visible()
        expect(tab.page.get_by_test_id("agent-hold")).to_contain_text("Held")

    with dashboard(service, browser) as tab:
        tab.open("/?view=agents")
        row = tab.page.get_by_test_id("agent").filter(has_text="Held")
        expect(row).to_contain_text(agent)
        row.get_by_role("link", name=agent, exact=True).click()
        expect_its_page(tab)
        tab.page.get_by_role("link", name="Its tasks").click()
        expect_its_tasks(tab)
        tab.page.reload()
        expect_its_tasks(tab)
        tab.open("/?view=activity")
        tab.page.keyboard.press("Control+k")
        tab.page.keyboard.type(agent)
        expect(tab.page.get_by_test_id("palette-entry").filter(has_text="Agent")).to_contain_text(agent)
        tab.page.get_by_test_id("palette-entry").filter(has_text="Agent").click()
        expect_its_page(tab)
        tab.page.get_by_test_id("agent-hold").get_by_role("link", name="Held").click()
        tab.page.get_by_test_id("lease").get_by_role("link", name=agent, exact=True).click()
        expect(tab.drawer).to_have_count(0)
        expect_its_page(tab)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_project_of_any_name_is_chosen_and_renamed(
    service: Service, browser: Browser, client: RestClient, name: str
) -> None:
    task = client.create_task(client.create_project(name), "Inside")
    with dashboard(service, browser) as tab:
        tab.open("/?view=projects")
        tab.page.get_by_test_id("project").get_by_role("link", name=name, exact=True).click()
        expect(tab.card(task)).to_be_visible()
        expect(tab.page.get_by_test_id("filter-project").locator("option:checked")).to_have_text(name)
        tab.page.get_by_test_id("nav-projects").click()
        tab.page.get_by_role("button", name=f"Edit project {name}").click()
        tab.dialog.get_by_label("Name").fill(f"{name}, renamed")
        save(tab)
        expect(tab.page.get_by_test_id("project")).to_contain_text(f"{name}, renamed")


def test_filters_are_kept_only_in_the_views_that_support_them(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    epic = client.create_epic(project, "Payments")
    here = client.create_task(project, "Here", epic_id=epic, labels=["pci"])
    away = client.create_task(project, "Away")
    client.set_status(away, "REVIEW")
    query = f"project={project}&epic={epic}&label=pci&q=here"
    filters = parse_qs(query)

    with dashboard(service, browser) as tab:
        tab.open(f"/?{query}")
        expect(tab.page.get_by_test_id("shown")).to_have_text("1 of 2 tasks")
        for view, taken in (
            ("needs", {"project"}),
            ("activity", {"project"}),
            ("graph", {"project", "epic", "label"}),
            ("projects", {"project"}),
        ):
            tab.page.get_by_test_id(f"nav-{view}").click()
            expect_query(tab, {"view": [view], **{name: filters[name] for name in taken}})
        tab.page.get_by_test_id("nav-board").click()
        expect(tab.card(here)).to_be_visible()
        expect_query(tab, filters)
        tab.page.get_by_test_id("nav-agents").click()
        tab.page.get_by_test_id("filter-project").select_option("")
        tab.page.get_by_test_id("nav-board").click()
        expect_query(tab, {"label": ["pci"], "q": ["here"]})
        tab.page.get_by_test_id("nav-needs").click()
        tab.page.go_back()
        expect(tab.card(here)).to_be_visible()
        expect(tab.card(away)).to_have_count(0)
        client.claim(away, "claude-7")
        tab.page.get_by_test_id("nav-agents").click()
        tab.page.get_by_test_id("agent").get_by_role("link", name="claude-7", exact=True).click()
        tab.page.get_by_role("link", name="Its tasks").click()
        expect(tab.card(away)).to_be_visible()
        expect_query(tab, {"holder": ["claude-7"]})
