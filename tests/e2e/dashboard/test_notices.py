"""Desktop notices, and the number in the title and the icon of the page."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.conftest import Start
from tests.e2e.dashboard.layout import wider
from tests.e2e.service import Service

# The results of `state/notices.js` of the page.
RULES = """async ([name, values]) => {
    const page = document.querySelector('script[type="module"]').src;
    const rules = await import(new URL('state/notices.js', page));
    const notices = (kinds) => kinds.map((kind, seq) => ({ kind, seq, task: seq, agent: 'ann' }));
    const runs = {
        noticeOf: () => values.map(([event, context]) => rules.noticeOf(event, context)?.kind ?? null),
        isQuiet: () => values.map(([from, until, hour, minute]) =>
            rules.isQuiet({ ...rules.DEFAULTS, quiet: true, from, until }, new Date(2026, 5, 15, hour, minute))),
        gather: () => {
            let memory = rules.NO_MEMORY;
            return values.map(([kinds, at]) => {
                const next = rules.gather(memory, notices(kinds), at * 1000);
                memory = next.memory;
                return next.digest ? rules.digestText(next.digest) : next.single.map(({ kind }) => kind).join(' ');
            });
        },
        textOf: () => values.map(([kind, name]) => {
            const { title, body } = rules.textOf({ kind, seq: 1, task: 7, agent: 'ann' }, name ?? undefined);
            return `${title} | ${body}`;
        }),
        settingsOf: () => values.map((stored) => rules.settingsOf(stored)),
    };
    return runs[name]();
}"""
# A browser with the permission. No tab is in front. `shown` has the notices of this tab.
NOTIFICATION = """
    window.shown = [];
    window.Notification = class {
        static permission = localStorage.getItem('test-permission') ?? 'default';
        static async requestPermission() {
            localStorage.setItem('test-permission', 'granted');
            return window.Notification.permission = 'granted';
        }
        constructor(title, { body, tag }) { window.shown.push(this); Object.assign(this, { title, body, tag }); }
        close() { this.closed = true; }
    };
    document.hasFocus = () => Boolean(window.inFront);
