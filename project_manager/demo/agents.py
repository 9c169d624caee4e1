"""The scripted agents and the scripted person."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, cycle, repeat
from typing import Any

import anyio
from anyio.abc import TaskGroup

from project_manager.demo.plan import PLAN
from project_manager.demo.run import Stage
from project_manager.demo.service import Json, Rejected, Unavailable

LEASE_SECONDS = 45
SHORTEST_LEASE = 10
"""Shortest lease of a working agent at any speed. A busy machine must not end it."""
SILENT_LEASE_SECONDS = 25
SILENT_SECONDS = 45
WORK_BEFORE_SCENE = 8
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
class Held:
    """A task under the lease of an agent."""

    path: str
    name: str
    fence: int
    seconds: int

    @classmethod
    def of(cls, claim: Json) -> "Held":
        name = claim["task"]["name"]
        path = f"/api/tasks/{claim['task']['id']}"
        return cls(path, name, claim["lock"]["fence"], SECONDS.get(name, UNPLANNED_SECONDS))


Act = Callable[[Held], Awaitable[None]]


@dataclass(frozen=True)
class Person:
    """A person who answers questions and reviews work, as a user does on the dashboard."""

    stage: Stage

    async def answer(self, task: Held) -> None:
        """Answer the question of an agent, and make the task ready again."""
        await self._decide(task, ANSWER, "TODO", f"answers the question about “{task.name}”")

    async def approve(self, task: Held) -> None:
        """Approve the work of an agent, which completes the task."""
        await self._decide(task, VERDICT, "DONE", f"approves “{task.name}”")

    async def _decide(self, task: Held, comment: str, status: str, words: str) -> None:
        await self.stage.pause(PERSON_SECONDS)
        with suppress(Rejected):  # the user may have decided on the dashboard
            await self.stage.service.call("POST", f"{task.path}/log", kind="comment", body=comment)
            await self.stage.service.call("POST", f"{task.path}/status", status=status)
            self.stage.tell("a person", words)


@dataclass
class Agent:
    """An agent that claims tasks until none is open. It plays its scene on its second task."""

    stage: Stage
    name: str
    scene: str
    person: Person
    tasks: TaskGroup
    _notes: Iterator[str] = field(default_factory=lambda: cycle(NOTES))

    async def run(self, delay: float) -> None:
        """Start after `delay` seconds and work. Raises Unavailable."""
        scenes = {"fails": self._fail, "falls silent": self._fall_silent, "asks": self._ask, "submits": self._submit}
        acts = chain([self._complete, scenes.get(self.scene, self._complete)], repeat(self._complete))
        await self.stage.pause(delay)
        while (claim := await self._claim())["task"] or claim["tasks"]:
            if claim["task"]:
                await self._work(Held.of(claim), next(acts))
                await self.stage.pause(BREAK_SECONDS)

    async def _claim(self) -> Json:
        """Claim the best ready task of the project. Without one, the response has the number of open tasks."""
        return await self._call(
            "POST",
            "/api/tasks/claim",
            project_id=self.stage.project_id,
            ttl_seconds=self.stage.whole(LEASE_SECONDS, at_least=SHORTEST_LEASE),
            wait_seconds=self.stage.whole(WAIT_SECONDS),
        )

    async def _work(self, held: Held, act: Act) -> None:
        """Play one act under the lease. When the demonstration stops, hand the task over."""
        self._tell(f"claims “{held.name}”, fence {held.fence}")
        try:
            await act(held)
        except Rejected as error:
            self._tell(f"abandons “{held.name}”: {error}")
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True), suppress(Rejected, Unavailable):
                await self._release(held, handoff="The demonstration was stopped.", retries=0)
            raise

    async def _complete(self, held: Held) -> None:
        await self._spend(held, held.seconds)
        await self._log(held, "evidence", EVIDENCE)
        await self._set_status(held, "DONE")
        self._tell(f"completes “{held.name}”")

    async def _fail(self, held: Held) -> None:
        """Release the task as failed. The next agent reads the handoff note in its claim."""
        await self._spend(held, WORK_BEFORE_SCENE)
        await self._release(held, handoff=FAILURE, failed=True)
        self._tell(f"fails, and releases “{held.name}” with a note")

    async def _fall_silent(self, held: Held) -> None:
        """Stop renewing, as a crashed agent does. Return when another agent may hold the task, and try to write."""
        await self._spend(held, WORK_BEFORE_SCENE)
        length = self.stage.whole(SILENT_LEASE_SECONDS)
        await self._call("PUT", f"{held.path}/lock", fence=held.fence, ttl_seconds=length)
        self._tell(f"falls silent; its lease on “{held.name}” expires in {length} s")
        await self.stage.pause(SILENT_SECONDS)
        self._tell("is back, and reports with its old fence")
        await self._set_status(held, "DONE")

    async def _ask(self, held: Held) -> None:
        """Ask a person. BLOCKED ends the lease, so the agent can claim another task."""
        await self._spend(held, WORK_BEFORE_SCENE)
        await self._log(held, "comment", QUESTION)
        await self._set_status(held, "BLOCKED")
        self._tell(f"asks about “{held.name}”, and claims another task")
        self.tasks.start_soon(self.person.answer, held)

    async def _submit(self, held: Held) -> None:
        """Submit the work for review. REVIEW ends the lease."""
        await self._spend(held, held.seconds)
        await self._log(held, "evidence", SUMMARY)
        await self._set_status(held, "REVIEW")
        self._tell(f"submits “{held.name}” for review")
        self.tasks.start_soon(self.person.approve, held)

    async def _spend(self, held: Held, seconds: int) -> None:
        """Work for `seconds` with a log entry at each step. The entry also renews the lease."""
        for start in range(0, seconds, STEP_SECONDS):
            await self._log(held, "progress", next(self._notes))
            await self.stage.pause(min(STEP_SECONDS, seconds - start))

    async def _log(self, held: Held, kind: str, body: str) -> None:
        await self._call("POST", f"{held.path}/log", fence=held.fence, kind=kind, body=body)

    async def _set_status(self, held: Held, status: str) -> None:
        await self._call("POST", f"{held.path}/status", fence=held.fence, status=status)

    async def _release(self, held: Held, **fields: Any) -> None:
        await self._call("DELETE", f"{held.path}/lock", fence=held.fence, **fields)

    async def _call(self, method: str, path: str, **body: Any) -> Json:
        return await self.stage.service.call(method, path, agent_id=self.name, **body)

    def _tell(self, words: str) -> None:
        self.stage.tell(self.name, words)
