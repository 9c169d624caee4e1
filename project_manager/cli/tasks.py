"""The command tasks, with output as text lines or as JSON."""

from functools import partial
from typing import Any

import click

from project_manager.cli import json_output, operations
from project_manager.cli.failures import Exit
from project_manager.cli.operations import Operations
from project_manager.config.settings import Settings
from project_manager.domain.errors import ProjectNotFound
from project_manager.schemas.tasks import TaskView


def list_tasks(settings: Settings, project: str | None, filters: dict[str, Any], limit: int, as_json: bool) -> Exit:
    """List the tasks that pass the filters. Raises ProjectNotFound."""
    read = partial(_tasks_of_project, project=project, filters=filters, limit=limit)
    found, total = operations.perform(settings, read)
    if as_json:
        json_output.show({"items": found, "total": total})
        return Exit.DONE
    for task in found:
        note = "ready" if task["ready"] else "; ".join(task["why_not_ready"]) if task["status"] == "TODO" else ""
        if (lock := task["lock"]) is not None:
            note = f"locked by {lock.holder} until {lock.expires_at}"
        line = f"{task['id']:>6}  {task['status']:<11}  P{task['priority']}  {task['name']}"
        click.echo(line + (f"  ({note})" if note else ""))
    if total > len(found):
        click.echo(f"{len(found)} of {total} tasks shown; use --limit to show more.", err=True)
    elif not found:
        click.echo("No matching tasks.", err=True)
    return Exit.DONE


async def _tasks_of_project(
    client: Operations, project: str | None, filters: dict[str, Any], limit: int
) -> tuple[list[TaskView], int]:
    """Return tasks of the project with this name, else with this id, and their total. Raises ProjectNotFound."""
    named = {} if project is None else {"project_name": project}
    try:
        return await operations.all_pages(client, "list_tasks", {**filters, **named}, limit)
    except ProjectNotFound:
        if project is None or not project.isdecimal():
            raise
    found = await client.run("get_project", {"project_id": project})
    return await operations.all_pages(client, "list_tasks", {**filters, "project_id": found.id}, limit)
