"""The end of a service whose disk has failed during a write."""

import logging
import os

log = logging.getLogger(__name__)

STATUS = 74
"""EX_IOERR of sysexits.h."""


class FailedDisk:
    """End the process at once. `ends_process` is false in a command, which reports the error to its user instead."""

    def __init__(self) -> None:
        self.ends_process = False

    def __call__(self, error: BaseException) -> None:
        """The write may be there after the next start: neither success nor failure would be a true answer."""
        if not self.ends_process:
            return
        log.critical(
            "the disk failed during a write (%s): it is not known what was kept. The process ends its connections "
            "without an answer and has to be started again",
            error,
            extra={"action": "write_lost"},
        )
        logging.shutdown()
        os._exit(STATUS)
