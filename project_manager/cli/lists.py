"""The commands tasks and token, with output as text lines or as JSON."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from project_manager.cli import local
from project_manager.cli.exits import CommandError, Exit, NotFoundError, sentence
from project_manager.cli.local import Operations
from project_manager.config.settings import Settings
from project_manager.domain.errors import ProjectNotFound
from project_manager.domain.limits import PAGE_MAXIMUM
from project_manager.domain.names import composed
from project_manager.services.tokens import ALL_REVOKED
from project_manager.store.sqlite import files, private_files


def tasks(settings: Settings, project: str | None, filters: dict[str, Any], limit: int, as_json: bool) -> Exit:
    """List the tasks that pass the filters. Raises ProjectNotFound."""
    read = partial(_tasks_of_project, project=project, filters=filters, limit=limit)
    found, total = local.perform(settings, read)
    if as_json:
        local.show_json({"items": found, "total": total})
        return Exit.DONE
    for task in found:
        note = "ready" if task.ready else "; ".join(task.why_not_ready) if task.status == "TODO" else ""
        if task.lock is not None:
            note = f"locked by {task.lock.holder} until {task.lock.expires_at}"
        click.echo(f"{task.id:>6}  {task.status:<11}  P{task.priority}  {task.name}" + (f"  ({note})" if note else ""))
    if total > len(found):
        click.echo(f"{len(found)} of {total} tasks shown; use --limit to show more.", err=True)
    elif not found:
        click.echo("No matching tasks.", err=True)
    return Exit.DONE


def create_token(settings: Settings, raw: dict[str, Any], as_json: bool, output: Path | None) -> Exit:
    """Create a token. Write its secret to the new file `output`, or to standard output without one."""
    with _new_file(output) as write:
        token = local.run(settings, "create_token", raw)
        write(token.secret + "\n")
    if as_json:
        local.show_json(token if output is None else replace(token, secret=None))
        return Exit.DONE
    if output is None:
        click.echo(token.secret)
    bound = f", bound to the agent {token.agent_id}" if token.agent_id else ""
    place = "The secret is shown only once." if output is None else f"The secret is in {output}."
    click.echo(f"Token {token.id} {token.name!r} created with the role {token.role}{bound}. {place}", err=True)
    return Exit.DONE


@contextmanager
def _new_file(path: Path | None) -> Iterator[Callable[[str], object]]:
    """Create a file with mode 0600 and yield a function that writes to it. Without a path the function does nothing.

    The file is removed after an error. Raises CommandError if the file exists or cannot be created.
    """
    if path is None:
        yield lambda text: None
        return
    try:
        private_files.create(path)
    except FileExistsError as error:
        raise CommandError(f"file {path} already exists; choose another") from error
    except OSError as error:
        raise CommandError(f"cannot create file {path}: {error.strerror}") from error
    try:
        files.copy_ownership(path, path.parent)
        yield path.write_text
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def list_tokens(settings: Settings, as_json: bool) -> Exit:
    """List all tokens, including revoked ones."""
    found = local.perform(settings, _all_tokens)
    if as_json:
        local.show_json(found)
        return Exit.DONE
    for token in found:
        since = f"since {token.created_at}" + (f"  revoked {token.revoked_at}" if token.revoked_at else "")
        click.echo(f"{token.id:>4}  {token.role:<8}  {token.agent_id or '-':<20}  {token.name}  {since}")
    if not found:
        click.echo(f"No tokens. {_access_without_tokens(settings)}", err=True)
    elif all(token.revoked_at for token in found):
        click.echo(sentence(ALL_REVOKED), err=True)
    return Exit.DONE


def revoke_token(settings: Settings, token: str) -> Exit:
    """Revoke a token by id or by name. Raises NotFoundError."""

    async def revoke(operations: Operations) -> Any:
        known = _find_token(await _all_tokens(operations), token)
        if known is None:
            raise NotFoundError(f"token {token!r} not found")
        return await operations.run("revoke_token", {"token_id": known.id})

    revoked = local.perform(settings, revoke)
    click.echo(f"Token {revoked.id} {revoked.name!r} is revoked.")
    if revoked.notice is not None:
        click.echo(sentence(revoked.notice), err=True)
    return Exit.DONE


def clear_tokens(settings: Settings) -> Exit:
    """Delete all tokens, including revoked ones."""
    cleared = local.run(settings, "clear_tokens", {})
    tokens = "1 token" if cleared.forgotten == 1 else f"{cleared.forgotten} tokens"
    click.echo(f"{tokens} deleted. {_access_without_tokens(settings)}")
    return Exit.DONE


def _access_without_tokens(settings: Settings) -> str:
    if settings.auth_required:
        return "AUTH_REQUIRED is on: every request is rejected until `project-manager token create` creates a token."
    return "Authentication is disabled: without AUTH_REQUIRED any client that reaches the ports has full access."


def _find_token(found: list[Any], token: str) -> Any:
    """Return the token with this id, else the active one of this name, else the last revoked one, or None."""
    by_id = [one for one in found if str(one.id) == token]
    named = [one for one in found if one.name == composed(token)]
    live = [one for one in named if one.revoked_at is None]
    return next(iter([*by_id, *live, *reversed(named)]), None)


async def _tasks_of_project(
    operations: Operations, project: str | None, filters: dict[str, Any], limit: int
) -> tuple[list[Any], int]:
    """List the tasks of the project with this name, else with this id. Raises ProjectNotFound."""
    named = {} if project is None else {"project_name": project}
    try:
        return await _all_pages(operations, "list_tasks", {**filters, **named}, limit)
    except ProjectNotFound:
        if project is None or not project.isdecimal():
            raise
    found = await operations.run("get_project", {"project_id": project})
    return await _all_pages(operations, "list_tasks", {**filters, "project_id": found.id}, limit)


async def _all_tokens(operations: Operations) -> list[Any]:
    found, _ = await _all_pages(operations, "list_tokens", {}, 10 * PAGE_MAXIMUM)
    return found


async def _all_pages(operations: Operations, operation: str, raw: dict[str, Any], limit: int) -> tuple[list[Any], int]:
    """Return up to `limit` items, read page by page, and the total number of items."""
    items: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await operations.run(operation, {**raw, **cursor, "limit": min(PAGE_MAXIMUM, limit - len(items))})
        items += page.items
        if page.next_cursor is None or len(items) >= limit:
            return items, page.total
        cursor = {"cursor": page.next_cursor}
