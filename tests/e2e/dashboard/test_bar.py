"""The layout of the top bar with different fonts, text sizes and windows."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.layout import FONTS, SPACED, TEXT_SIZES, letters, overlaps, resize, rows_of_the_bar, wider
from tests.e2e.service import Service
from tests.e2e.warm import Forks, WarmService


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory, template: Path, warm: Forks) -> Iterator[tuple[Service, str]]:
    """Start a server that fills the bar with every possible element. Yield it and the token to sign in with."""
    service = WarmService(warm, tmp_path_factory.mktemp("crowded"))
    copyfile(template, service.database)
    client = RestClient(service.start())
    project = client.create_project("A project of some length")
    for number in range(6):
        client.claim(client.create_task(project, f"Task {number}"), f"agent-{number}", 3000)
    try:
        yield service, client.send("POST", "/api/tokens", {"name": "ada", "role": "operator"})["secret"]
    finally:
        service.end()


@contextmanager
def crowded_bar(crowded: tuple[Service, str], browser: Browser) -> Iterator[Dashboard]:
    service, secret = crowded
    with dashboard(service, browser) as tab:
        tab.page.goto(service.url)
        tab.sign_in(secret)
        tab.expect_status("live")
        yield tab


@pytest.mark.parametrize("spacing", ["normal", SPACED])
@pytest.mark.parametrize("font", FONTS)
def test_the_full_bar_fits_every_window(
    crowded: tuple[Service, str], browser: Browser, font: str, spacing: str
) -> None:
    """Together, the fonts and text sizes cover the widths in steps of 20 pixels."""
    found: dict[tuple[str, int], list[str]] = {}
    offset = FONTS.index(font) * len(TEXT_SIZES)
    with crowded_bar(crowded, browser) as tab:
        for order, size in enumerate(TEXT_SIZES, offset):
            letters(tab, font, size, spacing)
            for width in (320, *range(340 + order % 6 * 20, 1601, 120)):
                resize(tab, width)
                found[size, width] = [*wider(tab), *overlaps(tab)]
                assert rows_of_the_bar(tab) <= (2 if spacing == "normal" else 3)
    assert {place: faults for place, faults in found.items() if faults} == {}


@pytest.mark.parametrize("font", FONTS)
def test_the_bar_shows_all_labels_in_a_wide_window_and_folds_in_a_narrow_one(
    crowded: tuple[Service, str], browser: Browser, font: str
) -> None:
    with crowded_bar(crowded, browser) as tab:
        for width, size, rows in ((2560, "100%", 1), (320, "100%", 2), (2560, "130%", 1), (600, "130%", 2)):
            letters(tab, font, size)
            resize(tab, width)
            assert rows_of_the_bar(tab) == rows
            words = tab.page.get_by_test_id("nav-activity").locator("span").bounding_box()
            assert words is not None
            assert words["width"] > 2 or width < 2560
            expect(tab.page.get_by_test_id("active-agents")).to_be_visible(visible=rows == 1)
            expect(tab.page.get_by_test_id("theme")).to_be_visible(visible=rows == 1)


def test_the_bar_adapts_when_its_text_grows_or_an_agent_appears(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project("A project of some length"), "First")
    with dashboard(service, browser) as tab:
        tab.page.add_init_script("addEventListener('error', (event) => console.error(event.message))")
        tab.open()
        bar = tab.page.locator(".topbar")
        narrow, wide = 320, 2400
        while wide - narrow > 20:
            width = (narrow + wide) // 2
            resize(tab, width)
            narrow, wide = (narrow, width) if bar.get_attribute("data-fit") == "" else (width, wide)
        resize(tab, wide)
        expect(bar).to_have_attribute("data-fit", "")
        client.claim(task, "ada", 3000)
        expect(tab.page.get_by_test_id("active-agents")).to_be_visible()
        expect(bar).not_to_have_attribute("data-fit", "")
        assert (wider(tab), overlaps(tab)) == ([], [])
        letters(tab, FONTS[0], "200%")
        expect(bar).to_have_attribute("data-fit", re.compile("folded"))
        assert (wider(tab), overlaps(tab)) == ([], [])
        letters(tab, FONTS[0], "75%")
        expect(bar).to_have_attribute("data-fit", "")
