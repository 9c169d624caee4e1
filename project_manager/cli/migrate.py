"""The command migrate."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from project_manager.cli import databases, start_errors
from project_manager.cli.failures import CommandError, Exit
from project_manager.store import revisions
from project_manager.store.opening import open_backend


def migrate(flags: Mapping[str, object], env_file: Path | None) -> Exit:
    """Create the database, or migrate it to the schema of this release."""
    with start_errors.log_json(flags, env_file, unset="text"):
        settings = databases.settings_of(flags, env_file)
        backend = open_backend(settings.database_address)
        before = backend.revision()
        backend.prepare(auto_migrate=True)
        after = backend.revision()
    change = f"already has schema {after}" if before == after else f"now has schema {after} ({before or 'none'} before)"
    click.echo(f"{settings.database_name} {change}.")
    return Exit.DONE


def check_running_releases(running: Sequence[str]) -> Exit:
    """Check that releases with these schemas run on the schema of this release. Raises CommandError, BadParameter."""
    from project_manager.store.migrations import oldest_release  # noqa: PLC0415 an up-to-date database needs no Alembic

    newest, oldest = revisions.head(), oldest_release()
    for schema in running:
        if not (len(schema) == len(newest) and schema.isdecimal() and schema.isascii()):
            raise click.BadParameter(f"{schema!r} is not a schema such as {newest}.", param_hint="--check")
    if refused := sorted({schema for schema in running if schema < oldest}):
        raise CommandError(
            f"the release with schema {', '.join(refused)} does not run on schema {newest}, which needs {oldest} or "
            "newer: stop all instances, migrate, then start them"
        )
    click.echo(f"Releases with schema {oldest} or newer run on schema {newest}.")
    return Exit.DONE
