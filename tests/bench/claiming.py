"""Claims over HTTP and MCP, compared with the lower bound and with the usual design."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import stock
from tests.bench.plot import Plot, Series, line_plot
from tests.bench.raw_claims import RawClaims
from tests.bench.report import Goal, Section
from tests.bench.sampling import Rounds, Sample, interleave, measure
from tests.bench.servers import Server, baseline, product
from tests.bench.stock import Stock
from tests.bench.wire import Script

AGENTS = (1, 10, 50)
RAW_BATCH = 32
FASTEST = 9_000

FLOOR, RAW, PRODUCT, POOL = "trivial route", "raw SQLite", "claim", "thread pool"
MODERN, HANDSHAKE, CYCLE = "/mcp 2026", "/mcp 2025", "lock cycle"


def measured(folder: Path, rounds: int, seconds: float) -> Section:
    with ExitStack() as running:
        floor = running.enter_context(baseline("trivial", folder))
        pool = running.enter_context(baseline("thread_pool", folder))
        server = running.enter_context(product(folder))
        raw = RawClaims(folder / "raw.db", 200_000)
        running.callback(raw.close)
        variants = _variants(server, floor, pool, raw, seconds)
        found = interleave(variants, rounds)
    return _section(found)


def _variants(
    server: Server, floor: Server, pool: Server, raw: RawClaims, seconds: float
) -> dict[str, Callable[[], Sample]]:
    kept = Stock(server)
    variants: dict[str, Callable[[], Sample]] = {f"{RAW} @{RAW_BATCH}": partial(_raw, raw, seconds)}
    for agents in AGENTS:
        rest = stock.claims("/api/tasks/claim")
        variants[f"{FLOOR} @{agents}"] = partial(_plain, floor, stock.echoes, agents, seconds)
        variants[f"{PRODUCT} @{agents}"] = partial(claim_slice, server, server.port, kept, rest, agents, seconds)
        variants[f"{POOL} @{agents}"] = partial(_plain, pool, stock.claims("/claim"), agents, seconds)
        handshake = partial(stock.handshake_claims, port=server.mcp_port)
        for name, script in ((MODERN, stock.modern_claims), (HANDSHAKE, handshake)):
            variants[f"{name} @{agents}"] = partial(claim_slice, server, server.mcp_port, kept, script, agents, seconds)
        variants[f"{CYCLE} @{agents}"] = partial(cycle_slice, server, kept, agents, seconds)
    return variants


def _raw(raw: RawClaims, seconds: float) -> Sample:
    claims, took, cpu = raw.slice(seconds, RAW_BATCH)
    return Sample(claims / took, cpu / claims * 1e6)


def _plain(server: Server, script: Callable[[int], Script], agents: int, seconds: float) -> Sample:
    return measure(server, server.port, [script(number) for number in range(agents)], seconds)


def claim_slice(
    server: Server, port: int, kept: Stock, script: Callable[[int], Script], agents: int, seconds: float
) -> Sample:
    kept.want(int(seconds * FASTEST))
    sample = measure(server, port, [script(number) for number in range(agents)], seconds)
    kept.claimed(sample.answers)
    return sample


def cycle_slice(server: Server, kept: Stock, agents: int, seconds: float) -> Sample:
    kept.want(int(seconds * FASTEST / 2))
    script = stock.lock_cycles(kept)
    return measure(server, server.port, [script(number) for number in range(agents)], seconds, calls=2)


def _section(found: Rounds) -> Section:
    section = Section(
        "Claims",
        "Each agent is one keep-alive connection that sends the next request after each response. `claim` is "
        "`POST /api/tasks/claim`. `lock cycle` is `POST /api/task/{id}/lock` and then `POST /api/task/{id}/status` "
        "with DONE. `/mcp` is the tool `claim_next_task`. Each is durable (`synchronous=FULL`) before its response. "
        f"`trivial route` reads and returns JSON. `raw SQLite` is plain SQL in batches of {RAW_BATCH} in one thread. "
        "`thread pool` is a worker thread and one SQLAlchemy transaction for each request.",
        [
            "operation",
            "agents",
            "operations/s",
            "server CPU us an operation",
            "p50 / p99 ms",
            "CPU against the trivial route",
        ],
    )
    floors = {agents: f"{FLOOR} @{agents}" for agents in AGENTS}
    for name in (FLOOR, PRODUCT, CYCLE, POOL, MODERN, HANDSHAKE):
        for agents in AGENTS:
            variant = f"{name} @{agents}"
            against = "1" if name == FLOOR else str(found.ratio(variant, (floors[agents],), lambda s: s.cpu))
            section.rows.append(
                [name, str(agents), str(found.rate(variant)), str(found.cpu(variant)), found.latency(variant), against]
            )
    raw = f"{RAW} @{RAW_BATCH}"
    section.rows.append([RAW, f"batch of {RAW_BATCH}", str(found.rate(raw)), str(found.cpu(raw)), "-", "-"])
    section.goals = _goals(found, raw)
    section.plots = [_plot(found)]
    return section


def _plot(found: Rounds) -> Plot:
    lines = [
        Series(name, [(agents, found.rate(f"{name} @{agents}")) for agents in AGENTS])
        for name in (FLOOR, PRODUCT, MODERN, CYCLE, POOL)
    ]
    return line_plot("performance-claims", "Throughput against the number of agents", ("agents", "operations/s"), lines)


def _goals(found: Rounds, raw: str) -> list[Goal]:
    claim, floor, pool = f"{PRODUCT} @50", f"{FLOOR} @50", f"{POOL} @50"
    return [
        Goal(
            "server CPU of a claim, 50 agents / (trivial route + raw claim)",
            2.7,
            "at most",
            found.ratio(claim, (floor, raw), lambda s: s.cpu),
        ),
        Goal("claims/s / trivial route's requests/s, 50 agents", 0.30, "at least", found.ratio(claim, (floor,), _rate)),
        Goal("claims/s / thread pool's claims/s, 50 agents", 4.0, "at least", found.ratio(claim, (pool,), _rate)),
        Goal(
            "server CPU of a claim over /mcp 2026 / trivial route, 50 agents",
            6.0,
            "at most",
            found.ratio(f"{MODERN} @50", (floor,), lambda s: s.cpu),
        ),
        Goal(
            "server CPU of a claim over /mcp 2025 / trivial route, 50 agents",
            8.0,
            "at most",
            found.ratio(f"{HANDSHAKE} @50", (floor,), lambda s: s.cpu),
        ),
    ]


def _rate(sample: Sample) -> float:
    return sample.rate
