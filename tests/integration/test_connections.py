"""Limits on the memory, duration and number of connections, and the responses at these limits."""

import gc
import socket
import weakref
from contextlib import AsyncExitStack
from functools import partial
from typing import cast

import anyio
import anyio.abc
import orjson
import pytest

from project_manager.web import connections as limits
from project_manager.web.connections import Connection
from tests.e2e.service import sample
from tests.http_service import HttpService
from tests.raw import connected, until

KIBIBYTE = 1024
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
CHUNKS = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
CLAIM = b'{"agent_id": "a", "wait_seconds": 50}'
WAITING = POST.replace(b"tasks", b"tasks/claim") % len(CLAIM) + CLAIM
SMALL = 4096

pytestmark = [pytest.mark.promise("connection:limits"), pytest.mark.slow]


def seconds_pass(service: HttpService, seconds: int) -> None:
    for _ in range(seconds):
        service.connections.check()


def holds(service: HttpService, size: int) -> bool:
    """Return whether unfinished requests hold exactly this many bytes, or none."""
    return service.connections.requests.total in (size, 0)


def silent(service: HttpService, number: int) -> bool:
    """Return whether exactly this many connections have sent no complete head."""
    return len(service.connections.heads) == number


async def refused(service: HttpService, reason: str) -> int:
    page = (await service.send("GET", "/metrics")).text
    return int(sample(page, f'project_manager_connections_refused_total{{reason="{reason}"}}'))


# Pipelining


def mixed(number: int) -> bytes:
    """Return one of five kinds of requests, with a number that its response repeats."""
    named = b"Host: localhost\r\nX-Request-ID: %d\r\n" % number
    body = b'{"name": "T %d"}' % number
    return [
        b"GET /livez HTTP/1.1\r\n" + named + b"\r\n",
        b"POST /api/tasks HTTP/1.1\r\n" + named + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        b"\r\n\r\nGET /nothing HTTP/1.1\r\n" + named + b"\r\n",
        b"POST /api/tasks HTTP/1.1\r\n"
        + named
        + b"Transfer-Encoding: chunked\r\n\r\n3\r\n"
        + body[:3]
        + b"\r\n%x;a=b\r\n" % (len(body) - 3)
        + body[3:]
        + b"\r\n0\r\nX-Request-ID: trailer\r\n\r\n",
        b"PUT /livez HTTP/1.1\r\n" + named + b"Content-Length: 8\r\n\r\n\r\n\r\n\r\n\r\n",
    ][number % 5]


@pytest.mark.parametrize("piece", [1, 7, 64, 1000, 10**6])
async def test_pipelined_requests_are_answered_in_order_however_they_are_cut(service: HttpService, piece: int) -> None:
    number = 15 if piece == 1 else 60
    sent = b"".join(map(mixed, range(number)))
    async with connected(service) as raw, anyio.create_task_group() as tasks:

        async def send() -> None:
            for start in range(0, len(sent), piece):
                await raw.send(sent[start : start + piece])

        tasks.start_soon(send)
        answers = [await raw.answer() for _ in range(number)]
    assert [int(headers[b"x-request-id"]) for _, headers, _ in answers] == list(range(number))
    assert [status for status, _, _ in answers] == [[200, 201, 404, 201, 405][place % 5] for place in range(number)]


async def test_nothing_is_read_while_an_answer_waits(service: HttpService) -> None:
    async with connected(service) as raw:
        await raw.send(WAITING)
        with anyio.move_on_after(0.5), pytest.raises(TimeoutError):
            await raw.send(GET * 500_000)
        assert 0 < service.connections.requests.total <= 2 * 256 * KIBIBYTE
    await service.ok("POST", "/api/tasks", {"name": "T"})
    await until(lambda: service.connections.requests.total == 0)


async def test_a_client_that_leaves_a_wait_with_a_request_behind_it_is_noticed(service: HttpService) -> None:
    async with connected(service) as raw:
        await raw.send(WAITING + GET * 1000)
        await until(lambda: service.connections.requests.total)
    await until(lambda: len(service.connections) == 0)


