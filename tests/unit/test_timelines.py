"""The rules by which a process refuses a PostgreSQL server: an old primary, another cluster, or lost commits."""

import pytest

from project_manager.store.postgres.hosts import each_host, has_several_hosts
from project_manager.store.postgres.timelines import Known, Server, Timelines, WrongServer

FIRST, PROMOTED, OTHER = Server("7", 1), Server("7", 2), Server("8", 1)
NOTHING = Known(None, 0)


def used(server: Server, commits: int, *, is_synchronous: bool = False) -> Timelines:
    """Return the timelines of a process that has written to this server."""
    timelines = Timelines()
    timelines.check(server, server, commits, timelines.known)
    timelines.accept(server, commits)
    timelines.record_batch(commits, is_synchronous=is_synchronous)
    return timelines


def test_a_new_process_takes_each_server() -> None:
    timelines = Timelines()
    assert timelines.is_empty
    timelines.check(OTHER, FIRST, 0, timelines.known)
    assert not timelines.is_empty


def test_an_old_primary_is_refused() -> None:
    timelines = used(PROMOTED, 5)
    with pytest.raises(WrongServer, match="old primary on timeline 1"):
        timelines.check(FIRST, FIRST, 9, timelines.known)
    assert timelines.is_outdated(FIRST)
    assert not timelines.is_outdated(PROMOTED)


def test_a_server_below_the_timeline_in_its_database_is_refused() -> None:
    with pytest.raises(WrongServer, match="promoted to timeline 2"):
        Timelines().check(FIRST, PROMOTED, 0, NOTHING)


def test_the_server_of_another_cluster_is_refused() -> None:
    with pytest.raises(WrongServer, match="has the system identifier 8, but this process has used 7"):
        used(FIRST, 5).check(OTHER, FIRST, 9, Known(FIRST, 5))


@pytest.mark.parametrize("server", [FIRST, None])
def test_a_server_that_has_lost_commits_without_a_promotion_is_refused(server: Server | None) -> None:
    with pytest.raises(WrongServer, match="has 4 commits, but this process knows of 5"):
        used(FIRST, 5).check(server, FIRST, 4, Known(FIRST, 5))


def test_a_promoted_server_with_fewer_commits_is_not_refused() -> None:
    timelines = used(FIRST, 5)
    timelines.check(PROMOTED, FIRST, 4, timelines.known)
    assert timelines.is_outdated(FIRST)


def test_a_promoted_server_is_not_refused_if_the_writer_has_moved_to_it_during_the_check() -> None:
    timelines = used(FIRST, 5)
    known = timelines.known
    timelines.check(PROMOTED, FIRST, 4, known)
    timelines.accept(PROMOTED, 4)
    timelines.check(PROMOTED, PROMOTED, 4, known)
    with pytest.raises(WrongServer, match="has 3 commits, but this process knows of 4"):
        timelines.check(PROMOTED, PROMOTED, 3, timelines.known)


@pytest.mark.parametrize(
    ("is_synchronous", "stored", "commits", "expected"),
    [(True, FIRST, 5, True), (True, FIRST, 4, False), (True, PROMOTED, 5, False), (False, FIRST, 5, False)],
)
def test_a_promotion_is_lossless_only_if_this_process_knows_it(
    is_synchronous: bool, stored: Server, commits: int, expected: bool
) -> None:
    assert used(FIRST, 5, is_synchronous=is_synchronous).is_lossless(stored, commits) is expected


@pytest.mark.parametrize(("commits", "expected"), [(5, False), (4, True), (None, True)])
def test_a_process_that_knows_more_commits_than_a_promoted_server_notices_it(
    commits: int | None, expected: bool
) -> None:
    assert used(FIRST, 5).has_more_than(commits) is expected


def test_each_host_of_a_url_is_tried_on_its_own() -> None:
    assert each_host({"host": "a,b", "port": "1,2"}) == [{"host": "a", "port": "1"}, {"host": "b", "port": "2"}]
    assert each_host({"host": "a,b", "port": "1"}) == [{"host": "a", "port": "1"}, {"host": "b", "port": "1"}]
    assert each_host({"dbname": "tasks"}) == [{"dbname": "tasks"}]


@pytest.mark.parametrize(
    ("hosts", "expected"), [("host=a", False), ("host=a,b", True), ("hostaddr=10.0.0.1,10.0.0.2", True), ("", False)]
)
def test_a_url_names_several_hosts_by_name_or_by_address(hosts: str, expected: bool) -> None:
    assert has_several_hosts(f"postgresql:///tasks?{hosts}") is expected
