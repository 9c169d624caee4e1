"""A project with a policy and one task, and the corpus of false completions of such a task."""

from collections.abc import Awaitable, Callable
from typing import Any

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL, Actor, Role
from project_manager.runtime.calls import Caller
from tests.operations_client import Json, OperationsClient

PERSON = Actor("olga", "human", Role.OPERATOR, token_id=7)
CI = Actor("ci", "agent", Role.AGENT, True, 8, attests=True)
CRITERIA = ["tests pass", "documented"]
COMMIT = "abc1234"
FULL = "abc12345d0c3f1e2a4b69788796a5b4c3d2e1f00"
EACH: list[Json] = [
    {"criterion": 0, "command": "pytest -q", "exit_code": 0},
    {"criterion": 1, "url": "https://example.com/page"},
]
REVIEW = {"review": "required"}
EACH_CRITERION = {"evidence": "each_criterion"}
BOTH = {**REVIEW, **EACH_CRITERION}
OBSERVED = {"evidence": "observed_each_criterion"}
PERSON_REVIEWS = {**REVIEW, "reviewer": "person"}


class World:
    """A project with a policy and one task with two criteria, and the calls of agents and people."""

    def __init__(self, api: OperationsClient) -> None:
        self.api = api
        self.task = 0
        self.fence: int | None = None

    async def begin(self, policy: Json) -> None:
        await self.api.call("create_project", name="Garden", policy=policy)
        self.task = (await self.api.create_task(acceptance=CRITERIA))["id"]

    async def claim(self, agent: str = "ann") -> None:
        self.fence = (await self.api.claim(self.task, agent))["fence"]

    async def done(self, agent: str | None = "ann", **more: Any) -> Any:
        fence = {} if self.fence is None else {"fence": self.fence}
        return await self.api.set_status(self.task, "DONE", agent, **{**fence, **more})

    async def submit(self, agent: str | None = "ann", **more: Any) -> Json:
        fence = {} if self.fence is None else {"fence": self.fence}
        self.fence = None
        view = await self.api.set_status(self.task, "REVIEW", agent, **{**fence, "summary": "x", **more})
        submission: Json = view["submission"]
        return submission

    async def log(self, body: str = "see", agent: str = "ann", **more: Any) -> Any:
        fence = {} if self.fence is None else {"fence": self.fence}
        given = {"task_id": self.task, "body": body, "kind": "evidence", "agent_id": agent, **fence, **more}
        return await self.api.call("add_task_log", **given)

    async def log_of_ci(self, criterion: int, commit: str, **more: Any) -> None:
        given = {"task_id": self.task, "body": "passed", "kind": "evidence", "source": "ci", **more}
        await self.api.acting_as(CI).call("add_task_log", **given, criterion=criterion, commit=commit)

    async def review(self, submission: Json, agent: str = "bob", verdict: str = "approved", **more: Any) -> Any:
        given = {"task_id": self.task, "digest": submission["digest"], "verdict": verdict, "body": "ok", **more}
        return await self.api.call("review_task", agent_id=agent, **given)

    async def over_mcp(self, operation: str, actor: Actor = LOCAL, **raw: Any) -> Any:
        return await self.api.runtime.run(BY_NAME[operation], raw, Caller(actor, "mcp", "test"))


Scene = Callable[[World], Awaitable[Any]]
FALSE: dict[str, tuple[Json, Scene]] = {}
"""False completions by name: the policy, and the calls of which the last one claims that the task is DONE."""


def false(policy: Json) -> Callable[[Scene], Scene]:
    """Add a scene to the corpus."""

    def add(scene: Scene) -> Scene:
        FALSE[scene.__name__] = (policy, scene)
        return scene

    return add
