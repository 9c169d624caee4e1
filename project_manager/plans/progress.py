"""Progress of long requests within this process. Listeners get the step, the amount done and the total."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

ProgressListener = Callable[[str, int, int], None]

_listeners: dict[str, ProgressListener] = {}


@contextmanager
def report_to(request_id: str, listener: ProgressListener) -> Iterator[None]:
    """Call `listener` with the progress of this request while the body runs, on the thread that does the work."""
    _listeners[request_id] = listener
    try:
        yield
    finally:
        del _listeners[request_id]


def listener_of(request_id: str) -> ProgressListener:
    """Return the listener of the request, or a listener that does nothing."""
    return _listeners.get(request_id, lambda label, done, of: None)
