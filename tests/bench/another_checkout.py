"""The same requests to this checkout and to another one, in turn: what a change costs or saves."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import claiming, sizes, stock
from tests.bench.report import Section
from tests.bench.sampling import Rounds, Sample, interleave
from tests.bench.servers import Server, product

AGENTS = 50
TASKS = 1_000
BEFORE, AFTER = "before", "after"


def measured(folder: Path, rounds: int, seconds: float, checkout: Path) -> Section:
    """Compare this checkout with `checkout`, which runs in the same virtual environment."""
    operations: list[str] = []
    variants: dict[str, Callable[[], Sample]] = {}
    with ExitStack() as running:
        for name, settings in ((BEFORE, {"PYTHONPATH": str(checkout.resolve())}), (AFTER, {})):
            server = running.enter_context(product(folder, f"{name}.db", **settings))
            large = running.enter_context(product(folder, f"{name}-{TASKS}.db", **settings))
            stock.create(large, TASKS)
            slices = {**_claims(server, seconds), **_reads(large, seconds)}
            operations = list(slices)
            variants |= {f"{name} {operation}": run for operation, run in slices.items()}
        found = interleave(variants, rounds)
    return _section(found, operations, checkout)


def _claims(server: Server, seconds: float) -> dict[str, Callable[[], Sample]]:
    supply = stock.Stock(server)
    rest = stock.claims("/api/tasks/claim")
    handshake = partial(stock.handshake_claims, port=server.mcp_port)
    return {
        "claim, 1 agent": partial(claiming.claim_slice, server, server.port, supply, rest, 1, seconds),
        "claim": partial(claiming.claim_slice, server, server.port, supply, rest, AGENTS, seconds),
        "lock cycle": partial(claiming.cycle_slice, server, supply, AGENTS, seconds),
        "/mcp 2026": partial(
            claiming.claim_slice, server, server.mcp_port, supply, stock.modern_claims, AGENTS, seconds
        ),
        "/mcp 2025": partial(claiming.claim_slice, server, server.mcp_port, supply, handshake, AGENTS, seconds),
    }


def _reads(server: Server, seconds: float) -> dict[str, Callable[[], Sample]]:
    operations = (sizes.CHANGED_BOARDS, sizes.PAGES)
    return {operation.name: partial(sizes.slice_of, server, operation, seconds) for operation in operations}


def _section(found: Rounds, operations: list[str], checkout: Path) -> Section:
    section = Section(
        "Before and after",
        f"Server CPU in us an operation, of the checkout `{checkout.name}` and of this one. Claims and lock cycles are "
        f"those of {AGENTS} agents; the board and the list have {TASKS:,} tasks.",
        ["operation", BEFORE, AFTER, "after / before"],
    )
    for operation in operations:
        before, after = f"{BEFORE} {operation}", f"{AFTER} {operation}"
        ratio = found.ratio(after, (before,), lambda sample: sample.cpu)
        section.rows.append([operation, str(found.cpu(before)), str(found.cpu(after)), str(ratio)])
    return section
