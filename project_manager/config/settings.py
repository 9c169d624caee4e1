"""Settings: one field of `Settings` each, annotated with its parser, default, description and flag.

A flag overrides the environment. The environment overrides an env file. An env file overrides the default. The default
of DATABASE_PATH is in the environment of the container image.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_type_hints
from urllib.parse import unquote, urlsplit

from project_manager.config import database_urls, paths
from project_manager.config import env_file as env_files
from project_manager.config import sources as setting_sources
from project_manager.config.errors import ConfigError
from project_manager.config.parsers import (
    BOOLEAN,
    FILE_MODE,
    HOST,
    NETWORKS,
    OPTIONAL_PATH,
    PATH,
    Parser,
    choice,
    integer,
    items,
    matching,
    optional,
    seconds,
)
from project_manager.config.sources import Layer, Value

McpTransport = Literal["sse", "http", "stdio", "none"]
TRANSPORTS_WITH_PORT = frozenset[McpTransport]({"sse", "http"})
LogFormat = Literal["json", "text"]
McpTools = Literal["loop", "core", "all"]
McpSchema = Literal["plain", "nullable", "strict"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` is its text when no source sets it. `flag` is its flag on the command line."""

    parser: Parser
    default: str
    doc: str
    flag: str = ""
    secret: bool = False
    field: str = ""

    @property
    def name(self) -> str:
        return self.field.upper()


