"""The command `project-manager`, also as `python -m project_manager`."""

import gc
import os
import signal
from types import FrameType


def main() -> None:
    """Run the command line. A signal ends the process even while the libraries load, which takes a second.

    In a container without an init, process 1 receives only signals for which it has a handler.
    """
    gc.set_threshold(200_000, 20, 100)  # loading makes objects that stay: by default a tenth of a start checks them
    signal.signal(signal.SIGTERM, _end)
    interrupt = signal.signal(signal.SIGINT, _end)
    from project_manager.cli.main import main as command

    signal.signal(signal.SIGINT, interrupt)
    command(prog_name="project-manager")


def _end(number: int, _frame: FrameType | None) -> None:
    """End the process by the default action of the signal.

    Process 1 ignores that action. So it exits with 128 plus the number of the signal, as a shell reports it.
    """
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)


if __name__ == "__main__":
    main()
