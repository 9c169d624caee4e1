"""Responses to requests that never reach the application."""

import secrets

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from project_manager.domain.errors import HeadersTooLarge, MalformedRequest, ProjectManagerError
from project_manager.web import connections as limits
from project_manager.web.errors import response_of


def too_large() -> HeadersTooLarge:
    return HeadersTooLarge("request line, headers or trailers are too large", limit=limits.HEAD_BYTES)


def malformed() -> MalformedRequest:
    return MalformedRequest("the request is not valid HTTP/1.1")


def response(error: ProjectManagerError, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return a whole HTTP response with the common error body."""
    request_id = secrets.token_hex(8)
    rendered = response_of(error, request_id)
    ours = [(b"connection", b"close"), (b"x-request-id", request_id.encode())]
    lines = b"".join(b"%s: %s\r\n" % pair for pair in (*default_headers, *rendered.raw_headers, *ours))
    return STATUS_LINE[rendered.status_code] + lines + b"\r\n" + bytes(rendered.body)
