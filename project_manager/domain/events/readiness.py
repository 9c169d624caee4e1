"""Events of tasks that became ready, or are no longer ready."""

from project_manager.domain.events.event import TaskEvent, TaskStatus


class TaskReady(TaskEvent):
    """A task became ready, or a waiter that it was reserved for left the claim queue.

    The cause is a change of the task, another task or its project. It can also be the end of its lease, or a passed
    `defer_until`.
    """

    type = "task.ready"
    may_make_ready = True
    status: TaskStatus
    version: int


class TaskNotReady(TaskEvent):
    """A task is no longer ready, although the task itself did not change.

    A dependency or a subtask was reopened, a subtask was added, a conflicting task was claimed, a plan added a
    conflict, its project was archived, or a pause started. A task that a lease blocks by paths has no
    such event, because they can be many. `task.locked` has the paths.
    """

    type = "task.not_ready"
    status: TaskStatus
    version: int