MAXIMUM_PORT = 65535
PORT = integer(0, MAXIMUM_PORT)
POSITIVE_INTEGER = integer(1, 1_000_000)
COUNT_OR_ZERO = integer(0, 1_000_000)
DURATION = seconds(0.01, 86400)
TIMEOUT = seconds(0.01, 3600)
LEVEL = choice(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), [("WARN", "WARNING")])
TRANSPORT = choice(get_args(McpTransport), [("streamable-http", "http")])
URL = optional(matching(f"sqlite:///PATH or {database_urls.SYNTAX}", r"[^\x00-\x1f\x7f]+"), "")
ORIGINS = items(
    "comma-separated origins such as https://a.example, or *", r"\*|[a-z][a-z0-9+.-]*://[a-z0-9_.\[\]:-]+/?"
)
HOSTS = items("comma-separated host names, or *", r"\*|[a-z0-9_.:\[\]-]+")
DATABASE_OF_IMAGE = "DEFAULT_DATABASE_PATH"
"""The variable of the image with the default of DATABASE_PATH. Unlike DATABASE_PATH, it does not contradict a URL."""
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://.*")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings and their values.

    `database_path` is the file, also when DATABASE_URL names it. `database_url` is empty, except for PostgreSQL.
    """

    # fmt: off
    host: Annotated[str, Setting(HOST, "127.0.0.1", "Address that both ports listen on.", flag="--host")]
    default_port: Annotated[int, Setting(PORT, "8080",
        "Port of the API and the dashboard; 0 selects a free port.", flag="--port")]
    mcp_port: Annotated[int, Setting(optional(PORT, None), "",
        "Port of the MCP endpoints; DEFAULT_PORT + 1 unless set.", flag="--mcp-port")]
    mcp_transport: Annotated[McpTransport, Setting(TRANSPORT, "sse",
        "Endpoints of the MCP port: sse (/sse and /mcp), http (/mcp), or no port (stdio, none).",
        flag="--mcp-transport")]
    mcp_max_connections: Annotated[int, Setting(POSITIVE_INTEGER, "1000",
        "Maximum number of MCP sessions, and of MCP streams.")]
    mcp_tools: Annotated[McpTools, Setting(choice(get_args(McpTools)), "core",
        "Tools listed to MCP clients: only those of the work loop, the core set, or all.")]
    mcp_schema: Annotated[McpSchema, Setting(choice(get_args(McpSchema)), "plain",
        "Optional arguments in the schemas of tools: not required, nullable, or required and nullable.")]
    database_path: Annotated[Path, Setting(PATH, "data/tasks.db", "The SQLite database file.", flag="--db-path")]
    database_url: Annotated[str, Setting(URL, "",
        "Database URL, an alternative to DATABASE_PATH: sqlite:///relative.db, sqlite:////absolute.db, "
        "sqlite:///~/in-the-home-folder.db, or a PostgreSQL server as in postgresql://user@host/database.",
        secret=True)]
    database_pool_size: Annotated[int, Setting(integer(1, 16), "3", "Number of reader threads.")]
    query_timeout_seconds: Annotated[float, Setting(TIMEOUT, "5", "Time limit of a read, in seconds.")]
    auto_migrate: Annotated[bool, Setting(BOOLEAN, "true",
        "Migrate an older database at startup. A SQLite file is backed up first.")]
    backup_mode: Annotated[int, Setting(FILE_MODE, "600", "File permissions of new backups.")]
    lock_cleanup_interval: Annotated[float, Setting(DURATION, "300",
        "Maximum seconds between checks for expired leases.")]
    max_attempts: Annotated[int, Setting(COUNT_OR_ZERO, "5",
        "Failed attempts after which a task becomes BLOCKED; 0 disables the limit.")]
    event_retention_days: Annotated[int, Setting(integer(1, 36500), "90", "Retention of events, in days.")]
    log_level: Annotated[str, Setting(LEVEL, "INFO", "Minimum log level.")]
    log_format: Annotated[LogFormat, Setting(choice(get_args(LogFormat)), "json",
        "Format of log lines: JSON objects or text.")]
    log_file: Annotated[str, Setting(OPTIONAL_PATH, "",
        "Also log to this file; rotated at 10 MB, with 5 old files kept.")]
    websocket_max_connections: Annotated[int, Setting(COUNT_OR_ZERO, "100", "Maximum number of WebSocket connections.")]
    websocket_ping_interval: Annotated[float, Setting(DURATION, "20", "WebSocket ping interval, in seconds.")]
    websocket_ping_timeout: Annotated[float, Setting(DURATION, "20",
        "Time without a pong after which a WebSocket is closed, in seconds.")]
    rate_limit_per_second: Annotated[int, Setting(COUNT_OR_ZERO, "100",
        "Sustained calls per second of one agent, with bursts of ten seconds' worth; 0 disables the limit.")]
    cors_origins: Annotated[tuple[str, ...], Setting(ORIGINS, "",
        "Origins that may call the API from a browser (CORS).")]
    cors_allow_credentials: Annotated[bool, Setting(BOOLEAN, "false", "Allow cookies in requests from CORS_ORIGINS.")]
    allowed_hosts: Annotated[tuple[str, ...], Setting(HOSTS, "",
        "Accepted Host names in addition to loopback and HOST; * accepts any.")]
    forwarded_allow_ips: Annotated[tuple[str, ...], Setting(NETWORKS, "127.0.0.1,::1",
        "Proxies trusted to set X-Forwarded-For and X-Forwarded-Proto; * trusts every client.")]
    auth_required: Annotated[bool, Setting(BOOLEAN, "false", "Require a token even while no token exists.")]
    metrics_enabled: Annotated[bool, Setting(BOOLEAN, "true", "Enable /metrics and /api/metrics.")]
    expected_instances: Annotated[int, Setting(COUNT_OR_ZERO, "0",
        "Expected number of instances, exported in /metrics for an alert; 0 disables the check.")]
    health_check_timeout: Annotated[float, Setting(TIMEOUT, "5",
        "Timeout of each request of the health check, in seconds.")]
    health_check_verbose: Annotated[bool, Setting(BOOLEAN, "false", "Print every check of the health check.")]
    # fmt: on

    @property
    def database_address(self) -> Path | str:
        """The path of the SQLite file, or the URL of the PostgreSQL database."""
        return self.database_url or self.database_path

    @property
    def database_name(self) -> str:
        """The database in logs and messages: its path, or its URL without user, password and parameters."""
        return database_urls.name(self.database_url) if self.database_url else str(self.database_path)


SETTINGS: tuple[Setting, ...] = tuple(
    replace(annotation.__metadata__[0], field=field)
    for field, annotation in get_type_hints(Settings, include_extras=True).items()
)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings with the source of each by its name. `warnings` has a sentence for each unknown or misspelled name."""

    settings: Settings
    sources: Mapping[str, str]
    warnings: tuple[str, ...]


