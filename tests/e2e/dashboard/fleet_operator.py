"""A person who runs a fleet of agents from the keyboard: decides in "Needs you", pauses, and changes many tasks."""

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Locator, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient

SENT_BACK = 0.2
"""Part of the reviews that request changes."""
MANY = 50
CHANGED_SINCE = 3
REASON = "The sandbox is down."

FOCUSED_ROW = "() => document.activeElement?.closest('[data-need]:not(.gone)')?.dataset.need ?? null"
SETTLING = "[data-settling]"
LATER = ("lost", "paths", "overdue")
"""Groups of work that continues without a person."""
ACTS = {"task.reviewed": "verdict", "task.question_answered": "answer"}
"""Events of the decisions that only a person takes, by type."""


@dataclass
class Operator:
    """The keyboard of one tab. `aimed` counts the decisions by their kind and task, as the person meant them."""

    tab: Dashboard
    chance: random.Random
    aimed: Counter[tuple[str, int]] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.page.keyboard.press(key)

    def go_to_needs(self) -> None:
        self.press("g", "n")
        expect(self.tab.page.get_by_role("heading", name="Needs you")).to_be_visible()

    def decide(self) -> bool:
        """Decide on the row with the focus, or on the first one. Return false if nothing needs a decision."""
        key = self._row()
        if key is None or key.startswith(LATER):
            self.press("g", "b")  # new rows wait while the focus is in the list
            self.go_to_needs()
            key = self._row()
        if key is None or key.startswith(LATER):
            return False
        group = key.partition(":")[0]
        row = self._present(key)
        if group == "review":
            self._review(key)
        elif group == "questions":
            self._press_in(key, "answer", "1")
        else:
            self._press_in(key, "unblock", "a")
            self._send_words(key, "")
        expect(row.or_(self.tab.dialog)).to_have_count(0)
        self.decisions[group] += 1
        return True

    def _present(self, key: str) -> Locator:
        return self.tab.page.locator(f'[data-need="{key}"]:not(.gone)')

    def _row(self) -> str | None:
        """Return the key of the focused row. Without one, go to the first row."""
        expect(self.tab.page.locator(SETTLING)).to_have_count(0)
        if self._focused() is None:
            self.press("j")
        return self._focused()

    def _focused(self) -> str | None:
        found: str | None = self.tab.page.evaluate(FOCUSED_ROW)
        return found

    def _review(self, key: str) -> None:
        expect(self._present(key).get_by_test_id("need-submission")).to_be_visible()
        if self.chance.random() < SENT_BACK:
            self._press_in(key, "verdict", "s")
            self._confirm_seen(key)
            self._send_words(key, "The export has no header.")
        else:
            self._press_in(key, "verdict", "a")
            self._confirm_seen(key)

    def _press_in(self, key: str, act: str, pressed: str) -> None:
        """Press a key in the focused row `key`. If an agent has just claimed its task, the row has left."""
        control = self._present(key).locator(f'[data-key="{pressed}"]')
        elsewhere = self.tab.page.locator(f'body:not(:has([data-need="{key}"]:not(.gone) :focus))')
        expect(control.or_(elsewhere).first).to_be_visible()
        if elsewhere.count() == 0:
            self.aimed[act, int(key.partition(":")[2])] += 1
            self.press(pressed)

    def _dialog_after(self, key: str) -> Locator:
        """Wait until a dialog is open or the row has left. Return the dialog."""
        left = self.tab.page.locator(f'body:not(:has([data-need="{key}"]:not(.gone)))')
        expect(self.tab.dialog.or_(left).first).to_be_visible()
        return self.tab.dialog

    def _confirm_seen(self, key: str) -> None:
        """Confirm the question that shows a submission which the row does not show yet, if there is one."""
        question = self._dialog_after(key).filter(has=self.tab.page.get_by_test_id("confirm"))
        if question.count():
            self.press("Tab", "Enter")
            expect(question).to_have_count(0)

    def _send_words(self, key: str, words: str) -> None:
        """Fill the box that asks for words, if there is one, and send it."""
        if self._dialog_after(key).count():
            self.tab.page.keyboard.type(words)
            self.press("Enter")

    def pause(self) -> None:
        """Pause all work from the palette."""
        self._run_command("Pause all work")
        self.tab.page.keyboard.type(REASON)
        self.press("Enter")
        expect(self.tab.page.get_by_test_id("pause")).to_contain_text(REASON)

    def resume(self) -> None:
        self._run_command("Resume all work")
        expect(self.tab.page.get_by_test_id("pause")).to_have_count(0)

    def _run_command(self, name: str) -> None:
        self.press("Control+k")
        expect(self.tab.dialog).to_be_visible()
        self.tab.page.keyboard.type(name)
        expect(self.tab.dialog.get_by_role("option", name=re.compile(name)).first).to_be_visible()
        self.press("Enter")

    def change_many(self, client: RestClient, tasks: list[int]) -> str:
        """Give many tasks of the first column another priority at once, and undo it after another client's edits.

        Return the message about the undo.
        """
        self.press("g", "b")
        expect(self.tab.card(tasks[0])).to_be_visible()
        self.tab.card(tasks[0]).focus()
        self.press("x")
        for number in range(2, MANY + 1):
            self.press("Shift+ArrowDown")
            expect(self.tab.page.get_by_test_id("selected-count")).to_have_text(f"{number} selected")
        self.press("p")
        expect(self.tab.dialog).to_be_visible()
        self.press("0")
        expect(self.tab.page.get_by_test_id("edit-many").locator("button:focus")).to_be_visible()
        self.press("Enter")
        expect(self.tab.toast(f"Set {MANY} tasks to P0")).to_be_visible()
        assert priorities(client, tasks) == {0: MANY}
        for task in tasks[:CHANGED_SINCE]:
            client.send("PATCH", f"/api/tasks/{task}", {"description": "Changed meanwhile."})
        self.press("Escape", "Control+z")
        undone = self.tab.toast("undone")
        expect(undone).to_be_visible()
        assert priorities(client, tasks) == {0: CHANGED_SINCE, 2: MANY - CHANGED_SINCE}
        return undone.inner_text()


def priorities(client: RestClient, tasks: list[int]) -> Counter[int]:
    return Counter(int(client.get_task(task)["priority"]) for task in tasks)


def decided(client: RestClient) -> Counter[tuple[str, int]]:
    """Return the decisions of people in the events of the service, by their kind and task."""
    events: list[dict[str, Any]] = []
    since = 0
    while True:
        page = client.send("GET", f"/api/events?since={since}&limit=500&types={','.join(ACTS)}")
        events += page["items"]
        if not page["items"]:
            return Counter(
                (ACTS[event["type"]], event["task_id"]) for event in events if event["actor"]["kind"] != "agent"
            )
        since = page["items"][-1]["seq"]
