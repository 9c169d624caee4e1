"""The keyboard in the list of tasks that need a person."""

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.dashboard.needs_list import ask, button, expect_keys_to_act, expect_work_read, review, row
from tests.e2e.service import Service


def test_every_review_and_question_is_answered_by_keyboard_alone(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    chosen, free = ask(client, project, "Colour", ["red", "green"]), ask(client, project, "Size", [])
    heavy, light = review(client, project, "Heavy"), review(client, project, "Light")
    client.create_task(project, "Waits", depends_on=[client.create_task(project, "Between", depends_on=[heavy])])
    with dashboard(service, browser) as tab:
        keys = tab.open().page.keyboard
        keys.press("g")
        keys.press("n")
        expect(row(tab, chosen).locator("a")).to_be_focused()
        expect(row(tab, chosen).get_by_test_id("option")).to_have_count(2)
        keys.press("2")
        expect(row(tab, free).locator("a")).to_be_focused()
        expect_keys_to_act(tab)
        keys.press("a")
        expect(row(tab, free).get_by_test_id("answer")).to_be_focused()
        keys.press("Escape")
        expect(row(tab, free).locator("a")).to_be_focused()
        keys.press("a")
        expect(row(tab, free).get_by_test_id("answer")).to_be_focused()
        keys.type("as small as possible")
        keys.press("Enter")
        expect(button(tab, "Accept", heavy)).to_be_focused()
        expect(row(tab, heavy)).to_contain_text("holds back 2")
        expect_work_read(tab)
        late = review(client, project, "Late")
        client.create_task(project, "Waits too", depends_on=[late])
        expect(tab.page.get_by_test_id("needs-news")).to_be_visible()
        expect_keys_to_act(tab)
        keys.press("s")
        expect(tab.page.get_by_test_id("move-comment")).to_be_focused()
        keys.type("Two boards are bare")
        keys.press("Enter")
        expect(button(tab, "Accept", light)).to_be_focused()
        tab.page.get_by_test_id("needs-news").focus()
        keys.press("Enter")
        expect(tab.page.locator("#page-title")).to_be_focused()
        expect(row(tab, heavy)).to_have_count(0)
        expect_keys_to_act(tab)
        keys.press("a")
        expect(row(tab, light).locator("a")).to_be_focused()
        assert [client.get_task(task)["status"] for task in (light, late)] == ["REVIEW", "REVIEW"]
        expect_work_read(tab)
        keys.press("Shift+A")
        expect(tab.page.get_by_test_id("move-comment")).to_be_focused()
        keys.type("Well done")
        keys.press("Enter")
        expect(row(tab, late).locator("a")).to_be_focused()
        expect_keys_to_act(tab)
        keys.press("o")
        expect(tab.drawer).to_be_focused()
        keys.press("Escape")
        expect(row(tab, late).locator("a")).to_be_focused()
        keys.press("a")
        expect(tab.page.get_by_text("Nothing waits for you")).to_be_visible()
    answers = [client.send("GET", f"/api/questions?task_id={task}")["items"][0]["answer"] for task in (chosen, free)]
    assert answers == ["green", "as small as possible"]
    verdicts = [client.send("GET", f"/api/tasks/{task}/submissions")["items"][0]["review"] for task in (heavy, light)]
    assert [(one["verdict"], one["body"]) for one in verdicts] == [
        ("changes_requested", "Two boards are bare"),
        ("approved", "Well done"),
    ]
    assert client.get_task(late)["status"] == "DONE"


def test_the_keyboard_focus_moves_from_row_to_row(service: Service, browser: Browser, client: RestClient) -> None:
    project = client.create_project()
    tasks = [review(client, project, name) for name in ("One", "Two", "Three")]
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.keyboard.press("g")
        tab.page.keyboard.press("n")
        expect(row(tab, tasks[0]).locator("a")).to_be_focused()
        expect_work_read(tab)
        tab.page.keyboard.press("Tab")
        expect(button(tab, "Accept", tasks[0])).to_be_focused()
        tab.page.keyboard.press("ArrowDown")
        expect(button(tab, "Accept", tasks[1])).to_be_focused()
        tab.page.keyboard.press("Enter")
        expect(button(tab, "Accept", tasks[2])).to_be_focused()
        expect(row(tab, tasks[1]).get_by_test_id("need-outcome")).to_have_text("Done")
        expect_keys_to_act(tab)
        tab.page.keyboard.press("Tab")
        tab.page.keyboard.press("Enter")
        expect(tab.page.get_by_test_id("move-comment")).to_be_focused()
        tab.page.keyboard.type("Tests are missing")
        tab.page.keyboard.press("Enter")
        expect(button(tab, "Accept", tasks[0])).to_be_focused()
        expect_keys_to_act(tab)
        tab.page.keyboard.press("Enter")
        expect(tab.page.get_by_text("Nothing waits for you")).to_be_visible()
        expect(tab.page.locator("#page-title")).to_be_focused()
        service.wait_until(lambda: [client.get_task(task)["status"] for task in tasks] == ["DONE", "DONE", "TODO"])