async def test_requests_behind_one_that_closes_the_connection_are_dropped(service: HttpService) -> None:
    async with connected(service) as raw:
        await raw.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" + GET * 1000)
        status, headers, _ = await raw.answer()
        assert (status, headers[b"connection"]) == (200, b"close")
        assert await raw.rest() == b""


async def test_a_request_behind_a_chunked_body_may_be_cut_anywhere(service: HttpService) -> None:
    first = CHUNKS + b'd\r\n{"name": "T"}\r\n0\r\n\r\n'
    for cut in range(len(first) - 3, len(first + GET)):
        async with connected(service) as raw:
            await raw.send((first + GET)[:cut])
            if cut >= len(first):
                assert (await raw.answer())[0] == 201
            else:
                await until(lambda: not service.connections.heads)
            await raw.send((first + GET)[cut:])
            if cut < len(first):
                assert (await raw.answer())[0] == 201
            assert (await raw.answer())[0] == 200
        await until(lambda: len(service.connections) == 0)


@pytest.mark.parametrize(
    "body",
    [b'Content-Length: 13\r\n\r\n{"name": "T"}', b'Transfer-Encoding: chunked\r\n\r\nd\r\n{"name": "T"}\r\n0\r\n\r\n'],
)
@pytest.mark.parametrize(
    "upgrade",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ],
    ids=["h2c", "websocket"],
)
async def test_a_request_that_offers_another_protocol_keeps_its_body(
    service: HttpService, body: bytes, upgrade: bytes
) -> None:
    async with connected(service) as raw:
        for _ in range(2):
            await raw.send(b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\n" + upgrade + body)
            assert (await raw.answer())[0] == 201
        await raw.send(GET)
        assert (await raw.answer())[0] == 200


async def test_a_handshake_of_a_websocket_with_a_body_is_answered_as_a_plain_request(service: HttpService) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}"
    async with connected(service) as raw:
        await raw.send(b"GET /ws/updates HTTP/1.1\r\nHost: localhost\r\n" + upgrade)
        assert (await raw.answer())[0] == 404
        await raw.send(GET)
        assert (await raw.answer())[0] == 200


async def test_a_connection_that_is_lost_leaves_nothing_behind(service: HttpService) -> None:
    gc.disable()  # the service rarely runs the garbage collector, so reference cycles would stay
    try:
        async with connected(service) as raw:
            await raw.send(GET)
            await raw.answer()
            await raw.send(WAITING + GET * 1000)
            await until(lambda: service.connections.requests.total)
            (reference,) = map(weakref.ref, service.connections)
        await until(lambda: reference() is None)
    finally:
        gc.enable()


# Heads


