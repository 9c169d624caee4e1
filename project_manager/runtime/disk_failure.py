"""Exit of a service after its disk has failed during a write."""

import logging
import os

log = logging.getLogger(__name__)

STATUS = 74
"""The exit status EX_IOERR of sysexits.h."""


class DiskFailureHandler:
    """A handler that ends the process after a failed write. A command reports the error to its user instead."""

    def __init__(self) -> None:
        self.ends_process = False

    def __call__(self, error: BaseException) -> None:
        """End the process without a response, because the write may or may not be present after the next start."""
        if not self.ends_process:
            return
        log.critical(
            "disk failure during a write (%s): its result is unknown. The process closes all connections without a "
            "response and exits; start it again",
            error,
            extra={"action": "write_lost"},
        )
        logging.shutdown()
        os._exit(STATUS)
