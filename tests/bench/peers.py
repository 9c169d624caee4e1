"""Other queues and the product at the same work: enqueue, claim and complete, each on disk before the next request."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from tests.bench import postgres, predecessor
from tests.bench.plot import Plot, bar_plot
from tests.bench.report import Section
from tests.bench.sampling import Rounds, Sample, interleave, refuse_faults
from tests.bench.servers import CHECKOUT, NotServing, Server, product
from tests.bench.wire import Script, drive, request

MANY = 32
ON_POSTGRESQL = ("procrastinate", "pgqueuer")
IN_SQLITE = ("huey", "persist-queue")
OURS = "project manager"


@dataclass(frozen=True)
class Peer:
    """A measured system. `durable` says what a power failure can lose."""

    name: str
    clients: int
    durable: str
    run: Callable[[float], Sample]

    @property
    def label(self) -> str:
        return f"{self.name}, {self.clients} client{'s' * (self.clients > 1)}"


class Client:
    """A process of `peer_clients.py` or `product_client.py`."""

    def __init__(self, command: Sequence[object], folder: Path) -> None:
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT)}
        with (folder / "client.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.version = str(self._answer()["version"])

    def run(self, seconds: float, server_cpu: Callable[[], float] = lambda: 0.0) -> Sample:
        """Run cycles. The CPU is that of the client and of its server."""
        assert self._process.stdin is not None
        before = server_cpu()
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        found = self._answer()
        cpu = found["cpu"] + server_cpu() - before
        return Sample(found["cycles"] / found["seconds"], cpu / found["cycles"] * 1e6)

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise NotServing(f"{self._process.args!r} ended: see client.log")
        answer: dict[str, float] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the client, which ends with its standard input."""
        try:
            self._process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def measured(folder: Path, rounds: int, seconds: float, python: Path | None, other: Path | None) -> Section:
    """Measure the product, and the queues that are installed. `python` is the interpreter of their environment."""
    missing: list[str] = []
    with ExitStack() as running:
        peers = [*_product(running, folder)]
        if python is not None:
            peers += _others(running, folder, python, missing)
        if other is not None:
            peers.append(_predecessor(running, folder, other))
        found = interleave({peer.label: partial(peer.run, seconds) for peer in peers}, rounds)
    return _section(found, peers, missing)


def _product(running: ExitStack, folder: Path) -> Iterator[Peer]:
    for clients in (1, MANY):
        command = [sys.executable, "-m", "tests.bench.product_client", folder / f"use-cases-{clients}.db", str(clients)]
        client = running.enter_context(_closing(Client(command, folder)))
        yield Peer(f"{OURS} {client.version}, use cases", clients, "yes", client.run)
    for clients in (1, MANY):
        server = running.enter_context(product(folder, f"http-{clients}.db"))
        yield Peer(f"{OURS}, HTTP", clients, "yes", partial(_http_slice, server, clients))


def _others(running: ExitStack, folder: Path, python: Path, missing: list[str]) -> Iterator[Peer]:
    program = Path(__file__).with_name("peer_clients.py")
    for name in IN_SQLITE:
        client = running.enter_context(_closing(Client([python, program, name, folder / f"{name}.queue", "1"], folder)))
        yield Peer(f"{name} {client.version}, SQLite", 1, "yes", client.run)
    for name in ON_POSTGRESQL:
        for clients in (1, MANY):
            try:  # each client gets its own server, so that the server's CPU is that of this client
                server = running.enter_context(postgres.running())
            except NotServing as fault:
                missing.append(f"{name}: {str(fault).splitlines()[0]}")
                break
            command = [python, program, name, server.location, str(clients)]
            client = running.enter_context(_closing(Client(command, folder)))
            run = partial(client.run, server_cpu=server.cpu_seconds)
            yield Peer(f"{name} {client.version}, PostgreSQL {server.version}", clients, "yes", run)


def _predecessor(running: ExitStack, folder: Path, program: Path) -> Peer:
    server = running.enter_context(predecessor.start(folder, program))
    fresh = count(1)

    def run(seconds: float) -> Sample:
        return _driven(server, [predecessor.lock_cycles(0, fresh)], seconds, calls=3)

    return Peer("predecessor 0.2.7, HTTP, no enqueue", 1, "no", run)


@contextmanager
def _closing(client: Client) -> Iterator[Client]:
    try:
        yield client
    finally:
        client.close()


def _http_slice(server: Server, clients: int, seconds: float) -> Sample:
    return _driven(server, [_cycles(number) for number in range(clients)], seconds, calls=3)


def _driven(server: Server, scripts: list[Script], seconds: float, calls: int) -> Sample:
    """Drive the scripts. The CPU is that of the server and of this process, which is the client."""
    before = server.cpu_seconds() + time.process_time()
    load = drive(server.port, scripts, seconds)
    cpu = server.cpu_seconds() + time.process_time() - before
    refuse_faults(server, load)
    cycles = load.answers / calls
    return Sample(cycles / load.seconds, cpu / cycles * 1e6)


def _cycles(number: int) -> Script:
    agent = {"agent_id": f"agent-{number}"}
    while True:
        yield request("POST", "/api/tasks", {"name": "work", "project_name": "Bench"})
        answer = yield request("POST", "/api/tasks/claim", agent)
        task = answer.json()["task"]
        assert isinstance(task, dict)
        yield request("POST", f"/api/tasks/{task['id']}/status", {**agent, "status": "DONE"})


def _section(found: Rounds, peers: Sequence[Peer], missing: Sequence[str]) -> Section:
    note = f" Not measured: {'; '.join(missing)}." if missing else ""
    section = Section(
        "Other queues",
        "A cycle enqueues a job, claims one and completes it. Each step is on disk before the next one (`fsync`, "
        "`synchronous=FULL`, `synchronous_commit=on`), except with the predecessor. CPU is that of client and servers "
        "together. A cycle of the product also writes a lease with a fence, an audit trail of about five events, and "
        "the search index. The other queues insert, mark and delete a row." + note,
        ["system", "clients", "durable", "cycles/s", "CPU us a cycle"],
    )
    for peer in peers:
        cells = [str(found.rate(peer.label)), str(found.cpu(peer.label))]
        section.rows.append([peer.name, str(peer.clients), peer.durable, *cells])
    section.plots.append(_plot(found, peers))
    return section


def _plot(found: Rounds, peers: Sequence[Peer]) -> Plot:
    bars = sorted(((peer.label, found.cpu(peer.label)) for peer in peers), key=lambda bar: bar[1].median)
    title = "CPU of enqueue, claim and complete, client and servers together"
    return bar_plot("performance-peers", title, "us a cycle", bars)
