"""The lower bound of HTTP: one Starlette route that reads JSON and returns JSON, without a database."""

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def _echo(request: Request) -> Response:
    asked = orjson.loads(await request.body())
    return Response(orjson.dumps({"success": True, "asked": asked}), media_type="application/json")


async def _alive(_: Request) -> Response:
    return Response(b"{}", media_type="application/json")


application = Starlette(routes=[Route("/", _alive), Route("/claim", _echo, methods=["POST"])])
