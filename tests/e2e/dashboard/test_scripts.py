"""Input methods, keyboards for other scripts, and names that are written from right to left."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.layout import order_on_screen, wider
from tests.e2e.service import Service

STATIC = Path(__file__).parents[3] / "project_manager/web/static"
COMPOSING: tuple[Mapping[str, object], ...] = ({"isComposing": True}, {"keyCode": 229})
"""The marks of a key that ends a composition in Chromium and Firefox, and in Safari."""

ADA = "סוכנת"
SAMIR = "سمير"
NAME = "בדיקה (#2) של API"

PRESS = """([key, more]) => document.activeElement.dispatchEvent(
    new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...more }))"""


def press(tab: Dashboard, key: str, **more: object) -> None:
    """Send a key to the focused element with properties that need a certain layout on a real keyboard."""
    tab.page.evaluate(PRESS, [key, more])


@pytest.mark.parametrize("mark", COMPOSING, ids=["isComposing", "229"])
def test_keys_that_end_a_composition_do_not_select_send_or_close(
    service: Service, browser: Browser, client: RestClient, mark: Mapping[str, object]
) -> None:
    project = client.create_project()
    task, other = client.create_task(project, "テスト"), client.create_task(project, "テスト二")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        expect(tab.drawer).to_be_focused()
        tab.page.keyboard.press("Control+k")
        tab.page.keyboard.type("テスト")
        expect(tab.page.get_by_test_id("palette-entry").first).to_contain_text("テスト")
        selected = tab.page.locator('[data-testid="palette-entry"][aria-selected="true"]')
        before_keys = selected.inner_text()
        for key in ("Enter", "Escape", "ArrowDown"):
            press(tab, key, **mark)
        expect(tab.dialog).to_be_visible()
        assert selected.inner_text() == before_keys
        tab.page.keyboard.press("Escape")
        tab.drawer.focus()
        tab.page.keyboard.press("e")
        picker = tab.dialog.get_by_role("combobox", name="Waits for")
        picker.fill("テスト")
        expect(tab.dialog.locator(".options li")).to_have_count(1)
        for key in ("Enter", "Escape", "Backspace"):
            press(tab, key, **mark)
        expect(picker).to_have_value("テスト")
        expect(tab.dialog.locator(".chosen")).to_have_count(0)
        picker.press("Enter")
        expect(tab.dialog.locator(".chosen")).to_contain_text(f"#{other}")
        picker.press("Escape")
        tab.page.get_by_test_id("discard-changes").click()
        log = tab.page.get_by_test_id("log-body")
        log.fill("テスト")
        before = client.last_seq()
        for key, more in (("Enter", {"ctrlKey": True}), ("Escape", {})):
            press(tab, key, **more, **mark)
        expect(log).to_be_focused()
        tab.drawer.focus()
        for key in ("m", "Escape", "p"):
            press(tab, key, **mark)
        expect(tab.dialog).to_have_count(0)
        expect(tab.drawer).to_be_visible()
        assert client.last_seq() == before


def test_every_key_handler_ignores_compositions() -> None:
    listening = re.compile(r"""onKeyDown[=:]|["']key(?:down|up|press)["']""")
    guarded = re.compile(r"import \{[^}]*\bonKeys\b[^}]*\} from")
    unguarded = {
        path.name
        for path in STATIC.rglob("*.js")
        if path.parent.name != "vendor" and listening.search(path.read_text()) and not guarded.search(path.read_text())
    }
    assert unguarded == {"stable_list.js"}, "stable_list.js records key presses and handles none"


def test_letter_shortcuts_work_on_layouts_without_latin_letters(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    layouts = {
        "Cyrillic": ("ь", "л", "1"),
        "Greek": ("μ", "κ", "1"),
        "Hebrew": ("צ", "ל", "1"),
        "Arabic": ("ة", "ن", "\u0661"),
    }
    tasks = {layout: client.create_task(project, layout) for layout in layouts}
    with dashboard(service, browser) as tab:
        tab.open()
        for layout, (move, palette, digit) in layouts.items():
            card = tab.card(tasks[layout])
            card.focus()
            press(tab, move, code="KeyM")
            expect(tab.dialog).to_have_attribute("aria-label", f"Move #{tasks[layout]} to…")
            tab.page.keyboard.press("Escape")
            expect(card).to_be_focused()
            press(tab, palette, code="KeyK", ctrlKey=True)
            expect(tab.dialog).to_have_attribute("aria-label", re.compile("Search"))
            tab.page.keyboard.press("Escape")
            expect(card).to_be_focused()
            tab.page.keyboard.press("p")
            expect(tab.dialog).to_have_attribute("aria-label", f"Priority of #{tasks[layout]}")
            press(tab, digit, code="Digit1")
            expect(card.locator(".priority")).to_contain_text("P1")


def test_shortcuts_on_a_latin_layout_use_the_letter_and_not_the_key_position(shared: Service, browser: Browser) -> None:
    with dashboard(shared, browser) as tab:
        tab.open()
        tab.page.locator("main").focus()
        press(tab, "é", code="KeyC")
        press(tab, "q", code="KeyC")
        expect(tab.dialog).to_have_count(0)
        press(tab, "c", code="KeyI")
        expect(tab.dialog).to_be_visible()


@pytest.mark.parametrize("width", [320, 1280])
def test_right_to_left_names_do_not_reorder_the_words_around_them(
    service: Service, browser: Browser, client: RestClient, width: int
) -> None:
    project = client.create_project("פרויקט (א)", description="תיאור של הפרויקט")
    task = client.create_task(
        project, NAME, description="שלום, *world*.", epic_id=client.create_epic(project, "אפיק"), labels=["תג"]
    )
    client.claim(task, ADA, 3000)
    client.add_log(task, "עובד על #1", agent_id=ADA)
    with dashboard(service, browser, viewport={"width": width, "height": 800}) as tab:
        tab.open(f"/?task={task}&status=IN_PROGRESS")
        expect(tab.page.get_by_test_id("log-entry")).to_be_visible()
        for place in ("#task-name", ".drawer .markdown p", "[data-testid=log-entry] .markdown p", ".card-name"):
            assert tab.page.locator(place).first.evaluate("(element) => getComputedStyle(element).direction") == "rtl"
        assert tab.page.get_by_test_id("log-body").get_attribute("dir") == "auto"
        expect(tab.page).to_have_title(re.compile(f"^#{task} \u2068{re.escape(NAME)}\u2069 ·"))
        assert wider(tab) == []
        tab.page.get_by_role("tab", name="History").click()
        expect(tab.page.get_by_test_id("event").first).to_be_visible()
        tab.page.get_by_test_id("release").click()
        expect(tab.dialog).to_have_attribute("aria-label", f"\u2068{ADA}\u2069 is working on this")
        body = '[data-testid="dialog"] .dialog-body p'
        shown = tab.page.locator(body).inner_text()
        assert f"\u2068{NAME}\u2069 is locked by \u2068{ADA}\u2069 for another" in shown
        tab.page.keyboard.press("Escape")
        tab.open("/?view=activity")
        event = tab.page.get_by_test_id("event").filter(has_text="claimed")
        expect(event).to_be_visible()
        order = order_on_screen(event.locator("p"), ADA, "claimed", "1")
        # On a phone the sentence wraps, so the position of a word does not show the order.
        assert width == 320 or order == [ADA, "claimed", "1"]
        for view in ("", "?view=agents", "?view=needs", "?view=projects", "?view=graph"):
            tab.open(f"/{view}")
            expect(tab.page.locator("main h1, .columns, .graph").filter(visible=True).first).to_be_visible()
            assert (view, wider(tab)) == (view, [])
        assert tab.violations() == []


def test_messages_isolate_right_to_left_names(service: Service, browser: Browser, client: RestClient) -> None:
    client.create_task(client.create_project(), NAME, due_at="2020-03-04")
    with dashboard(service, browser) as tab:
        tab.open("/?view=needs")
        tab.page.get_by_role("button", name="Postpone by a week").click()
        expect(tab.toast(f"#1 \u2068{NAME}\u2069 is due")).to_be_visible()
        tab.open("/?task=1")
        tab.page.get_by_test_id("edit").click()
        tab.dialog.get_by_label("Description").fill("New")
        tab.page.get_by_test_id("save").click()
        expect(tab.toast(f"Saved #1 \u2068{NAME}\u2069")).to_be_visible()


def test_a_form_field_follows_the_direction_of_the_typed_text(
    service: Service, browser: Browser, client: RestClient
) -> None:
    client.create_project()
    with dashboard(service, browser) as tab:
        tab.open()
        tab.page.get_by_test_id("new-task").click()
        for label, text in (("Name", SAMIR), ("Description", ADA), ("Labels", SAMIR)):
            field = tab.dialog.get_by_label(label, exact=True)
            field.fill(text)
            assert field.evaluate("(element) => getComputedStyle(element).direction") == "rtl"
            field.fill("Latin")
            assert field.evaluate("(element) => getComputedStyle(element).direction") == "ltr"
