"""Settings: one table with the name, accepted values, default and description of each.

A flag overrides the environment. The environment overrides an env file. An env file overrides the default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args
from urllib.parse import unquote, urlsplit

from project_manager.config import env_file as env_files
from project_manager.config import paths
from project_manager.config import sources as setting_sources
from project_manager.config.parsers import (
    BooleanParser,
    ChoiceParser,
    FileModeParser,
    HostParser,
    IntegerParser,
    ListParser,
    NetworksParser,
    OptionalParser,
    OptionalPathParser,
    Parser,
    PathParser,
    SecondsParser,
    TextParser,
)
from project_manager.config.sources import Layer, Value

McpTransport = Literal["sse", "http", "stdio", "none"]
LogFormat = Literal["json", "text"]
McpTools = Literal["core", "all"]
McpSchema = Literal["plain", "nullable", "strict"]


class ConfigError(Exception):
    """Error of a setting. The message is one sentence with its name, its value and the accepted values."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` is its text when no source sets it."""

    name: str
    parse: Parser
    default: str
    doc: str
    secret: bool = False

    @property
    def field(self) -> str:
        return self.name.lower()


PORT = IntegerParser(0, 65535)
POSITIVE_INTEGER = IntegerParser(1, 1_000_000)
COUNT_OR_ZERO = IntegerParser(0, 1_000_000)
DURATION = SecondsParser(0.01, 86400)
SWITCH = BooleanParser()
PRINTABLE = r"[^\x00-\x1f\x7f]+"
HOST_NAME = r"[a-z0-9_.:\[\]-]+"
ORIGIN = r"[a-z][a-z0-9+.-]*://[a-z0-9_.\[\]:-]+/?"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

