// Synchronisation of the store: load the board, turn events into batched reads, and refresh running leases.
import { get } from "../core/api.js";
import { everySecond, serverNow } from "../core/clock.js";
import { loadAgents } from "./agents.js";
import { loadMessages } from "./messages.js";
import { loadPauses } from "./pauses.js";
import { loadSavedViews } from "./saved_views.js";
import { PER_CALL, fetchAll, pagedBoard } from "./pages.js";
import { changesArchived } from "./reduce.js";
import { dispatch, state, watch } from "./store.js";
import { changesTask, othersToRead } from "./task_events.js";

const GATHER_MS = 40;
const SEARCH_MS = 250;
const RETRY_MS = 2000;
const LEASE_REFRESH_SECONDS = 8;

/** @type {Record<"tasks" | "projects" | "epics", Set<number>>} Ids of rows to read. */
const dirty = { tasks: new Set(), projects: new Set(), epics: new Set() };
/** @type {Set<number[]>} Ids of tasks, a list for each read in flight. */
const reading = new Set();
let running = false;
let scheduled = false;

async function fetchBoard() {
  try {
    return await get("/api/board/state");
  } catch (error) {
    if (error.code !== "response_too_large") throw error;
    return pagedBoard((read, total) => dispatch({ type: "loading", read, total }));
  }
}

export async function loadBoard() {
  const board = await fetchBoard();
  for (const kind of Object.values(dirty)) kind.clear();
  dispatch({ type: "board", board });
  refreshPauses();
  refreshMessages();
  refreshSavedViews();
  loadAgents().catch(() => {}); // read again in some seconds
}

/** Read the pauses. A failed read is repeated after the next event of a pause, or with the board. */
function refreshPauses() {
  loadPauses().catch(() => {});
}

function refreshMessages() {
  loadMessages().catch(() => {});
}

function refreshSavedViews() {
  loadSavedViews().catch(() => {});
}

function schedule(ms = GATHER_MS) {
  if (scheduled || running) return;
  scheduled = true;
  setTimeout(flush, ms);
}

export function markDirty(/** @type {Iterable<number>} */ ids) {
  for (const id of ids) dirty.tasks.add(id);
  schedule();
}

/** Return up to PER_CALL ids of changed tasks without a pending write of this page. */
function nextDirtyTasks() {
  const ids = [];
  for (const id of dirty.tasks) {
    if (state.pending.has(id)) continue;
    ids.push(id);
    if (ids.length === PER_CALL) break;
  }
  for (const id of ids) dirty.tasks.delete(id);
  return ids;
}

/**
 * Remember the tasks of a read while it runs.
 *
 * @template Answer
 * @param {number[]} ids
 * @param {Promise<Answer>} read
 */
async function remembered(ids, read) {
  reading.add(ids);
  try {
    return await read;
  } finally {
    reading.delete(ids);
  }
}

const isRead = (/** @type {number} */ id) => [...reading].some((ids) => ids.includes(id));

/** Return the old and new parents of tasks that are new or have another parent. Their blockers name the subtasks. */
function otherParents(/** @type {Task[]} */ tasks) {
  const moved = tasks.filter((task) => (state.tasks.get(task.id)?.parent_id ?? null) !== task.parent_id);
  const parents = moved.flatMap((task) => [task.parent_id, state.tasks.get(task.id)?.parent_id]);
  return /** @type {number[]} */ (parents.filter((id) => id && state.tasks.has(id)));
}

async function readTasks(/** @type {number[]} */ ids) {
  const tasks = await remembered(ids, fetchAll("/api/tasks", { ids: ids.join(",") }));
  const parents = otherParents(tasks);
  const found = new Set(tasks.map((task) => task.id));
  // A pending write has already changed the task on the page, and reads it again when it ends.
  const settled = (/** @type {number} */ id) => !state.pending.has(id);
  dispatch({
    type: "tasks",
    tasks: tasks.filter((task) => settled(task.id)),
    gone: ids.filter((id) => !found.has(id) && settled(id)),
  });
  if (parents.length) markDirty(parents);
}

/** Read the full task. The board has only the start of a long description. */
export async function readTask(/** @type {number} */ id) {
  const task = await remembered([id], get(`/api/tasks/${id}`));
  dispatch({ type: "tasks", tasks: [task] });
  return task;
}

/** Read a full project or epic. */
export async function readPlan(/** @type {"project" | "epic"} */ kind, /** @type {number} */ id) {
  const item = await get(`/api/${kind}s/${id}`);
  dispatch({ type: "plans", [`${kind}s`]: [item] });
  return item;
}

