"""Standard output and standard error of a command, whatever they lead to."""

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_STDOUT, _STDERR = 1, 2


class OutputRefused(Exception):
    """Standard output takes no more: a full disk, a closed pipe. One sentence."""


class _Output(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            while (written := super().write(data)) is None:  # a pipe that does not block, and is full
                select.select([], [self], [])
        except OSError as error:
            raise OutputRefused(f"Standard output cannot be written: {error.strerror}.") from error
        return written


class _Errors(io.FileIO):
    """Standard error takes what it can: nothing is left to report to."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)


def prepare() -> None:
    """Encode as UTF-8 what goes to a file or a pipe; a terminal gets replacement characters for what it lacks.

    Streams that something else has put in their place stay.
    """
    if sys.stdout is None:  # closed: the next file that is opened must not become the output
        nowhere = os.open(os.devnull, os.O_RDONLY)
        if nowhere != _STDOUT:
            os.dup2(nowhere, _STDOUT)
        sys.stdout = _text(_Output(_STDOUT, "wb", closefd=False), "utf-8", "surrogateescape")
    elif sys.stdout is sys.__stdout__:
        sys.stdout = _like(sys.stdout, _Output(_STDOUT, "wb", closefd=False), "surrogateescape")
    if sys.stderr is not None and sys.stderr is sys.__stderr__:
        sys.stderr = _like(sys.stderr, _Errors(_STDERR, "wb", closefd=False), "backslashreplace")


@contextmanager
def dispensable() -> Iterator[None]:
    """Go on when standard output takes no more."""
    try:
        yield
    except OutputRefused:
        discard()


def discard() -> None:
    """Throw away what standard output did not take. Otherwise the interpreter would try again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDOUT)
    os.close(nowhere)


def _like(stream: Any, raw: io.FileIO, errors: str) -> io.TextIOWrapper:
    return _text(raw, stream.encoding, "replace") if raw.isatty() else _text(raw, "utf-8", errors)


def _text(raw: io.FileIO, encoding: str, errors: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=True)
