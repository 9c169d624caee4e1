"""Changing many tasks at once, and undoing every change."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.layout import wider
from tests.e2e.service import Service

PHONE = {"width": 320, "height": 640}
LONG_PRESS = """([element]) => {
    const { x, y } = element.getBoundingClientRect();
    const at = { clientX: x + 9, clientY: y + 9, pointerType: "touch", bubbles: true, cancelable: true };
    element.dispatchEvent(new PointerEvent("pointerdown", at));
}"""


def create_tasks(client: RestClient, project: int, number: int, **fields: object) -> list[int]:
    tasks = [{"name": f"Task {place}", **fields} for place in range(number)]
    made = client.send("POST", "/api/tasks/bulk", {"project_id": project, "tasks": tasks})
    return [task["id"] for task in made["items"]]


def priorities(client: RestClient, project: int) -> dict[int, int]:
    items = client.send("GET", f"/api/tasks?project_id={project}&limit=100")["items"]
    return {task["id"]: task["priority"] for task in items}


def choose(tab: Dashboard, key: str, words: str) -> None:
    """Open a list of choices with a key, and choose an entry by its words."""
    tab.page.keyboard.press(key)
    expect(tab.page.get_by_test_id("palette-entry").first).to_be_visible()
    tab.page.keyboard.type(words)
    expect(tab.page.get_by_test_id("palette-entry").first).to_contain_text(re.compile(words, re.IGNORECASE))
    tab.page.keyboard.press("Enter")


def undo(tab: Dashboard, words: str) -> None:
    tab.page.keyboard.press("Control+z")
    expect(tab.toast(words)).to_be_visible()


def test_fifty_tasks_change_at_once_and_an_undo_leaves_those_alone_that_changed_since(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    tasks = create_tasks(client, project, 50, labels=["api"])
    others = create_tasks(client, project, 5)
    with dashboard(service, browser) as tab:
        tab.open("/?label=api")
        tab.card(tasks[0]).focus()
        tab.page.keyboard.press("Control+a")
        expect(tab.page.get_by_test_id("selection-status")).to_have_text("50 tasks selected")
        choose(tab, "p", "P0")
        expect(tab.dialog).to_contain_text("Set 50 tasks to P0 Urgent?")
        expect(tab.page.get_by_test_id("save")).to_be_focused()
        tab.page.keyboard.press("Enter")
        expect(tab.toast("Set 50 tasks to P0 Urgent")).to_be_visible()
        assert priorities(client, project) == {**dict.fromkeys(tasks, 0), **dict.fromkeys(others, 2)}
        for task in tasks[:3]:
            client.send("PATCH", f"/api/tasks/{task}", {"name": "Changed since"})
        undo(tab, "47 undone, 3 changed since")
        assert priorities(client, project) == {**dict.fromkeys(tasks[:3], 0), **dict.fromkeys([*tasks[3:], *others], 2)}
        expect(tab.card(tasks[3]).locator(".priority")).to_contain_text("P2")
        undo(tab, "Nothing to undo")


def test_held_and_refused_tasks_are_counted_before_and_after_a_move(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    ready, held, cancelled = create_tasks(client, project, 3)
    client.claim(held, "claude-7")
    client.set_status(cancelled, "CANCELLED")
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.get_by_role("button", name="Show Cancelled").click()
        for task in (ready, held, cancelled):
            tab.card(task).click(modifiers=["Control"])
        choose(tab, "m", "done")
        expect(tab.dialog).to_contain_text("Move 3 tasks to Done?")
        expect(tab.dialog).to_contain_text("1 To do, 1 In progress, 1 Cancelled")
        expect(tab.page.get_by_test_id("held-choice")).to_contain_text("claude-7")
        expect(tab.page.get_by_label("Leave it as it is")).to_be_checked()
        assert tab.violations() == []
        tab.page.get_by_test_id("save").click()
        expect(tab.toast("Moved 1 task to Done · 1 held, left alone · 1 refused")).to_be_visible()
        tab.page.get_by_role("button", name="Show why").click()
        expect(tab.page.get_by_test_id("refused")).to_contain_text(f"#{cancelled}")
        tab.page.keyboard.press("Escape")
        choose(tab, "m", "review")
        tab.page.get_by_label("End its lease and change it").check()
        tab.page.get_by_test_id("save").click()
        expect(tab.card_in("REVIEW", held)).to_be_visible()
        undo(tab, "undone")
        undo(tab, "undone")
        expect(tab.card_in("TODO", ready)).to_be_visible()
        expect(tab.card_in("TODO", held)).to_be_visible()
    assert client.get_task(held)["lock"] is None


def test_undo_goes_back_through_all_changes_of_the_tab_and_says_what_cannot_be_undone(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    epic = client.create_epic(project, "Refunds")
    task = client.create_task(project, "Plant")
    work = client.create_task(project, "Reviewed")
    client.send("POST", f"/api/tasks/{work}/lock", {"agent_id": "claude-7"})
    client.set_status(work, "REVIEW", agent_id="claude-7", fence=1, summary="Done")
    before = client.get_task(task)
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.locator("#task-name").dblclick()
        name = tab.page.get_by_label(f"Name of #{task}")
        expect(name).to_be_focused()
        name.fill("Sow")
        client.send("PATCH", f"/api/tasks/{task}", {"name": "Dig"})
        name.press("Enter")
        expect(tab.drawer.get_by_role("alert")).to_contain_text("“Dig”")
        name.press("Control+z")
        name.fill("Sow")
        name.press("Enter")
        expect(tab.page.locator("#task-name")).to_have_text("Sow")
        expect(tab.page.locator("#task-name")).to_be_focused()
        tab.page.get_by_test_id("move").select_option("BACKLOG")
        expect(tab.toast("to Backlog")).to_be_visible()
        tab.page.get_by_test_id("priority").select_option("0")
        expect(tab.toast("is P0 Urgent now")).to_be_visible()
        tab.page.get_by_test_id("epic-choice").select_option(str(epic))
        expect(tab.toast("to the epic Refunds")).to_be_visible()
        tab.page.get_by_test_id("add-label").click()
        tab.page.keyboard.type("garden")
        tab.page.keyboard.press("Enter")
        expect(tab.toast("Changed the labels")).to_be_visible()
        tab.context.set_offline(True)
        undo(tab, "The server cannot be reached")
        tab.context.set_offline(False)
        tab.expect_status("live")
        for words in ("former labels", "former epic", "P2 Normal again", "back in To do", "former name"):
            undo(tab, words)
        expect(tab.page.locator("#task-name")).to_have_text("Dig")
        undo(tab, "Nothing to undo")
        expect(tab.toast("The server cannot be reached")).to_have_count(0)
        after = client.get_task(task)
        assert {name for name in before if before[name] != after[name]} == {"name", "version", "updated_at"}
        tab.open(f"/?task={work}")
        tab.drawer.get_by_role("button", name="Accept").click()
        expect(tab.toast("Accepted")).to_be_visible()
        undo(tab, "this cannot be undone")


def long_press(page: Page, task: int) -> None:
    card = page.locator(f'[data-testid="card"][data-task="{task}"]')
    page.evaluate(LONG_PRESS, [card.element_handle()])


def test_a_long_press_starts_the_selection_on_a_phone_and_viewers_have_none(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    tasks = create_tasks(client, project, 3)
    with dashboard(service, browser, viewport=PHONE, has_touch=True, is_mobile=True) as tab:
        tab.open()
        long_press(tab.page, tasks[0])
        expect(tab.page.get_by_test_id("selected-count")).to_have_text("1 selected")
        tab.page.locator(f'[data-task="{tasks[0]}"]').dispatch_event("pointerup")
        tab.card(tasks[0]).dispatch_event("click")
        tab.card(tasks[1]).tap()
        expect(tab.page.get_by_test_id("selected-count")).to_have_text("2 selected")
        expect(tab.drawer).to_have_count(0)
        assert wider(tab) == []
        assert tab.violations() == []
        tab.page.get_by_test_id("many-more").tap()
        tab.page.get_by_test_id("palette-entry").filter(has_text="Cancel tasks").tap()
        expect(tab.dialog).to_contain_text("Cancel 2 tasks?")
        tab.page.get_by_test_id("save").tap()
        tab.toast("Cancelled 2 tasks").get_by_role("button", name="Undo").tap()
        expect(tab.toast("2 changes undone")).to_contain_text("Cancelled 2 tasks")
    operator = client.send("POST", "/api/tokens", {"name": "root", "role": "operator"})["secret"]
    with service.http(Authorization=f"Bearer {operator}") as root:
        secret = root.post("/api/tokens", json={"name": "ada", "role": "viewer"}).json()["secret"]
    with dashboard(service, browser) as tab:
        tab.page.goto(service.url)
        tab.sign_in(secret)
        tab.expect_status("live")
        tab.card(tasks[0]).focus()
        for key in ("x", "Shift+ArrowDown", "Control+a"):
            tab.page.keyboard.press(key)
        expect(tab.page.locator(".card.selected, .select-box, .selection-bar")).to_have_count(0)
