"""The command `project-manager`, also as `python -m project_manager`."""

import os
import signal
from types import FrameType


def main() -> None:
    """Run the command line. A signal ends the process from its first moments on.

    The kernel delivers no signal to process 1 (a container without an init) that has no handler for it, and the
    libraries take a second to load.
    """
    signal.signal(signal.SIGTERM, _end)
    interrupt = signal.signal(signal.SIGINT, _end)
    from project_manager.cli.main import main as command

    signal.signal(signal.SIGINT, interrupt)
    command(prog_name="project-manager")


def _end(number: int, _frame: FrameType | None) -> None:
    """End as without a handler. Process 1 outlives that, and exits with the status that a shell shows for it."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)


if __name__ == "__main__":
    main()
