"""Frames of misbehaving clients, and frames whose responses the client does not read."""

import pytest

from tests.http_service import HttpService
from tests.operations_client import OperationsClient
from tests.raw import Raw, connected, until

pytestmark = pytest.mark.slow

HANDSHAKE = (
    b"GET /ws/updates HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n"
)
CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA
FINAL = 0x80
NO_UTF8 = b"\xff\xfe"
INVALID, TOO_BIG = 1007, 1009


def masked(kind: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """Return a short client frame with a zero mask."""
    return bytes([kind | FINAL * final, FINAL | len(payload)]) + bytes(4) + payload


async def opened(raw: Raw, behind: bytes = b"") -> None:
    """Send the handshake and further bytes in the same packet. Read up to the first event."""
    await raw.send(HANDSHAKE % b"" + behind)
    assert (await raw.head()).startswith(b"HTTP/1.1 101 ")


async def close_code(raw: Raw) -> int:
    while True:
        kind, payload = await raw.frame()
        if kind == CLOSE:
            assert payload[2:].decode()
            return int.from_bytes(payload[:2])


BAD_TEXTS = {
    "one": masked(TEXT, NO_UTF8),
    "two at once": masked(TEXT, NO_UTF8) * 2,
    "behind a good one": masked(TEXT, b"good") + masked(TEXT, NO_UTF8),
    "in two fragments": masked(TEXT, b"\xc3", final=False) + masked(CONTINUATION, b"\x28"),
}


@pytest.mark.parametrize("sent", BAD_TEXTS.values(), ids=BAD_TEXTS)
async def test_a_text_that_is_not_utf8_closes_with_1007(
    service: HttpService, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(service) as raw:
        await opened(raw)
        await raw.send(sent)
        assert await close_code(raw) == INVALID
        assert await raw.rest() == b""
    assert [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"] == []


async def test_a_letter_that_is_cut_by_a_fragment_is_no_error(service: HttpService) -> None:
    async with connected(service) as raw:
        await opened(raw)
        cut = "é".encode()
        await raw.send(masked(TEXT, cut[:1], final=False) + masked(CONTINUATION, cut[1:]) + masked(PING, b"still"))
        while (frame := await raw.frame())[0] != PONG:
            pass
        assert frame == (PONG, b"still")


@pytest.mark.parametrize("behind", [masked(CLOSE), masked(0x3), masked(CLOSE, b"\x03")])
async def test_a_text_that_is_not_utf8_before_an_end_leaves_no_traceback(
    service: HttpService, behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(service) as raw:
        await opened(raw)
        await raw.send(masked(TEXT, NO_UTF8) + behind)
        await raw.rest()
    await until(lambda: len(service.connections) == 0)
    assert [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"] == []


@pytest.mark.parametrize("frame", [masked(0x3), masked(TEXT, NO_UTF8), masked(CLOSE, b"\x03")])
@pytest.mark.parametrize("at_once", [True, False])
async def test_an_invalid_frame_before_the_answer_to_the_handshake_leaves_no_traceback(
    service: HttpService, frame: bytes, at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(service) as raw:
        if at_once:
            await raw.send(HANDSHAKE % b"" + frame)
        else:
            await raw.send(HANDSHAKE % b"")
            await raw.send(frame)
        await raw.rest()
    await until(lambda: len(service.connections) == 0)
    assert [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"] == []


@pytest.mark.parametrize("frame", [masked(0x3), masked(TEXT, NO_UTF8), masked(CLOSE, b"\x03")])
async def test_an_invalid_frame_behind_a_rejected_handshake_leaves_no_traceback(
    service: HttpService, frame: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(service) as raw:
        await raw.send(HANDSHAKE % b"Origin: http://elsewhere.example\r\n" + frame)
        await raw.rest()
    await until(lambda: len(service.connections) == 0)
    assert [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"] == []


async def test_a_frame_behind_the_handshake_is_answered(service: HttpService) -> None:
    async with connected(service) as raw:
        await opened(raw, masked(PING, b"early"))
        while (frame := await raw.frame())[0] != PONG:
            pass
        assert frame == (PONG, b"early")


async def test_a_handshake_with_a_header_beyond_its_limit_is_answered(service: HttpService) -> None:
    async with connected(service) as raw:
        await raw.send(HANDSHAKE % (b"X: " + b"a" * 9000 + b"\r\n"))
        assert (await raw.head()).startswith(b"HTTP/1.1 431 ")
        await raw.rest()
    await until(lambda: len(service.connections) == 0)


async def test_a_message_with_too_many_fragments_is_closed_with_1009(service: HttpService) -> None:
    async with connected(service) as raw:
        await opened(raw)
        await raw.send(masked(TEXT, final=False) + masked(CONTINUATION, final=False) * 2000)
        assert await close_code(raw) == TOO_BIG


async def test_messages_that_the_service_has_not_read_yet_wait_unparsed(
    service: HttpService, api: OperationsClient
) -> None:
    async with connected(service) as raw:
        await opened(raw)
        await raw.send(masked(TEXT, b"x") * 20_000 + masked(PING, b"last"))
        (connection,) = service.connections
        queued = connection.queue.qsize()  # type: ignore[attr-defined]
        assert queued < 1000
        while (frame := await raw.frame())[0] != PONG:
            pass
        assert frame == (PONG, b"last")


async def test_pings_are_not_read_while_their_answers_are_not_read(service: HttpService) -> None:
    async with connected(service, receive_buffer=4096) as raw:
        await opened(raw)
        (connection,) = service.connections
        transport = connection.transport  # type: ignore[attr-defined]
        with pytest.raises(TimeoutError):
            await raw.send(masked(PING, b"p" * 125) * 500_000, 2)
        assert transport.get_write_buffer_size() < 128 * 1024
