"""Exit of a service after its disk has failed during a write."""

import logging
import os

log = logging.getLogger(__name__)

STATUS = 74
"""The exit status EX_IOERR of sysexits.h."""


class FailedDisk:
    """A handler that ends the process after a failed write.

    `ends_process` is false in a command, which reports the error to its user instead.
    """

    def __init__(self) -> None:
        self.ends_process = False

    def __call__(self, error: BaseException) -> None:
        """Log the error and end the process without an answer.

        The write may be present after the next start. Neither success nor failure would be a true answer.
        """
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
