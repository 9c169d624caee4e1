"""The hosts of a URL: the parameters of libpq, and a connection to the right server with the settings of a session."""

from collections.abc import Callable
from contextlib import closing, suppress
from operator import itemgetter
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import TextLoader

from project_manager.store.postgres.probing_connection import ProbingConnection
from project_manager.store.postgres.timelines import Server, Timelines, WrongServer

SCHEMA = "project_manager"
"""The schema of all tables. No other is in the search path, so that no statement uses a table of another program."""
CONNECT_SECONDS = 3
PREPARED_STATEMENTS = 1000

OnNotice = Callable[[psycopg.errors.Diagnostic], None]
"""Callback for notices and warnings of the server."""

_PARAMETERS: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "target_session_attrs": "read-write",  # of several hosts, the primary
    # A host that has vanished is noticed within about ten seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Parameters of libpq for those that the URL leaves out."""
_SETTINGS = "; ".join(
    (
        f"SET search_path = {SCHEMA}",
        # A compiler or a second process takes longer to start than most of the queries take.
        "SET jit = off",
        "SET max_parallel_workers_per_gather = 0",
        "SET client_min_messages = warning",
        # The database or the user may have other values, which would fail batches or close idle connections.
        "SET client_encoding = 'UTF8'",
        "SET default_transaction_isolation = 'read committed'",
        "SET statement_timeout = 0",
        "SET idle_session_timeout = 0",
        "SET lock_timeout = '5s'",
        # A stopped process that holds the lock of the writers delays the others no longer than this.
        "SET idle_in_transaction_session_timeout = '3s'",
    )
)
# The checkpoint, which also has the timeline, still shows the old one after a promotion.
_IDENTITY = (
    "(SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()),"
    " CAST(CAST('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS BIT(32)) AS BIGINT)"
)
_HIDDEN = (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction, psycopg.errors.FeatureNotSupported)
_HISTORY = "SELECT {}, system, timeline, commits FROM counter WHERE id = 1"


def parameters(url: str, *, read_write: bool = True) -> dict[str, Any]:
    """Return the parameters of libpq for a server, or with `read_write` only for one that takes writes."""
    any_kind = {} if read_write else {"target_session_attrs": "any"}
    return _PARAMETERS | any_kind | conninfo_to_dict(url)


def has_several_hosts(url: str) -> bool:
    """Return whether a URL names several hosts, of which one takes writes."""
    return len(each_host(conninfo_to_dict(url))) > 1


def each_host(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters of libpq once for each of the hosts that they name."""
    lists = {name: str(given[name]).split(",") for name in ("host", "hostaddr", "port") if given.get(name)}
    number = max((len(lists[name]) for name in ("host", "hostaddr") if name in lists), default=1)
    return [
        given | {name: values[0] if len(values) == 1 else values[index] for name, values in lists.items()}
        for index in range(number)
    ]


def newest_host(given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of libpq for the host with the highest timeline, or `given` if no timeline can be read.

    An old primary must not be migrated. Commands and migrations cannot use `connect_to_newest`, because the tables may
    not exist yet.
    """
    candidates = each_host(given)
    if len(candidates) == 1:
        return given
    timelines: list[tuple[int, dict[str, Any]]] = []
    for host in candidates:
        with suppress(psycopg.Error), closing(connect(host, lambda notice: None)) as connection:
            ((_, timeline),) = connection.execute(f"SELECT {_IDENTITY}".encode())
            timelines.append((timeline, host))
    return max(timelines, key=itemgetter(0), default=(0, given))[1]


def connect(given: dict[str, Any], on_notice: OnNotice) -> ProbingConnection:
    """Connect with these parameters of libpq. Raises the driver's error."""
    connection = ProbingConnection.connect(
        autocommit=True, cursor_factory=psycopg.RawCursor, prepare_threshold=1, **given
    )
    try:
        connection.prepared_max = PREPARED_STATEMENTS
        # Without this, each size of an integer would be another prepared statement.
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.adapters.register_loader("json", TextLoader)
        connection.add_notice_handler(on_notice)
        connection.execute(_SETTINGS.encode(), prepare=False)
    except psycopg.Error:
        connection.close()
        raise
    connection.probe_parameters = given
    return connection


def connect_to_newest(given: dict[str, Any], on_notice: OnNotice, timelines: Timelines) -> ProbingConnection:
    """Connect to the first host with a server that is not outdated. A new process takes the newest of all.

    After a failover, the old primary may take writes again. The driver alone would prefer it for its place. Raises the
    driver's error, and WrongServer if this process must not use the only servers that it reaches.
    """
    found: list[ProbingConnection] = []
    is_new = timelines.is_empty
    errors: list[psycopg.Error] = []
    for host in each_host(given):
        if found and not is_new:
            break
        try:
            found.append(_connect_and_identify(host, on_notice, timelines))
        except psycopg.Error as error:
            errors.append(error)
    if not found:
        raise next((error for error in errors if isinstance(error, WrongServer)), errors[-1])
    newest = max(found, key=lambda each: 0 if each.server is None else each.server.timeline)
    for connection in found:
        if connection is not newest:
            connection.close()
    return newest


def _connect_and_identify(host: dict[str, Any], on_notice: OnNotice, timelines: Timelines) -> ProbingConnection:
    connection = connect(host, on_notice)
    try:
        _identify(connection, timelines)
    except psycopg.Error:
        connection.close()
        raise
    return connection


def _identify(connection: ProbingConnection, timelines: Timelines) -> None:
    """Read the identity of the server. Raises WrongServer if this process must not use it."""
    known = timelines.known
    try:
        (row,) = connection.execute(_HISTORY.format(_IDENTITY))
    except _HIDDEN:  # some managed services hide the identity
        (row,) = connection.execute(_HISTORY.format("NULL, NULL"))
    server = None if row[0] is None else Server(*row[:2])
    connection.server, connection.stored = server, Server(*row[2:4])
    timelines.check(server, connection.stored, row[4], known)
