"""The plan of the demonstration."""

from project_manager.demo.agents import LeasedTask
from project_manager.demo.plan import PLAN

WORKS = [work for works in PLAN.values() for work in works]


def test_a_task_of_the_demonstration_depends_on_earlier_tasks_only() -> None:
    known: set[str] = set()
    for work in WORKS:
        assert set(work.after) <= known, work.name
        known.add(work.key)
    assert len(known) == len(WORKS)


def test_work_of_the_demonstration_takes_5_to_40_seconds() -> None:
    assert [work.name for work in WORKS if not 5 <= work.seconds <= 40] == []


def test_an_agent_also_works_on_a_task_that_a_user_added() -> None:
    task = LeasedTask.of({"task": {"id": 7, "name": "Added on the dashboard"}, "lock": {"fence": 3}})
    assert (task.path, task.fence) == ("/api/tasks/7", 3)
    assert task.seconds > 0
