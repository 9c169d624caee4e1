"""The commands backup, restore and verify."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from project_manager.cli import databases, json_output
from project_manager.cli.failures import CommandError, Exit, MissingTargetError
from project_manager.clock import SystemClock, monotonic
from project_manager.config.settings import Settings
from project_manager.store.backend import Verified
from project_manager.store.chain import Head
from project_manager.store.errors import BackupError
from project_manager.store.sqlite import access, backup, private_files, restore
from project_manager.store.sqlite.checks import CheckResult
from project_manager.store.sqlite.restore import Restored

TAMPERED_HINT = (
    "Another program has changed the contents. Find the newest backup that matches its events with "
    "`project-manager verify FILE`, and compare its latest event with the log."
)


def back_up(settings: Settings, target: str | None, keep: int, force: bool, as_json: bool) -> Exit:
    """Back up the database to a file, or to a new file in a folder. Keep the newest `keep` files there, or all for 0.

    Raises MissingTargetError, CommandError, BackupError.
    """
    database, now, started = settings.database_path, SystemClock().now(), monotonic()
    databases.check_database_exists(database)
    folder = _backups_beside(database, settings.backup_mode) if target is None else Path(target)
    into_folder = folder.is_dir() or str(target).endswith("/")
    _check_target(folder, database, into_folder, force)
    file = backup.backup_name(folder, database, now) if into_folder else folder
    made = backup.back_up(database, file, settings.backup_mode)
    _record_verification(database, Verified(now / 1000, monotonic() - started))
    # Remove old backups only after the new one is verified.
    removed = backup.keep_newest(folder, database, keep) if into_folder and keep else []
    if as_json:
        json_output.show(
            {
                "path": str(made.path),
                "bytes": made.bytes,
                "sha256": made.sha256,
                "schema": made.revision,
                "head": None if made.head is None else str(made.head),
                "differences": list(made.differences),
                "removed": [str(path) for path in removed],
            }
        )
    else:
        click.echo(f"{made.path}: {made.bytes:,} bytes, verified, sha256 {made.sha256}")
        if made.head is not None:
            click.echo(f"Latest event: {made.head}")
        if removed:
            backups = f"{len(removed)} older backup{'' if len(removed) == 1 else 's'}"
            click.echo(f"{backups} removed; the newest {keep} are kept.")
    if made.differences:
        title = f"{made.path} is an exact copy, but its contents do not match its events"
        _print_problems(title, made.differences, TAMPERED_HINT)
    return Exit.DONE


def _print_problems(title: str, problems: Sequence[str], remedy: str) -> None:
    click.echo(f"{title}:", err=True)
    for problem in problems:
        click.echo(f"  {problem}", err=True)
    click.echo(remedy, err=True)


def _record_verification(database: Path, verified: Verified) -> None:
    """Record the backup for the metrics of the server. A failed record does not invalidate the backup."""
    try:
        backup.record_verification(database, verified)
    except BackupError as error:
        click.echo(f"This backup is missing from the metrics: {error}.", err=True)


def _backups_beside(database: Path, mode: int) -> Path:
    """Return the folder `backups` next to the database. Create it for the users that can read backups with `mode`.

    Raises CommandError.
    """
    folder = database.parent / "backups"
    try:
        if not folder.is_dir():
            private_files.make_folder(folder)
            folder.chmod(private_files.folder_mode(mode))
    except OSError as error:
        reason = access.folder_problem(database.parent) or error.strerror
        raise CommandError(f"cannot create folder {folder}: {reason}") from error
    return folder


def _check_target(target: Path, database: Path, into_folder: bool, force: bool) -> None:
    """Raise CommandError for a target that would replace a file, and MissingTargetError for one in a missing folder."""
    folder = target if into_folder else target.parent
    if not folder.is_dir():
        raise MissingTargetError(f"folder {folder} not found")
    if into_folder or not target.exists():
        return
    if database.exists() and target.samefile(database):
        raise CommandError(f"{target} is the database itself; choose another file or a folder")
    if not force:
        raise CommandError(f"file {target} already exists; choose another file or a folder, or replace it with --force")


def restore_backup(settings: Settings, source: Path, force: bool, as_json: bool) -> Exit:
    """Replace the database with the backup `source`. Raises MissingTargetError, BackupError."""
    if not source.is_file():
        raise MissingTargetError(f"backup {source} not found")
    done = restore.restore(source, settings.database_path, SystemClock().now(), force=force)
    if as_json:
        json_output.show(
            {
                "database": str(settings.database_path),
                "previous": None if done.previous is None else str(done.previous),
                "previous_logs": [str(log) for log in done.logs],
                "epoch": done.epoch,
                "fence_floor": done.fence_floor,
                "leases_ended": done.released,
                "clock_lowered_seconds": done.clock_lowered_ms // 1000,
            }
        )
    else:
        _report_restore(settings.database_path, source, done)
    return Exit.DONE


def _report_restore(database: Path, source: Path, done: Restored) -> None:
    click.echo(
        f"{database} restored from {source}. Leases ended: {done.released}; new fences start above {done.fence_floor}."
    )
    if done.clock_lowered_ms:
        ahead = timedelta(seconds=done.clock_lowered_ms // 1000)
        click.echo(f"Database time was {ahead} ahead of the wall clock. It was reset to the wall clock.")
    if done.previous is not None:
        click.echo(f"The previous database is kept as {done.previous}.")
    for log in done.logs:
        click.echo(f"The previous log is kept as {log}.")


def verify(settings: Settings, file: Path | None, heads: Sequence[str], as_json: bool) -> Exit:
    """Check a database or a backup from end to end. Its hash chain must contain the published `heads`."""
    published = [_head(text) for text in heads]
    path = file or settings.database_path
    if file is None:
        databases.check_database_exists(path)
    elif not path.is_file():
        raise MissingTargetError(f"file {path} not found")
    found = backup.check_file(path, sealed=file is not None, published=published)
    if as_json:
        json_output.show(
            {
                "path": str(path),
                "integrity": not found.problems,
                "matches_events": not found.differences,
                "schema": found.revision,
                "head": None if found.head is None else str(found.head),
                "errors": list(found.problems),
                "differences": list(found.differences),
                "tasks_without_events": found.unchecked,
            }
        )
    else:
        _report_check(path, found, is_database=file is None)
    return Exit.FAILED if found.problems or found.differences else Exit.DONE


def _report_check(path: Path, found: CheckResult, *, is_database: bool) -> None:
    if found.problems:
        remedy = "Do not restore this backup; use another one."
        if is_database:
            remedy = "Restore a backup: project-manager restore FILE"
        _print_problems(f"{path} is damaged", [*found.problems, *found.differences], remedy)
        return
    if found.differences:
        title = f"{path} is readable, but its contents do not match its events"
        _print_problems(title, found.differences, TAMPERED_HINT)
        if found.head is not None:
            click.echo(f"Latest event: {found.head}", err=True)
        return
    parts = ["pages", "references"] if found.head is None else ["pages", "references", "counters", "events"]
    if not is_database and backup.checksum_path(path).exists():
        parts.append("checksum")
    click.echo(f"{path} is intact: {', '.join(parts[:-1])} and {parts[-1]}; schema {found.revision}.")
    if found.head is None:
        click.echo("The schema differs from that of this release, so the events were not compared.")
    else:
        click.echo(f"Latest event: {found.head}")
    if found.unchecked:
        click.echo(f"{found.unchecked:,} tasks have no remaining event and could not be compared.")


def _head(text: str) -> Head:
    """Parse a head in the format of `verify`: the number of an event and its hash. Raises BadParameter."""
    try:
        return Head.read(text)
    except ValueError as error:
        message = f"{text!r} is not a valid head; use SEQ:HASH, as printed by `verify` and in the log"
        raise click.BadParameter(message, param_hint="'--head'") from error
