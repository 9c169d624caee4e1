"""Sign-in to the dashboard: a token becomes a cookie that scripts cannot read and other sites cannot send."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from project_manager.config.settings import TRANSPORTS_WITH_PORT
from project_manager.domain.actors import Actor
from project_manager.domain.errors import Invalid, ProjectManagerError, Unauthorized
from project_manager.runtime.dispatch import Runtime
from project_manager.web.bodies import read_body
from project_manager.web.endpoint import read_json_object
from project_manager.web.errors import response_of
from project_manager.web.middleware import bearer_or_cookie, client_address, has_token, session_cookie

WEEK_SECONDS = 7 * 24 * 3600


class SessionEndpoint:
    """Endpoint `/api/session`: the current actor, sign-in and sign-out."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._methods = {"GET": self.show, "HEAD": self.show, "POST": self.sign_in, "DELETE": self.sign_out}

    @property
    def _cookie(self) -> str:
        return session_cookie(self._runtime.hub.epoch)

    def routes(self) -> list[Route]:
        return [Route("/api/session", self.handle, methods=sorted(self._methods))]

    async def handle(self, request: Request) -> Response:
        """Dispatch by method. One route serves all methods, so that the header Allow of a 405 lists them all."""
        return await self._methods[request.method](request)

    async def show(self, request: Request) -> Response:
        """Return the actor of this session, whether a token is required, and the failed attempts that block a task."""
        required = await self._auth_required()
        headers = dict(request.scope["headers"])
        try:
            actor: Actor | None = await self._runtime.identify(bearer_or_cookie(headers, self._cookie))
        except Unauthorized:
            actor = None
            if required and has_token(headers, self._cookie):
                await self._runtime.refused_tokens.record_refusal(client_address(request.scope))
        if actor is not None or required or self._cookie not in request.cookies:
            return self._described(actor, auth_required=required)
        # All tokens were deleted, so no request needs one. Requests with the stale cookie would still be refused.
        response = self._described(await self._runtime.identify(None), auth_required=False)
        response.delete_cookie(self._cookie, path="/", httponly=True, samesite="strict")
        return response

    async def sign_in(self, request: Request) -> Response:
        """Check the token of the body and set it as a cookie. After repeated refusals the response is delayed."""
        try:
            token = _token(await read_body(dict(request.scope["headers"]), request.receive))
            actor = await self._runtime.identify(token)
        except ProjectManagerError as error:
            if isinstance(error, Unauthorized):
                await self._runtime.refused_tokens.record_refusal(client_address(request.scope))
            return response_of(error, request.scope["state"]["request_id"])
        response = self._described(actor, auth_required=True)
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        response.set_cookie(
            self._cookie, token, max_age=WEEK_SECONDS, path="/", httponly=True, samesite="strict", secure=secure
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        """Delete the cookie."""
        response = Response(status_code=204)
        response.delete_cookie(self._cookie, path="/", httponly=True, samesite="strict")
        return response

    def _described(self, actor: Actor | None, *, auth_required: bool) -> Response:
        """Return the session as JSON. Without an actor, it contains no settings.

        `mcp` has the ports of the server, or is None without MCP over HTTP.
        """
        body: dict[str, object] = {"actor": _shown(actor), "auth_required": auth_required}
        if actor is not None:
            settings = self._runtime.settings
            body["max_attempts"] = settings.max_attempts
            has_port = settings.mcp_transport in TRANSPORTS_WITH_PORT
            body["mcp"] = {"port": settings.mcp_port, "api_port": settings.default_port} if has_port else None
        return JSONResponse(body)

    async def _auth_required(self) -> bool:
        try:
            await self._runtime.identify(None)
        except Unauthorized:
            return True
        return False


def _token(body: bytes) -> str:
    token = read_json_object(body).get("token")
    if not isinstance(token, str) or not token.strip():
        raise Invalid.of("token", "`token` is missing", "Send `token`.")
    return token.strip()


def _shown(actor: Actor | None) -> dict[str, str] | None:
    return None if actor is None else {"id": actor.id, "kind": actor.kind, "role": actor.role.name.lower()}
