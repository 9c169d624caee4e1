"""Prompts for recurring work. A prompt can include a resource that the agent needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, GetPromptRequestParams, PaginatedRequestParams, PromptArgument

from project_manager.domain.events.event import Resource
from project_manager.mcp.callers import Context
from project_manager.mcp.resources import Resources
from project_manager.mcp.uris import uri_of

PromptArguments = dict[str, str]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt. `text` has placeholders for arguments. `resource_uri` returns the URI of a resource to add, or None."""

    name: str
    title: str
    description: str
    arguments: tuple[PromptArgument, ...]
    text: str
    resource_uri: Callable[[PromptArguments], str | None] = lambda _given: None

    def definition(self) -> dict[str, Any]:
        """Return the entry of the prompt in `prompts/list`."""
        arguments = [argument.model_dump(exclude_none=True) for argument in self.arguments]
        return {"name": self.name, "title": self.title, "description": self.description, "arguments": arguments}


def _board(given: PromptArguments) -> str | None:
    project = given.get("project_id", "").strip()
    return uri_of(Resource.BOARD, project) if project else None


PROMPTS = (
    Prompt(
        "plan_epic",
        "Plan an epic",
        "Turn a goal into an epic of tasks that agents can claim.",
        (
            PromptArgument(name="goal", description="goal of the epic", required=True),
            PromptArgument(name="project_id", description="id of the project", required=True),
        ),
        "Plan this goal as one epic of project {project_id}: {goal}\n"
        "Read the board first to avoid duplicates. Break the goal into tasks that one agent can finish in one session. "
        "Give each task a name that states the outcome, and acceptance criteria that can be checked. Set a priority "
        "(0 most urgent .. 4). Set depends_on if the task needs the result of another task. "
        "Set paths, the globs of the files that a task will change: two tasks with overlapping paths never run at the "
        "same time. Show the plan as a list and ask for approval. "
        "Then create it with create_task (project_id={project_id}, the same epic_name for all), dependencies first.",
        _board,
    ),
    Prompt(
        "standup",
        "Stand-up",
        "Report current, finished and blocked tasks.",
        (PromptArgument(name="project_id", description="id of the project; empty for all", required=False),),
        "Write a stand-up report{of_project}. Use list_tasks (IN_PROGRESS, REVIEW, BLOCKED, recently DONE), and "
        "get_task_details if the reason is not obvious. Sections: Done, In progress (lock holder, remaining time), "
        "Waiting for review, Stuck (with the blocker), Next. One line per task, with its id. At most 30 lines.",
        _board,
    ),
    Prompt(
        "triage",
        "Triage",
        "Triage the open tasks of a project.",
        (PromptArgument(name="project_id", description="id of the project", required=True),),
        "Triage project {project_id}. Review BLOCKED tasks, tasks with failed attempts, ready tasks that no agent "
        "claims, and tasks without acceptance criteria. Propose one change for "
        "each: priority, split, dependency, defer_until, CANCELLED, or back to TODO, with a short reason. Ask before "
        "you change anything. Then use update_task and update_task_status.",
        _board,
    ),
    Prompt(
        "review_task",
        "Review a task",
        "Check a task in REVIEW against its acceptance criteria.",
        (PromptArgument(name="task_id", description="id of the task", required=True),),
        "Review task {task_id}. Read its submission with get_task_details. Check each acceptance criterion against the "
        "work itself, not against the log. Then call review_task with the digest of the submission: approved if all "
        "criteria are met, else changes_requested, and state exactly what is missing.",
        lambda given: uri_of(Resource.TASK, given["task_id"].strip()),
    ),
    Prompt(
        "hand_over",
        "Hand over",
        "Hand over your tasks to another agent.",
        (PromptArgument(name="agent_id", description="your agent id", required=True),),
        "Hand over all tasks that {agent_id} has locked. Write one handoff note per task. State the finished work, "
        "the open work and its place (branch, files), failed approaches, and the next step. Then call "
        "release_task_lock with that note as handoff. Finish with a list of the released tasks.",
        lambda given: uri_of(Resource.AGENT, given["agent_id"].strip()),
    ),
)
_BY_NAME = {prompt.name: prompt for prompt in PROMPTS}


class Prompts:
    """Handlers of `prompts/list` and `prompts/get`."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def listed(self, _ctx: Context, _params: PaginatedRequestParams | None) -> dict[str, Any]:
        """Return the result of `prompts/list`."""
        announced = [prompt.definition() for prompt in PROMPTS]
        return {"resultType": "complete", "ttlMs": 3_600_000, "cacheScope": "public", "prompts": announced}

    async def get(self, ctx: Context, params: GetPromptRequestParams) -> dict[str, Any]:
        """Return the result of `prompts/get`. Raises MCPError."""
        prompt = _BY_NAME.get(params.name)
        if prompt is None:
            raise MCPError(
                INVALID_PARAMS, f"Unknown prompt: {params.name[:80]}. Available prompts: {', '.join(_BY_NAME)}."
            )
        given = params.arguments or {}
        missing = [word.name for word in prompt.arguments if word.required and not given.get(word.name, "").strip()]
        if missing:
            raise MCPError(INVALID_PARAMS, f"Missing argument: {', '.join(missing)}, required by {prompt.name}.")
        return {
            "resultType": "complete",
            "description": prompt.description,
            "messages": [
                *await self._context(ctx, prompt, given),
                _message({"type": "text", "text": _filled(prompt, given)}),
            ],
        }

    async def _context(self, ctx: Context, prompt: Prompt, given: PromptArguments) -> list[dict[str, Any]]:
        uri = prompt.resource_uri(given)
        if uri is None:
            return []
        text = await self._resources.text_of(ctx, uri)
        return [_message({"type": "resource", "resource": {"uri": uri, "mimeType": "application/json", "text": text}})]


def _filled(prompt: Prompt, given: PromptArguments) -> str:
    project = given.get("project_id", "").strip()
    text = prompt.text.replace("{of_project}", f" of project {project}" if project else " of all projects")
    for argument in prompt.arguments:
        text = text.replace("{" + argument.name + "}", given.get(argument.name, "").strip())
    return text


def _message(content: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": content}