LONG = b"a" * (65 * KIBIBYTE)
TOO_LARGE = {
    "target": b"GET /" + LONG,
    "header": b"GET / HTTP/1.1\r\nX: " + LONG,
    "name": b"GET / HTTP/1.1\r\n" + LONG,
    "whole": b"GET / HTTP/1.1\r\nX: " + LONG + b"\r\n\r\n",
    "lines": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 129 + b"\r\n",
    "endless lines": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 12_000,
    "trailers": CHUNKS + b"0\r\n" + b"X: y\r\n" * 12_000,
    "trailer": CHUNKS + b"0\r\nX: " + LONG,
    "chunk extension": CHUNKS + b"1;" + LONG,
    "chunk extensions": CHUNKS + (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 70,
    "tiny chunks": CHUNKS + b"1\r\nx\r\n" * 30_000,
}


@pytest.mark.parametrize("sent", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_a_head_beyond_the_limit_is_answered_with_431(service: HttpService, sent: bytes) -> None:
    async with connected(service) as raw:
        await raw.send(sent)
        assert await raw.error() == (431, "headers_too_large")
    assert await refused(service, "headers_too_large") == 1


async def test_a_head_of_exactly_the_limit_is_accepted(service: HttpService) -> None:
    begin = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 126 + b"Y: "
    async with connected(service) as raw:
        await raw.send(begin + b"a" * (limits.HEAD_BYTES - len(begin) - 4) + b"\r\n\r\n")
        assert (await raw.answer())[0] == 200


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/1.1\nHost: localhost\n\n", b"\x00"])
async def test_bytes_that_are_not_http_are_answered_before_the_head_is_complete(
    service: HttpService, sent: bytes
) -> None:
    async with connected(service) as raw:
        await raw.send(sent)
        assert await raw.error() == (400, "malformed_request")


async def test_trailers_beyond_the_limit_of_a_refused_request_get_no_second_answer(service: HttpService) -> None:
    async with connected(service) as raw:
        await raw.send(b"PUT /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await raw.answer())[0] == 405
        await raw.send(b"0\r\n" + b"X: y\r\n" * 12_000)
        assert await raw.rest() == b""


# Time


async def test_an_incomplete_head_is_answered_with_408(service: HttpService) -> None:
    async with connected(service) as raw:
        await raw.send(GET + GET[:20])
        await raw.answer()
        await until(lambda: service.connections.requests.total)
        seconds_pass(service, limits.HEAD_SECONDS - 2)
        await raw.send(GET[20:21])  # occasional bytes do not extend the time
        seconds_pass(service, 3)
        assert await raw.error() == (408, "request_timeout")
    assert await refused(service, "head_timeout") == 1


async def test_a_silent_connection_is_closed_without_an_answer(service: HttpService) -> None:
    async with connected(service) as raw:
        seconds_pass(service, limits.HEAD_SECONDS + 1)
        assert await raw.rest() == b""


@pytest.mark.parametrize("head", [POST % 100_000, CHUNKS], ids=["declared", "chunks"])
@pytest.mark.parametrize("path", [b"/api/tasks", b"/api/import"])
async def test_a_body_without_progress_is_answered_with_408(service: HttpService, head: bytes, path: bytes) -> None:
    async with connected(service) as raw:
        await raw.send(head.replace(b"/api/tasks", path))
        await until(lambda: service.connections.requests.oldest() is not None)
        seconds_pass(service, limits.BODY_SECONDS - 2)
        await raw.send(b"5\r\naaaaa\r\n")
        seconds_pass(service, 3)
        assert await raw.error() == (408, "request_timeout")
    assert await refused(service, "body_timeout") == 1
    assert (await service.send("GET", "/livez")).status_code == 200


async def test_a_body_that_makes_progress_is_accepted_after_any_time(service: HttpService) -> None:
    body = b'{"name": "T"}' + b" " * (5 * limits.PROGRESS_BYTES)
    async with connected(service) as raw:
        await raw.send(POST % len(body))
        for start in range(0, len(body), limits.PROGRESS_BYTES):
            await raw.send(body[start : start + limits.PROGRESS_BYTES])
            await until(partial(holds, service, min(start + limits.PROGRESS_BYTES, len(body))))
            seconds_pass(service, limits.BODY_SECONDS - 5)
        assert (await raw.answer())[0] == 201


async def test_an_idle_connection_is_closed_after_its_time_and_no_sooner(service: HttpService) -> None:
    async with connected(service) as raw:
        for _ in range(2):
            await raw.send(GET)
            assert (await raw.answer())[0] == 200
            seconds_pass(service, limits.KEEP_ALIVE_SECONDS - 5)
        seconds_pass(service, 6)
        assert await raw.rest() == b""


async def test_an_agent_that_waits_for_work_is_not_cut(service: HttpService) -> None:
    async with connected(service) as raw:
        await raw.send(WAITING)
        await until(lambda: not service.connections.heads)
        seconds_pass(service, 200)
        await service.ok("POST", "/api/tasks", {"name": "T"})
        assert (await raw.answer())[0] == 200


async def test_a_response_that_is_not_read_is_cut(service: HttpService) -> None:
    async with connected(service, receive_buffer=SMALL) as raw:
        await raw.send(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60)
        await until(lambda: service.connections.responses.total)
        seconds_pass(service, limits.RESPONSE_SECONDS - 2)
        assert len(service.connections) == 1
        seconds_pass(service, 3)
        await until(lambda: len(service.connections) == 0)
    assert await refused(service, "response_timeout") == 1


async def test_the_rest_of_the_last_answer_is_kept_for_a_while_only(service: HttpService) -> None:
    async with connected(service, receive_buffer=SMALL) as raw:
        await raw.send(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60)
        await until(lambda: service.connections.responses.total)
        (connection,) = service.connections
        connection.transport.whole.close()  # type: ignore[attr-defined]
        seconds_pass(service, limits.RESPONSE_SECONDS)
        assert len(service.connections) == 1
        seconds_pass(service, 2)
        await until(lambda: len(service.connections) == 0)


async def test_a_slow_client_gets_the_whole_last_answer(service: HttpService) -> None:
    async with connected(service, receive_buffer=SMALL) as raw:
        (connection,) = service.connections
        accepted = connection.transport.get_extra_info("socket")  # type: ignore[attr-defined]
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        await raw.send(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await until(lambda: service.connections.responses.total)
        step, read = 100 * KIBIBYTE, 0
        async for data in raw.pieces():
            if (read + len(data)) // step > read // step:
                seconds_pass(service, limits.LINGER_SECONDS)
            read += len(data)
    assert read > 300_000


# Numbers


async def test_silent_connections_give_way_to_those_that_ask(service: HttpService) -> None:
    service.connections.limit = 5
    async with AsyncExitStack() as opened:
        quiet = [await opened.enter_async_context(connected(service)) for _ in range(12)]
        async with connected(service) as raw:
            await raw.send(GET)
            assert (await raw.answer())[0] == 200
        assert await quiet[0].rest() == b""
        await quiet[-1].send(GET)
        assert (await quiet[-1].answer())[0] == 200
        assert len(service.connections) <= 5
    assert await refused(service, "cap") == 8


async def test_a_connection_in_excess_is_refused_with_503_when_all_others_work(
    service: HttpService, caplog: pytest.LogCaptureFixture
) -> None:
    service.connections.limit = 3
    async with AsyncExitStack() as opened:
        waiting = [await opened.enter_async_context(connected(service)) for _ in range(3)]
        for number, raw in enumerate(waiting):
            await raw.send(WAITING.replace(b'"a"', b'"%d"' % number))
        await until(lambda: not service.connections.heads)
        for _ in range(3):
            async with connected(service) as raw:
                await raw.send(GET)
                status, headers, body = await raw.answer()
                assert (status, headers[b"retry-after"]) == (503, b"1")
                assert orjson.loads(body)["code"] == "connection_limit"
    assert [record.levelname for record in caplog.records if "connection limit of" in record.message] == ["WARNING"]


async def test_unfinished_requests_hold_a_bounded_number_of_bytes_together(service: HttpService) -> None:
    service.connections.requests.limit = 300 * KIBIBYTE
    async with AsyncExitStack() as opened:
        raws = [await opened.enter_async_context(connected(service)) for _ in range(5)]
        for number, raw in enumerate(raws):
            await raw.send(POST % 200_000 + b" " * 100_000)
            await until(partial(silent, service, 4 - number))
        for raw in raws[:2]:
            assert await raw.error() == (503, "overloaded")
        assert service.connections.requests.total <= service.connections.requests.limit
        await raws[-1].send(b" " * 99_900 + b'{"name": "T"}'.rjust(100))
        assert (await raws[-1].answer())[0] == 201
    assert await refused(service, "request_memory") >= 2


async def test_unread_responses_hold_a_bounded_number_of_bytes_together(service: HttpService) -> None:
    service.connections.responses.limit = 300 * KIBIBYTE
    async with AsyncExitStack() as opened:
        for _ in range(5):
            raw = await opened.enter_async_context(connected(service, receive_buffer=SMALL))
            await raw.send(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60)
        await until(lambda: len(service.connections) < 5)
        assert service.connections.responses.total <= service.connections.responses.limit
        assert await refused(service, "response_memory") > 0
        assert (await service.send("GET", "/livez")).status_code == 200


def test_a_budget_counts_each_connection_once() -> None:
    budget, first, second = limits.Budget(10), cast(Connection, object()), cast(Connection, object())
    budget.set_bytes(first, 6)
    budget.set_bytes(second, 3)
    budget.set_bytes(first, 7)
    assert (budget.total, budget.victim()) == (10, None)
    budget.set_bytes(second, 4)
    assert budget.victim() is first
    budget.pin(first)
    assert (budget.total, budget.victim()) == (11, second)
    budget.release(first)
    budget.release(first)
    assert budget.total == 4
