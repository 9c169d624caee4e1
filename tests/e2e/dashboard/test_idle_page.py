"""An idle page uses almost no processor time."""

import re

import pytest
from playwright.sync_api import Browser, CDPSession, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

MOST_A_SECOND = 5
TICKS = 3

ENDLESS = """() => document.getAnimations().filter((animation) =>
    animation.effect.getComputedTiming().endTime === Infinity).map((animation) => animation.animationName)"""
SECONDS_OF_TICKS = """([countdown, ticks]) => new Promise((done) => {
    const begin = performance.now();
    let seen = 0;
    const observer = new MutationObserver(() => {
        seen += 1;
        if (seen < ticks) return;
        observer.disconnect();
        done((performance.now() - begin) / 1000);
    });
    observer.observe(document.querySelector(countdown), { characterData: true, childList: true, subtree: true });
})"""


def counters(session: CDPSession) -> dict[str, float]:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return {entry["name"]: entry["value"] for entry in metrics if entry["name"] in ("LayoutCount", "RecalcStyleCount")}


def rates(tab: Dashboard, countdown: str) -> dict[str, float]:
    """Return the layouts and style recalculations per second while a countdown runs."""
    session = tab.context.new_cdp_session(tab.page)
    session.send("Performance.enable")
    before = counters(session)
    seconds = tab.page.evaluate(SECONDS_OF_TICKS, [countdown, TICKS])
    after = counters(session)
    session.detach()
    return {name: (after[name] - before[name]) / seconds for name in before}


@pytest.fixture(scope="module")
def claimed(shared_client: RestClient) -> int:
    project = shared_client.create_project()
    tasks = [shared_client.create_task(project, f"Task {number}") for number in range(12)]
    for number, task in enumerate(tasks):
        shared_client.claim(task, f"agent-{number}", 3000)
    return tasks[0]


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
@pytest.mark.parametrize(
    ("address", "countdown"),
    [
        ("/", ".card .left"),
        ("/?view=agents", ".lock-chip .left"),
        ("/?view=graph&task={task}", '[data-testid="countdown"]'),
    ],
    ids=["board", "agents", "task"],
)
def test_an_idle_page_with_leases_is_laid_out_only_once_per_second(
    shared: Service, browser: Browser, claimed: int, motion: str, address: str, countdown: str
) -> None:
    with dashboard(shared, browser, reduced_motion=motion) as tab:
        tab.open(address.format(task=claimed))
        expect(tab.page.locator(countdown).first).to_be_visible()
        assert tab.page.evaluate(ENDLESS) == []
        tab.settle()
        found = rates(tab, countdown)
    assert {name: rate for name, rate in found.items() if rate >= MOST_A_SECOND} == {}


COUNTDOWNS = """() => {
    window.countdowns = new Set();
    const look = () => document.querySelectorAll('[data-testid="countdown"]').forEach((shown) =>
        window.countdowns.add(shown.textContent));
    new MutationObserver(look).observe(document.body, { characterData: true, childList: true, subtree: true });
}"""


def test_the_countdown_of_a_new_lease_never_exceeds_its_duration(
    service: Service, browser: Browser, client: RestClient
) -> None:
    tasks = [client.create_task(client.create_project(f"Project {number}"), "Claimed") for number in range(5)]
    with dashboard(service, browser) as tab:
        for task in tasks:
            tab.open(f"/?task={task}")
            tab.page.evaluate(COUNTDOWNS)
            client.claim(task, "claude-7", seconds=600)
            expect(tab.page.get_by_test_id("countdown")).to_have_text(re.compile(r"^9:5\d$"))
            assert "10:01" not in tab.page.evaluate("[...window.countdowns]")
