"""A database with a week of work of a fleet, written by the operations of the service on a clock that is moved.

`python -m tests.e2e.dashboard.history FILE` creates one.
"""

import heapq
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import anyio

from project_manager.clock import SystemClock
from project_manager.domain.actors import Actor
from project_manager.domain.errors import LockRequired, NotHeld, StaleFence
from project_manager.runtime.flow import fold
from project_manager.runtime.open import open_runtime
from project_manager.store.migrations import upgrade
from tests.operations_client import MovableClock, OperationsClient
from tests.stored_rows import settings_of

DAYS = 7
DAY = 86_400
WORKING_DAY = (7, 21)
"""Hours of the day, in UTC, in which the person and most agents work."""
PERSON = Actor("ada", "human")
AGENTS = (
    "claude-main",
    "claude-tests",
    "codex-main",
    "codex-docs",
    "gemini-web",
    "gemini-api",
    "cursor-ui",
    "qwen-infra",
)
AT_NIGHT = AGENTS[:3]
PROJECTS = {
    "Checkout": ["Payments", "Basket", "Invoices"],
    "Search": ["Index", "Ranking"],
    "Mobile app": ["Offline mode", "Push notices"],
}
VERBS = ("Add", "Test", "Document", "Simplify", "Speed up", "Validate", "Translate", "Log")
NOUNS = (
    "the export of invoices",
    "card fields",
    "refunds",
    "the retry of webhooks",
    "the address form",
    "synonyms",
    "the ranking of new items",
    "the sync of drafts",
    "silent push messages",
    "vouchers",
    "the search page",
    "error pages",
)
LABELS = ("backend", "frontend", "docs", "security", "mobile")
LEAST_READY = 12
MINUTES_OF_WORK = (6, 45)
MINUTES_OF_REVIEW = (4, 90)
ENDS = {"submit": 58, "done": 20, "ask": 6, "fail": 8, "expire": 5, "block": 3}
QUESTIONS = ("May guests use this without an account?", "Which currency is the default?", "Shall old links still work?")
WORDS = ("Read the code around it.", "The new test fails, as it should.", "The new test passes.", "Removed dead code.")
APPROVED = 0.85
LAST_REPORTS_SECONDS = 60
LAST_REVIEWS_SECONDS = 40 * 60
"""The person is away at the end, so that work waits."""

Act = Callable[[], Awaitable[None]]


async def write_history(path: Path, seed: int = 1, days: float = DAYS) -> None:
    """Write the work of some days into a new database. The last instant is the present."""
    end = SystemClock().now()
    clock = MovableClock(end - int(days * DAY * 1000))
    async with open_runtime(settings_of(path), clock=clock) as runtime:
        history = _History(OperationsClient(runtime, clock), random.Random(seed), end)
        await history.write()
        await fold(runtime.database)


