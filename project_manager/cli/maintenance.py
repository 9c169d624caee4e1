"""The commands migrate, healthcheck and config."""

import http.client
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click

from project_manager.cli import operations, start_errors
from project_manager.cli.failures import CommandError, Exit
from project_manager.config.settings import SETTINGS, LoadedSettings, Settings, show
from project_manager.runtime.dispatch import database_options
from project_manager.store import revisions
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.database import move_foreign_logs, prepare

_WILDCARD_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 compared with, not bound to


def migrate(flags: Mapping[str, object], env_file: Path | None) -> Exit:
    """Create the database, or migrate it to the schema of this release."""
    with start_errors.log_json(flags, env_file, unset="text"):
        settings = operations.settings_of(flags, env_file)
        path = settings.database_path
        move_foreign_logs(path)
        before = _revision(path)
        prepare(replace(database_options(settings), auto_migrate=True))
        after = _revision(path)
    change = f"already has schema {after}" if before == after else f"now has schema {after} ({before or 'none'} before)"
    click.echo(f"{path} {change}.")
    return Exit.DONE


def check_running_releases(running: Sequence[str]) -> Exit:
    """Check that releases with these schemas run on the schema of this release. Raises CommandError, BadParameter."""
    from project_manager.store.migrations import oldest_release  # noqa: PLC0415 a health check loads no Alembic

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


def healthcheck(settings: Settings, as_json: bool) -> Exit:
    """Request the health of the running service and print it."""
    host = _WILDCARD_ADDRESSES.get(settings.host, settings.host)
    shown = f"[{host}]" if ":" in host else host
    connection = http.client.HTTPConnection(host, settings.default_port, timeout=settings.health_check_timeout)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        status, body = response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else error
        click.echo(f"No response from {shown}:{settings.default_port}: {cause}.", err=True)
        return Exit.FAILED
    finally:
        connection.close()
    if as_json:
        click.echo(body)
    else:
        click.echo(_health_line(status, body, settings.health_check_verbose), err=status != http.client.OK)
    return Exit.DONE if status == http.client.OK else Exit.FAILED


def show_config(loaded: LoadedSettings, as_json: bool) -> Exit:
    """Print every setting with its value and its source."""
    rows = [(setting.name, show(setting, loaded.settings), loaded.sources[setting.name]) for setting in SETTINGS]
    if as_json:
        operations.show_json([{"name": name, "value": value, "source": source} for name, value, source in rows])
        return Exit.DONE
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for name, value, source in rows:
        click.echo(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}")
    return Exit.DONE


def _revision(path: Path) -> str | None:
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with closing(driver.connect(str(path), keep_settings=True)) as connection:
            return revisions.current(connection)
    except driver.DriverError:
        return None


def _health_line(status: int, body: str, verbose: bool) -> str:
    try:
        health = json.loads(body)
        word, reasons = str(health["status"]), [str(reason) for reason in health.get("reasons", [])]
    except (ValueError, KeyError, TypeError):
        return f"The service returned HTTP status {status}."
    why = f": {'; '.join(reasons)}" if reasons else ""
    return f"{word}{why}" + (f"\n{body}" if verbose else "")
