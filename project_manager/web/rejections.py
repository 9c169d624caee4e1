"""Responses to requests that never reach the application."""

import secrets

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from project_manager.domain.errors import HeadersTooLarge, MalformedRequest, ProjectManagerError, Unavailable
from project_manager.web import connections as bounds
from project_manager.web.errors import body_of, status_of


def too_large() -> HeadersTooLarge:
    return HeadersTooLarge("request line, headers or trailers are too large", limit=bounds.HEAD_BYTES)


def malformed() -> MalformedRequest:
    return MalformedRequest("the request is not valid HTTP/1.1")


def response(error: ProjectManagerError, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return a whole HTTP response with the common error body."""
    request_id = secrets.token_hex(8)
    body = body_of(error, request_id)
    headers = [
        *default_headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        (b"x-request-id", request_id.encode()),
    ]
    if isinstance(error, Unavailable):
        headers.append((b"retry-after", b"%d" % error.retry_after))
    lines = b"".join(b"%s: %s\r\n" % pair for pair in headers)
    return STATUS_LINE[status_of(error)] + lines + b"\r\n" + body
