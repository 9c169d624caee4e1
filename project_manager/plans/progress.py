"""How far a long request has come, for whoever waits for it in this process: what it does, how much, of how much."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, int, int], None]

_listeners: dict[str, Listener] = {}


@contextmanager
def followed(request_id: str, listener: Listener) -> Iterator[None]:
    """While it is open, `listener` hears of this request, on the thread that does the work."""
    _listeners[request_id] = listener
    try:
        yield
    finally:
        del _listeners[request_id]


def listener_of(request_id: str) -> Listener:
    """Who follows the request; somebody who does not listen when nobody does."""
    return _listeners.get(request_id, _nobody)


def _nobody(words: str, done: int, of: int) -> None:
    pass
