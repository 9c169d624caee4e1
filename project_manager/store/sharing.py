"""Registration of a process as an instance of a database that it may share with others."""

import os
from collections.abc import Collection

from project_manager.store import claim_queue, instances
from project_manager.store.database import Database
from project_manager.store.instances import InstanceRow
from project_manager.store.transaction import Tx


def register(tx: Tx, *, database: Database, version: str, kind: str, gone: Collection[InstanceRow] = ()) -> None:
    """Insert this process into the instances. Raises DatabaseOpenError when sharing the database is not safe.

    `gone` are the rows of instances on other machines that sent no heartbeat during a wait.
    """
    instances.delete_expired(tx)
    others = check_sharing(tx, database=database, gone=gone)
    for other in instances.live(tx):
        if other not in others:
            instances.unregister(tx, other.id)
    if not others:
        claim_queue.clear(tx)
    _insert(tx, database, version, kind)


def check_sharing(tx: Tx, *, database: Database, gone: Collection[InstanceRow] = ()) -> list[InstanceRow]:
    """Return the other processes that use the database. Raises DatabaseOpenError when sharing it is not safe."""
    others = [other for other in instances.running(tx) if other not in gone]
    database.backend.refuse_instances(others)
    return others


def instances_on_other_hosts(tx: Tx, *, database: Database) -> list[InstanceRow]:
    """Return the instances on other machines, according to their rows."""
    return database.backend.remote_instances(instances.live(tx))


def heartbeat(tx: Tx, *, database: Database, version: str, kind: str) -> None:
    """Write the heartbeat of this process. Insert its row again when the row is gone."""
    if not instances.heartbeat(tx, database.instance):
        _insert(tx, database, version, kind)


def _insert(tx: Tx, database: Database, version: str, kind: str) -> None:
    instances.register(tx, database.instance, host=database.host, pid=os.getpid(), version=version, kind=kind)
