from dataclasses import dataclass

from project_manager.runtime.snapshots import Parts, Snapshot, Snapshots


@dataclass(frozen=True)
class NoParts:
    size: int = 0


def snapshot(generation: int, size: int = 10) -> Snapshot:
    return Snapshot(generation, b"x" * size, NoParts())


def test_a_snapshot_is_found_until_the_next_commit() -> None:
    kept = Snapshots()
    kept.put("board", snapshot(1))
    assert kept.find("board", 1) is not None
    assert kept.find("board", 2) is None
    assert kept.find("another", 1) is None


def test_a_limited_number_of_snapshots_is_kept_and_the_oldest_is_dropped_first() -> None:
    kept = Snapshots(number=2)
    for name in ("a", "b", "a", "c"):
        kept.put(name, snapshot(1))
    assert [name for name in "abc" if kept.find(name, 1)] == ["a", "c"]


def test_the_size_of_snapshots_is_limited() -> None:
    kept = Snapshots(size=100)
    for name in ("a", "b", "c"):
        kept.put(name, snapshot(1, 40))
    assert [name for name in "abc" if kept.find(name, 1)] == ["b", "c"]


def test_the_newest_snapshot_is_kept_however_large_it_is() -> None:
    kept = Snapshots(size=100)
    kept.put("a", snapshot(1, 40))
    kept.put("b", snapshot(1, 1000))
    assert [name for name in "ab" if kept.find(name, 1)] == ["b"]


def test_the_parts_of_a_snapshot_count_in_its_size() -> None:
    kept = Snapshots(size=100)
    kept.put("a", Snapshot(1, b"x" * 40, NoParts(40)))
    kept.put("b", snapshot(1, 40))
    assert [name for name in "ab" if kept.find(name, 1)] == ["b"]


async def test_the_next_snapshot_gets_the_parts_of_the_last_one() -> None:
    kept = Snapshots()
    given: list[Parts] = []

    async def encode(parts: Parts) -> bytes:
        given.append(parts)
        return b"{}"

    for generation in (1, 1, 2):
        await kept.get("board", lambda: generation, NoParts, encode)  # noqa: B023 called at once
    assert len(given) == 2
    assert given[0] is given[1]


async def test_a_lock_in_use_is_not_forgotten_among_many() -> None:
    kept = Snapshots(number=2)
    held = kept.lock("board")
    held.acquire_nowait()
    for number in range(10):
        kept.lock(f"other {number}")
    assert kept.lock("board") is held
