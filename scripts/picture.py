#!/usr/bin/env python3
"""Take the pictures of the documentation: the demonstration, the team tutorial, and each view of the dashboard."""

import argparse
import base64
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.e2e import team_tutorial
from tests.e2e.dashboard import person
from tests.e2e.dashboard.browser import SETTLED, Dashboard, chromium, dashboard
from tests.e2e.dashboard.history import AGENTS as HISTORY_AGENTS
from tests.e2e.service import Service
from tests.e2e.team_tutorial import AGENTS, QUESTION, REASON, Team, blocks

VIEWPORT = {"width": 1200, "height": 720}
SMALL_VIEWPORT = {"width": 1000, "height": 640}
QUALITY = 88
VIEWS_VIEWPORT = {"width": 1200, "height": 760}
VIEWS = {
    "board": "/",
    "needs": "/?view=needs",
    "table": "/?view=table&group=status",
    "agents": "/?view=agents",
    "agent": f"/?view=agents&agent={HISTORY_AGENTS[0]}&range=24h",
    "activity": "/?view=activity",
    "graph": "/?view=graph",
    "flow": "/?view=flow&range=7d",
    "task": "/?task={task}&full=1",
}
"""The addresses of the pictures in docs/dashboard.md."""
LONGEST_WAIT_MS = 120_000
ABOUT_TO_END = re.compile(r"\b0:0\d")
CARDS_IN_PROGRESS = 4
"""Least number of cards in progress in the picture."""


@contextmanager
def demonstration(port: int) -> Iterator[str]:
    """Run `project-manager demo` and yield the address of its board."""
    command = [str(Path(sys.executable).with_name("project-manager")), "demo", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            boards = (re.search(r"http://\S+/\?project=\d+", line) for line in process.stdout)
            found = next(filter(None, boards), None)
            if found is None:
                raise SystemExit("The demonstration did not start.")
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()


def open_board(browser: Browser, url: str, scheme: str) -> Page:
    page = browser.new_context(viewport=VIEWPORT, color_scheme=scheme).new_page()
    page.goto(url)
    page.get_by_role("button", name="Fold Backlog").click()
    page.mouse.move(0, 0)
    return page


def wait_for_every_scene(page: Page) -> None:
    """Wait until a question and a review wait for a person, and the lease of the silent agent is about to end."""
    in_progress = page.get_by_test_id("column-IN_PROGRESS").get_by_test_id("card")
    for scene in (
        page.get_by_test_id("column-BLOCKED").get_by_test_id("card"),
        page.get_by_test_id("column-REVIEW").get_by_test_id("card"),
        in_progress.filter(has_text=ABOUT_TO_END),
        in_progress.nth(CARDS_IN_PROGRESS - 1),
    ):
        expect(scene).to_be_visible(timeout=LONGEST_WAIT_MS)


def take(page: Page, target: Path) -> None:
    page.evaluate(SETTLED)
    session = page.context.new_cdp_session(page)
    picture = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    target.write_bytes(base64.b64decode(picture["data"]))
    print(f"{target}  {target.stat().st_size / 1000:.0f} kB")


@contextmanager
def own_service(*, with_history: bool = False) -> Iterator[Service]:
    """Run a server on an empty database, or on one with a week of work."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder))
        if with_history:
            subprocess.run([sys.executable, "-m", "tests.e2e.dashboard.history", str(service.database)], check=True)
        try:
            yield service.start()
        finally:
            service.end()


def take_without_messages(tab: Dashboard, target: Path) -> None:
    """Take a picture when no message about an action covers the page."""
    tab.page.mouse.move(0, 0)
    expect(tab.page.get_by_test_id("toast")).to_have_count(0, timeout=LONGEST_WAIT_MS)
    take(tab.page, target)


def take_tutorial(browser: Browser, folder: Path) -> None:
    """Run the tutorial until a question and a review wait for the person. Take a picture of the steer and of these."""
    prepare, start = blocks("6")
    with own_service() as service, dashboard(service, browser, viewport=SMALL_VIEWPORT) as tab:
        tab.open()
        *_, secret = team_tutorial.run(service, prepare)
        person.sign_in(tab, secret)
        person.pause(tab)
        team = Team(service, start, seconds=0.5)
        try:
            for agent in AGENTS:
                team.wait_for(f"{agent}: waits, paused: {REASON}")
            person.send_steer(tab, team)
            take_without_messages(tab, folder / "team-steer.webp")
            person.resume(tab)
            team.wait_for(f"asked about '{QUESTION}'")
            team.wait_for("submitted")
            tab.page.get_by_test_id("nav-needs").click()
            expect(tab.page.get_by_test_id("need-submission").first).to_be_visible()
            take_without_messages(tab, folder / "team-needs.webp")
        finally:
            team.stop()


def take_views(browser: Browser, folder: Path) -> None:
    """Take a picture of each view in each colour scheme, on a server with a week of work."""
    with own_service(with_history=True) as service:
        with service.http() as http:
            task = http.get("/api/tasks", params={"status": "REVIEW", "limit": 1}).json()["items"][0]["id"]
        for scheme in ("light", "dark"):
            with dashboard(service, browser, viewport=VIEWS_VIEWPORT, color_scheme=scheme) as tab:
                for name, address in VIEWS.items():
                    tab.open(address.format(task=task))
                    tab.page.wait_for_load_state("networkidle")
                    take_without_messages(tab, folder / f"view-{name}-{scheme}.webp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port of the demonstration")
    parser.add_argument("folder", type=Path, help="folder of the pictures")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with demonstration(given.port) as url, chromium() as browser:
        pages = {scheme: open_board(browser, url, scheme) for scheme in ("light", "dark")}
        for page in pages.values():
            wait_for_every_scene(page)
        for scheme, page in pages.items():
            take(page, given.folder / f"board-{scheme}.webp")
        take_tutorial(browser, given.folder)
        take_views(browser, given.folder)


if __name__ == "__main__":
    main()
