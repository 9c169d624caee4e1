"""Large text, other fonts, and names of agents and people in any script: every view stays readable."""

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.dashboard.flow_server import FlowServer
from tests.e2e.dashboard.layout import FONTS, collisions, letters, order_on_screen, overlaps, resize, wider
from tests.e2e.dashboard.pages import by_id, views_with
from tests.e2e.service import Service

AGENT = "وكيل-الدفع"
NAME = "בדיקה (#2) של API"
REVERSED = "Reports \u202edesrever"
LABEL = "l" * 64
"""The longest label."""
WIDEST, NARROWEST, OTHER = FONTS
LETTERS = ((320, WIDEST), (320, OTHER), (768, WIDEST), (1440, NARROWEST))
"""Widths of the window and fonts."""
ORDER = {
    "table": (f"{by_id('table-row')}:has-text('{NAME}'):has([title='{AGENT}'])", (NAME, "Review", AGENT)),
    "needs": (f"{by_id('question')} p", (AGENT, "asks")),
    "agent": (f"{by_id('agent-hold')} {by_id('latest-log-entry')}", (AGENT, "just now", "Reports")),
    "every event": (f"{by_id('event')} p:has-text('claimed')", (AGENT, "claimed", "#")),
}
"""Texts from left to right by the name of the view: an element, and texts inside it."""
LEAKS = """() => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (!node.data.includes('\u202e')) continue;
        let around = node.parentElement;
        const isOpen = ({ display, unicodeBidi }) => display === 'inline' && unicodeBidi === 'normal';
        while (isOpen(getComputedStyle(around))) around = around.parentElement;
        if (around.textContent.trim() !== node.data.trim()) found.push(around.outerHTML.slice(0, 200));
    }
    return found;
}"""
"""JavaScript that returns elements in which a direction override of a text reaches other text."""


@pytest.fixture(scope="module")
def plan(shared_client: RestClient) -> int:
    """Create tasks of all kinds, with names in three scripts. Return the one that the agent holds."""
    client = shared_client
    project, other = client.create_project("Checkout and payments"), client.create_project("פרויקט (א)")
    task = client.create_task(
        project,
        "Store the card fields in the vault of the provider",
        epic_id=client.create_epic(project, "Card payments"),
        labels=["backend", "תג", LABEL],
        acceptance=["The test passes"],
        due_at="2020-01-01T00:00:00Z",
    )
    client.claim(task, AGENT, 3000)
    client.add_log(task, REVERSED, agent_id=AGENT)
    for name, agent in ((NAME, AGENT), ("Retry the webhooks of the provider", "codex-main")):
        work = client.create_task(other, name, labels=[LABEL, "frontend"], priority=1)
        client.claim(work, agent)
        client.set_status(work, "REVIEW", agent_id=agent, note="All of it is done. " * 3)
        client.create_task(project, name, depends_on=[work])
    blocked = client.create_task(project, NAME, due_at="2020-01-01T00:00:00Z")
    client.set_status(blocked, "BLOCKED", note="Waiting for the contract with the provider")
    asked = client.create_task(project, "Choose a provider")
    fence = client.claim(asked, AGENT)["fence"]
    question = {"text": "Which one?", "options": ["Alpha", "Beta, which is cheaper but slower than the first one"]}
    client.send("POST", f"/api/tasks/{asked}/questions", {"agent_id": AGENT, "fence": fence, **question})
    return task


def test_large_text_in_any_font_and_names_in_any_script_fit_every_view(
    shared: Service, browser: Browser, plan: int
) -> None:
    found: dict[tuple[str, int, str], list[str]] = {}
    with dashboard(shared, browser, reduced_motion="reduce") as tab:
        FlowServer().attach(tab.page)
        for view in views_with(plan, AGENT, "IN_PROGRESS"):
            resize(tab, 320)
            view.open(tab)
            for width, font in LETTERS:
                tab.page.set_viewport_size({"width": width, "height": 800})
                letters(tab, font, "110%")
                found[view.name, width, font] = [*wider(tab), *overlaps(tab), *collisions(tab)]
            assert (view.name, tab.page.evaluate(LEAKS)) == (view.name, [])
            selector, texts = ORDER.get(view.name, ("h1", ()))
            assert order_on_screen(tab.page.locator(selector).first, *texts) == [*texts]
            resize(tab, 320)
            expect(tab.page.locator('.nav [aria-current="page"]')).to_be_in_viewport(ratio=0.9)
    assert {place: faults for place, faults in found.items() if faults} == {}
