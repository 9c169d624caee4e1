from project_manager.runtime.snapshots import Snapshot, Snapshots


def snapshot(generation: int, size: int = 10) -> Snapshot:
    return Snapshot(generation, b"x" * size)


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


async def test_a_lock_in_use_is_not_forgotten_among_many() -> None:
    kept = Snapshots(number=2)
    held = kept.lock("board")
    held.acquire_nowait()
    for number in range(10):
        kept.lock(f"other {number}")
    assert kept.lock("board") is held
