"""The service on PostgreSQL and on SQLite, with one and three instances, and with a network to the server."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psycopg

from tests import postgres_server
from tests.bench import stock, watching
from tests.bench.postgres import Postgres
from tests.bench.report import Goal, Section
from tests.bench.sampling import Rounds, Sample, Spread, interleave, number, refuse_faults, sample_of
from tests.bench.servers import CHECKOUT, Server, product
from tests.bench.stock import Scripts, Stock
from tests.bench.wire import drive
from tests.postgres_server import PostgresServer

AGENTS = 50
INSTANCES = (1, 3)
ADDED_MS = (0.0, 0.3, 1.0)
FASTEST = {None: 5_000, 0.0: 3_000, 0.3: 1_500, 1.0: 800}
"""More claims/s than can be reached, by the added round trip, or None on SQLite. A slice needs that many tasks."""
ROUND_TRIPS = 200
CLAIM, CYCLE = "claim", "claim and finish"
CALLS = {CLAIM: 1, CYCLE: 2}
SQLITE, LOCAL = "SQLite", "PostgreSQL, local"


class Instances:
    """Some instances of the service on one database. Their agents are spread over them."""

    def __init__(self, servers: list[Server], database: Postgres | None, fastest: int) -> None:
        self._servers = servers
        self._fastest = fastest
        self._database = database
        self._stock = Stock(servers[0])

    def slice(self, operation: str, seconds: float) -> Sample:
        """Let all agents do one operation repeatedly."""
        self._stock.want(int(seconds * self._fastest) + AGENTS)
        script: Scripts = stock.claims("/api/tasks/claim") if operation == CLAIM else stock.claim_cycles
        scripts = [script(agent) for agent in range(AGENTS)]
        service, database = self._service_cpu(), self._database_cpu()
        load = drive([server.port for server in self._servers], scripts, seconds)
        service, database = self._service_cpu() - service, self._database_cpu() - database
        refuse_faults(self._servers[0], load)
        operations = load.answers / CALLS[operation]
        self._stock.claimed(int(operations) + AGENTS)
        return sample_of(load, operations, service, database)

    def _service_cpu(self) -> float:
        return sum(server.cpu_seconds() for server in self._servers)

    def _database_cpu(self) -> float:
        return 0.0 if self._database is None else self._database.cpu_seconds()


def measured(folder: Path, rounds: int, seconds: float, events: int) -> list[Section]:
    """Measure claims and events. Raises NotInstalled without a PostgreSQL server."""
    with ExitStack() as running:
        # Default settings of the server, and a disk: each commit is durable, as on SQLite.
        server = running.enter_context(postgres_server.running(settings={}, locale=(), parent="/var/tmp"))
        latency = _events(folder, server, events)
        groups: dict[str, Instances] = {}
        trips: dict[float, float] = {}
        for added in ADDED_MS:
            address = running.enter_context(address_of(server, added))
            trips[added] = _round_trip_ms(address("postgres"))
            for instances in INSTANCES:
                servers, database = start_on(running, folder, server, address, instances)
                groups[_name(added, instances)] = Instances(servers, database, FASTEST[added])
        for instances in INSTANCES:
            servers = [running.enter_context(product(folder, f"of-{instances}.db")) for _ in range(instances)]
            groups[_name(None, instances)] = Instances(servers, None, FASTEST[None])
        variants = {
            f"{operation}, {name}": partial(group.slice, operation, seconds)
            for operation in CALLS
            for name, group in groups.items()
        }
        found = interleave(variants, rounds)
        version = server.version
    return [_section(found, list(groups), version, trips), latency]


def _name(added: float | None, instances: int) -> str:
    database = SQLITE if added is None else LOCAL if not added else f"PostgreSQL, {added} ms"
    return f"{database}, {instances}"


def start_on(
    running: ExitStack, folder: Path, server: PostgresServer, address: Callable[[str], str], instances: int
) -> tuple[list[Server], Postgres]:
    """Start instances of the service on a new database of the server."""
    database = server.create_database()
    settings = {"DATABASE_PATH": "", "DATABASE_URL": address(database)}
    servers = [running.enter_context(product(folder, **settings)) for _ in range(instances)]
    return servers, Postgres(server.url(database), server.pid, server.version)


@contextmanager
def address_of(server: PostgresServer, added_ms: float) -> Iterator[Callable[[str], str]]:
    """Yield a function that returns the URL of a database, through a proxy if a round trip is to be added."""
    if not added_ms:
        yield server.url
        return
    command = [sys.executable, "-m", "tests.bench.delay", f"{server.folder}/.s.PGSQL.5432", str(added_ms / 1000)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        port = int(proxy.stdout.readline())
        yield lambda database: f"postgresql://{postgres_server.USER}@127.0.0.1:{port}/{database}"


def _round_trip_ms(url: str) -> float:
    """Return the median time of an empty query."""
    took = []
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            connection.execute("SELECT")
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def _section(found: Rounds, names: list[str], version: str, trips: dict[float, float]) -> Section:
    measured_trips = ", ".join(f"{number(trip)} ms with {added} ms added" for added, trip in trips.items())
    section = Section(
        f"PostgreSQL {version} and SQLite",
        f"{AGENTS} agents over HTTP, spread over the instances. `{CLAIM}` is `POST /api/tasks/claim`, and `{CYCLE}` "
        "also `POST /api/task/{id}/status` with DONE. The server has its default settings and is on the same machine. "
        "A proxy adds the time of a network to each round trip. The round trip of an empty query takes "
        f"{measured_trips}. The CPU of the server is that of all its processes.",
        [
            "operation",
            "database",
            "instances",
            "operations/s",
            "service CPU us an operation",
            "server CPU us an operation",
            "p50 / p99 ms",
            "CPU of both against SQLite, 1 instance",
        ],
    )
    for operation in CALLS:
        base = f"{operation}, {_name(None, 1)}"
        for name in names:
            variant = f"{operation}, {name}"
            database, _, instances = name.rpartition(", ")
            section.rows.append(
                [
                    operation,
                    database,
                    instances,
                    str(found.rate(variant)),
                    str(found.cpu(variant)),
                    str(found.of(variant, lambda sample: sample.database_cpu)),
                    found.latency(variant),
                    str(_cost(found, variant, base)),
                ]
            )
    section.goals = _goals(found)
    return section


def _cost(found: Rounds, variant: str, base: str) -> Spread:
    return found.ratio(variant, (base,), lambda sample: sample.cpu + sample.database_cpu)


def _goals(found: Rounds) -> list[Goal]:
    local, file = f"{CLAIM}, {_name(0.0, 1)}", f"{CLAIM}, {_name(None, 1)}"
    return [
        Goal("claims/s on a local PostgreSQL server, 50 agents, 1 instance", 1_500, "at least", found.rate(local)),
        Goal("the same: claims in a second of the service's CPU", 1_500, "at least", _per_second(found, local)),
        Goal("the same: CPU of service and server / CPU on SQLite", 6, "at most", _cost(found, local, file)),
    ]


def _per_second(found: Rounds, variant: str) -> Spread:
    """Return the operations in a second of the service's CPU: the rate if it has a core for itself."""
    return found.of(variant, lambda sample: 1e6 / sample.cpu)


def _events(folder: Path, server: PostgresServer, events: int) -> Section:
    url = server.url(server.create_database())
    section = watching.other_process(folder, events, DATABASE_PATH="", DATABASE_URL=url)
    section.title += ", on PostgreSQL"
    return section
