"""Writes of the reasons for which tasks are withheld from claims."""

import json
from collections.abc import Collection

from sqlalchemy import bindparam, update

from project_manager.domain.readiness import Withheld
from project_manager.store.functions import Number
from project_manager.store.statement import Statement, is_among
from project_manager.store.tables import tasks
from project_manager.store.transaction import Tx

_withhold = update(tasks).values(withheld=tasks.c.withheld.bitwise_or(bindparam("reason", type_=Number)))
_stop_withholding = update(tasks).values(withheld=tasks.c.withheld.bitwise_and(bindparam("others", type_=Number)))
_of_project = tasks.c.project_id == bindparam("project_id")
_WITHHOLD_PROJECT = Statement(_withhold.where(_of_project))
_STOP_WITHHOLDING_PROJECT = Statement(_stop_withholding.where(_of_project))
_WITHHOLD_ALL = Statement(_withhold)
_STOP_WITHHOLDING_ALL = Statement(_stop_withholding)
_WITHHOLD = Statement(_withhold.where(is_among(tasks.c.id, "ids")))
_STOP_WITHHOLDING = Statement(_stop_withholding.where(is_among(tasks.c.id, "ids")))


def withhold(tx: Tx, ids: Collection[int], reason: Withheld) -> None:
    """Withhold these tasks from claims for the reason."""
    _WITHHOLD.write(tx, ids=json.dumps([*ids]), reason=int(reason))


def stop_withholding(tx: Tx, ids: Collection[int], reason: Withheld) -> None:
    """End this reason of withholding these tasks. Other reasons stay."""
    _STOP_WITHHOLDING.write(tx, ids=json.dumps([*ids]), others=_others(reason))


def withhold_project(tx: Tx, project_id: int, reason: Withheld) -> None:
    """Withhold all tasks of a project from claims for the reason."""
    _WITHHOLD_PROJECT.run(tx, project_id=project_id, reason=int(reason))


def stop_withholding_project(tx: Tx, project_id: int, reason: Withheld) -> None:
    """End this reason of withholding all tasks of a project. Other reasons stay."""
    _STOP_WITHHOLDING_PROJECT.run(tx, project_id=project_id, others=_others(reason))


def withhold_all(tx: Tx, reason: Withheld) -> None:
    """Withhold all tasks from claims for the reason."""
    _WITHHOLD_ALL.run(tx, reason=int(reason))


def stop_withholding_all(tx: Tx, reason: Withheld) -> None:
    """End this reason of withholding all tasks. Other reasons stay."""
    _STOP_WITHHOLDING_ALL.run(tx, others=_others(reason))


def _others(reason: Withheld) -> int:
    """Return the flags of all other reasons, also of those that only a newer release knows."""
    return ~int(reason)
