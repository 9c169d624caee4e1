"""The REST API as the scripted agents use it."""

import http.client
import json
import secrets
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

TIMEOUT_SECONDS = 30.0
RETRY_SECONDS = 1.0
RETRIES = 30

Json = dict[str, Any]


class Rejected(Exception):
    """The service rejected the request. The message states the problem, `hint` the next step; `code` is stable."""

    def __init__(self, message: str, code: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Unavailable(Exception):
    """The service does not answer, or asks for a retry. The message is one sentence."""


class Api(Protocol):
    """The calls of the scripted agents. `method` and `path` are those of the REST API."""

    async def call(self, method: str, path: str, *, retries: int = RETRIES, **body: object) -> Json:
        """Return the JSON body of the response. Raises Rejected, Unavailable."""


class Service:
    """Client of one server. Each call opens a connection, so it needs no special code for a restart."""

    def __init__(self, url: str, token: str = "") -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connect = partial(kind, parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url

    async def call(self, method: str, path: str, *, retries: int = RETRIES, **body: object) -> Json:
        """Return the JSON body of the response. Raises Rejected, Unavailable.

        While the server is unavailable, repeat the request with the same idempotency key. It takes effect once.
        """
        headers = {"Idempotency-Key": secrets.token_hex(8)} if method == "POST" else {}
        request = partial(self._send, method, path, json.dumps(body) if body else None, headers)
        for _ in range(retries):
            try:
                return await anyio.to_thread.run_sync(request)
            except Unavailable:
                await anyio.sleep(RETRY_SECONDS)
        return await anyio.to_thread.run_sync(request)

    def _send(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Json:
        connection = self._connect()
        try:
            connection.request(method, path, body, self._headers | headers)
            response = connection.getresponse()
            content: Json = json.loads(response.read())
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{self.url} does not answer: {error}.") from error
        except ValueError as error:
            raise Unavailable(f"{self.url} is not a Project Manager server: its answer is not JSON.") from error
        finally:
            connection.close()
        if response.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            raise Unavailable(f"{self.url} is not available: {content.get('message')}.")
        if response.status >= HTTPStatus.BAD_REQUEST:
            unknown = f"{self.url} answered {response.status}"
            raise Rejected(content.get("message", unknown), content.get("code", ""), content.get("hint", ""))
        return content
