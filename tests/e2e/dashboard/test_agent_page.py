"""The page of an agent: its state, timeline, figures, log and messages."""

import re
import sqlite3
import time
from contextlib import closing

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.layout import resize, wider
from tests.e2e.service import Service

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LEASES = 1200
"""More leases than a read has in one page, and more than the timeline has pixels."""


def finish(client: RestClient, project: int, name: str, status: str) -> int:
    task = client.create_task(project, name)
    client.claim(task, "codex")
    client.add_log(task, f"Report about {name}", agent_id="codex")
    client.set_status(task, status, agent_id="codex")
    return task


def figure(tab: Dashboard, name: str) -> str:
    return tab.page.get_by_test_id(f"figure-{name}").locator("dd").inner_text()


def add_past_leases(service: Service, project: int, task: int) -> None:
    """Insert ended leases of the last two days, one in ten expired. An agent would need two days for them."""
    now = int(time.time() * 1000)
    step = 2 * DAY_MS // LEASES
    rows = [
        (task, 1000 + number, "codex", project, "Past", at, at + step, at + step // 2, *end)
        for number in range(LEASES)
        for at in [now - 2 * DAY_MS + number * step - HOUR_MS]
        for end in [("lock_expired", "TODO") if number % 10 == 0 else ("auto_release", "DONE")]
    ]
    columns = "task_id, fence, agent_id, project_id, task_name, acquired_at, expires_at, ended_at, reason, status"
    with closing(sqlite3.connect(service.database)) as database, database:
        database.executemany(f"INSERT INTO ended_leases ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        database.execute("UPDATE agents SET first_seen_at = ? WHERE id = 'codex'", (now - 3 * DAY_MS,))
        database.execute("UPDATE events SET at = ? WHERE seq = 1", (now - 30 * DAY_MS,))


def test_the_page_of_an_agent_shows_its_work_live_and_steers_it(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project("Website")
    finish(client, project, "Paint", "DONE")
    held = client.create_task(project, "Print")
    client.claim(held, "codex")
    with dashboard(service, browser) as tab:
        page = tab.page
        tab.open("/?view=agents&agent=codex")
        expect(page.get_by_test_id("agent-state")).to_have_text("Working")
        expect(page.get_by_test_id("agent-doing")).to_have_text(re.compile(rf"Agent, working on\s+#{held}"))
        expect(page.get_by_test_id("agent-hold")).to_contain_text("Print")
        entries = page.get_by_test_id("agent-log-entry")
        expect(entries.first).to_contain_text("Report about Paint")
        expect(page.get_by_test_id("figure-done").locator("dd")).to_have_text("1")
        client.add_log(held, "Half of it is printed", agent_id="codex")
        client.release(held, "codex", failed=True)
        expect(entries.first).to_contain_text("Half of it is printed")
        expect(page.get_by_test_id("figure-failed").locator("dd")).to_have_text("1")
        expect(page.get_by_test_id("agent-hold")).to_have_count(0)
        expect(page.get_by_test_id("agent-state")).to_have_text("Idle")
        page.get_by_test_id("message-body").fill("Use the new parser")
        page.get_by_test_id("message-box").get_by_test_id("save").click()
        messages = page.get_by_test_id("agent-messages")
        expect(messages).to_contain_text("not delivered yet")
        [message] = client.send("GET", "/api/context?agent_id=codex")["messages"]
        client.send("POST", "/api/messages/acknowledge", {"ids": [message["id"]], "agent_id": "codex"})
        expect(messages.get_by_test_id("receipts")).to_contain_text("read by codex")
        client.claim(held, "codex")
        page.get_by_test_id("pause-agent").click()
        expect(tab.dialog).to_contain_text("finishes what it holds and claims nothing new")
        tab.dialog.get_by_test_id("save").click()
        expect(page.get_by_test_id("agent-pause")).to_contain_text("It finishes 1 task and gets nothing new.")
        expect(page.get_by_test_id("agent-state")).to_have_text("Paused")
        assert tab.violations() == []
        resize(tab, 320)
        assert wider(tab) == []
        page.get_by_test_id("stop-agent").click()
        tab.dialog.get_by_test_id("message-body").fill("Wrong branch")
        tab.dialog.get_by_test_id("save").click()
        expect(page.get_by_test_id("agent-state")).to_have_text("Stopped")
        expect(page.get_by_test_id("agent-hold")).to_have_count(0)
        page.get_by_test_id("all-agents").click()
        expect(page.get_by_role("heading", name="Agents", exact=True)).to_be_visible()


def test_a_week_of_short_leases_is_drawn_merged_counted_whole_and_walked_by_keyboard(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project("Website")
    add_past_leases(service, project, finish(client, project, "Paint", "DONE"))
    with dashboard(service, browser, color_scheme="dark") as tab:
        page = tab.page
        tab.open("/?view=agents&agent=codex")
        page.get_by_test_id("range-7d").click()
        expect(page).to_have_url(re.compile("range=7d"))
        expect(page.get_by_test_id("figure-expired").locator("dd")).to_have_text(str(LEASES // 10))
        assert figure(tab, "done") == f"{LEASES - LEASES // 10 + 1:,}"
        assert figure(tab, "lease") == "1 min 12 s"
        bars = page.get_by_test_id("timeline").locator("[data-bar]")
        assert bars.count() < LEASES // 2
        expect(page.get_by_test_id("lane-before").first).to_be_visible()
        expect(page.get_by_test_id("lane-key")).to_contain_text("before the first call")
        assert tab.violations() == []
        page.get_by_test_id("range-1h").click()
        expect(bars).to_have_count(1)
        expect(page.get_by_test_id("lane-before")).to_have_count(0)
        page.get_by_test_id("range-24h").click()
        expect(page.get_by_test_id("figure-expired").locator("dd")).to_have_text(re.compile("^[56]\\d$"))
        page.get_by_test_id("range-7d").press("Tab")
        expect(bars.last).to_be_focused()
        expect(page.get_by_test_id("span-words")).to_contain_text("Paint: done")
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_test_id("span-words")).to_contain_text(re.compile("leases|Past: done"))
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        expect(tab.drawer).to_contain_text("Paint")


def test_a_stopped_process_is_silent_after_two_minutes_and_an_unknown_agent_is_named(
    service: Service, browser: Browser, client: RestClient
) -> None:
    client.send("POST", "/api/projects", {"name": "Website", "agent_id": "codex"})
    with closing(sqlite3.connect(service.database)) as database, database:
        database.execute("UPDATE agents SET last_seen_at = last_seen_at - 121000 WHERE id = 'codex'")
    with dashboard(service, browser) as tab:
        tab.open("/?view=agents")
        row = tab.page.get_by_test_id("agent").filter(has_text="codex")
        expect(row.get_by_test_id("agent-state")).to_have_text("Silent")
        expect(tab.page.get_by_test_id("strip-idle")).to_have_text("0 idle")
        tab.page.goto(f"{service.url}/?view=agents&agent=nobody")
        expect(tab.page.get_by_test_id("not-found")).to_contain_text("nobody")
