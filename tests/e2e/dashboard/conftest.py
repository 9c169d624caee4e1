from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import copyfile

import pytest
from playwright.sync_api import Browser

from tests.e2e.dashboard.browser import RestClient, chromium
from tests.e2e.service import Service
from tests.e2e.warm import Forks, WarmService, forks

Start = Callable[..., Service]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Start the browser once. It ends with this package, because asynchronous tests cannot run next to it."""
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="package")
def warm() -> Iterator[Forks]:
    with forks() as running:
        yield running


@pytest.fixture
def make_service(warm: Forks) -> Start:
    return partial(WarmService, warm)


@pytest.fixture
def service(start_service: Start) -> Service:
    """Start a server for one test."""
    return start_service()


@pytest.fixture
def client(service: Service) -> RestClient:
    return RestClient(service)


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory, template: Path, warm: Forks) -> Iterator[Service]:
    """Start the server behind `shared`. Module fixtures use it to create data."""
    service = WarmService(warm, tmp_path_factory.mktemp("shared"))
    copyfile(template, service.database)
    try:
        yield service.start()
    finally:
        service.end()
    assert "Traceback" not in service.log


@pytest.fixture(scope="module")
def shared_client(shared_service: Service) -> RestClient:
    return RestClient(shared_service)


@pytest.fixture
def shared(shared_service: Service, shared_client: RestClient) -> Iterator[Service]:
    """Return one server for all read-only tests of a module. A test that changes its data fails."""
    before = shared_client.last_seq()
    yield shared_service
    assert shared_client.last_seq() == before
