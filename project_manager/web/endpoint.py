"""REST routes generated from the catalogue. Path, query and body form one set of raw arguments."""

import logging
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import anyio
import orjson
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Route

from project_manager.catalogue import OPERATIONS
from project_manager.clock import monotonic
from project_manager.domain.errors import (
    IdempotencyMismatch,
    Invalid,
    MalformedBody,
    MalformedHeader,
    MethodNotAllowed,
    ProjectManagerError,
    VersionMismatch,
)
from project_manager.domain.limits import ACKNOWLEDGED_AT_ONCE, BODY_BYTES, ID_DIGITS, ID_MAXIMUM, KEY_CHARACTERS
from project_manager.domain.names import composed, is_visible
from project_manager.domain.service_errors import Internal
from project_manager.operations.definition import Kind, Operation
from project_manager.runtime.authorization import check_role
from project_manager.runtime.calls import Caller, OperationResult
from project_manager.runtime.dispatch import Runtime
from project_manager.web import etag
from project_manager.web.bodies import LargeBodyReader, read_body
from project_manager.web.errors import response_of
from project_manager.web.middleware import Receive, Scope, Send
from project_manager.web.representations import Representation, Representations
from project_manager.web.streaming import (
    PIECE_BYTES,
    Headers,
    StreamedResponse,
    framing_of,
    send_in_chunks,
    send_stream,
)
from project_manager.web.whole_response import send_whole

Result = TypeVar("Result")

log = logging.getLogger(__name__)

VERSIONS = 16
"""Limit on ETags in If-Match."""
QUERY_FIELDS = 1000
"""Limit on query fields. It suffices for the longest lists with one field per entry."""


def routes(runtime: Runtime) -> list[Route]:
    """Return one route for each path, fixed last segments first. An agent id at the end may contain slashes."""
    by_path: dict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in OPERATIONS:
        for route in (operation.http, *operation.aliases):
            if route:
                method, path = route.split(" ")
                by_path[path][method] = operation
    fixed_first = sorted(by_path, key=lambda path: "{" in path.rpartition("/")[2])
    return [
        Route(path.replace("{agent_id}", "{agent_id:rest}"), endpoint=PathEndpoint(runtime, path, by_path[path]))
        for path in fixed_first
    ]


class _RestConvertor(Convertor[str]):
    """Converter for the non-empty rest of a path with its slashes, because proxies decode an escaped slash."""

    regex = ".+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("rest", _RestConvertor())


@dataclass(frozen=True, slots=True)
class RawResponse:
    """HTTP response. Starlette's Response would cost more than all other steps of the response."""

    status: int
    headers: Headers
    body: bytes