def load(flags: Mapping[str, object], environ: Mapping[str, str], env_file: Path | None = None) -> LoadedSettings:
    """Return all settings with their sources. The keys of `flags` are names of settings, and None means not given.

    Raises ConfigError for a malformed value, settings that contradict each other, or an unreadable file.
    """
    layers = _layers(flags, environ, env_file)
    chosen = {setting.name: _choose(setting, layers) for setting in SETTINGS}
    values: dict[str, Any] = {setting.field: _parse(setting, chosen[setting.name]) for setting in SETTINGS}
    database = _resolve_database(values, chosen, layers)
    values |= database
    if "database_path" in database:
        chosen["DATABASE_PATH"] = chosen["DATABASE_URL"]
    labels = {setting.field: _label(setting, chosen[setting.name]) for setting in SETTINGS}
    values["mcp_port"] = _mcp_port(values, labels)
    if values["cors_allow_credentials"] and "*" in values["cors_origins"]:
        raise ConfigError("CORS_ORIGINS is '*' while CORS_ALLOW_CREDENTIALS is true: list the origins by name.")
    known = {setting.name for setting in SETTINGS} | {f"{setting.name}_FILE" for setting in SETTINGS if setting.secret}
    return LoadedSettings(
        settings=Settings(**values),
        sources={name: found.source for name, found in chosen.items()},
        warnings=tuple(setting_sources.unknown_setting_warnings(layers[2], layers[1], known)),
    )


def log_format(
    flags: Mapping[str, object], environ: Mapping[str, str], env_file: Path | None = None, *, unset: LogFormat
) -> LogFormat:
    """Return LOG_FORMAT, or `unset` when it is not set or malformed. Other settings may be malformed."""
    setting = next(setting for setting in SETTINGS if setting.name == "LOG_FORMAT")
    try:
        found = _choose(setting, _layers(flags, environ, env_file))
        return unset if found.layer == "default" else cast(LogFormat, _parse(setting, found))
    except ConfigError:
        return unset


def _layers(
    flags: Mapping[str, object], environ: Mapping[str, str], env_file: Path | None
) -> tuple[Layer, Layer, Layer, Layer]:
    """Return the sources in the order of precedence. Raises ConfigError."""
    in_file = {} if env_file is None else env_files.read(env_file)
    of_image = {"DATABASE_PATH": environ.get(DATABASE_OF_IMAGE, "")}
    return (
        Layer("flag", _flag_texts(flags)),
        Layer("environment", environ),
        Layer(f"env file {env_file}", in_file),
        Layer("image", of_image),
    )


def read_environment() -> Mapping[str, str]:
    """Return a copy of the environment variables of this process."""
    return dict(os.environ)


def show(setting: Setting, settings: Settings) -> str:
    """Return the effective value in the syntax of the setting. A secret is not shown."""
    value = getattr(settings, setting.field)
    if setting.secret:
        return "(set, not shown)" if value else ""
    return setting.parser.show(value)


def _flag_texts(flags: Mapping[str, object]) -> dict[str, str]:
    names = {setting.name for setting in SETTINGS}
    if unknown := sorted(set(flags) - names):
        raise ConfigError(f"Unknown setting {', '.join(unknown)}.")
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in flags.items()
        if value is not None
    }


def _choose(setting: Setting, layers: tuple[Layer, ...]) -> Value:
    return setting_sources.resolve_setting(layers, setting.name, default=setting.default, secret=setting.secret)


