"""backup, restore and verify."""

from pathlib import Path

import click

from project_manager.clock import SystemClock, monotonic
from project_manager.config import Settings
from project_manager.store import backup, restore
from project_manager.store.backup import Backup, Examination
from project_manager.store.restore import Restored
from project_manager.terminal import session
from project_manager.terminal.endings import Exit, NothingThere


def back_up(settings: Settings, target: Path | None, keep: int, as_json: bool) -> Exit:
    """Takes a backup to a file, or to a folder under a name of its own, of which the newest `keep` stay."""
    database, now, started = settings.database_path, SystemClock().now(), monotonic()
    folder = target or database.parent / "backups"
    into_folder = target is None or folder.is_dir()
    made = backup.back_up(database, backup.name_in(folder, database, now) if into_folder else folder)
    backup.note_verified(database, backup.Verified(now / 1000, monotonic() - started))
    removed = backup.keep_newest(folder, database, keep) if into_folder and keep else []
    if as_json:
        session.show_json({**_shown(made), "removed": [str(path) for path in removed]})
    else:
        click.echo(f"{made.path}: {made.bytes:,} bytes, read back and whole, sha256 {made.sha256}")
        if removed:
            click.echo(
                f"{len(removed)} older backup{'' if len(removed) == 1 else 's'} removed; the newest {keep} stay."
            )
    return Exit.DONE


def put_back(settings: Settings, source: Path, as_json: bool) -> Exit:
    if not source.is_file():
        raise NothingThere(f"there is no backup at {source}")
    done = restore.restore(source, settings.database_path, SystemClock().now())
    if as_json:
        session.show_json(
            {
                "database": str(settings.database_path),
                "kept": None if done.kept is None else str(done.kept),
                "epoch": done.epoch,
                "fence_floor": done.fence_floor,
                "leases_ended": done.released,
            }
        )
    else:
        _tell_restored(settings.database_path, source, done)
    return Exit.DONE


def _tell_restored(database: Path, source: Path, done: Restored) -> None:
    click.echo(
        f"{database} is {source} again. {done.released} leases were ended; new fences begin above {done.fence_floor}."
    )
    if done.kept is not None:
        click.echo(f"What was there before is kept as {done.kept}.")


def verify(settings: Settings, file: Path | None, as_json: bool) -> Exit:
    """Reads a database or a backup from end to end."""
    path = file or settings.database_path
    if not path.is_file():
        raise NothingThere(f"there is no file {path}")
    found = backup.examine(path)
    if as_json:
        session.show_json(
            {"path": str(path), "whole": not found.faults, "schema": found.revision, "faults": list(found.faults)}
        )
    else:
        _tell_found(path, found)
    return Exit.FAILED if found.faults else Exit.DONE


def _tell_found(path: Path, found: Examination) -> None:
    if not found.faults:
        checked = " and its checksum" if backup.sidecar_of(path).exists() else ""
        click.echo(f"{path} is whole: its pages, references, counters and events{checked}; schema {found.revision}.")
        return
    click.echo(f"{path} is damaged:", err=True)
    for fault in found.faults:
        click.echo(f"  {fault}", err=True)
    click.echo("Put a backup in its place: project-manager restore FILE", err=True)


def _shown(made: Backup) -> dict[str, object]:
    return {"path": str(made.path), "bytes": made.bytes, "sha256": made.sha256, "schema": made.revision}