class PathEndpoint:
    """ASGI application for one path with its methods."""

    def __init__(self, runtime: Runtime, path: str, methods: dict[str, Operation]) -> None:
        self._runtime = runtime
        self._path = path
        self._methods = methods
        folder = None if runtime.settings.database_url else runtime.settings.database_path.parent
        self._large = LargeBodyReader(folder, max(operation.body_bytes for operation in methods.values()))
        self._streams = any(operation.streamed for operation in methods.values())
        self._representations = Representations()
        self._allow = ", ".join(sorted({*methods, *({"HEAD"} if "GET" in methods else ())}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = monotonic()
        method = scope["method"]
        if self._streams:
            status = await self._stream(method, scope, receive, send)
            self._runtime.metrics.http_request(method, self._path, status, monotonic() - started)
            return
        try:
            reply = await self._respond(method, scope, receive)
        except Exception as error:  # noqa: BLE001 `_refusal` logs it
            reply = self._refusal(error, scope)
        if len(reply.body) > PIECE_BYTES:
            await send_in_chunks(send, reply.status, reply.headers, reply.body, self._path)
        else:
            await send_whole(scope, send, reply.status, reply.headers, reply.body)
        self._runtime.metrics.http_request(method, self._path, reply.status, monotonic() - started)

    def _refusal(self, error: Exception, scope: Scope) -> RawResponse:
        if not isinstance(error, ProjectManagerError):
            log.error("request failed", exc_info=error, extra={"action": "request_failed", "route": self._path})
            error = Internal("internal server error")
        response = response_of(error, scope["state"]["request_id"])
        return RawResponse(response.status_code, response.raw_headers, bytes(response.body))

    def _operation(self, method: str) -> Operation:
        operation = self._methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise MethodNotAllowed(f"method {method} is not allowed for {self._path}", allowed=self._allow)
        return operation

    async def _stream(self, method: str, scope: Scope, receive: Receive, send: Send) -> int:
        """Send the response of a streamed operation and return its status. A later error cuts the response off."""
        outgoing = StreamedResponse(send)
        try:
            operation = self._operation(method)
            headers = scope["state"]["headers"]
            raw = await _arguments(operation, scope, headers, receive)
            caller = Caller(scope["state"]["actor"], "rest", scope["state"]["request_id"])

            async def pump() -> None:
                with outgoing.timeout_scope:
                    async with self._runtime.stream(operation, raw, caller) as (command, fetch):
                        framing = framing_of(operation, command, headers.get(b"accept", b"").decode("latin-1"))
                        await send_stream(outgoing, framing, fetch, head=method == "HEAD")

            await _while_connected(pump(), receive)
        except Exception as error:  # noqa: BLE001 `_refusal` logs it
            reply = self._refusal(error, scope)
            await outgoing.refuse(reply.status, reply.headers, reply.body)
        outgoing.note(self._path)
        return outgoing.status or 500

    async def _respond(self, method: str, scope: Scope, receive: Receive) -> RawResponse:
        operation = self._operation(method)
        if operation.body_bytes > BODY_BYTES:
            return await self._respond_large(operation, scope, receive)
        raw = await _arguments(operation, scope, scope["state"]["headers"], receive)
        return await self._run_and_respond(operation, raw, scope, receive)

    async def _respond_large(self, operation: Operation, scope: Scope, receive: Receive) -> RawResponse:
        """Check the role, receive a possibly large body, parse it on a thread, and return the reply."""
        check_role(operation, scope["state"]["actor"])
        headers = scope["state"]["headers"]
        async with self._large.received(headers, receive) as body:
            raw = await anyio.to_thread.run_sync(lambda: _merged(operation, scope, headers, body))
            return await self._run_and_respond(operation, raw, scope, receive)

    async def _run_and_respond(
        self, operation: Operation, raw: dict[str, Any], scope: Scope, receive: Receive
    ) -> RawResponse:
        state, headers = scope["state"], scope["state"]["headers"]
        key = _key(operation, headers)
        _check_same(raw, "request_id", [key] if key else [], "Idempotency-Key")
        versions = _expected_versions(operation, headers)
        _check_same(raw, "version", versions, "If-Match")
        ack = _acknowledged(headers)
        caller = Caller(state["actor"], "rest", state["request_id"], key, state["secret"], ack=ack)
        run = partial(self._run_with, versions) if versions else self._runtime.run
        work = run(operation, raw, caller)
        is_long_poll = operation.waits is not None and operation.waits.is_requested(raw)
        result = await (_while_connected(work, receive) if is_long_poll else work)
        if result.snapshot is None:
            return _reply(operation, result)
        accepts_gzip = b"gzip" in headers.get(b"accept-encoding", b"")
        large = await self._representations.get(result.snapshot, accepts_gzip=accepts_gzip)
        return _large_reply(operation, large, headers.get(b"if-none-match"))

    async def _run_with(
        self, versions: list[int], operation: Operation, raw: dict[str, Any], caller: Caller
    ) -> OperationResult:
        """Run the operation with one version of If-Match after another, because a write compares with one version.

        With an idempotency key, only the version that succeeded first replays the stored result.
        """
        for version in versions[:-1]:
            try:
                return await self._runtime.run(operation, {**raw, "version": version}, caller)
            except (VersionMismatch, IdempotencyMismatch):
                continue
        return await self._runtime.run(operation, {**raw, "version": versions[-1]}, caller)


async def _while_connected(work: Awaitable[Result], receive: Receive) -> Result:
    """Await `work`. When the client disconnects, cancel it and raise MalformedBody."""
    outcome: Result | ProjectManagerError = MalformedBody("the client disconnected")

    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

        tasks.start_soon(listen)
        try:
            outcome = await work
        except ProjectManagerError as error:
            outcome = error
        tasks.cancel_scope.cancel()
    if isinstance(outcome, ProjectManagerError):
        raise outcome
    return outcome


async def _arguments(
    operation: Operation, scope: Scope, headers: dict[bytes, bytes], receive: Receive
) -> dict[str, Any]:
    return _merged(operation, scope, headers, await read_body(headers, receive))


def _merged(operation: Operation, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> dict[str, Any]:
    """Return the arguments of query, body and path as one dict. Raises MalformedBody, and Invalid if they differ."""
    raw = _from_query(scope["query_string"])
    if body:
        _merge(raw, _from_body(operation, headers, body), "body")
    _merge(raw, scope.get("path_params", {}), "path")
    return raw


def _from_query(query: bytes) -> dict[str, Any]:
    if not query:
        return {}
    raw: dict[str, Any] = {}
    for name, value in _pairs(query):
        if name not in raw:
            raw[name] = value
        elif isinstance(raw[name], list):
            raw[name].append(value)
        else:
            raw[name] = [raw[name], value]
    return raw


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS)
    except ValueError as error:
        raise MalformedBody(
            "the query is not valid", hint=f"Use percent-encoded UTF-8 with at most {QUERY_FIELDS} fields."
        ) from error


def _from_body(operation: Operation, headers: dict[bytes, bytes], body: bytes) -> dict[str, Any]:
    text = operation.accepts
    if text is not None and _media_type(headers) in text.media_types:
        return {text.field: _as_text(body, "Encode it as UTF-8.")}
    return read_json_object(body, f"{MalformedBody.default_hint} {text.hint}" if text is not None else "")


def read_json_object(body: bytes, hint: str = "") -> dict[str, Any]:
    """Return the body as a JSON object. Raises MalformedBody with the position of the error."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _as_text(body, hint)
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedBody(f"the body is not JSON: {error.msg} at {place}", hint=hint) from error
    if not isinstance(parsed, dict):
        raise MalformedBody("the body is not a JSON object", hint=hint)
    return parsed


def _as_text(body: bytes, hint: str) -> str:
    """Return the body as text. Raises MalformedBody with the position of a byte that is not UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        message = f"the body is not UTF-8: byte {error.start + 1} is 0x{body[error.start]:02x}"
        raise MalformedBody(message, hint=hint) from error


def _media_type(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


def _merge(raw: dict[str, Any], more: dict[str, Any], where: str) -> None:
    for name, value in more.items():
        if name in raw and str(raw[name]) != str(value):
            message = (
                f"`{name}` is {str(value)[:40]!r} in the {where} and {str(raw[name])[:40]!r} elsewhere in the request"
            )
            raise Invalid.of(name, message, "Send it only once.")
        raw[name] = value


def _key(operation: Operation, headers: dict[bytes, bytes]) -> str | None:
    given = headers.get(b"idempotency-key")
    if given is None or not operation.idempotent:
        return None
    text = _header_text(given).strip()
    key = composed(text) if len(text) <= 4 * KEY_CHARACTERS else text
    if not is_visible(key) or len(key) > KEY_CHARACTERS or not key.isprintable():
        raise MalformedHeader(f"the header Idempotency-Key is not 1..{KEY_CHARACTERS} printable characters")
    return key


def _acknowledged(headers: dict[bytes, bytes]) -> tuple[int, ...]:
    """Return the ids of messages in the header Message-Ack. Raises MalformedHeader."""
    given = headers.get(b"message-ack")
    if given is None:
        return ()
    ids = [part.strip() for part in given.decode("latin-1").split(",")]
    if len(ids) > ACKNOWLEDGED_AT_ONCE or not all(_is_id(text) for text in ids):
        raise MalformedHeader(
            f"the header Message-Ack is not a list of at most {ACKNOWLEDGED_AT_ONCE} message ids",
            hint="Separate the ids by commas: Message-Ack: 3, 4.",
        )
    return tuple(map(int, ids))


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= ID_DIGITS and 1 <= int(text) <= ID_MAXIMUM


def _check_same(raw: dict[str, Any], name: str, sent: Sequence[object], header: str) -> None:
    """Raise Invalid when a field differs from its header, because one of them would be ignored."""
    given = raw.get(name)
    if given is None or not sent or _as_sent(given) in map(str, sent):
        return
    message = f"`{name}` is {str(given)[:40]!r}, but the header {header} is {str(sent[0])[:40]!r}"
    raise Invalid.of(name, message, "Send only one of them.")


def _as_sent(value: object) -> str:
    """Return a field as header text. A whole number such as `7.0` loses its fraction."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return composed(str(value)[: 4 * KEY_CHARACTERS]).strip()


def _header_text(given: bytes) -> str:
    """Return the text of a header. Clients send UTF-8, as in a body, although HTTP defines only Latin-1."""
    try:
        return given.decode()
    except UnicodeDecodeError:
        return given.decode("latin-1")


def _expected_versions(operation: Operation, headers: dict[bytes, bytes]) -> list[int]:
    """Return the versions of If-Match, one of which must match. An empty list matches every version.

    Raises VersionMismatch when no tag is a version, and MalformedHeader for an operation that compares no versions.
    """
    given = headers.get(b"if-match")
    if given is None or operation.kind is Kind.READ or etag.is_any(given):
        return []
    if "version" not in operation.command.model_fields:
        raise MalformedHeader("If-Match is not supported for this operation", hint="Remove the If-Match header.")
    tags = list(dict.fromkeys(etag.opaque_tags(given)))
    if not 1 <= len(tags) <= VERSIONS:
        raise MalformedHeader(f"the header If-Match does not contain 1..{VERSIONS} ETags")
    versions = [int(tag) for tag in tags if tag.isascii() and tag.isdigit() and len(tag) <= ID_DIGITS]
    # A number outside these bounds is not a version. The command would refuse it with 422 instead of 412.
    known = list(dict.fromkeys(version for version in versions if 1 <= version <= ID_MAXIMUM))
    if not known:
        raise VersionMismatch("the header If-Match contains no ETag of this service")
    return known


def _reply(operation: Operation, result: OperationResult) -> RawResponse:
    """Return the response with the view. The version of the view, if it has one, is the entity tag."""
    version = result.view.get("version") if isinstance(result.view, dict) else getattr(result.view, "version", None)
    extra = [] if version is None else _cache_headers(f'"{version}"')
    if result.replayed:
        extra.append((b"idempotency-replayed", b"true"))
    if result.issued_id is not None:
        extra.append((b"x-agent-id", result.issued_id.encode()))
    body = result.body
    if result.messages:  # beside the result, which a stored response repeats without them
        body = body[:-1] + b',"messages":' + orjson.dumps(result.messages) + b"}"
    return _with_body(operation.status, extra, body)


def _large_reply(operation: Operation, large: Representation, if_none_match: bytes | None) -> RawResponse:
    """Return the response with a large result, or with status 304 when the client has that result."""
    extra = [*_cache_headers(large.etag), (b"vary", b"accept-encoding")]
    if etag.matches(if_none_match, large.etag):
        return RawResponse(304, extra, b"")
    if large.gzipped:
        extra.append((b"content-encoding", b"gzip"))
    return _with_body(operation.status, extra, large.body)


def _cache_headers(tag: str) -> Headers:
    return [(b"etag", tag.encode("latin-1")), (b"cache-control", b"no-cache")]


def _with_body(status: int, extra: Headers, body: bytes) -> RawResponse:
    described = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    return RawResponse(status, described + extra, body)
