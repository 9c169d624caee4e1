"""Faults that are planted into the service or its database. The checks of failovers must find each of them."""

from dataclasses import dataclass

from tests.postgres_cluster import DATABASE

_NO_WAIT = f"ALTER DATABASE {DATABASE} SET synchronous_commit = 'local'"
_EVERY_BATCH_IS_KEPT = """
from project_manager.store.postgres.write_connection import PostgresWriteConnection



def is_kept(connection):
    connection._lock()
    connection.connection.execute("ROLLBACK")
    return True


PostgresWriteConnection._is_kept = is_kept
"""


@dataclass(frozen=True)
class Planted:
    """A fault: a statement for the primary, or code that a service runs before its start."""

    is_synchronous: bool
    statement: str = ""
    code: str = ""


_NO_PROMOTION = """
from project_manager.store.postgres.promotion import Promotion

Promotion.record = lambda self: False
"""
_NO_FENCES = """
from project_manager.store import meta, new_epoch

class Nothing:
    def run(self, tx, **values):
        pass


new_epoch._RAISE_FENCES = Nothing()
begin_epoch = meta.begin_epoch
meta.begin_epoch = lambda tx, epoch, floor: begin_epoch(tx, epoch, 0)
"""
_ANY_SERVER = """
from project_manager.store.postgres import hosts
from project_manager.store.postgres.timelines import Timelines

Timelines.check = lambda self, *values: None
Timelines.is_outdated = lambda self, server: False
hosts.connect_to_newest = hosts._connect_and_identify
"""

PLANTED = {
    "commits do not wait for the standby": Planted(is_synchronous=True, statement=_NO_WAIT),
    "each interrupted commit counts as kept": Planted(is_synchronous=True, code=_EVERY_BATCH_IS_KEPT),
    "the timeline is not compared": Planted(is_synchronous=False, code=_NO_PROMOTION),
    "fences are not raised": Planted(is_synchronous=False, code=_NO_FENCES),
    "an old primary is accepted": Planted(is_synchronous=False, code=_ANY_SERVER),
}
