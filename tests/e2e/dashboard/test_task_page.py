"""The page of a task: live information comes first, and a reviewer can accept the work."""

import sqlite3
from contextlib import closing

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.dashboard.layout import resize, wider
from tests.e2e.service import Service

LOG_PAGE = 50
# The parts of the difference of two texts, by `core/diff.js`, and the milliseconds that it took.
DIFFERENCE = """async ([before, after]) => {
    const page = document.querySelector('script[type="module"]').src;
    const { differenceOf } = await import(new URL('core/diff.js', page));
    const since = performance.now();
    return [differenceOf(before, after), performance.now() - since];
}"""
# The times in each state in minutes, by `state/task_history.js`, of a task whose states began at these minutes.
TIMES = """async ([states, now]) => {
    const page = document.querySelector('script[type="module"]').src;
    const { timesOf } = await import(new URL('state/task_history.js', page));
    const at = (minute) => new Date(minute * 60_000).toISOString();
    const events = states.map(([minute, status, ready]) => ({ timestamp: at(minute), task: { status, ready } }));
    const [, status, ready] = states.at(-1);
    const { times, present } = timesOf(events, { status, ready, created_at: at(states[0][0]) }, now * 60_000);
    return [Object.fromEntries(times.map(([name, ms]) => [name, ms / 60_000])), present];
}"""
SLOW_MS = 3000
"""A difference that is quadratic in these texts takes minutes."""


def test_the_log_comes_before_a_description_that_is_folded(
    service: Service, browser: Browser, client: RestClient
) -> None:
    lines = "\n\n".join(f"Line {number}" for number in range(60))
    task = client.create_task(client.create_project(), "Long", description=lines)
    for number in range(5):
        client.add_log(task, f"Step {number}", agent_id="claude-7")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        entries = tab.page.get_by_test_id("log-entry")
        expect(entries).to_have_count(3)
        expect(entries.first).to_contain_text("Step 4")
        expect(entries.first).to_be_in_viewport()
        description = tab.page.get_by_test_id("description")
        expect(description.get_by_role("heading", name="Description")).to_be_in_viewport()
        expect(description.get_by_text("Line 0", exact=True)).to_be_in_viewport()
        expect(description.get_by_role("button", name="Show all")).to_be_visible()
        log, text = entries.first.bounding_box(), description.bounding_box()
        assert log is not None
        assert text is not None
        assert log["y"] < text["y"]
        folded = text["height"]
        description.get_by_role("button", name="Show all").click()
        expect(description.get_by_role("button", name="Show less")).to_be_visible()
        whole = description.bounding_box()
        assert whole is not None
        assert 2 * folded < whole["height"]
        tab.page.get_by_test_id("log-more").click()
        expect(entries).to_have_count(5)


