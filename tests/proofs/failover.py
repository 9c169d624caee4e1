"""Failovers of PostgreSQL under agents at work: many kills of the primary, and planted faults that must be found."""

import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import anyio

from tests.bench.report import table
from tests.faults.failover import Trial, services_on
from tests.faults.failover_faults import PLANTED, Planted
from tests.postgres_cluster import running_cluster

KILLS, KILLS_WITH_FAULT = 50, 10
AGENTS, SERVICES = 50, 3
AT_ONCE = 2
"""Trials at the same time, each with its own servers."""
KINDS = {True: "synchronous", False: "asynchronous"}
PAUSES = ("median", "longest", "longest request")
FAILOVERS = ("replication", "kills", "acknowledged", "lost", "repeated after 503", *(f"{name}, s" for name in PAUSES))


@dataclass(frozen=True)
class _Plan:
    seed: int
    is_synchronous: bool
    kills: int
    fault: Planted | None = None

    def run(self) -> Trial:
        with (
            tempfile.TemporaryDirectory(prefix="failover-") as folder,
            running_cluster(is_synchronous=self.is_synchronous) as cluster,
            services_on(cluster, Path(folder), SERVICES, self.fault) as services,
        ):
            trial = Trial(cluster, services, random.Random(self.seed))
            anyio.run(partial(trial.run, self.kills, AGENTS))
        return trial


def run(seed: int) -> str:
    """Kill the primary of each kind of replication. Return tables of the failovers and of the planted faults."""
    chance = random.Random(seed)
    plans = [_Plan(chance.getrandbits(64), is_synchronous, KILLS) for is_synchronous in KINDS]
    faulty = [
        _Plan(chance.getrandbits(64), fault.is_synchronous, KILLS_WITH_FAULT, fault) for fault in PLANTED.values()
    ]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        trials = list(threads.map(_Plan.run, plans + faulty))
    failovers = table(FAILOVERS, [_row(trial) for trial in trials[: len(plans)]])
    planted = [_planted_row(name, trial) for name, trial in zip(PLANTED, trials[len(plans) :], strict=True)]
    return f"{failovers}\n{table(('planted fault', 'replication', 'kills', 'found'), planted)}"


def _row(trial: Trial) -> list[str]:
    kind = KINDS[trial.cluster.is_synchronous]
    assert trial.problems == [], f"{kind}: {trial.problems[:5]}"
    gaps = [each.gap for each in trial.failovers]
    assert len(gaps) == KILLS
    seconds = (median(gaps), max(gaps), max(each.longest_request for each in trial.failovers))
    counts = (len(gaps), trial.record.acknowledged, sum(each.lost for each in trial.failovers))
    return [
        kind,
        *(f"{each:,}" for each in counts),
        f"{trial.record.unavailable:,}",
        *(f"{each:.1f}" for each in seconds),
    ]


def _planted_row(name: str, trial: Trial) -> list[str]:
    assert trial.problems, f"not found: {name}"
    kind, kills = KINDS[trial.cluster.is_synchronous], len(trial.failovers)
    return [name, kind, str(kills), trial.problems[0].split("{")[0]]
