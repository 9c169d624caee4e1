"""Failovers of PostgreSQL under agents at work: many kills of the primary, and planted faults that must be found."""

import random
import tempfile
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
KINDS = {"synchronous": True, "asynchronous": False}


def run(seed: int) -> str:
    """Kill the primary of each kind of replication. Return tables of the failovers and of the planted faults."""
    chance = random.Random(seed)
    failovers = table(
        [
            "replication",
            "kills",
            "acknowledged writes",
            "lost",
            "repeated after 503",
            "pause: median, s",
            "longest, s",
            "longest request, s",
        ],
        [_row(kind, _trial(chance, is_synchronous=KINDS[kind])) for kind in KINDS],
    )
    planted = table(
        ["planted fault", "replication", "kills", "found"],
        [_planted_row(name, fault, chance) for name, fault in PLANTED.items()],
    )
    return f"{failovers}\n{planted}"


def _trial(chance: random.Random, *, is_synchronous: bool, kills: int = KILLS, fault: Planted | None = None) -> Trial:
    with (
        tempfile.TemporaryDirectory(prefix="failover-") as folder,
        running_cluster(is_synchronous=is_synchronous) as cluster,
        services_on(cluster, Path(folder), SERVICES, fault) as services,
    ):
        trial = Trial(cluster, services, random.Random(chance.getrandbits(64)))
        anyio.run(partial(trial.run, kills, AGENTS))
    return trial


def _row(kind: str, trial: Trial) -> list[str]:
    assert trial.faults == [], f"{kind}: {trial.faults[:5]}"
    assert len(trial.failovers) == KILLS
    gaps = [each.gap for each in trial.failovers]
    return [
        kind,
        str(len(gaps)),
        f"{trial.record.acknowledged:,}",
        f"{sum(each.lost for each in trial.failovers):,}",
        f"{trial.record.unavailable:,}",
        f"{median(gaps):.1f}",
        f"{max(gaps):.1f}",
        f"{max(each.longest_request for each in trial.failovers):.1f}",
    ]


def _planted_row(name: str, fault: Planted, chance: random.Random) -> list[str]:
    trial = _trial(chance, is_synchronous=fault.is_synchronous, kills=KILLS_WITH_FAULT, fault=fault)
    assert trial.faults, f"not found: {name}"
    kind = "synchronous" if fault.is_synchronous else "asynchronous"
    return [name, kind, str(len(trial.failovers)), trial.faults[0].split("{")[0]]
