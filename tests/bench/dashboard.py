"""The dashboard in a browser with 10,000 tasks: the first card, scrolling, at rest, and with agents at work."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.bench import stock
from tests.bench.report import Goal, Section
from tests.bench.sampling import spread
from tests.bench.servers import Server, product
from tests.bench.wire import ask, request
from tests.e2e.dashboard.browser import chromium

TASKS = 10_000
AGENTS = 12
REST_SECONDS, WORK_SECONDS = 5.0, 10.0
LEASE_SECONDS = 3_000
PAUSE_SECONDS = 0.4
"""Time between two writes of one agent, at most. Twelve agents then write about 60 times a second."""

FIRST_CARD = """() => {
    window.tasks = [];
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.tasks.push(entry.duration)))
        .observe({ type: 'longtask' });
    const observer = new MutationObserver(() => {
        if (!document.querySelector('[data-testid="card"]')) return;
        observer.disconnect();
        window.firstCard = performance.now();
    });
    observer.observe(document, { childList: true, subtree: true });
}"""
SCROLL = """([selector, frames]) => new Promise((done, fail) => {
    const list = document.querySelector(selector);
    const began = performance.now();
    let left = frames;
    list.scrollTop = 0;
    const step = () => {
        list.scrollTop += 150;
        left -= 1;
        if (left) requestAnimationFrame(step);
        else if (list.scrollTop < 50 * frames) fail(new Error(`${selector} did not scroll`));
        else done(frames / ((performance.now() - began) / 1000));
    };
    requestAnimationFrame(step);
})"""
FRAMES = 180
COLUMN, TABLE = '[data-testid="column-TODO"] .column-scroll', '[data-testid="table"]'


def measured(folder: Path, rounds: int) -> list[Section]:
    with product(folder) as server, chromium() as browser:
        stock.create(server, TASKS)
        cards, frames, table_frames, layouts, longest = [], [], [], [], []
        for _ in range(rounds):
            with _page(server, browser) as page:
                cards.append(page.evaluate("window.firstCard") / 1000)
                frames.append(page.evaluate(SCROLL, [COLUMN, FRAMES]))
                layouts.append(_layouts(page))
                table_frames.append(_table_frames(page))
                page.evaluate("window.tasks = []")
                with _agents(server):
                    page.wait_for_timeout(WORK_SECONDS * 1000)
                longest.append(max(page.evaluate("window.tasks"), default=0.0))
    section = Section(
        "Dashboard with 10,000 tasks",
        f"Chromium without a graphics processor, on the machine of the server. First card: from the navigation to the "
        f"first card. Layouts: on a board with {AGENTS} leases where nothing else changes. Longest task: of the main "
        f"thread during {WORK_SECONDS:.0f} s with {AGENTS} agents at work; 0 if none exceeds 50 ms.",
        [
            "first card, s",
            "frames a second while the board scrolls",
            "while the table scrolls",
            "layouts a second at rest",
            "longest task, ms",
        ],
        [[str(spread(each)) for each in (cards, frames, table_frames, layouts, longest)]],
    )
    section.goals = [
        Goal("First card of 10,000 tasks", 1.5, "at most", spread(cards), "s"),
        Goal("Frames while a column of 10,000 cards scrolls", 50, "at least", spread(frames), "per s"),
        Goal("Frames while a table of 10,000 rows scrolls", 50, "at least", spread(table_frames), "per s"),
        Goal("Layouts of a board at rest", 5, "at most", spread(layouts), "per s"),
        Goal("Longest task of the main thread under 12 agents", 100, "at most", spread(longest), "ms"),
    ]
    return [section]


@contextmanager
def _page(server: Server, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        page = context.new_page()
        page.add_init_script(f"({FIRST_CARD})()")
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.get_by_test_id("card").first.wait_for()
        page.wait_for_selector('[data-testid="connection"][data-status="live"]')
        yield page
    finally:
        context.close()


def _table_frames(page: Page) -> float:
    """Scroll the table, and go back to the board."""
    page.get_by_test_id("nav-table").click()
    page.get_by_test_id("table-row").first.wait_for()
    frames = float(page.evaluate(SCROLL, [TABLE, FRAMES]))
    page.get_by_test_id("nav-board").click()
    page.get_by_test_id("card").first.wait_for()
    return frames


def _layouts(page: Page) -> float:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.wait_for_timeout(1000)
    before, began = _count(session), time.perf_counter()
    page.wait_for_timeout(REST_SECONDS * 1000)
    rate = (_count(session) - before) / (time.perf_counter() - began)
    session.detach()
    return rate


def _count(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(each["value"]) for each in metrics if each["name"] == "LayoutCount")


@contextmanager
def _agents(server: Server) -> Iterator[None]:
    """Let agents claim, report and finish tasks meanwhile."""
    stopping = threading.Event()
    threads = [threading.Thread(target=_work, args=(server, number, stopping)) for number in range(AGENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _work(server: Server, number: int, stopping: threading.Event) -> None:
    agent, chance = {"agent_id": f"agent-{number:02}"}, random.Random(number)
    while not stopping.is_set():
        claim = {**agent, "ttl_seconds": LEASE_SECONDS}
        (answer,) = ask(server.port, request("POST", "/api/tasks/claim", claim))
        task = answer.json()["task"]
        assert isinstance(task, dict)
        path = f"/api/tasks/{task['id']}"
        for body in ({"body": "Read the code."}, {"body": "The test passes."}):
            stopping.wait(chance.uniform(0, PAUSE_SECONDS))
            ask(server.port, request("POST", f"{path}/log", {**agent, **body}))
        ask(server.port, request("POST", f"{path}/status", {**agent, "status": chance.choice(["DONE", "REVIEW"])}))
