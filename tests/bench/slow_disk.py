"""Claims on a disk with 2 ms more per fsync: the number of claims per commit."""

import shutil
import subprocess
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import stock
from tests.bench.report import Goal, Section
from tests.bench.sampling import Sample, Spread, interleave, measure, spread
from tests.bench.servers import Server, baseline, product
from tests.bench.stock import Stock
from tests.bench.wire import ask, request

AGENTS = 50
DELAY_US = 2_000
FASTEST = 8_000


def measured(folder: Path, rounds: int, seconds: float) -> Section:
    section = Section(
        "Slow disk",
        f"{DELAY_US / 1000:.0f} ms are added to every fsync and fdatasync of the server's process; {AGENTS} agents "
        "claim. Claims per commit come from the server's own `pm_writer_batch_jobs`.",
        ["service", "claims/s", "server CPU us a claim", "p50 / p99 ms", "claims per commit"],
    )
    if shutil.which("cc") is None:
        section.rows.append(["not measured: there is no C compiler here", "-", "-", "-", "-"])
        return section
    library = folder / "slow_fsync.so"
    source = Path(__file__).with_name("slow_fsync.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    slow = {"LD_PRELOAD": str(library), "FSYNC_DELAY_US": str(DELAY_US)}
    shared: list[float] = []
    with ExitStack() as running:
        server = running.enter_context(product(folder, **slow))
        pool = running.enter_context(baseline("thread_pool", folder, **slow))
        variants = {
            "claim": partial(_claims, server, Stock(server), seconds, shared),
            "thread pool": partial(_pool, pool, seconds),
        }
        found = interleave(variants, rounds)
    commits = spread(shared[1:])
    for name, per_commit in (("claim", str(commits)), ("thread pool", "1")):
        section.rows.append([name, str(found.rate(name)), str(found.cpu(name)), found.latency(name), per_commit])
    section.goals = _goals(commits, found.ratio("claim", ("thread pool",), lambda sample: sample.rate))
    return section


def _goals(commits: Spread, ratio: Spread) -> list[Goal]:
    return [
        Goal("claims per commit with 2 ms added to fsync, 50 agents", 15, "at least", commits),
        Goal("the same: claims/s / thread pool's claims/s", 15, "at least", ratio),
    ]


def _claims(server: Server, kept: Stock, seconds: float, shared: list[float]) -> Sample:
    kept.want(int(seconds * FASTEST))
    before = _commits(server)
    script = stock.claims("/api/tasks/claim")
    sample = measure(server, server.port, [script(number) for number in range(AGENTS)], seconds)
    after = _commits(server)
    kept.claimed(sample.answers)
    shared.append((after[0] - before[0]) / (after[1] - before[1]))
    return sample


def _pool(pool: Server, seconds: float) -> Sample:
    script = stock.claims("/claim")
    return measure(pool, pool.port, [script(number) for number in range(AGENTS)], seconds)


def _commits(server: Server) -> tuple[float, float]:
    """Return the jobs and transactions of the writer so far."""
    (answer,) = ask(server.port, request("GET", "/metrics"))
    values = dict(line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if not line.startswith("#"))
    return float(values["pm_writer_batch_jobs_sum"]), float(values["pm_writer_batch_jobs_count"])
