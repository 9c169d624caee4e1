// Work that waits on a person, and the tasks that it holds back, for the state strip, "Needs you" and the graph.
import { isWithoutHolder, reachesLimit } from "../core/vocabulary.js";
import { hasQuestion } from "./questions.js";
import { state as store } from "./store.js";

export const hasCancelled = (/** @type {Task} */ task) => task.cancelled_dependencies?.length > 0;

/**
 * The kinds of work that waits on a person: agents cannot continue it. A task is of the first kind that fits.
 * @type {[kind: WaitingKind, statuses: Status[], test: (task: Task) => unknown][]}
 */
const KINDS = [
  ["rounds", ["BLOCKED"], (task) => task.blocked_by === "review_rounds"],
  ["questions", ["BLOCKED"], hasQuestion],
  ["attempts", ["BLOCKED", "TODO"], (task) => reachesLimit(task.attempts, store.session?.max_attempts ?? 0)],
  ["review", ["REVIEW"], () => true],
  ["blocked", ["BLOCKED"], () => true],
  ["cancelled", ["TODO", "BACKLOG"], hasCancelled],
  ["no-holder", ["IN_PROGRESS"], isWithoutHolder],
];
/** @type {Map<Status, typeof KINDS>} */
const KINDS_OF_STATUS = new Map(
  KINDS.flatMap(([, statuses]) => statuses).map((status) => [status, KINDS.filter((kind) => kind[1].includes(status))]),
);

/** Return why the task waits on a person, or null. No other module decides this. @returns {WaitingKind | null} */
export const waitingKindOf = (/** @type {Task} */ task) =>
  KINDS_OF_STATUS.get(task.status)?.find(([, , test]) => test(task))?.[0] ?? null;

/** Return the tasks that wait on a person, in all projects. @returns {Task[]} */
export const tasksWaiting = (/** @type {State} */ state) =>
  [...KINDS_OF_STATUS.keys()].flatMap((status) => state.columns[status]).filter(waitingKindOf);

/** Largest exact number of one task. A page of large graphs would otherwise take seconds. */
export const MOST_HELD_BACK = 1000;

/** Statuses of tasks that wait for other tasks. Work in progress and submitted work no longer wait. */
const WAITING = new Set(["BACKLOG", "TODO", "BLOCKED"]);

/** Return the ids of the tasks that wait directly for the task: its dependents and its parent. */
function waitingFor(/** @type {State} */ state, /** @type {number} */ id) {
  const parent = state.tasks.get(id)?.parent_id;
  const ids = [...(state.dependents.get(id) ?? []), ...(parent ? [parent] : [])];
  return ids.filter((other) => WAITING.has(state.tasks.get(other)?.status ?? ""));
}

/**
 * Return the number of distinct tasks that wait for any of the tasks, directly or through others, up to `most`. The
 * tasks themselves do not count.
 * @param {State} state @param {Iterable<number>} ids @param {number} [most]
 */
function reach(state, ids, most = Infinity) {
  const seen = new Set(ids);
  const given = seen.size;
  for (const id of seen) {
    for (const other of waitingFor(state, id)) {
      seen.add(other);
      if (seen.size - given >= most) return most;
    }
  }
  return seen.size - given;
}

/** @type {{ revision: number, numbers: Map<number, number>, total: { key: string, held: number } | null }} */
let memory = { revision: -1, numbers: new Map(), total: null };

/** Return the memory of the present links and statuses. Renewals and log entries keep it. */
function remembered(/** @type {State} */ state) {
  if (memory.revision !== state.revision.waiting) {
    memory = { revision: state.revision.waiting, numbers: new Map(), total: null };
  }
  return memory;
}

/**
 * Return the number of tasks that wait for this task, directly or through others. It is at most
 * MOST_HELD_BACK, which means that many or more.
 */
export function heldBackBy(/** @type {State} */ state, /** @type {Task} */ task) {
  const { numbers } = remembered(state);
  const known = numbers.get(task.id);
  if (known !== undefined) return known;
  const found = reach(state, [task.id], MOST_HELD_BACK);
  numbers.set(task.id, found);
  return found;
}

/** Return the words for a number of heldBackBy, such as "14" or "1000+". */
export const heldBackWords = (/** @type {number} */ held) => (held < MOST_HELD_BACK ? String(held) : `${held}+`);

/** Return the test for the tasks of the project, or of all projects that are not archived. */
export const isCountedIn = (/** @type {State} */ state, /** @type {number | null} */ project) =>
  (/** @type {Task} */ task) =>
    (project ? task.project_id === project : !state.archived.has(task.project_id));

/**
 * Return the work that waits on a person in the project, or in all projects that are not archived: the numbers of
 * reviews, questions, other blocked tasks and tasks of other statuses, and the number of distinct tasks that they hold
 * back together.
 */
export function waitingOnPerson(/** @type {State} */ state, /** @type {number | null} */ project) {
  const tasks = tasksWaiting(state).filter(isCountedIn(state, project));
  const number = { reviews: 0, questions: 0, blocked: 0, stuck: 0 };
  for (const task of tasks) {
    if (task.status === "REVIEW") number.reviews += 1;
    else if (hasQuestion(task)) number.questions += 1;
    else number[task.status === "BLOCKED" ? "blocked" : "stuck"] += 1;
  }
  const known = remembered(state);
  const ids = tasks.map(({ id }) => id);
  const key = ids.join();
  if (known.total?.key !== key) known.total = { key, held: reach(state, ids) };
  return { ...number, held: known.total.held };
}

/** Return the number of tasks that wait on a person. */
export const numberWaiting = (/** @type {WaitingNumbers} */ { reviews, questions, blocked, stuck }) =>
  reviews + questions + blocked + stuck;
