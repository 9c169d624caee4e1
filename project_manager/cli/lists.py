"""tasks and token: what is there, in lines for people or as JSON."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import click

from project_manager.cli import local
from project_manager.cli.exits import Exit, NothingThere, Refused
from project_manager.cli.local import Operations
from project_manager.config.settings import Settings
from project_manager.domain.errors import ProjectNotFound
from project_manager.domain.limits import PAGE_MAXIMUM
from project_manager.domain.names import composed
from project_manager.store.sqlite import files, private_files

_NOBODY_GETS_IN = (
    "No token is left: nobody gets in until `project-manager token create NAME --role operator` makes one; "
    "`project-manager token clear` opens the doors to everybody."
)


def tasks(settings: Settings, project: str | None, filters: dict[str, Any], limit: int, as_json: bool) -> Exit:
    """Lists tasks that pass the filters."""

    async def look() -> tuple[list[Any], int]:
        async with local.operations(settings) as desk:
            return await _of_project(desk, project, filters, limit)

    found, total = anyio.run(look)
    if as_json:
        local.show_json({"items": found, "total": total})
        return Exit.DONE
    for task in found:
        held = f"held by {task.lock.holder} until {task.lock.expires_at}" if task.lock is not None else ""
        note = held or ("ready" if task.ready else "; ".join(task.why_not_ready) if task.status == "TODO" else "")
        click.echo(f"{task.id:>6}  {task.status:<11}  P{task.priority}  {task.name}" + (f"  ({note})" if note else ""))
    if total > len(found):
        click.echo(f"{len(found)} of {total} tasks; --limit shows more.", err=True)
    elif not found:
        click.echo("No task is like that.", err=True)
    return Exit.DONE


def create_token(settings: Settings, raw: dict[str, Any], as_json: bool, output: Path | None) -> Exit:
    """Make a token. Its secret goes to the new file `output`, else to standard output."""
    with _new_file(output) as write:
        token = local.run(settings, "create_token", raw)
        write(token.secret + "\n")
    if as_json:
        local.show_json(token if output is None else replace(token, secret=None))
        return Exit.DONE
    if output is None:
        click.echo(token.secret)
    bound = f", bound to the agent {token.agent_id}" if token.agent_id else ""
    place = "It is shown this once." if output is None else f"Its secret is in {output}."
    click.echo(f"Token {token.id} {token.name!r} with the role {token.role}{bound}. {place}", err=True)
    return Exit.DONE


@contextmanager
def _new_file(path: Path | None) -> Iterator[Callable[[str], object]]:
    """Make a file with mode 0600 and yield what writes it. It is made first, and removed when an error follows.

    Without a path nothing is written. Raises Refused when there is a file already, or it cannot be made.
    """
    if path is None:
        yield lambda text: None
        return
    try:
        private_files.create(path)
    except FileExistsError as error:
        raise Refused(f"there is a file {path} already: name another") from error
    except OSError as error:
        raise Refused(f"the file {path} cannot be made: {error.strerror}") from error
    try:
        files.give_like(path, path.parent)
        yield path.write_text
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def list_tokens(settings: Settings, as_json: bool) -> Exit:
    async def look() -> tuple[list[Any], int]:
        async with local.operations(settings) as desk:
            return await _all(desk, "list_tokens", {}, 10 * PAGE_MAXIMUM)

    found, _ = anyio.run(look)
    if as_json:
        local.show_json(found)
        return Exit.DONE
    for token in found:
        since = f"since {token.created_at}" + (f"  revoked {token.revoked_at}" if token.revoked_at else "")
        click.echo(f"{token.id:>4}  {token.role:<8}  {token.agent_id or '-':<20}  {token.name}  {since}")
    if not found:
        click.echo(f"There is no token. {_open_to_all(settings)}", err=True)
    elif all(token.revoked_at for token in found):
        click.echo(_NOBODY_GETS_IN, err=True)
    return Exit.DONE


def revoke_token(settings: Settings, token: str) -> Exit:
    """Revokes a token given by id or by name."""

    async def revoke() -> Any:
        async with local.operations(settings) as desk:
            found, _ = await _all(desk, "list_tokens", {}, 10 * PAGE_MAXIMUM)
            known = _meant(found, token)
            return None if known is None else await desk.run("revoke_token", {"token_id": known.id})

    revoked = anyio.run(revoke)
    if revoked is None:
        raise NothingThere(f"there is no token {token!r}")
    click.echo(f"Token {revoked.id} {revoked.name!r} opens no door any more.")
    if revoked.notice is not None:
        click.echo(_NOBODY_GETS_IN, err=True)
    return Exit.DONE


def clear_tokens(settings: Settings) -> Exit:
    cleared = local.run(settings, "clear_tokens", {})
    tokens = "1 token is" if cleared.forgotten == 1 else f"{cleared.forgotten} tokens are"
    click.echo(f"{tokens} forgotten. {_open_to_all(settings)}")
    return Exit.DONE


def _open_to_all(settings: Settings) -> str:
    if settings.auth_required:
        return "AUTH_REQUIRED is on, so that nobody gets in until `project-manager token create` makes a token."
    return "The doors are open: whoever reaches the ports of a server without AUTH_REQUIRED may do everything."


def _meant(found: list[Any], token: str) -> Any:
    """The token with this id, else the live one of this name, else the one of this name that was revoked last."""
    by_id = [one for one in found if str(one.id) == token]
    named = [one for one in found if one.name == composed(token)]
    live = [one for one in named if one.revoked_at is None]
    return next(iter([*by_id, *live, *reversed(named)]), None)


async def _of_project(
    desk: Operations, project: str | None, filters: dict[str, Any], limit: int
) -> tuple[list[Any], int]:
    """Tasks of the project of this name, else of the one with this id. Raises ProjectNotFound."""
    named = {} if project is None else {"project_name": project}
    try:
        return await _all(desk, "list_tasks", {**filters, **named}, limit)
    except ProjectNotFound:
        if project is None or not project.isdecimal():
            raise
    found = await desk.run("get_project", {"project_id": project})
    return await _all(desk, "list_tasks", {**filters, "project_id": found.id}, limit)


async def _all(desk: Operations, operation: str, raw: dict[str, Any], limit: int) -> tuple[list[Any], int]:
    """Up to `limit` items, page by page, and how many there are."""
    items: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await desk.run(operation, {**raw, **cursor, "limit": min(PAGE_MAXIMUM, limit - len(items))})
        items += page.items
        if page.next_cursor is None or len(items) >= limit:
            return items, page.total
        cursor = {"cursor": page.next_cursor}
