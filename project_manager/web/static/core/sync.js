// Keeps the store true: loads the board, turns events into coalesced reads of what they touched, watches running leases.
import { get } from "./api.js";
import { everySecond, serverNow } from "./clock.js";
import { PER_CALL, everyItem, pagedBoard } from "./pages.js";
import { changesArchived, neighbours } from "./reduce.js";
import { dispatch, state, watch } from "./store.js";

const GATHER_MS = 40;
const SEARCH_MS = 250;
const RETRY_MS = 2000;
const LEASE_LOOK_SECONDS = 8;

const dirty = { tasks: new Set(), projects: new Set(), epics: new Set() };
let running = false;
let scheduled = false;

async function wholeBoard() {
  try {
    return await get("/api/board/state");
  } catch (error) {
    if (error.code !== "response_too_large") throw error;
    return pagedBoard((read, total) => dispatch({ type: "loading", read, total }));
  }
}

export async function loadBoard() {
  const board = await wholeBoard();
  for (const kind of Object.values(dirty)) kind.clear();
  dispatch({ type: "board", board });
}

function schedule(ms = GATHER_MS) {
  if (scheduled || running) return;
  scheduled = true;
  setTimeout(flush, ms);
}

export function markDirty(ids) {
  for (const id of ids) dirty.tasks.add(id);
  schedule();
}

/** Up to PER_CALL ids that no write of ours is about to change. */
function takeTasks() {
  const ids = [];
  for (const id of dirty.tasks) {
    if (state.pending.has(id)) continue;
    ids.push(id);
    if (ids.length === PER_CALL) break;
  }
  for (const id of ids) dirty.tasks.delete(id);
  return ids;
}

async function readTasks(ids) {
  const tasks = await everyItem("/api/tasks", { ids: ids.join(",") });
  const found = new Set(tasks.map((task) => task.id));
  // A write of ours that began meanwhile has painted what it will do; it reads its task again when it is done.
  const settled = (id) => !state.pending.has(id);
  dispatch({ type: "tasks", tasks: tasks.filter((task) => settled(task.id)), gone: ids.filter((id) => !found.has(id) && settled(id)) });
}

/** The task whole: of a long description the board has only the beginning. */
export async function readTask(id) {
  const task = await get(`/api/tasks/${id}`);
  dispatch({ type: "tasks", tasks: [task] });
  return task;
}

/** A project or an epic whole, as with tasks. */
export async function readPlan(kind, id) {
  const item = await get(`/api/${kind}s/${id}`);
  dispatch({ type: "plans", [`${kind}s`]: [item] });
  return item;
}

/** What is searched for may stand in a part of a description that is not here: the server says which tasks have it. */
async function searchFurther(q) {
  const tasks = await everyItem("/api/tasks", { q, fields: "id" });
  if (state.route.q === q) dispatch({ type: "found", q, ids: new Set(tasks.map((task) => task.id)) });
}

export function watchSearch() {
  let asked = "";
  let timer = null;
  return watch(() => {
    const q = state.loaded && state.shortened ? state.route?.q ?? "" : "";
    if (q === asked) return;
    asked = q;
    clearTimeout(timer);
    if (q.trim()) timer = setTimeout(() => searchFurther(q).catch(() => { asked = ""; }), SEARCH_MS);
  });
}

/** Null of what was deleted meanwhile: its own event takes it off the page. */
async function planOrNull(kind, id) {
  try {
    return await get(`/api/${kind}/${id}`);
  } catch (error) {
    if (error.status !== 404) throw error;
    return null;
  }
}

async function readPlans(kind) {
  const ids = [...dirty[kind]];
  dirty[kind].clear();
  try {
    const items = await Promise.all(ids.map((id) => planOrNull(kind, id)));
    dispatch({ type: "plans", [kind]: items.filter(Boolean) });
  } catch (error) {
    for (const id of ids) dirty[kind].add(id);
    throw error;
  }
}

async function flush() {
  scheduled = false;
  running = true;
  const ids = takeTasks();
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

/** Applies events, and reads again what they say more about than they carry. True if only a reload will do. */
export function applyEvents(events) {
  const news = events.filter((event) => event.seq > state.seq);
  if (news.length === 0) return false;
  const anew = news.some((event) => event.type === "import.finished" || changesArchived(state, event));
  dispatch({ type: "events", events: news });
  const touched = new Set();
  for (const event of news) {
    if (event.task_id && event.type !== "task.logged") touched.add(event.task_id);
    else if (event.type.startsWith("project.") && !event.type.endsWith("deleted")) dirty.projects.add(event.project_id);
    else if (event.type.startsWith("epic.") && !event.type.endsWith("deleted")) dirty.epics.add(event.epic_id);
  }
  markDirty(neighbours(state, touched));
  return anew;
}

/** A renewal is no event: leases past their half are read again, and those that should have ended. */
function lookAtLeases() {
  const now = serverNow();
  const due = [];
  for (const task of state.columns.IN_PROGRESS) {
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
    if (second % LEASE_LOOK_SECONDS === 0 && state.loaded && !document.hidden) lookAtLeases();
  });
}

export async function loadAgents() {
  const page = await get("/api/agents", { limit: PER_CALL });
  dispatch({ type: "agents", agents: page.items });
}

export async function loadHistory(events = 200) {
  const answer = await get("/api/events", { since: Math.max(0, state.seq - events), limit: events });
  dispatch({ type: "history", events: answer.items });
}