def _parse(setting: Setting, found: Value) -> Any:
    try:
        return setting.parser.parse(found.text)
    except ValueError:
        value = "malformed" if setting.secret else repr(found.text)
        sentence = f"{_label(setting, found)} is {value}, but must be {setting.parser.accepts}"
        raise ConfigError(f"{sentence}{_remedy(setting, found.text)}.") from None


def _label(setting: Setting, found: Value) -> str:
    """Return the name under which the user has set the value: the flag, or the name of the setting."""
    return setting.flag if setting.flag and found.layer == "flag" else setting.name


def _remedy(setting: Setting, text: str) -> str:
    """Return the remedy for a port that Kubernetes sets, such as MCP_PORT for a service named `mcp`, else no text."""
    if not setting.name.endswith("_PORT") or not _SERVICE_LINK.fullmatch(text):
        return ""
    service, name = setting.name.removesuffix("_PORT").lower(), setting.name
    return f"; Kubernetes sets it for a service named {service}: set enableServiceLinks: false, or {name} itself"


def _resolve_database(
    values: Mapping[str, Any], chosen: Mapping[str, Value], layers: tuple[Layer, ...]
) -> dict[str, Any]:
    """Return the fields to change if DATABASE_URL is set: the source with precedence decides. Raises ConfigError."""
    url: str = values["database_url"]
    if not url:
        return {}
    rank = {layer.name: number for number, layer in enumerate(layers)} | {"default": len(layers)}
    by_path, by_url = (rank[chosen[name].layer] for name in ("DATABASE_PATH", "DATABASE_URL"))
    path = path_of_url(url)
    if by_path == by_url and path != values["database_path"]:
        raise ConfigError("DATABASE_PATH and DATABASE_URL name different databases; set only one.")
    if by_path < by_url:
        return {"database_url": ""}
    return {} if path is None else {"database_url": "", "database_path": path}


def path_of_url(url: str, source: str = "DATABASE_URL") -> Path | None:
    """Return the path of a SQLite database, or None for a valid URL of PostgreSQL.

    `source` is the name of the URL in messages. They do not repeat the URL, which may have a password. Raises
    ConfigError.
    """
    if not database_urls.is_postgresql(url):
        return _path_of_file_url(url, source)
    if not database_urls.is_valid(url):
        raise ConfigError(
            f"{source} is malformed, but must be {database_urls.SYNTAX}; write special characters of the password as "
            "%XX."
        )
    return None


def _path_of_file_url(url: str, source: str) -> Path:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"{source} is malformed.") from error
    if parts.scheme != "sqlite":
        raise ConfigError(f"{source} has the unsupported scheme {parts.scheme!r}; use sqlite:///PATH or postgresql://.")
    path = unquote(parts.path[1:])
    if parts.netloc or parts.query or parts.fragment or not path or path == ":memory:":
        raise ConfigError(f"{source} must name a file, as sqlite:///relative.db or sqlite:////absolute.db.")
    try:
        return Path(paths.expand(path))
    except ValueError as error:
        raise ConfigError(f"{source} cannot be used: {error}.") from error


def _mcp_port(values: Mapping[str, Any], labels: Mapping[str, str]) -> int:
    """Return MCP_PORT or its default. Raises ConfigError when the API and MCP need two different ports."""
    port: int = values["default_port"]
    mcp_port: int | None = values["mcp_port"]
    is_served = values["mcp_transport"] in TRANSPORTS_WITH_PORT
    if mcp_port is None:
        if port == MAXIMUM_PORT and is_served:
            raise ConfigError(f"{labels['default_port']} is {port}, so MCP_PORT has no default; set MCP_PORT.")
        return port and min(port + 1, MAXIMUM_PORT)
    if port and port == mcp_port and is_served:
        both = f"{labels['default_port']} and {labels['mcp_port']}"
        raise ConfigError(f"{both} are both {port}, but must be two different ports.")
    return mcp_port