"""
SHOWN = "() => window.shown.map(({ title, body }) => `${title} | ${body}`)"
FRONT = """(front) => { window.inFront = front; window.dispatchEvent(new Event(front ? 'focus' : 'blur')); }"""
LOCKED = "(await navigator.locks.query()).held.some(({ name }) => name.endsWith('in-front'))"
MEMORY = "JSON.parse(localStorage['project-manager:notices-memory'] ?? '{}')"
# The security policy of the page forbids the predicates of `wait_for_function`.
UNTIL = """async () => {{
    while (!({condition})) await new Promise((resolve) => setTimeout(resolve, 20));
}}"""
ICON = "document.querySelector('link[rel=icon]').href.split('/').pop()"

ANN = {"id": "ann", "kind": "agent"}
ADA = {"id": "ada", "kind": "human"}
CONTEXT = {"maxAttempts": 5, "user": ADA}


def wait_until(page: Page, condition: str) -> None:
    page.evaluate(UNTIL.format(condition=condition))


def event(name: str, **fields: object) -> list[object]:
    return [{"seq": 1, "type": f"task.{name}", "task_id": 7, "actor": ANN, **fields}, CONTEXT]


def rules(tab: Dashboard, name: str, *values: object) -> list[object]:
    found: list[object] = tab.page.evaluate(RULES, [name, values])
    return found


def shown(*tabs: Dashboard) -> list[str]:
    return [text for tab in tabs for text in tab.page.evaluate(SHOWN)]


def forget(tab: Dashboard) -> None:
    """Forget all notices, so that the next one does not begin a digest."""
    tab.page.evaluate("window.shown.length = 0; localStorage.removeItem('project-manager:notices-memory')")


def test_the_rules_choose_events_and_respect_quiet_hours_and_gather_many(shared: Service, browser: Browser) -> None:
    expired = {"reason": "lock_expired", "status": "TODO", "attempts": 1}
    events: list[tuple[object, str | None]] = [
        (event("question_asked", asker="ann"), "question"),
        (event("status_changed", status="REVIEW"), "review"),
        (event("status_changed", status="REVIEW", actor=ADA), None),
        (event("status_changed", status="BLOCKED"), None),
        (event("unlocked", **expired), "silent"),
        (event("unlocked", **{**expired, "status": "BLOCKED", "attempts": 5}), "attempts"),
        (event("unlocked", reason="explicit_release", status="BLOCKED", attempts=5), "attempts"),
        (event("unlocked", reason="auto_release", status="BLOCKED", attempts=5), None),
        (event("unlocked", reason="explicit_release", status="TODO", attempts=1), None),
        (event("unlocked", reason="unconfirmed", status="TODO", attempts=0), None),
        (event("logged", kind="progress"), None),
    ]
    quiet = {
        ("22:00", "07:00", 21, 59): False,
        ("22:00", "07:00", 22, 0): True,
        ("22:00", "07:00", 6, 59): True,
        ("22:00", "07:00", 7, 0): False,
        ("12:00", "13:30", 13, 29): True,
        ("12:00", "13:30", 13, 30): False,
        ("08:00", "08:00", 3, 0): True,
    }
    # The kinds of the notices at a second, and the expected result.
    times: list[tuple[list[str], int, str]] = [
        (["review"], 0, "review"),
        (["review", "question"], 10, "review question"),
        (["review"], 70, "review"),
        (["review", "question"], 80, "review question"),
        ([], 81, ""),
        (["review"], 90, "4 new: 3 reviews, 1 question"),
        (["silent"], 140, "5 new: 3 reviews, 1 question, 1 silent agent"),
        (["review"], 201, "review"),
        (["question"] * 7, 300, "7 new: 7 questions"),
    ]
    with dashboard(shared, browser) as tab:
        tab.open()
        assert rules(tab, "noticeOf", *[one for one, _ in events]) == [kind for _, kind in events]
        assert rules(tab, "isQuiet", *map(list, quiet)) == list(quiet.values())
        assert rules(tab, "gather", *[[kinds, at] for kinds, at, _ in times]) == [text for _, _, text in times]
        words = rules(tab, "textOf", ["question", "Dig"], ["question", None], ["review", None], ["silent", None])
        assert words == [
            "ann asks about #7 | #7 Dig",
            "ann asks about #7 | ",
            "#7 waits for a review | By ann",
            "ann is silent | Its lease on #7 expired.",
        ]
        default, mended = rules(tab, "settingsOf", None, {"on": 1, "from": "late", "kinds": {"review": False}})
        assert isinstance(default, dict)
        assert default["on"] is False
        assert all(default["kinds"].values())
        assert mended == {**default, "kinds": {**default["kinds"], "review": False}}


def test_the_title_and_the_icon_count_what_waits_on_a_person(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    tasks = [client.create_task(project, f"Task {number}") for number in range(11)]
    client.create_task(project, "Overdue", due_at="2020-03-04")
    client.claim(tasks[0], "flaky")
    client.release(tasks[0], "flaky", failed=True)
    with dashboard(service, browser) as tab:
        tab.open()
        expect(tab.page.get_by_test_id("nav-needs").locator(".badge")).to_have_count(0)
        expect(tab.page).to_have_title("Board · Project Manager")
        assert tab.page.evaluate(ICON) == "icon.svg"
        client.set_status(tasks[0], "REVIEW")
        expect(tab.page).to_have_title("(1) Board · Project Manager")
        assert tab.page.evaluate(ICON) == "icon_1.svg"
        for task in tasks[1:]:
            client.set_status(task, "BLOCKED")
        expect(tab.page).to_have_title("(11) Board · Project Manager")
        icon = tab.page.evaluate("document.querySelector('link[rel=icon]').href")
        assert icon.endswith("icon_9_plus.svg")
        answer = tab.page.request.get(icon)
        assert answer.headers["content-type"] == "image/svg+xml"
        assert "9+" in answer.text()


def test_notices_are_off_until_turned_on_and_reach_one_tab_unless_one_is_in_front(
    start_service: Start, browser: Browser
) -> None:
    service = start_service(MAX_ATTEMPTS=2)
    client = RestClient(service)
    project = client.create_project()
    tasks = [client.create_task(project, f"Task {number}") for number in range(8)]
    with dashboard(service, browser) as tab:
        tab.context.add_init_script(NOTIFICATION)
        tab.open("/?view=needs")
        client.set_status(tasks[0], "REVIEW", agent_id="ann")
        expect(tab.page).to_have_title("(1) Needs you · Project Manager")
        tab.page.get_by_test_id("open-notices").click()
        expect(tab.page.get_by_test_id("notices-state")).to_have_text("Desktop notices are off")
        tab.page.get_by_test_id("notices-on").click()
        expect(tab.page.get_by_test_id("notices-state")).to_have_text("Desktop notices are on")
        assert tab.violations() == []
        tab.page.get_by_test_id("notices-test").click()
        assert tab.page.evaluate("window.shown.splice(0).length") == 1
        tab.page.keyboard.press("Escape")

        failing = client.create_task(project, "Fragile")
        client.claim(failing, "bob", seconds=1)
        wait_until(tab.page, "window.shown.length === 1")
        client.claim(failing, "bob")
        client.release(failing, "bob", failed=True)
        wait_until(tab.page, "window.shown.length === 2")
        client.claim(tasks[7], "eve")
        client.send("POST", f"/api/tasks/{tasks[7]}/questions", {"agent_id": "eve", "question": "Which one?"})
        wait_until(tab.page, "window.shown.length === 3")
        assert shown(tab) == [
            f"bob is silent | Its lease on #{failing} Fragile expired.",
            f"#{failing} failed too often | #{failing} Fragile. The limit of failed attempts is reached.",
            f"eve asks about #{tasks[7]} | #{tasks[7]} Task 7",
        ]
        forget(tab)

        other = Dashboard(service, tab.context)
        other.open()
        client.set_status(tasks[1], "REVIEW", agent_id="ann")
        wait_until(tab.page, f"{MEMORY}.recent?.length === 1")
        expect(tab.page).to_have_title("(4) Needs you · Project Manager")
        expect(other.page).to_have_title("(4) Board · Project Manager")
        assert shown(tab, other) == [f"#{tasks[1]} waits for a review | #{tasks[1]} Task 1, by ann"]
        shower = tab.page if shown(tab) else other.page
        shower.evaluate("window.shown[0].onclick()")
        expect(shower.get_by_test_id("drawer")).to_contain_text("Task 1")
        assert shower.evaluate("window.shown.splice(0)[0].closed")

        for task in tasks[2:6]:
            client.set_status(task, "REVIEW", agent_id="ann")
        wait_until(tab.page, f"{MEMORY}.digest?.counts.review === 5")
        assert shown(tab, other).count("5 new: 5 reviews | Open what needs you") == 1

        other.page.evaluate(FRONT, True)
        wait_until(other.page, LOCKED)
        before = shown(tab, other)
        client.set_status(tasks[6], "REVIEW", agent_id="ann")
        wait_until(tab.page, f"{MEMORY}.digest === null")
        expect(tab.page).to_have_title(re.compile(r"^\(9\) "))
        assert shown(tab, other) == before
        assert other.faults == []


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("Object.defineProperty(window, 'isSecureContext', { value: false })", "only on HTTPS or on localhost"),
        ("delete window.Notification", "shows no notices from a page"),
    ],
    ids=["plain HTTP", "unsupported"],
)
def test_the_settings_say_why_this_page_shows_no_notices(
    shared: Service, browser: Browser, script: str, expected: str
) -> None:
    with dashboard(shared, browser, viewport={"width": 320, "height": 700}) as tab:
        tab.context.add_init_script(script)
        tab.open()
        tab.page.get_by_test_id("more").click()
        tab.page.get_by_role("button", name="Notices").click()
        expect(tab.page.get_by_test_id("notices-unavailable")).to_contain_text(expected)
        expect(tab.page.get_by_test_id("notices-on")).to_have_count(0)
        tab.dialog.get_by_label("No notices at certain hours").check()
        tab.dialog.get_by_label("From").fill("20:30")
        assert wider(tab) == []
        assert tab.page.evaluate("JSON.parse(localStorage['project-manager:notices'])")["from"] == "20:30"
