"""Messages of the dashboard after an action, and undo."""

from playwright.sync_api import Browser, Locator, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

PHONE = {"width": 320, "height": 640}


def reviews(client: RestClient, count: int, name: str = "Look at it") -> list[int]:
    project = client.create_project()
    tasks = [client.create_task(project, f"{name} {number}") for number in range(count)]
    for task in tasks:
        client.set_status(task, "REVIEW")
    return tasks


def accept(tab: Dashboard, task: int) -> None:
    row = tab.page.get_by_test_id("need").filter(has=tab.page.locator(f'[data-task="{task}"]'))
    button = row.get_by_role("button", name="Accept")
    button.click()
    expect(button).to_have_count(0)


def overlaps(one: Locator, other: Locator) -> bool:
    first, second = one.bounding_box(), other.bounding_box()
    assert first
    assert second
    return first["y"] < second["y"] + second["height"] and second["y"] < first["y"] + first["height"]


def test_actions_of_one_kind_share_one_message_with_a_count_and_are_undone_together(
    service: Service, browser: Browser, client: RestClient
) -> None:
    tasks = reviews(client, 3)
    with dashboard(service, browser) as tab:
        tab.open("/?view=needs")
        toast = tab.page.get_by_test_id("toast")
        accept(tab, tasks[0])
        expect(toast).to_contain_text(f"Moved #{tasks[0]} Look at it 0 to Done")
        expect(toast.get_by_role("button", name="Undo", exact=True)).to_be_visible()
        for task in tasks[1:]:
            accept(tab, task)
        expect(toast).to_have_count(1)
        expect(toast).to_contain_text("Moved 3 tasks to Done")
        assert [client.get_task(task)["status"] for task in tasks] == ["DONE"] * 3
        toast.get_by_role("button", name="Undo all").click()
        expect(toast).to_contain_text(f"3 changes undoneThe latest one: Moved #{tasks[2]} Look at it 2 to Done")
    assert [client.get_task(task)["status"] for task in tasks] == ["REVIEW"] * 3


def test_undo_returns_a_task_that_moved_twice_to_its_first_status(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Wanders")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        for status, name in (("BLOCKED", "Blocked"), ("REVIEW", "Review")):
            tab.page.get_by_test_id("move").select_option(status)
            expect(tab.card_in(status, task)).to_be_visible()
            expect(tab.toast(f"to {name}")).to_be_visible()
        tab.page.get_by_test_id("toast").get_by_role("button", name="Undo", exact=True).click()
        expect(tab.toast("is back in To do")).to_be_visible()
    assert client.get_task(task)["status"] == "TODO"


def test_a_double_click_on_undo_undoes_once(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Wanders")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("move").select_option("BLOCKED")
        expect(tab.toast("to Blocked")).to_be_visible()
        # Press twice before the next frame, which removes the button.
        undo = tab.page.get_by_test_id("toast").get_by_role("button", name="Undo", exact=True)
        undo.evaluate("(button) => { button.click(); button.click(); }")
        expect(tab.toast("is back in To do")).to_be_visible()
    events = client.send("GET", "/api/events?limit=50")["items"]
    assert [event["type"] for event in events].count("task.status_changed") == 2


def test_a_message_with_undo_is_not_displaced_by_new_messages(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Once")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("move").select_option("BLOCKED")
        expect(tab.toast("to Blocked")).to_be_visible()
        for name in ("Twice", "Thrice"):
            tab.page.get_by_test_id("edit").click()
            tab.dialog.get_by_label("Name").fill(name)
            tab.page.get_by_test_id("save").click()
            expect(tab.toast(f"Saved #{task} {name}")).to_be_visible()
        expect(tab.page.get_by_test_id("toast")).to_have_count(2)
        expect(tab.toast("to Blocked")).to_be_visible()


def test_a_change_of_priority_can_be_undone(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Urgent?", priority=2)
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        tab.page.get_by_test_id("priority").select_option("0")
        toast = tab.toast("is P0 Urgent now")
        expect(toast).to_be_visible()
        assert client.get_task(task)["priority"] == 0
        toast.get_by_role("button", name="Undo").click()
        expect(tab.toast("is P2 Normal again")).to_be_visible()
    assert client.get_task(task)["priority"] == 2


def test_messages_appear_at_the_end_of_the_window_away_from_the_last_click(
    service: Service, browser: Browser, client: RestClient
) -> None:
    tasks = reviews(client, 12, "x" * 150)
    for size in ({"width": 1440, "height": 900}, PHONE):
        with dashboard(service, browser, viewport=size) as tab:
            tab.open("/?view=needs")
            for words in ("Moved #", "Moved 2 tasks", "Moved 3 tasks"):
                accept(tab, tasks.pop(0))
                toast = tab.page.get_by_test_id("toast")
                expect(toast).to_contain_text(words)
                tab.settle()
                box = toast.bounding_box()
                assert box
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= size["width"]
                assert box["height"] < 90
                following = tab.page.locator('[data-testid="need"]:not(.gone)').first
                following.scroll_into_view_if_needed()
                button = following.get_by_role("button", name="Accept")
                assert not overlaps(toast, button)
                button.focus()
                assert not overlaps(toast, button)
                assert words != "Moved 3 tasks" or tab.violations() == []


def test_a_message_stays_while_its_button_has_the_focus(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Once")
    with dashboard(service, browser) as tab:
        tab.page.clock.install()
        tab.open()  # the panel of a task reads, and a jump of the clock ends reads with an error
        tab.card(task).focus()
        tab.page.keyboard.press("Shift+ArrowRight")
        tab.page.get_by_test_id("toast").get_by_role("button", name="Undo").focus()
        tab.page.clock.fast_forward(60_000)
        expect(tab.page.get_by_test_id("toast")).to_be_visible()
        tab.card(task).focus()
        tab.page.clock.fast_forward(10_000)
        expect(tab.page.get_by_test_id("toast")).to_have_count(0)
