"""The commands of `token`, with output as text lines or as JSON."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from project_manager.cli import json_output, operations
from project_manager.cli.failures import CommandError, Exit, MissingTargetError, as_sentence
from project_manager.cli.operations import Operations
from project_manager.config.settings import Settings
from project_manager.domain.limits import PAGE_MAXIMUM
from project_manager.domain.names import composed
from project_manager.services.tokens import ALL_REVOKED
from project_manager.store.sqlite import files, private_files


def create_token(settings: Settings, raw: dict[str, Any], as_json: bool, output: Path | None) -> Exit:
    """Create a token. Write its secret to the new file `output`, or to standard output without one."""
    with _new_file(output) as write:
        token = operations.run(settings, "create_token", raw)
        write(token.secret + "\n")
    if as_json:
        json_output.show(token if output is None else replace(token, secret=None))
        return Exit.DONE
    if output is None:
        click.echo(token.secret)
    bound = f", bound to the agent {token.agent_id}" if token.agent_id else ""
    bound += ", may attest evidence" if token.attests else ""
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
    found = operations.perform(settings, _all_tokens)
    if as_json:
        json_output.show(found)
        return Exit.DONE
    for token in found:
        since = f"since {token.created_at}" + (f"  revoked {token.revoked_at}" if token.revoked_at else "")
        click.echo(f"{token.id:>4}  {token.role:<8}  {token.agent_id or '-':<20}  {token.name}  {since}")
    if not found:
        click.echo(f"No tokens. {_access_without_tokens(settings)}", err=True)
    elif all(token.revoked_at for token in found):
        click.echo(as_sentence(ALL_REVOKED), err=True)
    return Exit.DONE


def revoke_token(settings: Settings, token: str) -> Exit:
    """Revoke a token by id or by name. Raises MissingTargetError."""

    async def revoke(client: Operations) -> Any:
        known = _find_token(await _all_tokens(client), token)
        if known is None:
            raise MissingTargetError(f"token {token!r} not found")
        return await client.run("revoke_token", {"token_id": known.id})

    revoked = operations.perform(settings, revoke)
    click.echo(f"Token {revoked.id} {revoked.name!r} is revoked.")
    if revoked.notice is not None:
        click.echo(as_sentence(revoked.notice), err=True)
    return Exit.DONE


def clear_tokens(settings: Settings) -> Exit:
    """Delete all tokens, including revoked ones."""
    cleared = operations.run(settings, "clear_tokens", {})
    tokens = "1 token" if cleared.deleted == 1 else f"{cleared.deleted} tokens"
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


async def _all_tokens(client: Operations) -> list[Any]:
    found, _ = await operations.all_pages(client, "list_tokens", {}, 10 * PAGE_MAXIMUM)
    return found
