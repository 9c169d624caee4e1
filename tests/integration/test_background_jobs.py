"""Background jobs: each run is counted and timed, a failure is visible and stops nothing, and the shutdown ends all."""

from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from project_manager.domain.service_errors import ShuttingDown, StorageFull
from project_manager.observability.metrics import Metrics
from project_manager.runtime import background
from project_manager.runtime.background import LONG_LIVED, BackgroundJobs, Job
from project_manager.runtime.open import open_runtime
from project_manager.services import leases
from tests.http_service import HttpService
from tests.operations_client import TIMEOUT, MovableClock, OperationsClient
from tests.stored_rows import Address, settings_of

RUNS = "project_manager_background_jobs_total"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def jobs(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> BackgroundJobs:
    """Return the jobs of a process, without any. A failed job runs again at once."""
    monkeypatch.setattr(background, "PAUSE_AFTER_FAILURE_SECONDS", 0)
    return BackgroundJobs(metrics)


class Counted:
    """A job that fails at first, and is due at once."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.runs = 0
        self.stopped = False

    async def run(self) -> None:
        self.runs += 1
        if self.failures:
            raise self.failures.pop(0)

    def stop(self) -> None:
        self.stopped = True

    def job(self, name: str = "sweep", **more: Any) -> Job:
        return Job(name, self.run, anyio.lowlevel.checkpoint, stop=self.stop, **more)

    async def has_run(self, times: int) -> None:
        with anyio.fail_after(TIMEOUT):
            while self.runs < times:
                await anyio.lowlevel.checkpoint()


async def runs(metrics: Metrics, job: str, outcome: str = "ok") -> float:
    """Return the number of runs of a job. A thread reads it, because a collection reads files."""
    return await anyio.to_thread.run_sync(lambda: metrics.value(RUNS, background_job=job, outcome=outcome))


async def test_each_run_is_counted_by_outcome_and_timed(service: HttpService, api: OperationsClient) -> None:
    for name in api.runtime.jobs.by_name:
        assert await api.runtime.jobs.run_once(name)
    page = (await service.send("GET", "/metrics")).text
    for name in api.runtime.jobs.by_name:
        assert f'{RUNS}{{background_job="{name}",outcome="ok"}}' in page
        assert f'project_manager_background_job_duration_seconds_count{{background_job="{name}"}}' in page


async def test_a_failed_job_is_counted_by_error_and_logged_once_and_runs_again(
    jobs: BackgroundJobs, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    counted = Counted(StorageFull("the disk is full"), StorageFull("the disk is full"), ZeroDivisionError())
    jobs.register(counted.job())
    async with jobs.running("serve"):
        await counted.has_run(5)
    assert await runs(metrics, "sweep", "storage_full") == 2
    assert await runs(metrics, "sweep", "internal") == 1
    assert await runs(metrics, "sweep") >= 1
    assert caplog.messages == ["background job sweep: the disk is full", "background job sweep: recovered"]
    assert {record.__dict__["action"] for record in caplog.records} == {"sweep_failed"}


async def test_a_failed_job_stops_no_other_job(jobs: BackgroundJobs) -> None:
    broken, sound = Counted(*[ZeroDivisionError()] * 1000), Counted()
    jobs.register(broken.job("broken"))
    jobs.register(sound.job("sound"))
    async with jobs.running("serve"):
        await broken.has_run(10)
        await sound.has_run(10)


async def test_the_shutdown_ends_each_job_after_its_last_run(jobs: BackgroundJobs) -> None:
    counted = Counted()
    jobs.register(counted.job())
    async with jobs.running("serve"):
        await counted.has_run(1)
        assert not counted.stopped
    assert counted.stopped


async def test_a_job_runs_only_in_processes_of_its_kinds(jobs: BackgroundJobs) -> None:
    service_only, everywhere = Counted(), Counted()
    jobs.register(service_only.job("service", processes=LONG_LIVED))
    jobs.register(everywhere.job("everywhere"))
    async with jobs.running("command"):
        await everywhere.has_run(10)
    assert service_only.runs == 0


async def test_two_jobs_cannot_have_the_same_name(jobs: BackgroundJobs) -> None:
    jobs.register(Counted().job())
    with pytest.raises(ValueError, match="sweep"):
        jobs.register(Counted().job())


async def test_a_failed_expiry_of_leases_is_counted_and_stops_no_write(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_tx: object) -> None:
        raise ZeroDivisionError

    await api.create_task()
    await api.claim(1, "ann", ttl_seconds=60)
    monkeypatch.setattr(leases, "expire_due", fail)
    await api.advance(61)
    await api.create_task("another")
    assert await runs(api.runtime.metrics, "expire_leases", "internal") >= 1
    assert caplog.messages.count("background job expire_leases: ZeroDivisionError()") == 1
    monkeypatch.undo()
    await api.advance(2)
    assert (await api.get_task(1))["status"] == "TODO"
    assert await runs(api.runtime.metrics, "expire_leases") >= 1


async def test_a_waiting_claim_ends_with_the_jobs(database: Address, clock: MovableClock) -> None:
    settings = settings_of(database)

    async def wait() -> None:
        with pytest.raises(ShuttingDown):
            await OperationsClient(runtime, clock).claim_next("ann", wait_seconds=50)

    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as agents, open_runtime(settings, clock=clock) as runtime:
            agents.start_soon(wait)
            while not runtime.long_polls.waiting_calls:
                await anyio.lowlevel.checkpoint()
