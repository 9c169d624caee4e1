"""Errors of commands that a supervisor runs, written as log lines if the log format is JSON."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from project_manager.cli import failures, output
from project_manager.config import settings
from project_manager.config.settings import LogFormat
from project_manager.observability import logging as logs

log = logging.getLogger(__name__)


@contextmanager
def log_json(flags: Mapping[str, object], env_file: Path | None, *, unset: LogFormat) -> Iterator[None]:
    """Report a refused command as one JSON log line, unless LOG_FORMAT is text or standard error is a terminal.

    Each error in a plan is one line of the message. `unset` is the default of LOG_FORMAT.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, output.OutputError):
        raise
    except Exception as error:
        form = settings.log_format(flags, settings.read_environment(), env_file, unset=unset)
        if form == "text" or sys.stderr.isatty():
            raise
        failure = failures.describe(error)
        logs.configure("ERROR", form)
        unexpected = None if isinstance(error, failures.EXPECTED_ERRORS) else error
        log.error("%s", "\n".join(failure.lines), exc_info=unexpected, extra={"action": "start_refused"})
        raise click.exceptions.Exit(failure.status) from error
