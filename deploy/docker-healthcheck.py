"""Check the health of this instance: its ports, its /healthz and its database file, unless a server has the database.

Exit with status 0 if all checks pass, and with status 1 if one fails. The last line of output names the failed check.
HEALTH_CHECK_VERBOSE=true prints each passed check with its time. HEALTH_CHECK_TIMEOUT limits all checks (5 seconds).
The script imports only small modules of the standard library, because an orchestrator starts it every few seconds.
"""

import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from urllib.parse import quote, unquote

EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 compared with, not bound to
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DEFAULT_DATABASE = "data/tasks.db"
HTTP_TRANSPORTS = ("sse", "http", "streamable-http")


class Unhealthy(Exception):
    """A failed check. The message is for the operator."""


def setting(name: str, default: str) -> str:
    return os.environ.get(name, "").strip() or default


def host() -> str:
    """Return the address to connect to: loopback if the service listens on every address."""
    named = setting("HOST", "127.0.0.1").removeprefix("[").removesuffix("]")
    return EVERY_ADDRESS.get(named, named)


def api_port() -> int:
    return int(setting("DEFAULT_PORT", "8080"))


def mcp_port() -> int:
    return int(setting("MCP_PORT", str(api_port() + 1)))


def secret(name: str) -> str:
    """Return the content of the file in the setting `name`, or "" if it is not set. Raises Unhealthy."""
    path = setting(name, "")
    if not path:
        return ""
    try:
        with open(os.path.expanduser(path)) as file:  # noqa: PTH111, PTH123 pathlib loads slowly
            return file.read().strip()
    except OSError as error:
        raise Unhealthy(f"{name} names {path}, which cannot be read: {error.strerror}") from error


def database_path() -> str | None:
    """Return the path as the service reads it: decode the URL, and expand a leading `~`. None stands for a server."""
    url = setting("DATABASE_URL", "") or secret("DATABASE_URL_FILE")
    if url.startswith(("postgresql://", "postgres://")):
        return None
    if url.startswith("sqlite:///"):
        return os.path.expanduser(unquote(url.removeprefix("sqlite:///")))  # noqa: PTH111 pathlib loads slowly
    default = setting("DEFAULT_DATABASE_PATH", DEFAULT_DATABASE)
    return os.path.expanduser(setting("DATABASE_PATH", default))  # noqa: PTH111


def connect(port: int, deadline: float) -> socket.socket:
    try:
        return socket.create_connection((host(), port), timeout=max(0.05, deadline - time.monotonic()))
    except OSError as error:
        raise Unhealthy(f"port {port} of {host()} does not accept connections ({error.strerror or error})") from error


def check_api_port(deadline: float) -> str:
    connect(api_port(), deadline).close()
    return f"port {api_port()} accepts connections"


def check_mcp_port(deadline: float) -> str:
    if setting("MCP_TRANSPORT", "sse").lower() not in HTTP_TRANSPORTS:
        return "no MCP port is configured"
    connect(mcp_port(), deadline).close()
    return f"port {mcp_port()} accepts connections"


def request(path: str, deadline: float) -> tuple[int, bytes]:
    """Return status and body of one HTTP/1.0 GET. The server closes the connection after its response."""
    answer = bytearray()
    with connect(api_port(), deadline) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        while True:
            connection.settimeout(max(0.05, deadline - time.monotonic()))
            try:
                chunk = connection.recv(65536)
            except OSError as error:
                raise Unhealthy(f"no response from {path} in time: the process is hanging or stopped") from error
            if not chunk:
                break
            answer += chunk
    head, separator, body = bytes(answer).partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if not separator or len(words) < 2 or not words[1].isdigit():
        raise Unhealthy(f"the response from {path} is not HTTP")
    return int(words[1]), body


def check_healthz(deadline: float) -> str:
    status, body = request("/healthz", deadline)
    try:
        report = json.loads(body)
    except ValueError as error:
        raise Unhealthy(f"/healthz answered {status}, and the body is not JSON") from error
    if status != 200 or report.get("status") != "healthy" or report.get("database_connected") is not True:
        raise Unhealthy(f"/healthz answered {status}: {json.dumps(report)[:400]}")
    return f"/healthz answered {status}: {report['status']}"


def check_database_file(_deadline: float) -> str:
    path = database_path()
    if path is None:
        return "a server has the database, which /healthz reads"
    if not os.access(path, os.R_OK):
        raise Unhealthy(f"the database file {path} is missing or not readable by uid {os.getuid()}")
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=1)
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY:  # check_healthz covers whether the service can read it
            return f"the database file {path} is locked by another process"
        raise Unhealthy(f"the database file {path} cannot be read: {error}") from error
    if row is None:
        raise Unhealthy(f"the database file {path} has no schema")
    return f"the database file {path} is readable, schema {row[0]}"


CHECKS: tuple[Callable[[float], str], ...] = (check_api_port, check_mcp_port, check_healthz, check_database_file)


def main() -> int:
    verbose = setting("HEALTH_CHECK_VERBOSE", "false").lower() in {"1", "true", "yes", "on"}
    deadline = time.monotonic() + float(setting("HEALTH_CHECK_TIMEOUT", "5"))
    for check in CHECKS:
        started = time.monotonic()
        try:
            line = check(deadline)
        except Unhealthy as error:
            print(f"unhealthy: {error}")
            return 1
        if verbose:
            print(f"ok {(time.monotonic() - started) * 1000:6.1f} ms  {line}")
    print("healthy")
    return 0


if __name__ == "__main__":
    sys.exit(main())
