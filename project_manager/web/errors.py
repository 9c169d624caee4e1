"""Errors as HTTP responses: one body, and one table from error class to status."""

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from project_manager.domain import errors, service_errors
from project_manager.domain.errors import ProjectManagerError
from project_manager.web.middleware import Receive, Scope, Send
from project_manager.web.pages import error_page, wants_html

STATUS: dict[type[ProjectManagerError], int] = {
    errors.Malformed: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.RequestTimeout: 408,
    errors.TooLarge: 413,
    errors.HeadersTooLarge: 431,
    errors.Invalid: 422,
    service_errors.RateLimited: 429,
    service_errors.Internal: 500,
    service_errors.Unavailable: 503,
    service_errors.StorageFull: 507,
}

UNAUTHORIZED_CLOSE = 4401
POLICY_CLOSE = 1008


def status_of(error: ProjectManagerError | type[ProjectManagerError]) -> int:
    """Return the HTTP status of an error or error class."""
    kind = error if isinstance(error, type) else type(error)
    return next((STATUS[base] for base in kind.__mro__ if base in STATUS), 500)


def response_of(error: ProjectManagerError, request_id: str) -> Response:
    described = {name: getattr(error, name) for name in ("code", "message", "hint", "details")}
    if error.messages:
        described["messages"] = error.messages
    body = orjson.dumps({**described, "request_id": request_id})
    response = Response(body, status_of(error), media_type="application/json")
    if isinstance(error, service_errors.Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="project-manager"'
    if isinstance(error, errors.MethodNotAllowed):
        response.headers["Allow"] = str(error.details["allowed"])
    return response


async def send_error(scope: Scope, receive: Receive, send: Send, error: ProjectManagerError) -> None:
    """Send the error. A WebSocket is accepted and then closed with a code that a browser can read."""
    if scope["type"] == "websocket":
        code = UNAUTHORIZED_CLOSE if isinstance(error, errors.Unauthorized) else POLICY_CLOSE
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": code, "reason": error.message[:120]})
        return
    response = response_of(error, scope["state"]["request_id"])
    if isinstance(error, errors.Unauthorized) and wants_html(scope):
        response = error_page(error, response.status_code, {"WWW-Authenticate": response.headers["WWW-Authenticate"]})
    await response(scope, receive, send)


def on_exception(request: Request, exception: Exception) -> Response:
    """Return the response to a path or method that the router refuses, or to an exception, which is in the log."""
    status = exception.status_code if isinstance(exception, HTTPException) else 500
    request_id = request.scope["state"]["request_id"]
    if status == 404:
        error = errors.RouteNotFound(f"{request.url.path[:200]} not found")
        return error_page(error, status, {}) if wants_html(request.scope) else response_of(error, request_id)
    if status == 405 and isinstance(exception, HTTPException):
        allowed = ", ".join(sorted((exception.headers or {}).get("Allow", "").split(", ")))
        refusal = errors.MethodNotAllowed(
            f"method {request.method} is not allowed for {request.url.path[:200]}", allowed=allowed
        )
        return response_of(refusal, request_id)
    return response_of(service_errors.Internal("internal server error"), request_id)
