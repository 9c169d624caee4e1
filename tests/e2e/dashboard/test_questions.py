"""Questions of agents on the dashboard, and their answers."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.layout import wider
from tests.e2e.service import Service

DETAILS, RETRY_MS = "**/api/tasks/*/details*", 5_000
LOOKS = [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}]


def ask(client: RestClient, task: int, text: str = "Which colour?") -> dict[str, Any]:
    """Claim the task, ask about it, and return the question."""
    fence = client.claim(task, "ann")["fence"]
    body = {"agent_id": "ann", "fence": fence, "text": text, "options": ["green", "red"]}
    return dict(client.send("POST", f"/api/tasks/{task}/questions", body)["question"])


def answered(client: RestClient, task: int) -> dict[str, Any]:
    return dict(client.send("GET", f"/api/questions?task_id={task}")["items"][0])


def row(tab: Dashboard, task: int) -> Locator:
    return tab.page.get_by_test_id("need").filter(has=tab.page.locator(f'[data-task="{task}"]'))


@pytest.mark.parametrize("options", LOOKS)
def test_a_person_answers_a_question_with_one_of_its_options(
    service: Service, browser: Browser, client: RestClient, options: dict[str, Any]
) -> None:
    task = client.create_task(client.create_project(), "Paint")
    ask(client, task)
    with dashboard(service, browser, **options) as tab:
        tab.open("/?view=needs")
        group = tab.page.get_by_test_id("need-questions")
        expect(group).to_contain_text("ann asks:")
        expect(group).to_contain_text("Which colour?")
        assert tab.violations() == []
        assert wider(tab) == []
        row(tab, task).get_by_role("button", name="red").click()
        expect(tab.toast(f"Answered ann about #{task} Paint")).to_be_visible()
    assert answered(client, task)["answer"] == "red"
    assert client.get_task(task)["offered_to"]["agent"] == "ann"


def test_an_answered_question_keeps_its_place_in_the_list(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Paint")
    ask(client, task)
    with dashboard(service, browser) as tab:
        tab.open("/?view=needs")
        option = row(tab, task).get_by_role("button", name="red")
        option.hover()
        before = row(tab, task).bounding_box()
        option.click()
        expect(row(tab, task).get_by_test_id("need-outcome")).to_have_text("To do")
        expect(row(tab, task)).to_contain_text("Which colour?")
        expect(option).to_be_hidden()
        assert row(tab, task).bounding_box() == before


def test_a_person_answers_in_their_own_words_on_the_page_of_the_task(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Paint")
    ask(client, task)
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        question = tab.page.get_by_test_id("question")
        expect(question).to_contain_text("Which colour?")
        question.get_by_label(f"Answer to #{task}").fill("Blue, as agreed")
        tab.page.keyboard.press("Enter")
        expect(question).to_have_count(0)
    assert answered(client, task)["answer"] == "Blue, as agreed"


def test_an_answer_that_comes_too_late_is_refused_in_words(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Paint")
    question = ask(client, task)
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_label(f"Answer to #{task}").fill("Blue")

        def after_another_answer(route: Route) -> None:
            body = {"text": "green", "agent_id": "bob"}
            client.send("POST", f"/api/tasks/{task}/questions/{question['id']}/answer", body)
            route.continue_()

        tab.page.route("**/answer", after_another_answer)
        tab.page.get_by_role("button", name="Answer", exact=True).click()
        expect(tab.toast("was answered by bob")).to_be_visible()
    assert answered(client, task)["answer"] == "green"


def test_a_question_is_read_again_after_a_failed_read(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Paint")
    ask(client, task)
    refused: list[Route] = []

    def refuse_once(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route)
            route.abort()

    with dashboard(service, browser) as tab:
        tab.page.clock.install()
        tab.page.route(DETAILS, refuse_once)
        tab.open("/?view=needs")
        service.wait_until(lambda: tab.page.evaluate("1") and refused)
        expect(row(tab, task).get_by_test_id("option")).to_have_count(0)
        tab.page.clock.run_for(RETRY_MS)
        expect(row(tab, task).get_by_test_id("option")).to_have_count(2)
