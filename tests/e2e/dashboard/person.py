"""The steps of the person in the tutorial with three agents, on the dashboard."""

import re

from playwright.sync_api import Locator, expect

from tests.e2e.dashboard.browser import Dashboard
from tests.e2e.team_tutorial import CART, DISCOUNTS, QUESTION, REASON, REWORK, REWORK_REASON, STEER, Team

PERSON = "ada"
WAIT_MS = 30_000
VERDICTS = 13
"""One for each task, and one more for the task that is sent back."""


def sign_in(tab: Dashboard, secret: str) -> None:
    """Sign in on an open page. The server has just got its first token."""
    expect(tab.page.get_by_test_id("why-sign-in")).to_have_text("This server now requires a token.")
    tab.sign_in(secret)
    tab.expect_status("live")


def pause(tab: Dashboard) -> None:
    tab.page.get_by_test_id("nav-projects").click()
    tab.page.get_by_role("button", name="Pause project Card payments").click()
    tab.dialog.get_by_label("Reason").fill(REASON)
    tab.page.get_by_test_id("save").click()
    banner = tab.page.get_by_test_id("pause")
    expect(banner).to_contain_text(f"Project Card payments is paused by {PERSON}")
    expect(banner).to_contain_text(REASON)


def send_steer(tab: Dashboard, team: Team) -> None:
    """Steer an agent, and wait until it has read the message."""
    tab.page.get_by_test_id("nav-agents").click()
    tab.page.get_by_role("button", name="Message to agent codex").click()
    tab.page.get_by_test_id("message-body").fill(STEER)
    tab.page.get_by_test_id("save").click()
    team.wait_for(f"codex: got a steer from {PERSON}: {STEER}")
    expect(tab.page.get_by_test_id("recent-messages")).to_contain_text("read by codex")


def resume(tab: Dashboard) -> None:
    tab.page.get_by_role("button", name="Resume: Project Card payments").click()
    expect(tab.page.get_by_test_id("pause")).to_have_count(0)


def see_the_path_conflict(tab: Dashboard, team: Team) -> None:
    """Read the reason on the task that waits for the paths, while the agents stand still."""
    team.wait_for(team.stop_at)
    tab.page.get_by_test_id("nav-board").click()
    tab.card(DISCOUNTS).click()
    expect(tab.drawer).to_contain_text("its paths overlap those of task")
    expect(tab.drawer.get_by_role("link", name=f"In progress: #{CART}")).to_be_visible()
    tab.page.keyboard.press("Escape")
    team.resume()


def answer(tab: Dashboard, team: Team) -> None:
    team.wait_for(f"asked about '{QUESTION}'")
    tab.page.get_by_test_id("nav-needs").click()
    question = tab.page.get_by_test_id("need-questions")
    expect(question).to_contain_text("Which provider do we take?")
    question.get_by_role("button", name="Beta").click()
    expect(tab.toast(f"about #1 {QUESTION}")).to_be_visible()


def judge(tab: Dashboard) -> None:
    """Give a verdict on each submission, and send one task back once."""
    is_sent_back = False
    for _ in range(VERDICTS):
        row = next_work(tab)
        expect(row.get_by_test_id("need-submission")).to_be_visible()
        words = row.inner_text()
        if REWORK in words and not is_sent_back:
            row.get_by_role("button", name="Send back").click()
            tab.dialog.get_by_label(re.compile("missing")).fill(REWORK_REASON)
            tab.dialog.get_by_role("button", name="Send back").click()
            is_sent_back = True
        else:
            row.get_by_role("button", name="Accept").click()
        expect(row).to_have_count(0)


def next_work(tab: Dashboard) -> Locator:
    """Return the first row of work to review. While the pointer is in the list, new rows wait behind a button."""
    rows = tab.page.get_by_test_id("need-review").locator('[data-testid="need"]:not(.gone)')
    new = tab.page.get_by_test_id("needs-news").filter(has_text="new")
    expect(rows.or_(new).first).to_be_visible(timeout=WAIT_MS)
    if rows.count() == 0:
        new.click()
        return next_work(tab)
    return tab.page.locator(f'[data-need="{rows.first.get_attribute("data-need")}"]:not(.gone)')
