"""A simple model of the rules of tasks and leases, to compare with the service."""

from dataclasses import dataclass, field

OPEN = {"BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "BLOCKED"}
CLOSED = {"DONE", "CANCELLED"}
SINGLE_CALL_TTL = 300_000
UNCONFIRMED = 120_000
LEVELS = 5


class No(Exception):
    """A refusal, with its error code."""


@dataclass
class Task:
    id: int
    priority: int
    depends_on: set[int]
    conflicts_with: set[int]
    defer_until: int
    status: str = "TODO"
    fence: int = 0
    attempts: int = 0
    holder: str | None = None
    expires_at: int = 0
    ttl: int = 0
    fenced: bool = False
    came_from: str = "TODO"
    unconfirmed: bool = False
    parent: int | None = None
    lost_to: set[str] = field(default_factory=set)
    """Agents with a newest lease that expired or was ended by force."""


@dataclass
class Model:
    """A model of all tasks. Times are in milliseconds. `agent` is None for a person."""

    now: int
    cap: int
    tasks: dict[int, Task] = field(default_factory=dict)
    last_id: int = 0

    def create(self, priority: int, depends_on: set[int], conflicts_with: set[int], defer_until: int) -> int:
        self.last_id += 1
        task = Task(self.last_id, priority, depends_on, conflicts_with, defer_until)
        for other in conflicts_with:
            self.tasks[other].conflicts_with.add(task.id)
        self.tasks[task.id] = task
        return task.id

    def depend(self, task: Task, depends_on: set[int]) -> None:
        """Replace the dependencies of a task, by a person."""
        if self._reaches(depends_on, task.id):
            raise No("dependency_cycle")
        task.depends_on = depends_on

    def _reaches(self, start: set[int], goal: int) -> bool:
        seen, ahead = set(start), list(start)
        while ahead:
            unseen = self.waits_for(self.tasks[ahead.pop()]) - seen
            seen |= unseen
            ahead += unseen
        return goal in seen

    def waits_for(self, task: Task) -> set[int]:
        return task.depends_on | {other.id for other in self.tasks.values() if other.parent == task.id}

    def open_subtasks(self, task: Task) -> bool:
        return any(other.parent == task.id and other.status in OPEN for other in self.tasks.values())

    def adopt(self, task: Task, parent: int | None) -> None:
        """Set the parent of a task, by a person."""
        if parent == task.parent:
            return
        if parent is not None:
            if self._reaches({task.id}, parent):
                raise No("dependency_cycle")
            if task.status in OPEN and self.tasks[parent].status == "DONE":
                raise No("parent_done")
            if self._levels_above(self.tasks[parent]) + self._levels_below(task) > LEVELS:
                raise No("invalid")
        task.parent = parent

    def _levels_above(self, task: Task) -> int:
        return 1 if task.parent is None else 1 + self._levels_above(self.tasks[task.parent])

    def _levels_below(self, task: Task) -> int:
        inner = [self._levels_below(other) for other in self.tasks.values() if other.parent == task.id]
        return 1 + max(inner, default=0)

    def _check_subtasks(self, task: Task, target: str) -> None:
        if target == "DONE" != task.status and self.open_subtasks(task):
            raise No("open_subtasks")
        parent = None if task.parent is None else self.tasks[task.parent]
        if parent is not None and parent.status == "DONE" and target in OPEN and task.status in CLOSED:
            raise No("parent_done")

    def delete(self, task: Task, force: bool) -> None:
        if self.unblocks(task):
            raise No("has_dependents")
        if task.holder is not None and not force:
            raise No("lock_held")
        if any(other.parent == task.id for other in self.tasks.values()):
            raise No("has_dependents")
        del self.tasks[task.id]
        for other in self.tasks.values():
            other.depends_on.discard(task.id)
            other.conflicts_with.discard(task.id)

    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds
        for task in self.tasks.values():
            if task.holder is not None and task.expires_at <= self.now:
                self._release(task, failed=not task.unconfirmed, lost=True)

    def obstructed(self, task: Task) -> bool:
        waiting = any(self.tasks[other].status != "DONE" for other in task.depends_on)
        running = any(self.tasks[other].holder is not None for other in task.conflicts_with)
        return waiting or running or task.defer_until > self.now or self.open_subtasks(task)

    def ready(self, task: Task) -> bool:
        capped = self.cap > 0 and task.attempts >= self.cap
        return task.status == "TODO" and task.holder is None and not capped and not self.obstructed(task)

    def unblocks(self, task: Task) -> int:
        return sum(task.id in other.depends_on and other.status in OPEN for other in self.tasks.values())

    def call(self, agent: str | None) -> None:
        """Confirm the leases of an agent. Every call of the agent does so, also a refused one."""
        for task in self.tasks.values():
            if task.holder == agent and task.unconfirmed:
                self._renew(task, task.ttl, None)

    def claim_next(self, agent: str, ttl: int, *, waited: bool = False) -> int | None:
        ready = [task for task in self.tasks.values() if self.ready(task)]
        if not ready:
            return None
        best = min(ready, key=lambda task: (task.priority, -self.unblocks(task), task.id))
        self._claim(best, agent, ttl)
        if waited:
            best.unconfirmed, best.expires_at = True, self.now + min(ttl, UNCONFIRMED)
        return best.id

    def acquire(self, agent: str, task: Task, ttl: int, fence: int | None, force: bool) -> None:
        if force and task.holder not in (None, agent):
            self._take_over(task, agent, ttl)
            return
        self._check(task, agent, fence)
        if task.holder is not None:
            self._renew(task, ttl, fence)
            return
        self._check_claimable(task)
        self._claim(task, agent, ttl)

    def renew(self, agent: str, task: Task, ttl: int | None, fence: int | None) -> None:
        self._check(task, agent, fence)
        if task.holder is None:
            raise No("not_held")
        self._renew(task, task.ttl if ttl is None else ttl, fence)

    def release(self, agent: str, task: Task, fence: int | None, failed: bool) -> None:
        self._check(task, agent, fence)
        if task.holder is None:
            raise No("not_held")
        self._release(task, failed)

    def log(self, agent: str, task: Task, fence: int | None) -> None:
        self._check(task, agent, fence)
        if task.holder is not None:
            self._renew(task, task.ttl, fence)

    def set_status(
        self, agent: str | None, task: Task, target: str, fence: int | None, reopen: bool, force: bool
    ) -> None:
        forced = force and task.holder not in (None, agent)
        if agent is None and task.holder is not None and not forced:
            raise No("lock_held")
        if not forced:
            self._check(task, agent, fence)
        self._check_transition(task, target, reopen)
        self._check_subtasks(task, target)
        if task.holder is not None:
            self._set_status_of_claimed(task, target, fence, forced, agent)
            return
        if target == "IN_PROGRESS" and agent is not None:
            self._claim_by_status(task, agent)
            return
        if agent is not None and not force:
            self._check_lease_needed(task, agent)
        if target != task.status:
            if agent is not None and target in ("REVIEW", "DONE") and task.status in OPEN and self.obstructed(task):
                raise No("not_ready")
            task.status = target
            task.fence += agent is not None
            task.lost_to.discard(agent or "")
            task.attempts = 0 if target == "DONE" or agent is None else task.attempts

    def _set_status_of_claimed(
        self, task: Task, target: str, fence: int | None, forced: bool, agent: str | None
    ) -> None:
        if target == "IN_PROGRESS" and not forced:
            self._renew(task, task.ttl, fence)
            return
        self._end(task, lost=forced)
        task.status = target
        task.attempts = 0 if target == "DONE" or agent is None else task.attempts

    def _claim_by_status(self, task: Task, agent: str) -> None:
        if task.status in CLOSED:
            task.status, task.attempts = "TODO", 0
            if not self.ready(task):
                raise No("not_ready")
        self._check_claimable(task)
        self._claim(task, agent, SINGLE_CALL_TTL)

    def _check_lease_needed(self, task: Task, agent: str) -> None:
        exhausted = task.status == "BLOCKED" and self.cap > 0 and task.attempts >= self.cap
        if agent in task.lost_to or exhausted:
            raise No("lock_required")

    def _check(self, task: Task, agent: str | None, fence: int | None) -> None:
        if task.holder is None:
            if fence is not None:
                raise No("stale_fence")
        elif task.holder != agent:
            raise No("stale_fence" if fence is not None and fence < task.fence else "lock_held")
        elif fence is None and task.fenced:
            raise No("fence_required")
        elif fence not in (None, task.fence):
            raise No("stale_fence")

    def _check_claimable(self, task: Task) -> None:
        if task.status in CLOSED:
            raise No("invalid_transition")
        if self.obstructed(task) or (task.status == "TODO" and not self.ready(task)):
            raise No("not_ready")

    def _check_transition(self, task: Task, target: str, reopen: bool) -> None:
        if target == task.status:
            return
        legal = {"BACKLOG": OPEN | CLOSED - {"REVIEW"}, "DONE": OPEN, "CANCELLED": {"BACKLOG", "TODO"}}
        if task.status == "BACKLOG" and target == "REVIEW":
            raise No("invalid_transition")
        if target not in legal.get(task.status, OPEN | CLOSED) or (task.status in CLOSED and not reopen):
            raise No("invalid_transition")

    def _claim(self, task: Task, agent: str, ttl: int) -> None:
        task.came_from = "TODO" if task.status == "IN_PROGRESS" else task.status
        task.status, task.holder, task.ttl, task.fenced = "IN_PROGRESS", agent, ttl, False
        task.unconfirmed = False
        task.fence += 1
        task.expires_at = self.now + ttl

    def _take_over(self, task: Task, agent: str, ttl: int) -> None:
        if self.obstructed(task):
            raise No("not_ready")
        came_from = task.came_from
        self._end(task, lost=True)
        self._claim(task, agent, ttl)
        task.came_from = came_from

    def _end(self, task: Task, *, lost: bool) -> None:
        holder = task.holder or ""
        (task.lost_to.add if lost else task.lost_to.discard)(holder)
        task.holder = None

    def _renew(self, task: Task, ttl: int, fence: int | None) -> None:
        task.ttl, task.expires_at, task.unconfirmed = ttl, self.now + ttl, False
        task.fenced = task.fenced or fence is not None

    def _release(self, task: Task, failed: bool, lost: bool = False) -> None:
        self._end(task, lost=lost)
        task.status = task.came_from
        task.attempts += failed
        if failed and self.cap and task.attempts >= self.cap:
            task.status = "BLOCKED"
