#!/usr/bin/env python3
"""Take a picture of the board in each colour scheme while the demonstration runs."""

import argparse
import base64
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.e2e.dashboard.browser import SETTLED, chromium

VIEWPORT = {"width": 1200, "height": 720}
QUALITY = 88
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


if __name__ == "__main__":
    main()
