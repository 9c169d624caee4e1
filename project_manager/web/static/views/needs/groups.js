// The groups of tasks that need a person.
import { serverNow } from "../../core/clock.js";
import { isPast } from "../../core/due.js";
import { HOUR } from "../../core/format.js";
import { CLOSED, isWithoutHolder } from "../../core/vocabulary.js";
import {
  ACCEPT, ACCEPT_WITH_COMMENT, BLOCK, CANCEL, DROP_CANCELLED, MARK_DONE, MOVE_TO_TODO, POSTPONE, REQUEUE,
  RESET_ATTEMPTS, SEND_BACK, UNBLOCK, UNBLOCK_UNANSWERED, isAtCap, needsVerdictOfPerson,
} from "../../state/decisions.js";
import { testOf } from "../../state/filters.js";
import { lastMoveOf } from "../../state/last_moves.js";
import { hasQuestion } from "../../state/questions.js";
import { state } from "../../state/store.js";
import { heldBackBy } from "../../state/waiting.js";

export const hasCancelled = (/** @type {Task} */ task) => task.cancelled_dependencies?.length > 0;

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

// A task belongs to the first group that fits. `from`: the statuses to search; null means all. `later`: agents continue
// without a person, so that the badge and the title of the page do not count its tasks.
/** @type {NeedGroup[]} */
const GROUPS = [
  {
    id: "rounds", title: "Changes requested too often",
    explain: "Reviewers requested changes as often as the policy allows. Unblock it for another round, or end it.",
    from: ["BLOCKED"], test: needsVerdictOfPerson, actions: [UNBLOCK, MARK_DONE, CANCEL],
  },
  {
    id: "questions", title: "Questions", explain: "Agents that wait for an answer. The first answer counts.",
    from: ["BLOCKED"], test: hasQuestion, actions: [UNBLOCK_UNANSWERED, CANCEL],
  },
  {
    id: "attempts", title: "Failed too often",
    explain: "The attempt limit is reached. Read the log, then requeue the task.",
    from: ["BLOCKED", "TODO"], test: isAtCap, actions: [REQUEUE, CANCEL],
  },
  {
    id: "review", title: "Review", explain: "Finished work that waits for a verdict.",
    from: ["REVIEW"], test: () => true, actions: [ACCEPT, SEND_BACK, ACCEPT_WITH_COMMENT],
  },
  {
    id: "blocked", title: "Blocked", explain: "Marked as blocked by an agent or a person.",
    from: ["BLOCKED"], test: () => true, actions: [UNBLOCK, CANCEL],
  },
  {
    id: "cancelled", title: "Waiting for cancelled work",
    explain: "Depends on a cancelled task: not ready until the dependency is removed or the task is reopened.",
    from: ["TODO", "BACKLOG"], test: hasCancelled, actions: [DROP_CANCELLED, CANCEL],
  },
  {
    id: "no-holder", title: "In progress without a holder",
    explain: "In progress without a lease: agents do not claim it.",
    from: ["IN_PROGRESS"], test: isWithoutHolder, actions: [MOVE_TO_TODO, MARK_DONE],
  },
  {
    id: "paths", later: true, title: "Blocked by paths",
    explain: "For an hour or longer, another task in progress has reserved paths that overlap those of the task.",
    from: ["TODO"], test: isBlockedByPaths, actions: [{ ...BLOCK, keys: "a" }, CANCEL],
  },
  {
    id: "lost", later: true, title: "Lost leases",
    explain: "A lease expired or was released as failed; the task is in To do again.",
    from: ["TODO"], test: (task) => task.attempts > 0, actions: [RESET_ATTEMPTS, BLOCK],
  },
  {
    id: "overdue", later: true, title: "Overdue", explain: "Past its due date and not done.",
    from: null, test: isOverdue, actions: [POSTPONE],
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

/** Return [{ group, tasks }] of the chosen project for the first groups, in no order. Empty groups are left out. */
function groupsOf(/** @type {State} */ now, /** @type {NeedGroup[]} */ groups) {
  const inProject = testOf({ project: now.route.project }) ?? (() => true);
  const placed = new Set();
  return groups.map((group) => {
    const pool = group.from ? group.from.flatMap((status) => now.columns[status]) : [...now.tasks.values()];
    const tasks = pool.filter((task) => !placed.has(task.id) && inProject(task) && group.test(task));
    for (const task of tasks) placed.add(task.id);
    return { group, tasks };
  }).filter(({ tasks }) => tasks.length);
}

/** Return [{ group, tasks }] of the waiting tasks in the chosen project, the most urgent first. */
export const needsOf = (/** @type {State} */ now) =>
  groupsOf(now, GROUPS).map(({ group, tasks }) => ({ group, tasks: sortByUrgency(now, tasks) }));

// The later groups are the last ones, so that the count needs no walk over all tasks for them.
const URGENT = GROUPS.filter((group) => !group.later);
let memory = { key: "", count: 0 };

/** Return the number of tasks and messages that wait until a person acts, for the badge, the title and the icon. */
export function needsCount(/** @type {State} */ now) {
  const key = `${now.revision.tasks}:${now.revision.plans}:${now.route.project}`;
  if (memory.key !== key) {
    const count = groupsOf(now, URGENT).reduce((sum, { tasks }) => sum + tasks.length, 0);
    memory = { key, count };
  }
  return memory.count + now.messages.length;
}
