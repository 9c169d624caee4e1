"""The commands backup, restore and verify."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from project_manager.cli import databases, json_output
from project_manager.cli.failures import CommandError, Exit, MissingTargetError
from project_manager.clock import SystemClock, monotonic
from project_manager.config.settings import Settings
from project_manager.store.backend import Verified
from project_manager.store.chain import Head
from project_manager.store.checks import CheckResult
from project_manager.store.errors import BackupError
from project_manager.store.opening import postgres_module
from project_manager.store.sqlite import access, backup, private_files, restore
from project_manager.store.sqlite.restore import Restored

TAMPERED_HINT = (
    "Another program has changed the contents. Find the newest backup that matches its events with "
    "`project-manager verify FILE`, and compare its latest event with the log."
)
TAMPERED_ON_SERVER_HINT = (
    "Another program has changed the contents. Restore backups into another database, find the newest one that matches "
    "its events with `project-manager verify`, and compare its latest event with the log."
)
FLOW_HINT = "Rebuild the flow: POST /api/flow/rebuild"
PARTS_OF_FILE = ("pages", "references")


def back_up(settings: Settings, target: str | None, keep: int, force: bool, as_json: bool) -> Exit:
    """Back up the database to a file, or to a new file in a folder. Keep the newest `keep` files there, or all for 0.

    Raises MissingTargetError, CommandError, BackupError.
    """
    database, now, started = databases.file_of(settings), SystemClock().now(), monotonic()
    databases.check_file_exists(database)
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
        print_problems(title, made.differences, TAMPERED_HINT)
    return Exit.DONE


def print_problems(title: str, problems: Sequence[str], remedy: str) -> None:
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
    database = databases.file_of(settings)
    if not source.is_file():
        raise MissingTargetError(f"backup {source} not found")
    done = restore.restore(source, database, SystemClock().now(), force=force)
    if as_json:
        json_output.show(
            {
                "database": str(database),
                "previous": None if done.previous is None else str(done.previous),
                "previous_logs": [str(log) for log in done.logs],
                "epoch": done.epoch,
                "fence_floor": done.fence_floor,
                "leases_ended": done.released,
                "clock_lowered_seconds": done.clock_lowered_ms // 1000,
            }
        )
    else:
        _report_restore(database, source, done)
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
    checked = _check_of_file(file) if file else _check_of_database(settings)
    found = checked.run(published)
    if as_json:
        json_output.show(
            {
                "path": checked.name,
                "integrity": not found.problems,
                "matches_events": not found.differences,
                "schema": found.revision,
                "head": None if found.head is None else str(found.head),
                "errors": list(found.problems),
                "differences": list(found.differences),
                "flow": list(found.outdated_flow),
                "tasks_without_events": found.unchecked,
            }
        )
    else:
        _report_check(checked, found)
    return Exit.FAILED if found.problems or found.differences or found.outdated_flow else Exit.DONE


@dataclass(frozen=True, slots=True)
class _Check:
    """A check of the database or backup `name`, and the text about its result.

    `parts` are checked in every schema. The check of counters and events needs that of this release. `remedy` is for
    damage, and `tampered_hint` for changes by another program.
    """

    name: str
    run: Callable[[Sequence[Head]], CheckResult]
    parts: tuple[str, ...]
    remedy: str
    tampered_hint: str = TAMPERED_HINT
    has_checksum: bool = False


def _check_of_file(file: Path) -> _Check:
    if not file.is_file():
        raise MissingTargetError(f"file {file} not found")
    return _Check(
        str(file),
        lambda published: backup.check_file(file, published=published, with_flow=True),
        PARTS_OF_FILE,
        "Do not restore this backup; use another one.",
        has_checksum=backup.checksum_path(file).exists(),
    )


def _check_of_database(settings: Settings) -> _Check:
    databases.check_database_exists(settings)
    if settings.database_url:
        check = postgres_module("checks").check
        return _Check(
            settings.database_name,
            lambda published: check(settings.database_url, published),
            (),
            "Restore a backup with the tools of PostgreSQL.",
            TAMPERED_ON_SERVER_HINT,
        )
    path = settings.database_path
    return _Check(
        str(path),
        lambda published: backup.check_file(path, sealed=False, published=published, with_flow=True),
        PARTS_OF_FILE,
        "Restore a backup: project-manager restore FILE",
    )


def _report_check(checked: _Check, found: CheckResult) -> None:
    if found.problems:
        print_problems(f"{checked.name} is damaged", [*found.problems, *found.differences], checked.remedy)
    elif found.differences:
        title = f"{checked.name} is readable, but its contents do not match its events"
        print_problems(title, found.differences, checked.tampered_hint)
        if found.head is not None:
            click.echo(f"Latest event: {found.head}", err=True)
    else:
        _report_intact(checked, found)
    if found.outdated_flow:
        print_problems(f"{checked.name}: the flow does not match its events", found.outdated_flow, FLOW_HINT)


def _report_intact(checked: _Check, found: CheckResult) -> None:
    parts = [*checked.parts, *(() if found.head is None else ("counters", "events"))]
    if checked.has_checksum:
        parts.append("checksum")
    click.echo(f"{checked.name} is intact: {', '.join(parts[:-1])} and {parts[-1]}; schema {found.revision}.")
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
