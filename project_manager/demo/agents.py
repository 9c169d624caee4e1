"""The scripted agents and the scripted person."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, cycle, repeat
from typing import Any

import anyio
from anyio.abc import TaskGroup

from project_manager.demo.plan import PLAN
from project_manager.demo.run import DemoRun
from project_manager.demo.service import Json, Rejected, Unavailable

LEASE_SECONDS = 45
SHORTEST_LEASE = 10
"""Shortest lease of a working agent at any speed. A busy machine must not end it."""
SILENT_LEASE_SECONDS = 25
SILENT_SECONDS = 45
SECONDS_BEFORE_SPECIAL = 8
STEP_SECONDS = 12
BREAK_SECONDS = 3
PERSON_SECONDS = 60
UNPLANNED_SECONDS = 15
"""Work on a task that a user added on the dashboard."""
WAIT_SECONDS = 3
"""Length of one waiting claim. A longer one would delay the end of the demonstration."""

SECONDS = {work.name: work.seconds for works in PLAN.values() for work in works}

NOTES = ("Read the code around it.", "The new test fails, as it should.", "The new test passes.", "Removed dead code.")
EVIDENCE = "The whole test suite passes."
QUESTION = "**Question:** may visitors without an account use this too?"
ANSWER = "No. They see a link to the sign-in page."
FAILURE = "Failed: the tests time out, because the fixture starts the database twice. Begin there."
SUMMARY = "Ready for review. The tests pass, and the page works without a mouse."
VERDICT = "Approved: small, clear and tested."


@dataclass(frozen=True)
class LeasedTask:
    """A task under the lease of an agent."""

    path: str
    name: str
    fence: int
    seconds: int

    @classmethod
    def of(cls, claim: Json) -> "LeasedTask":
        name = claim["task"]["name"]
        path = f"/api/tasks/{claim['task']['id']}"
        return cls(path, name, claim["lock"]["fence"], SECONDS.get(name, UNPLANNED_SECONDS))


Behavior = Callable[[LeasedTask], Awaitable[None]]


@dataclass(frozen=True)
class Person:
    """A person who answers questions and reviews work, as a user does on the dashboard."""

    demo: DemoRun

    async def answer(self, task: LeasedTask) -> None:
        """Answer the question of an agent, and make the task ready again."""
        await self._decide(task, ANSWER, "TODO", f"answers the question about “{task.name}”")

    async def approve(self, task: LeasedTask) -> None:
        """Approve the work of an agent, which completes the task."""
        await self._decide(task, VERDICT, "DONE", f"approves “{task.name}”")

    async def _decide(self, task: LeasedTask, comment: str, status: str, message: str) -> None:
        await self.demo.pause(PERSON_SECONDS)
        with suppress(Rejected):  # the user may have decided on the dashboard
            await self.demo.service.call("POST", f"{task.path}/log", kind="comment", body=comment)
            await self.demo.service.call("POST", f"{task.path}/status", status=status)
            self.demo.report("a person", message)


@dataclass
class Agent:
    """An agent that claims tasks until none is open. It shows its special behavior on its second task."""

    demo: DemoRun
    name: str
    behavior: str
    person: Person
    tasks: TaskGroup
    _notes: Iterator[str] = field(default_factory=lambda: cycle(NOTES))

    async def run(self, delay: float) -> None:
        """Start after `delay` seconds and work. Raises Unavailable."""
        special = {"fails": self._fail, "falls silent": self._fall_silent, "asks": self._ask, "submits": self._submit}
        behaviors = chain([self._complete, special.get(self.behavior, self._complete)], repeat(self._complete))
        await self.demo.pause(delay)
        while (claim := await self._claim())["task"] or claim["tasks"]:
            if claim["task"]:
                await self._work(LeasedTask.of(claim), next(behaviors))
                await self.demo.pause(BREAK_SECONDS)

    async def _claim(self) -> Json:
        """Claim the best ready task of the project. Without one, the response has the number of open tasks."""
        return await self._call(
            "POST",
            "/api/tasks/claim",
            project_id=self.demo.project_id,
            ttl_seconds=self.demo.whole(LEASE_SECONDS, at_least=SHORTEST_LEASE),
            wait_seconds=self.demo.whole(WAIT_SECONDS),
        )

    async def _work(self, task: LeasedTask, behavior: Behavior) -> None:
        """Work on the task under the lease. When the demonstration stops, hand the task over."""
        self._report(f"claims “{task.name}”, fence {task.fence}")
        try:
            await behavior(task)
        except Rejected as error:
            self._report(f"abandons “{task.name}”: {error}")
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True), suppress(Rejected, Unavailable):
                await self._release(task, handoff="The demonstration was stopped.", retries=0)
            raise

    async def _complete(self, task: LeasedTask) -> None:
        await self._spend(task, task.seconds)
        await self._log(task, "evidence", EVIDENCE)
        await self._set_status(task, "DONE")
        self._report(f"completes “{task.name}”")

    async def _fail(self, task: LeasedTask) -> None:
        """Release the task as failed. The next agent reads the handoff note in its claim."""
        await self._spend(task, SECONDS_BEFORE_SPECIAL)
        await self._release(task, handoff=FAILURE, failed=True)
        self._report(f"fails, and releases “{task.name}” with a note")

    async def _fall_silent(self, task: LeasedTask) -> None:
        """Stop renewing, as a crashed agent does. Return when another agent may hold the task, and try to write."""
        await self._spend(task, SECONDS_BEFORE_SPECIAL)
        length = self.demo.whole(SILENT_LEASE_SECONDS)
        await self._call("PUT", f"{task.path}/lock", fence=task.fence, ttl_seconds=length)
        self._report(f"falls silent; its lease on “{task.name}” expires in {length} s")
        await self.demo.pause(SILENT_SECONDS)
        self._report("is back, and reports with its old fence")
        await self._set_status(task, "DONE")

    async def _ask(self, task: LeasedTask) -> None:
        """Ask a person. BLOCKED ends the lease, so the agent can claim another task."""
        await self._spend(task, SECONDS_BEFORE_SPECIAL)
        await self._log(task, "comment", QUESTION)
        await self._set_status(task, "BLOCKED")
        self._report(f"asks about “{task.name}”, and claims another task")
        self.tasks.start_soon(self.person.answer, task)

    async def _submit(self, task: LeasedTask) -> None:
        """Submit the work for review. REVIEW ends the lease."""
        await self._spend(task, task.seconds)
        await self._log(task, "evidence", SUMMARY)
        await self._set_status(task, "REVIEW")
        self._report(f"submits “{task.name}” for review")
        self.tasks.start_soon(self.person.approve, task)

    async def _spend(self, task: LeasedTask, seconds: int) -> None:
        """Work for `seconds` with a log entry at each step. The entry also renews the lease."""
        for start in range(0, seconds, STEP_SECONDS):
            await self._log(task, "progress", next(self._notes))
            await self.demo.pause(min(STEP_SECONDS, seconds - start))

    async def _log(self, task: LeasedTask, kind: str, body: str) -> None:
        await self._call("POST", f"{task.path}/log", fence=task.fence, kind=kind, body=body)

    async def _set_status(self, task: LeasedTask, status: str) -> None:
        await self._call("POST", f"{task.path}/status", fence=task.fence, status=status)

    async def _release(self, task: LeasedTask, **fields: Any) -> None:
        await self._call("DELETE", f"{task.path}/lock", fence=task.fence, **fields)

    async def _call(self, method: str, path: str, **body: Any) -> Json:
        return await self.demo.service.call(method, path, agent_id=self.name, **body)

    def _report(self, message: str) -> None:
        self.demo.report(self.name, message)
