// The groups of tasks that need a person.
import { serverNow } from "../../core/clock.js";
import { isPast } from "../../core/due.js";
import { HOUR } from "../../core/format.js";
import { CLOSED } from "../../core/vocabulary.js";
import { BLOCK, CANCEL, DECISIONS, POSTPONE, RESET_ATTEMPTS } from "../../state/decisions.js";
import { lastMoveOf } from "../../state/last_moves.js";
import { state } from "../../state/store.js";
import { heldBackBy, isCountedIn, tasksWaiting, waitingKindOf } from "../../state/waiting.js";

/** Return the time since which leases block the task by paths, or null. */
function pathsBlockedSince(/** @type {Task} */ task) {
  const locks = (task.path_conflicts ?? []).flatMap((id) => state.tasks.get(id)?.lock ?? []);
  return locks.length ? Math.min(...locks.map((lock) => Date.parse(lock.acquired_at))) : null;
}

const isBlockedByPaths = (/** @type {Task} */ task) => {
  const since = pathsBlockedSince(task);
  return since !== null && serverNow() - since >= HOUR;
};

export const isOverdue = (/** @type {Task} */ task) =>
  task.due_at !== null && !CLOSED.has(task.status) && isPast(task.due_at, serverNow());

/** Groups of work that waits on a person, one for each kind. @type {NeedGroup[]} */
const URGENT = [
  {
    id: "rounds", title: "Changes requested too often", actions: DECISIONS.rounds,
    explain: "Reviewers requested changes as often as the policy allows. Unblock it for another round, or end it.",
  },
  {
    id: "questions", title: "Questions", actions: DECISIONS.questions,
    explain: "Agents that wait for an answer. The first answer counts.",
  },
  {
    id: "attempts", title: "Failed too often", actions: DECISIONS.attempts,
    explain: "The attempt limit is reached. Read the log, then requeue the task.",
  },
  {
    id: "review", title: "Review", actions: DECISIONS.review, explain: "Finished work that waits for a verdict.",
  },
  {
    id: "blocked", title: "Blocked", actions: DECISIONS.blocked, explain: "Marked as blocked by an agent or a person.",
  },
  {
    id: "cancelled", title: "Waiting for cancelled work", actions: DECISIONS.cancelled,
    explain: "Depends on a cancelled task: not ready until the dependency is removed or the task is reopened.",
  },
  {
    id: "no-holder", title: "In progress without a holder", actions: DECISIONS["no-holder"],
    explain: "In progress without a lease: agents do not claim it.",
  },
];

// Agents continue these tasks without a person, so that the badge and the title of the page do not count them. A task
// belongs to the first group that fits. `from`: the statuses to search; null means all.
/** @type {(NeedGroup & { from: Status[] | null, test: (task: Task) => unknown })[]} */
const LATER = [
  {
    id: "paths", title: "Blocked by paths", actions: [BLOCK, CANCEL],
    explain: "For an hour or longer, another task in progress has reserved paths that overlap those of the task.",
    from: ["TODO"], test: isBlockedByPaths,
  },
  {
    id: "lost", title: "Lost leases", actions: [RESET_ATTEMPTS, BLOCK],
    explain: "A lease expired or was released as failed; the task is in To do again.",
    from: ["TODO"], test: (task) => task.attempts > 0,
  },
  {
    id: "overdue", title: "Overdue", actions: [POSTPONE], explain: "Past its due date and not done.",
    from: null, test: isOverdue,
  },
];

// By task object: a row that left the list keeps the time of its old task.
const waitingFrom = new WeakMap();

/** Return the time from which a listed task waits. */
export const waitingSince = (/** @type {Task} */ task) => waitingFrom.get(task) ?? lastMoveOf(task);

/** Sort by the number of tasks that a task holds back, then by waiting time. */
function sortByUrgency(/** @type {State} */ now, /** @type {Task[]} */ tasks) {
  for (const task of tasks) waitingFrom.set(task, lastMoveOf(task));
  const byTime = (/** @type {any} */ a, /** @type {any} */ b) =>
    (waitingFrom.get(a) < waitingFrom.get(b) ? -1 : waitingFrom.get(a) > waitingFrom.get(b) ? 1 : a.id - b.id);
  return tasks.sort((a, b) => heldBackBy(now, b) - heldBackBy(now, a) || byTime(a, b));
}

/** Return the groups of work that waits on a person in the chosen project, in no order. Empty ones are left out. */
function urgentGroups(/** @type {State} */ now) {
  /** @type {Map<WaitingKind | null, Task[]>} */
  const found = new Map(URGENT.map(({ id }) => [/** @type {WaitingKind} */ (id), []]));
  for (const task of tasksWaiting(now).filter(isCountedIn(now, now.route.project))) {
    found.get(waitingKindOf(task))?.push(task);
  }
  return URGENT.map((group) => ({ group, tasks: found.get(/** @type {WaitingKind} */ (group.id)) ?? [] }))
    .filter(({ tasks }) => tasks.length);
}

/** Return the groups of other tasks in the chosen project, in no order. Empty ones are left out. */
function laterGroups(/** @type {State} */ now) {
  const isCounted = isCountedIn(now, now.route.project);
  const placed = new Set();
  return LATER.map((group) => {
    const pool = group.from ? group.from.flatMap((status) => now.columns[status]) : [...now.tasks.values()];
    const tasks = pool.filter((task) => !placed.has(task.id) && isCounted(task) && group.test(task)
      && waitingKindOf(task) === null);
    for (const task of tasks) placed.add(task.id);
    return { group, tasks };
  }).filter(({ tasks }) => tasks.length);
}

/** Return [{ group, tasks }] of the waiting tasks in the chosen project, the most urgent first. */
export const needsOf = (/** @type {State} */ now) =>
  [...urgentGroups(now), ...laterGroups(now)].map(({ group, tasks }) => ({ group, tasks: sortByUrgency(now, tasks) }));

let memory = { key: "", count: 0 };

/** Return the number of tasks and messages that wait until a person acts, for the badge, the title and the icon. */
export function needsCount(/** @type {State} */ now) {
  const key = `${now.revision.tasks}:${now.revision.plans}:${now.route.project}`;
  if (memory.key !== key) {
    memory = { key, count: tasksWaiting(now).filter(isCountedIn(now, now.route.project)).length };
  }
  return memory.count + now.messages.length;
}
