import gc
import gzip

from project_manager.runtime.snapshots import Snapshot
from project_manager.services.board import EncodedBoard
from project_manager.web.representations import LARGE_BYTES, Representations


def snapshot_of(body: bytes) -> Snapshot:
    return Snapshot(1, body, EncodedBoard())


async def test_a_small_answer_is_never_compressed() -> None:
    small = await Representations().get(snapshot_of(b"x" * LARGE_BYTES), accepts_gzip=True)
    assert (small.body, small.gzipped) == (b"x" * LARGE_BYTES, False)


async def test_a_large_answer_is_compressed_once_and_only_for_clients_that_accept_it() -> None:
    representations = Representations()
    snapshot = snapshot_of(b"x" * (LARGE_BYTES + 1))
    plain = await representations.get(snapshot, accepts_gzip=False)
    first, second = [await representations.get(snapshot, accepts_gzip=True) for _ in range(2)]
    assert (plain.body, plain.gzipped) == (snapshot.body, False)
    assert gzip.decompress(first.body) == snapshot.body
    assert first.body is second.body
    assert first.etag == f"W/{plain.etag}"


async def test_equal_answers_have_the_same_entity_tag_and_others_do_not() -> None:
    representations = Representations()
    for size in (1, LARGE_BYTES + 1):
        bodies = (b"1" * size, b"1" * size, b"2" * size)
        tags = [(await representations.get(snapshot_of(body), accepts_gzip=False)).etag for body in bodies]
        assert tags[0] == tags[1] != tags[2]


async def test_the_representations_of_a_dropped_answer_are_dropped_with_it() -> None:
    representations = Representations()
    await representations.get(snapshot_of(b"x" * (LARGE_BYTES + 1)), accepts_gzip=False)
    gc.collect()
    assert len(representations) == 0