def test_a_short_description_is_not_folded(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(
        client.create_project(), "Short", description="\n".join(f"- item {number}" for number in range(8))
    )
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        expect(tab.page.get_by_test_id("description").get_by_role("listitem")).to_have_count(8)
        expect(tab.page.get_by_role("button", name="Show all")).to_have_count(0)


def test_a_task_in_review_is_accepted_on_its_page(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project(), "Handed in")
    client.set_status(task, "REVIEW")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        decision = tab.page.get_by_test_id("decisions")
        expect(decision.get_by_role("button", name="Send back")).to_be_visible()
        decision.get_by_role("button", name="Accept").click()
        expect(tab.card_in("DONE", task)).to_be_visible()
        expect(decision).to_have_count(0)
        service.wait_until(lambda: client.get_task(task)["status"] == "DONE")


def test_cards_of_review_and_done_name_the_agent_and_the_time_of_work(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    review, done, free = (client.create_task(project, name) for name in ("Handed in", "Finished", "Free"))
    for task in (review, done, free):
        client.claim(task, "codex-3")
    begun = "UPDATE tasks SET lock_acquired_at = lock_acquired_at - 720000 * id"
    with closing(sqlite3.connect(service.database)) as database:
        database.execute(begun)
        database.commit()
    with dashboard(service, browser) as tab:
        tab.open()
        expect(tab.card_in("IN_PROGRESS", free)).to_be_visible()
        for task, status in ((review, "REVIEW"), (done, "DONE"), (free, "TODO")):
            client.set_status(task, status, agent_id="codex-3")
        for _ in ("from events", "from the board"):
            for status, task, worked in (("REVIEW", review, "12 min"), ("DONE", done, "24 min")):
                card = tab.card_in(status, task)
                expect(card.get_by_test_id("worked-by")).to_contain_text("codex-3")
                expect(card.get_by_test_id("worked-time")).to_have_text(f"worked {worked}")
            expect(tab.card_in("TODO", free)).to_be_visible()
            expect(tab.card(free).get_by_test_id("worked-by")).to_have_count(0)
            expect(tab.card(free).get_by_test_id("worked-time")).to_have_count(0)
            tab.page.reload()
        tab.open("/?view=table&sort=-worked")
        expect(tab.page.locator(".table-task .cell-worked")).to_have_text(["36 min", "24 min", "12 min"])


def test_the_log_has_no_gap_after_more_entries_than_one_page_arrived_offline(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Busy")
    entries = [f"entry {number}" for number in range(2 * (LOG_PAGE + 1))]
    for body in entries[: LOG_PAGE + 1]:
        client.add_log(task, body)
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        shown = tab.page.get_by_test_id("log-entry")
        expect(shown.first).to_contain_text(entries[LOG_PAGE])
        tab.context.set_offline(True)
        tab.expect_status("reconnecting")
        for body in entries[LOG_PAGE + 1 :]:
            client.add_log(task, body)
        tab.context.set_offline(False)
        tab.expect_status("live")
        expect(shown.first).to_contain_text(entries[-1])
        tab.page.get_by_test_id("log-more").click()
        for count in (2 * LOG_PAGE, len(entries)):
            tab.page.get_by_role("button", name="Older entries").click()
            expect(shown).to_have_count(count)
        expect(shown.last).to_contain_text(entries[0])


def test_the_clicked_card_stays_where_it_is_and_the_task_opens_as_a_page(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Paint " + "the long fence " * 6, acceptance=["even"])
    client.claim(task, "codex")
    client.add_log(task, "Half of it is done", agent_id="codex")
    sent = client.send("POST", "/api/messages", {"to_task": task, "kind": "steer", "body": "Use less paint"})
    client.send("GET", "/api/context?agent_id=codex")
    with dashboard(service, browser) as tab:
        tab.open()
        before = tab.card(task).bounding_box()
        tab.card(task).click()
        expect(tab.page.get_by_test_id("task-messages")).to_contain_text("delivered to codex")
        assert tab.card(task).bounding_box() == before
        client.send("POST", "/api/messages/acknowledge", {"ids": [sent["id"]], "agent_id": "codex"})
        expect(tab.page.get_by_test_id("task-messages")).to_contain_text("read by codex just now")
        expect(tab.drawer.get_by_test_id("latest-log-entry")).to_contain_text("Half of it is done")
        expect(tab.page.get_by_test_id("times")).to_contain_text("In progress")
        expect(tab.page.get_by_test_id("times")).to_contain_text("First claim after")
        tab.page.keyboard.press("f")
        expect(tab.page.get_by_test_id("board")).to_be_hidden()
        columns = [tab.page.locator(part).bounding_box() for part in (".drawer-main", ".drawer-side")]
        assert columns[0] is not None
        assert columns[1] is not None
        assert columns[0]["x"] + columns[0]["width"] < columns[1]["x"]
        tab.open(tab.page.evaluate("location.pathname + location.search"))
        expect(tab.page.get_by_test_id("full")).to_have_attribute("aria-pressed", "true")
        expect(tab.page.get_by_test_id("task-messages")).to_be_visible()
        assert tab.violations() == []
        resize(tab, 320)
        assert wider(tab) == []
        tab.page.keyboard.press("f")
        expect(tab.page.get_by_test_id("full")).to_have_attribute("aria-pressed", "false")
        tab.page.keyboard.press("Escape")
        expect(tab.drawer).to_have_count(0)


def test_differences_and_times_follow_from_the_texts_and_events(shared: Service, browser: Browser) -> None:
    with dashboard(shared, browser) as tab:
        tab.open()
        parts, _ = tab.page.evaluate(DIFFERENCE, ["The quick fox jumps.", "The slow fox jumps high."])
        assert parts == [
            ["same", "The "],
            ["gone", "quick"],
            ["new", "slow"],
            ["same", " fox jumps"],
            ["new", " high"],
            ["same", "."],
        ]
        assert tab.page.evaluate(DIFFERENCE, ["", "all new"])[0] == [["new", "all new"]]
        for before, after in (("a " * 30_000, "b a " * 15_000), ("x\n" * 30_000, "\nx" * 30_000)):
            assert tab.page.evaluate(DIFFERENCE, [before, after])[1] < SLOW_MS
        states = [(0, "TODO", True), (4, "IN_PROGRESS", False), (35, "REVIEW", False), (155, "TODO", False)]
        assert tab.page.evaluate(TIMES, [states, 160]) == [
            {"Ready": 4, "In progress": 31, "Review": 120, "Waiting": 5},
            "Waiting",
        ]
        assert tab.page.evaluate(TIMES, [[(0, "TODO", True), (9, "DONE", False)], 60]) == [{"Ready": 9}, "Done"]