@dataclass
class _History:
    """The agents and the person as acts at instants, in the order of time."""

    api: OperationsClient
    chance: random.Random
    end: int
    _acts: list[tuple[int, int, Act]] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)
    _names: Any = field(default_factory=count)
    _epics: list[tuple[str, str]] = field(default_factory=list)
    _held: dict[str, tuple[int, int]] = field(default_factory=dict)

    async def write(self) -> None:
        self._epics = [(project, epic) for project, epics in PROJECTS.items() for epic in epics]
        for agent in AGENTS:
            self._after(self.chance.uniform(0, 600), partial(self._claim, agent))
        while self._acts:
            instant, _, act = heapq.heappop(self._acts)
            if instant >= self.end - LAST_REPORTS_SECONDS * 1000:
                break
            await self.api.advance((instant - self.api.clock.instant) / 1000)
            try:
                await act()
            except (LockRequired, StaleFence, NotHeld):  # the lease has ended
                continue
        await self.api.advance((self.end - LAST_REPORTS_SECONDS * 1000 - self.api.clock.instant) / 1000)
        for agent, (task, fence) in self._held.items():
            await self.api.advance(LAST_REPORTS_SECONDS / len(AGENTS))
            await self._report(agent, task, fence)

    def _after(self, seconds: float, act: Act) -> None:
        heapq.heappush(self._acts, (self.api.clock.instant + int(seconds * 1000), next(self._numbers), act))

    def _is_working_day(self) -> bool:
        first, last = WORKING_DAY
        return first <= self.api.clock.instant // 3_600_000 % 24 < last

    async def _plan(self) -> None:
        """Create a chain of tasks in one epic."""
        project, epic = self.chance.choice(self._epics)
        rows: list[dict[str, Any]] = []
        for number in range(self.chance.randint(3, 7)):
            name = f"{self.chance.choice(VERBS)} {self.chance.choice(NOUNS)}"
            after = [f"t{number - 1}"] if number and self.chance.random() < 0.6 else []
            labels = self.chance.sample(LABELS, self.chance.randint(0, 2))
            priority = self.chance.choices(range(5), [5, 15, 60, 15, 5])[0]
            rows.append(
                {"ref": f"t{number}", "name": name, "depends_on": after, "labels": labels, "priority": priority}
            )
        await self.api.acting_as(PERSON).call("create_tasks", project_name=project, epic_name=epic, tasks=rows)

    async def _claim(self, agent: str) -> None:
        if not self._is_working_day() and agent not in AT_NIGHT:
            self._after(self.chance.uniform(1800, 3600), lambda: self._claim(agent))
            return
        ready = await self.api.call("list_tasks", ready=True, limit=LEAST_READY, fields=["id"])
        if len(ready["items"]) < LEAST_READY and self._is_working_day():
            await self._plan()
        claimed = await self.api.claim_next(agent, ttl_seconds=3600)
        if not claimed.get("task"):
            self._after(self.chance.uniform(120, 900), lambda: self._claim(agent))
            return
        task, fence = claimed["task"]["id"], claimed["lock"]["fence"]
        self._held[agent] = (task, fence)
        seconds = self.chance.uniform(*MINUTES_OF_WORK) * 60
        self._after(seconds / 2, lambda: self._report(agent, task, fence))
        self._after(seconds, lambda: self._finish(agent, task, fence))

    async def _report(self, agent: str, task: int, fence: int) -> None:
        words = self.chance.choice(WORDS)
        await self.api.call("add_task_log", task_id=task, agent_id=agent, fence=fence, body=words)

    async def _finish(self, agent: str, task: int, fence: int) -> None:
        [end] = self.chance.choices([*ENDS], [*ENDS.values()])
        del self._held[agent]
        pause = self.chance.uniform(5, 240) if end != "expire" else 3700
        self._after(pause, lambda: self._claim(agent))
        given: dict[str, Any] = {"task_id": task, "agent_id": agent, "fence": fence}
        if end == "submit":
            evidence = [{"body": "All tests pass.", "command": "pytest", "exit_code": 0}]
            summary = "Small, tested, and documented. The suite passes."
            await self.api.call("update_task_status", **given, status="REVIEW", summary=summary, evidence=evidence)
            self._after(self.chance.uniform(*MINUTES_OF_REVIEW) * 60, lambda: self._review(task))
        elif end == "done":
            await self.api.call("update_task_status", **given, status="DONE")
        elif end == "ask":
            question = await self.api.call("ask", **given, text=self.chance.choice(QUESTIONS), options=["Yes", "No"])
            number = question["question"]["id"]
            self._after(self.chance.uniform(300, 5400), lambda: self._answer(task, number))
        elif end == "fail":
            await self.api.call("release_task_lock", **given, failed=True, handoff="The tests time out.")
        elif end == "block":
            await self.api.call("update_task_status", **given, status="BLOCKED", note="The sandbox has no network.")
            self._after(self.chance.uniform(600, 7200), lambda: self._unblock(task))

    async def _review(self, task: int) -> None:
        if not self._is_present():
            self._after(1800, lambda: self._review(task))
            return
        details = await self.api.call("get_task_details", task_id=task)
        given: dict[str, Any] = {"verdict": "approved"}
        if self.chance.random() > APPROVED:
            given = {"verdict": "changes_requested", "body": "The error message does not name the field."}
        await self.api.acting_as(PERSON).call(
            "review_task", task_id=task, digest=details["submission"]["digest"], **given
        )

    async def _answer(self, task: int, number: int) -> None:
        if not self._is_present():
            self._after(1800, lambda: self._answer(task, number))
            return
        await self.api.acting_as(PERSON).call("answer_question", task_id=task, question_id=number, text="Yes")

    async def _unblock(self, task: int) -> None:
        if not self._is_present():
            self._after(1800, lambda: self._unblock(task))
            return
        await self.api.acting_as(PERSON).call("update_task_status", task_id=task, status="TODO", note="It has now.")

    def _is_present(self) -> bool:
        return self._is_working_day() and self.end - self.api.clock.instant > LAST_REVIEWS_SECONDS * 1000


if __name__ == "__main__":
    upgrade(sys.argv[1])
    anyio.run(write_history, Path(sys.argv[1]))
