"""The command migrate."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import click

from project_manager.cli import databases, start_errors
from project_manager.cli.failures import CommandError, Exit
from project_manager.config.settings import Settings
from project_manager.store import revisions
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.database import move_foreign_logs, prepare


def migrate(flags: Mapping[str, object], env_file: Path | None) -> Exit:
    """Create the database, or migrate it to the schema of this release."""
    with start_errors.log_json(flags, env_file, unset="text"):
        settings = databases.settings_of(flags, env_file, postgresql=True)
        before, after = _migrate_server(settings.database_url) if settings.database_url else _migrate_file(settings)
    change = f"already has schema {after}" if before == after else f"now has schema {after} ({before or 'none'} before)"
    click.echo(f"{settings.database_name} {change}.")
    return Exit.DONE


def _migrate_file(settings: Settings) -> tuple[str | None, str | None]:
    """Migrate a SQLite database. Return its revisions before and after."""
    path = settings.database_path
    move_foreign_logs(path)
    before = _revision(path)
    prepare(path, auto_migrate=True)
    return before, _revision(path)


def _migrate_server(url: str) -> tuple[str | None, str | None]:
    """Migrate a PostgreSQL database. Return its revisions before and after."""
    from project_manager.store import migrations  # noqa: PLC0415 a migrated file needs no Alembic

    before = migrations.revision_on_server(url)
    migrations.upgrade(url)
    return before, migrations.revision_on_server(url)


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


def _revision(path: Path) -> str | None:
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with closing(driver.connect(str(path), keep_settings=True)) as connection:
            return revisions.current(connection)
    except driver.DriverError:
        return None
