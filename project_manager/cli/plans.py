"""The commands import and export."""

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from project_manager.cli import operations, output
from project_manager.cli.failures import MissingTargetError
from project_manager.config.settings import Settings
from project_manager.domain.limits import NAME_CHARACTERS
from project_manager.plans.progress import ProgressListener, report_to
from project_manager.schemas.plans import ImportView
from project_manager.store.sqlite import backup, files, private_files

_PROGRESS_FROM_CHARACTERS = 100_000
_CHANGE_SYMBOLS = {"created": "+", "changed": "~", "deleted": "-", "unchanged": "="}
_PROGRESS_STEPS = 1000
_SHARES = {"Reading": (0.0, 0.25), "Comparing": (0.25, 0.1), "Writing": (0.35, 0.65)}
"""The part of the progress bar before each phase, and that of the phase. Each is its part of the CPU of an import."""


def import_file(settings: Settings, file: str, *, dry_run: bool, status: str, prune: bool, quiet: bool) -> ImportView:
    """Import the plan in `file`, or standard input for `-`. Raises click.FileError, and the errors of `perform`."""
    document = _read(file)
    request_id = secrets.token_hex(8)
    source = "standard input" if file == "-" else file if len(file) <= NAME_CHARACTERS else Path(file).name
    raw = {"document": document, "source": source, "dry_run": dry_run, "status": status, "prune": prune}
    is_small = len(document) < _PROGRESS_FROM_CHARACTERS
    with _progress_listener(quiet or is_small) as listener, report_to(request_id, listener):
        view: ImportView = operations.perform(
            settings, lambda client: client.run("import_plan", raw, request_id), may_create=True
        )
        return view


def report(view: ImportView) -> None:
    """Print the result of an import as numbers. A dry run also lists each change by name."""
    if view.dry_run:
        for change in view.changes:
            fields = f"  ({', '.join(change.fields)})" if change.change == "changed" else ""
            click.echo(f"{_CHANGE_SYMBOLS[change.change]} {change.kind:<7} {change.name}{fields}")
    numbers = f"{view.created} created, {view.changed} changed, {view.unchanged} unchanged, {view.deleted} deleted"
    click.echo(f"Dry run: {numbers}. Nothing was written." if view.dry_run else f"Imported: {numbers}.")


def export_file(settings: Settings, project: str | None, form: str, target: str) -> None:
    """Export to a file, which is replaced atomically, or to standard output, a pipe or a device."""
    raw = {"format": form, **({} if project is None else {"project": project})}
    if target == "-":
        operations.perform(settings, lambda client: client.stream("export_plan", raw, partial(click.echo, nl=False)))
        return
    try:
        with _atomic_writer(Path(target)) as write:
            operations.perform(settings, lambda client: client.stream("export_plan", raw, write))
    except OSError as error:
        raise click.FileError(target, error.strerror or "") from error


@contextmanager
def _atomic_writer(target: Path) -> Iterator[Callable[[str], object]]:
    """Yield a function that writes a temporary file, and replace the target with that file at the end.

    A device or a pipe is written directly. A new file gets mode 0600 and the owner of its folder. A replacement gets
    the owner and the permissions of the old file.
    """
    if target.exists() and not target.is_file():
        with target.open("w", encoding="utf-8", newline="") as file:
            yield file.write
        return
    target = target.resolve()
    with private_files.workspace(target, "unfinished") as unfinished:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file.write
        files.copy_ownership(unfinished, target if target.exists() else target.parent, mode=target.exists())
        backup.replace_file(unfinished, target)


def _read(file: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except FileNotFoundError as error:
        raise MissingTargetError(f"file {file} not found") from error
    except OSError as error:
        raise click.FileError(file, error.strerror or "") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise click.FileError(file, f"line {line} is not UTF-8 text") from error


@contextmanager
def _progress_listener(quiet: bool) -> Iterator[ProgressListener]:
    """Yield a listener that shows progress in a terminal and does nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda label, done, of: None
        return
    with click.progressbar(length=_PROGRESS_STEPS, file=output.raw_stream(sys.stderr), show_eta=False) as bar:
        yield _ProgressBar(bar)
        bar.update(bar.length or 0)


class _ProgressBar:
    """A progress bar that covers all phases of an import."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._shown = 0

    def __call__(self, label: str, done: int, of: int) -> None:
        before, share = _SHARES[label]
        steps = int(_PROGRESS_STEPS * (before + share * done / max(1, of)))
        self._bar.label = label
        self._bar.update(max(0, steps - self._shown))
        self._shown = max(steps, self._shown)
