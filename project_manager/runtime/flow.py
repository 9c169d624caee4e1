"""The background job that folds new events into the roll-ups of the flow.

Every instance runs it. Each step is stored only if no other instance has stored one since, so each event counts once.
"""

import logging
from collections.abc import Callable
from functools import partial

from project_manager.domain.actors import SYSTEM
from project_manager.runtime.background import LONG_LIVED, BackgroundJobs, Job, every
from project_manager.store import flow_steps
from project_manager.store.database import Database
from project_manager.store.flow_steps import Step
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 15
MANY_STEPS = 10
"""Steps of one run from which on the run is logged: a first start, or a rebuild."""


def register_jobs(jobs: BackgroundJobs, database: Database) -> None:
    """Register the fold of new events."""
    jobs.register(Job("flow", partial(fold, database), every(INTERVAL_SECONDS), LONG_LIVED, at_start=True))


async def fold(database: Database) -> None:
    """Fold all new events, some at a time."""
    steps = await _repeat(database, "flow_step", flow_steps.next_step)
    if steps >= MANY_STEPS:
        log.info("the flow has all events again, after %d steps", steps, extra={"action": "flow_folded"})


async def move_base(database: Database, age: int) -> None:
    """Fold the events that retention is about to remove into the states that a rebuild begins with.

    `age` is the retention in milliseconds.
    """

    def step(tx: Tx) -> Step | None:
        return flow_steps.base_step(tx, tx.now - age) if database.clock.may_delete() else None

    await fold(database)
    await _repeat(database, "flow_base_step", step)


async def _repeat(database: Database, name: str, compute: Callable[[Tx], Step | None]) -> int:
    """Compute a step on a reader and store it, until none is left. Return the number of steps."""
    steps = 0
    while (step := await database.readers.run(name, compute, SYSTEM, "")) is not None:
        await database.writer.run("store_flow", partial(flow_steps.store, step=step), SYSTEM, "")
        steps += 1
    return steps
