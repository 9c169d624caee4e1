"""A primary of PostgreSQL that is killed under agents at work, and its standby that is promoted.

`scripts/prove failover` does the same with more kills, and with planted faults.
"""

import random
from pathlib import Path

import pytest

from tests.faults.failover import Trial, services_on
from tests.postgres_cluster import running_cluster

AGENTS = 20
SERVICES = 2
KILLS = {"synchronous": 2, "asynchronous": 1}
SEED = 12

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


@pytest.mark.promise("failover:nothing-lost")
async def test_a_synchronous_failover_loses_no_acknowledged_write(tmp_path: Path) -> None:
    await fail_over("synchronous", tmp_path)


@pytest.mark.promise("failover:new-epoch")
async def test_an_asynchronous_failover_begins_a_new_epoch_and_repeats_no_fence(tmp_path: Path) -> None:
    await fail_over("asynchronous", tmp_path)


async def fail_over(kind: str, folder: Path) -> None:
    with (
        running_cluster(is_synchronous=kind == "synchronous") as cluster,
        services_on(cluster, folder, SERVICES) as services,
    ):
        trial = Trial(cluster, services, random.Random(SEED))
        await trial.run(KILLS[kind], AGENTS)
        assert trial.problems == []
        assert len(trial.failovers) == KILLS[kind]