# fmt: off
SETTINGS: tuple[Setting, ...] = (
    Setting("HOST", HostParser(), "127.0.0.1",
            "Address that both ports listen on."),
    Setting("DEFAULT_PORT", PORT, "8080", "Port of the API and the dashboard; 0 selects a free port."),
    Setting("MCP_PORT", OptionalParser(PORT), "", "Port of the MCP endpoints; DEFAULT_PORT + 1 unless set."),
    Setting("MCP_TRANSPORT", ChoiceParser(("sse", "http", "stdio", "none"), (("streamable-http", "http"),)), "sse",
            "Endpoints of the MCP port: sse (/sse and /mcp), http (/mcp), or no port (stdio, none)."),
    Setting("MCP_MAX_CONNECTIONS", POSITIVE_INTEGER, "1000", "Maximum number of MCP connections and sessions."),
    Setting("MCP_TOOLS", ChoiceParser(get_args(McpTools)), "core",
            "Tools listed to MCP clients: the core set, or all."),
    Setting("MCP_SCHEMA", ChoiceParser(get_args(McpSchema)), "plain",
            "Optional arguments in the schemas of tools: not required, nullable, or required and nullable."),
    Setting("DATABASE_PATH", PathParser(), "data/tasks.db", "The SQLite database file."),
    Setting("DATABASE_URL", TextParser("sqlite:///PATH", PRINTABLE, optional=True), "",
            "Database URL, an alternative to DATABASE_PATH: sqlite:///relative.db, sqlite:////absolute.db or "
            "sqlite:///~/in-the-home-folder.db.",
            secret=True),
    Setting("DATABASE_POOL_SIZE", IntegerParser(1, 16), "3", "Number of reader threads."),
    Setting("QUERY_TIMEOUT_SECONDS", SecondsParser(0.01, 3600), "5", "Time limit of a read, in seconds."),
    Setting("AUTO_MIGRATE", SWITCH, "true",
            "Migrate an older database at startup, after a backup."),
    Setting("BACKUP_MODE", FileModeParser(), "600", "File permissions of new backups."),
    Setting("LOCK_CLEANUP_INTERVAL", DURATION, "300", "Maximum seconds between checks for expired leases."),
    Setting("MAX_ATTEMPTS", COUNT_OR_ZERO, "5",
            "Failed attempts after which a task becomes BLOCKED; 0 disables the limit."),
    Setting("EVENT_RETENTION_DAYS", IntegerParser(1, 36500), "90", "Retention of events, in days."),
    Setting("LOG_LEVEL", ChoiceParser(LEVELS, (("WARN", "WARNING"),)), "INFO",
            "Minimum log level."),
    Setting("LOG_FORMAT", ChoiceParser(("json", "text")), "json", "Format of log lines: JSON objects or text."),
    Setting("LOG_FILE", OptionalPathParser(), "",
            "Also log to this file; rotated at 10 MB, with 5 old files kept."),
    Setting("WEBSOCKET_MAX_CONNECTIONS", COUNT_OR_ZERO, "100",
            "Maximum number of WebSocket connections."),
    Setting("WEBSOCKET_PING_INTERVAL", DURATION, "20", "WebSocket ping interval, in seconds."),
    Setting("WEBSOCKET_PING_TIMEOUT", DURATION, "20",
            "Time without a pong after which a WebSocket is closed, in seconds."),
    Setting("RATE_LIMIT_PER_SECOND", COUNT_OR_ZERO, "100",
            "Sustained calls per second of one agent, with bursts of ten seconds' worth; 0 disables the limit."),
    Setting("CORS_ORIGINS", ListParser("comma-separated origins such as https://a.example, or *", rf"\*|{ORIGIN}"),
            "", "Origins that may call the API from a browser (CORS)."),
    Setting("CORS_ALLOW_CREDENTIALS", SWITCH, "false", "Allow cookies in requests from CORS_ORIGINS."),
    Setting("ALLOWED_HOSTS", ListParser("comma-separated host names, or *", rf"\*|{HOST_NAME}"), "",
            "Accepted Host names in addition to loopback and HOST; * accepts any."),
    Setting("FORWARDED_ALLOW_IPS", NetworksParser(), "127.0.0.1,::1",
            "Proxies trusted to set X-Forwarded-For and X-Forwarded-Proto; * trusts every client."),
    Setting("AUTH_REQUIRED", SWITCH, "false",
            "Require a token even while no token exists."),
    Setting("METRICS_ENABLED", SWITCH, "true", "Enable /metrics and /api/metrics."),
    Setting("EXPECTED_INSTANCES", COUNT_OR_ZERO, "0",
            "Expected number of instances, exported in /metrics for an alert; 0 disables the check."),
    Setting("HEALTH_CHECK_TIMEOUT", SecondsParser(0.01, 3600), "5",
            "Timeout of each request of the health check, in seconds."),
    Setting("HEALTH_CHECK_VERBOSE", SWITCH, "false", "Print every check of the health check."),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of all settings. `database_path` is the file, also when DATABASE_URL names it."""

    host: str
    default_port: int
    mcp_port: int
    mcp_transport: McpTransport
    mcp_max_connections: int
    mcp_tools: McpTools
    mcp_schema: McpSchema
    database_path: Path
    database_url: str
    database_pool_size: int
    query_timeout_seconds: float
    auto_migrate: bool
    backup_mode: int
    lock_cleanup_interval: float
    max_attempts: int
    event_retention_days: int
    log_level: str
    log_format: LogFormat
    log_file: str
    websocket_max_connections: int
    websocket_ping_interval: float
    websocket_ping_timeout: float
    rate_limit_per_second: int
    cors_origins: tuple[str, ...]
    cors_allow_credentials: bool
    allowed_hosts: tuple[str, ...]
    forwarded_allow_ips: tuple[str, ...]
    auth_required: bool
    metrics_enabled: bool
    expected_instances: int
    health_check_timeout: float
    health_check_verbose: bool


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings with the source of each by its name.

    `warnings` has a sentence for each unknown name in the env file. It also has one for each name in the environment
    that is probably a misspelled setting.
    """

    settings: Settings
    sources: Mapping[str, str]
    warnings: tuple[str, ...]


def load(flags: Mapping[str, object], environ: Mapping[str, str], env_file: Path | None = None) -> LoadedSettings:
    """Return all settings with their sources.

    The keys of `flags` are names of settings. None means not given. An empty text counts as not set unless the default
    is empty. Raises ConfigError for a malformed value, settings that contradict each other, or an unreadable file.
    """
    layers = _layers(flags, environ, env_file)
    chosen = {setting.name: _choose(setting, layers) for setting in SETTINGS}
    values: dict[str, Any] = {setting.field: _parse(setting, chosen[setting.name].text) for setting in SETTINGS}
    database = _resolve_database_path(values, chosen, layers)
    values |= database
    if "database_path" in database:
        chosen["DATABASE_PATH"] = chosen["DATABASE_URL"]
    values |= _resolve_mcp_port(values)
    _check_consistency(values)
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
        return unset if found.layer == "default" else cast(LogFormat, _parse(setting, found.text))
    except ConfigError:
        return unset


def _layers(
    flags: Mapping[str, object], environ: Mapping[str, str], env_file: Path | None
) -> tuple[Layer, Layer, Layer]:
    """Return the sources in the order of precedence. Raises ConfigError."""
    try:
        in_file = {} if env_file is None else env_files.read(env_file)
    except env_files.EnvFileError as error:
        raise ConfigError(str(error)) from error
    return Layer("flag", _flag_texts(flags)), Layer("environment", environ), Layer(f"env file {env_file}", in_file)


def read_environment() -> Mapping[str, str]:
    """Return a copy of the environment variables of this process."""
    return dict(os.environ)


def show(setting: Setting, settings: Settings) -> str:
    """Return the effective value in the syntax of the setting. A secret is not shown."""
    value = getattr(settings, setting.field)
    if setting.secret:
        return "(set, not shown)" if value else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(setting.parse, FileModeParser):
        return f"{value:o}"
    return f"{value:g}" if isinstance(value, float) else str(value)


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
    try:
        return setting_sources.resolve_setting(layers, setting.name, default=setting.default, secret=setting.secret)
    except setting_sources.SourceError as error:
        raise ConfigError(str(error)) from error


def _parse(setting: Setting, text: str) -> object:
    try:
        return setting.parse(text)
    except ValueError:
        value = "malformed" if setting.secret else repr(text)
        raise ConfigError(f"{setting.name} is {value}, but must be {setting.parse.accepts}.") from None


def _resolve_database_path(
    values: Mapping[str, Any], chosen: Mapping[str, Value], layers: tuple[Layer, ...]
) -> dict[str, Any]:
    """Return the fields that DATABASE_URL changes. Raises ConfigError.

    The source with the higher precedence names the file, out of DATABASE_PATH and DATABASE_URL.
    """
    if not values["database_url"]:
        return {}
    rank = {layer.source: number for number, layer in enumerate(layers)} | {"default": len(layers)}
    by_path, by_url = (rank[chosen[name].layer] for name in ("DATABASE_PATH", "DATABASE_URL"))
    path = _path_of_url(values["database_url"])
    if by_path == by_url and path != values["database_path"]:
        raise ConfigError("DATABASE_PATH and DATABASE_URL name different databases; set only one.")
    return {"database_url": ""} if by_path < by_url else {"database_path": path}


def _path_of_url(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme != "sqlite":
        raise ConfigError(f"DATABASE_URL has the unsupported scheme {parts.scheme!r}; use sqlite:///PATH.")
    path = unquote(parts.path[1:])
    if parts.netloc or parts.query or parts.fragment or not path or path == ":memory:":
        raise ConfigError("DATABASE_URL must name a file, as sqlite:///relative.db or sqlite:////absolute.db.")
    try:
        return Path(paths.expand(path))
    except ValueError as error:
        raise ConfigError(f"DATABASE_URL cannot be used: {error}.") from error


def _resolve_mcp_port(values: Mapping[str, Any]) -> dict[str, Any]:
    if values["mcp_port"] is not None:
        return {}
    port: int = values["default_port"]
    if port == PORT.maximum and values["mcp_transport"] in ("sse", "http"):
        raise ConfigError(f"DEFAULT_PORT is {port}, so MCP_PORT has no default; set MCP_PORT.")
    return {"mcp_port": port and min(port + 1, PORT.maximum)}


def _check_consistency(values: Mapping[str, Any]) -> None:
    port: int = values["default_port"]
    if port and port == values["mcp_port"] and values["mcp_transport"] in ("sse", "http"):
        raise ConfigError(f"DEFAULT_PORT and MCP_PORT are both {port}, but must be two different ports.")
    if values["cors_allow_credentials"] and "*" in values["cors_origins"]:
        raise ConfigError("CORS_ORIGINS is '*' while CORS_ALLOW_CREDENTIALS is true: list the origins by name.")