/** Search on the server, because the board has only the start of long descriptions. */
async function searchServer(/** @type {string} */ q) {
  const tasks = await fetchAll("/api/tasks", { q, fields: "id" });
  if (state.route.q === q) dispatch({ type: "found", q, ids: new Set(tasks.map((task) => task.id)) });
}

export function watchSearch() {
  let asked = "";
  /** @type {Timer} */
  let timer;
  return watch(() => {
    const q = state.loaded && state.shortened ? state.route?.q ?? "" : "";
    if (q === asked) return;
    asked = q;
    clearTimeout(timer);
    if (q.trim()) timer = setTimeout(() => searchServer(q).catch(() => { asked = ""; }), SEARCH_MS);
  });
}

/** Return null for a deleted item; its own event removes it from the page. */
async function fetchPlanOrNull(/** @type {"projects" | "epics"} */ kind, /** @type {number} */ id) {
  try {
    return await get(`/api/${kind}/${id}`);
  } catch (error) {
    if (error.status !== 404) throw error;
    return null;
  }
}

async function readPlans(/** @type {"projects" | "epics"} */ kind) {
  const ids = [...dirty[kind]];
  dirty[kind].clear();
  try {
    const items = await Promise.all(ids.map((id) => fetchPlanOrNull(kind, id)));
    dispatch({ type: "plans", [kind]: items.filter(Boolean) });
  } catch (error) {
    for (const id of ids) dirty[kind].add(id);
    throw error;
  }
}

async function flush() {
  scheduled = false;
  running = true;
  const ids = nextDirtyTasks();
  try {
    if (ids.length) await readTasks(ids);
    if (dirty.projects.size) await readPlans("projects");
    if (dirty.epics.size) await readPlans("epics");
  } catch {
    for (const id of ids) dirty.tasks.add(id);
    running = false;
    schedule(RETRY_MS);
    return;
  }
  running = false;
  if (dirty.tasks.size || dirty.projects.size || dirty.epics.size) schedule();
}

/** Apply events and schedule reads of the rows they changed. Return true if the board must be reloaded. */
export function applyEvents(/** @type {OutboxEvent[]} */ events) {
  const unseen = events.filter((event) => event.seq > state.seq);
  if (unseen.length === 0) return false;
  const needsReload = unseen.some((event) => event.type === "import.finished" || changesArchived(state, event));
  const deleted = unseen.filter((event) => event.type === "task.deleted");
  const parents = deleted.map((event) => state.tasks.get(event.task_id)?.parent_id ?? 0);
  dispatch({ type: "events", events: unseen });
  const touched = new Set();
  for (const event of unseen) {
    if (changesTask(event)) touched.add(event.task_id);
    else if (event.type.startsWith("project.") && !event.type.endsWith("deleted")) dirty.projects.add(event.project_id);
    else if (event.type.startsWith("epic.") && !event.type.endsWith("deleted")) dirty.epics.add(event.epic_id);
  }
  // A read in flight may be older than the events, and would replace what they changed.
  const unread = [...touched].filter((id) => isRead(id) || state.incomplete.has(id));
  for (const event of unseen) unread.push(...othersToRead(state, event));
  const pauses = unseen.filter((event) => event.type.startsWith("pause."));
  if (pauses.length) refreshPauses();
  unread.push(...parents.filter((id) => state.tasks.has(id)));
  if (unseen.some((event) => event.type.startsWith("view."))) refreshSavedViews();
  if (unseen.some((event) => event.type.startsWith("message."))) refreshMessages();
  markDirty([...unread, ...pauses.map((event) => event.task_id).filter(Boolean)]);
  return needsReload;
}

/** Read leases again after half of their time, as most renewals emit no event. Read tasks after their `defer_until`. */
function refreshLeases() {
  const now = serverNow();
  const due = [];
  for (const task of [...state.columns.IN_PROGRESS, ...state.columns.REVIEW]) {
    if (task.lock && (Date.parse(task.lock.expires_at) - now) / 1000 < task.lock.ttl_seconds / 2) due.push(task.id);
  }
  for (const task of state.columns.TODO) {
    if (task.defer_until && !task.ready && Date.parse(task.defer_until) <= now) due.push(task.id);
  }
  if (due.length) markDirty(due.slice(0, PER_CALL));
}

export function watchLeases() {
  let second = 0;
  return everySecond(() => {
    second += 1;
    if (second % LEASE_REFRESH_SECONDS === 0 && state.loaded && !document.hidden) refreshLeases();
  });
}

export async function loadHistory(events = 200) {
  const answer = await get("/api/events", { since: Math.max(0, state.seq - events), limit: events });
  dispatch({ type: "history", events: answer.items });
}
