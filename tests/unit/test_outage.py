"""The time for which a session waits for a lost PostgreSQL server."""

from itertools import count

import psycopg
import pytest

from project_manager.store.postgres import outage
from project_manager.store.postgres.outage import Outage

MANY_ATTEMPTS = 1000


def test_a_refused_session_waits_no_longer_while_others_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may refuse it for its number of connections."""
    monkeypatch.setattr(outage, "FAILOVER_SECONDS", 0.05)
    monkeypatch.setattr(outage, "RETRY_SECONDS", 0.001)
    shared, numbers = Outage(), count()

    def attempt() -> None:
        assert next(numbers) < MANY_ATTEMPTS
        shared.end()
        raise psycopg.OperationalError("too many connections")

    with pytest.raises(psycopg.OperationalError, match="too many connections"):
        shared.connect(attempt)
