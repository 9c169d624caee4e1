"""Waits for the threads of a database at its end. A database that does not answer may keep them for long."""

import threading

from project_manager.clock import monotonic


def join(thread: threading.Thread, until: float | None) -> bool:
    """Wait for the end of a thread until this instant of `monotonic`, or without a limit. Return whether it has ended.

    A thread that was never started counts as ended.
    """
    if thread.ident is not None:
        thread.join(None if until is None else max(until - monotonic(), 0.0))
    return not thread.is_alive()
