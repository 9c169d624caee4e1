"""Standard output and standard error of a command: terminal, file or pipe."""

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from project_manager.domain.characters import escape_control_characters

_STDOUT, _STDERR = 1, 2


class OutputError(Exception):
    """Standard output cannot be written, as on a full disk or to a closed pipe. The message is one sentence."""


class _Output(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            while (written := super().write(data)) is None:  # a full non-blocking pipe
                select.select([], [self], [])
        except OSError as error:
            raise OutputError(f"Cannot write to standard output: {error.strerror}.") from error
        return written


class _Errors(io.FileIO):
    """Standard error that ignores failures, because no other stream could report them."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)


class _Terminal(io.TextIOWrapper):
    """A terminal that escapes control characters, so that texts of clients cannot control it."""

    def write(self, text: str) -> int:
        return super().write(escape_control_characters(text))


def prepare() -> None:
    """Set up standard output and standard error, unless a test has replaced them. Files and pipes get UTF-8.

    On a terminal, characters that its encoding lacks are replaced, and control characters are escaped.
    """
    if sys.stdout is None:  # closed: the next opened file must not become standard output
        nowhere = os.open(os.devnull, os.O_RDONLY)
        if nowhere != _STDOUT:
            os.dup2(nowhere, _STDOUT)
        raw = _Output(_STDOUT, "wb", closefd=False)
        sys.stdout = _text(io.TextIOWrapper, io.BufferedWriter(raw), "utf-8", "surrogateescape")
    elif sys.stdout is sys.__stdout__:
        sys.stdout = _like(sys.stdout, _Output(_STDOUT, "wb", closefd=False), "surrogateescape")
    if sys.stderr is not None and sys.stderr is sys.__stderr__:
        sys.stderr = _like(sys.stderr, _Errors(_STDERR, "wb", closefd=False), "backslashreplace")


def raw_stream(stream: TextIO) -> TextIO:
    """Return a stream to the same destination that does not escape our control sequences, as of a progress bar."""
    if not isinstance(stream, _Terminal):
        return stream
    stream.flush()
    return _text(io.TextIOWrapper, stream.buffer, stream.encoding, "replace")


@contextmanager
def ignore_output_errors() -> Iterator[None]:
    """Ignore failures to write to standard output."""
    try:
        yield
    except OutputError:
        redirect_to_devnull()


def redirect_to_devnull() -> None:
    """Redirect standard output to the null device. Otherwise the interpreter would write the rest again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDOUT)
    os.close(nowhere)


def _like(stream: Any, raw: io.FileIO, errors: str) -> io.TextIOWrapper:
    if raw.isatty():
        return _text(_Terminal, io.BufferedWriter(raw), stream.encoding, "replace")
    return _text(io.TextIOWrapper, io.BufferedWriter(raw), "utf-8", errors)


def _text(kind: type[io.TextIOWrapper], buffer: Any, encoding: str, errors: str) -> io.TextIOWrapper:
    return kind(buffer, encoding, errors, line_buffering=True)
