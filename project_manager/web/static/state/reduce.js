// The state of the page and its reducers. Server events apply their own fields first. Rows that changed in other ways
// follow by REST.
import { emptyColumns, insert, removeFrom, sortAll } from "./order.js";
import { changesTask, isComplete, taskAfterEvent } from "./task_events.js";

const EVENTS_KEPT = 1000;
const ERRORS_SHOWN = 2;

/** @returns {State} */
export function initialState() {
  return {
    loaded: false,
    failure: null,
    loading: null,
    projects: new Map(),
    archived: new Set(),
    epics: new Map(),
    tasks: new Map(),
    columns: emptyColumns(),
    dependents: new Map(),
    conflicts: new Map(),
    subtasks: new Map(),
    incomplete: new Set(),
    agents: new Map(),
    pauses: [],
    messages: [],
    messageRevision: 0,
    savedViews: [],
    openedView: null,
    events: [],
    seq: 0,
    epoch: null,
    revision: { tasks: 0, plans: 0, events: 0, agents: 0, waiting: 0 },
    connection: { status: "connecting", behind: 0, retryAt: null, staleSince: null, reason: "" },
    serverVersion: null,
    session: null,
    signIn: false,
    whySignIn: null,
    // Set by startRouting() before the first component renders.
    route: /** @type {any} */ (null),
    shortened: false,
    found: { q: "", ids: new Set() },
    dialogs: [],
    toasts: [],
    cursor: null,
    selected: new Set(),
    editing: false,
    renaming: null,
    pending: new Set(),
  };
}

function link(/** @type {Map<number, Set<number>>} */ index, /** @type {number} */ from, /** @type {number} */ to) {
  const linked = index.get(to);
  if (linked) linked.add(from);
  else index.set(to, new Set([from]));
}

function unlink(/** @type {Map<number, Set<number>>} */ index, /** @type {number} */ from, /** @type {number} */ to) {
  index.get(to)?.delete(from);
}

function addTask(/** @type {State} */ state, /** @type {Task} */ task) {
  state.tasks.set(task.id, task);
  for (const id of task.depends_on) link(state.dependents, task.id, id);
  for (const id of task.conflicts_with) link(state.conflicts, task.id, id);
  if (task.parent_id) link(state.subtasks, task.id, task.parent_id);
}

function dropTask(/** @type {State} */ state, /** @type {Task} */ task) {
  removeFrom(state.columns, task);
  for (const id of task.depends_on) unlink(state.dependents, task.id, id);
  for (const id of task.conflicts_with) unlink(state.conflicts, task.id, id);
  if (task.parent_id) unlink(state.subtasks, task.id, task.parent_id);
  state.tasks.delete(task.id);
  state.revision.waiting += 1;
}

/** Return whether the task waits for the same tasks, and the same tasks wait for it. */
const waitsAlike = (/** @type {Task} */ before, /** @type {Task} */ task) =>
  before.status === task.status
  && before.parent_id === task.parent_id
  && before.depends_on.length === task.depends_on.length
  && before.depends_on.every((id, index) => id === task.depends_on[index]);

function putTask(/** @type {State} */ state, /** @type {Task} */ task) {
  const known = state.tasks.get(task.id);
  if (known && known.version > task.version) return;
  const { waiting } = state.revision;
  if (known) dropTask(state, known);
  addTask(state, task);
  insert(state.columns, task);
  state.revision.waiting = known && waitsAlike(known, task) ? waiting : waiting + 1;
}

function loadBoard(/** @type {State} */ state, /** @type {Board} */ board) {
  state.projects = new Map(board.projects.map((project) => [project.id, project]));
  state.archived = new Set(board.projects.filter((project) => project.archived_at).map((project) => project.id));
  state.epics = new Map(board.epics.map((epic) => [epic.id, epic]));
  state.tasks = new Map();
  state.columns = emptyColumns();
  state.dependents = new Map();
  state.conflicts = new Map();
  state.subtasks = new Map();
  for (const task of board.tasks) {
    addTask(state, task);
    state.columns[task.status].push(task);
  }
  sortAll(state.columns);
  dropUnknownSelected(state);
  state.shortened = board.tasks.some((task) => task.description_truncated);
  state.seq = board.seq;
  state.epoch = board.epoch;
  // Events that arrived while the board loaded will be sent again.
  state.events = state.events.filter((event) => event.seq <= board.seq);
  state.loading = null;
  state.loaded = true;
  state.failure = null;
  state.revision.tasks += 1;
  state.revision.plans += 1;
  state.revision.events += 1;
  state.revision.waiting += 1;
}

function hasPolicy(/** @type {State} */ state, /** @type {Task} */ task) {
  const policy = state.projects.get(task.project_id)?.policy;
  return policy !== undefined && (policy.review !== "none" || policy.evidence !== "none");
}

/** Apply the event to its task. Return whether the task is complete without a read. */
function applyToTask(/** @type {State} */ state, /** @type {OutboxEvent} */ event) {
  const task = state.tasks.get(event.task_id);
  const next = task && !state.pending.has(task.id) && taskAfterEvent(task, event);
  if (!next) return false;
  putTask(state, next);
  // No event has `completed_by`, which only tasks under a policy have.
  const isUnknown = next.status === "DONE" && hasPolicy(state, next);
  return isComplete(task, next, event) && !isUnknown;
}

/** Remove tasks that no longer exist from the selection. */
function dropUnknownSelected(/** @type {State} */ state) {
  const known = [...state.selected].filter((id) => state.tasks.has(id));
  if (known.length < state.selected.size) state.selected = new Set(known);
}

const itemsWithin = (/** @type {Map<number, any>} */ map, /** @type {string} */ field, /** @type {number} */ id) =>
  [...map.values()].filter((item) => item[field] === id);

function removeDeleted(/** @type {State} */ state, /** @type {OutboxEvent} */ event) {
  if (event.type === "task.deleted") {
    const task = state.tasks.get(event.task_id);
    if (task) dropTask(state, task);
  } else {
    const field = event.type === "epic.deleted" ? "epic_id" : "project_id";
    for (const task of itemsWithin(state.tasks, field, event[field])) dropTask(state, task);
    if (field === "project_id") {
      for (const epic of itemsWithin(state.epics, field, event.project_id)) state.epics.delete(epic.id);
      state.projects.delete(event.project_id);
    } else state.epics.delete(event.epic_id);
    state.revision.plans += 1;
  }
  dropUnknownSelected(state);
  state.revision.tasks += 1;
}

/**
 * Return whether the event archives or unarchives its project: then all of its tasks must be read again. The events
 * `project.updated` and `project.archived` have the field `archived`.
 */
export const changesArchived = (/** @type {State} */ state, /** @type {OutboxEvent} */ event) =>
  "archived" in event && event.archived !== state.archived.has(event.project_id);

/** An event is a call of its actor. The other times at which an agent was seen have no event. */
function seeAgent(/** @type {State} */ state, /** @type {OutboxEvent} */ event) {
  const agent = state.agents.get(event.actor.id);
  if (!agent || agent.last_seen >= event.timestamp) return;
  state.agents.set(agent.id, { ...agent, last_seen: event.timestamp });
  state.revision.agents += 1;
}

/** Replace some agents. */
function seeAgents(/** @type {State} */ state, /** @type {AgentView[]} */ agents) {
  for (const agent of agents) state.agents.set(agent.id, agent);
  state.revision.agents += 1;
}

function applyEvent(/** @type {State} */ state, /** @type {OutboxEvent} */ event) {
  if (event.seq <= state.seq) return;
  if (changesArchived(state, event)) {
    if (event.archived) state.archived.add(event.project_id);
    else state.archived.delete(event.project_id);
  }
  state.seq = event.seq;
  state.events.push(event);
  seeAgent(state, event);
  if (event.type.endsWith(".deleted")) removeDeleted(state, event);
  else if (changesTask(event)) {
    if (!applyToTask(state, event)) state.incomplete.add(event.task_id);
    state.revision.tasks += 1;
  }
}

function trimEvents(/** @type {State} */ state) {
  if (state.events.length > EVENTS_KEPT * 1.5) state.events = state.events.slice(-EVENTS_KEPT);
  state.revision.events += 1;
}

/** Add events from before the page was opened, oldest first. */
function addHistory(/** @type {State} */ state, /** @type {OutboxEvent[]} */ events) {
  const first = state.events.length ? state.events[0].seq : Infinity;
  state.events = [...events.filter((event) => event.seq < first), ...state.events];
  trimEvents(state);
}

/** @type {Reducers} */
const REDUCERS = {
  board: (state, { board }) => loadBoard(state, board),
  loading: (state, { read, total }) => Object.assign(state, { loading: { read, total } }),
  failure: (state, { error }) => Object.assign(state, { failure: error }),
  events: (state, { events }) => {
    state.incomplete = new Set();
    for (const event of events) applyEvent(state, event);
    trimEvents(state);
  },
  history: (state, { events }) => addHistory(state, events),
  tasks: (state, { tasks, gone = [] }) => {
    for (const task of tasks) putTask(state, task);
    for (const task of gone.map((id) => state.tasks.get(id))) if (task) dropTask(state, task);
    if (gone.length) dropUnknownSelected(state);
    state.revision.tasks += 1;
  },
  pending: (state, { id, on }) => {
    if (on) state.pending.add(id);
    else state.pending.delete(id);
    state.revision.tasks += 1;
  },
  plans: (state, { projects = [], epics = [] }) => {
    for (const project of projects) state.projects.set(project.id, project);
    for (const epic of epics) state.epics.set(epic.id, epic);
    state.revision.plans += 1;
  },
  agents: (state, { agents }) => {
    state.agents = new Map(agents.map((agent) => [agent.id, agent]));
    state.revision.agents += 1;
  },
  agentsSeen: (state, { agents }) => seeAgents(state, agents),
  messages: (state, { messages }) => Object.assign(state, { messages, messageRevision: state.messageRevision + 1 }),
  savedViews: (state, { views }) => Object.assign(state, { savedViews: views }),
  openedView: (state, { id }) => Object.assign(state, { openedView: id }),
  pauses: (state, { pauses }) => Object.assign(state, { pauses }),
  connection: (state, { connection }) => Object.assign(state, { connection: { ...state.connection, ...connection } }),
  version: (state, { version }) => Object.assign(state, { serverVersion: version }),
  session: (state, { session, another }) => {
    if (another) Object.assign(state, { dialogs: [], selected: new Set() });
    Object.assign(state, { session, signIn: false, whySignIn: null });
  },
  signIn: (state, { why }) => Object.assign(state, { signIn: true, whySignIn: why }),
  found: (state, { q, ids }) => {
    state.found = { q, ids };
    state.revision.tasks += 1;
  },
  route: (state, { route }) => Object.assign(state, { route, renaming: null }),
  selected: (state, { selected }) => Object.assign(state, { selected }),
  renaming: (state, { id }) => Object.assign(state, { renaming: id }),
  editing: (state, { on }) => Object.assign(state, { editing: on }),
  cursor: (state, { id }) => Object.assign(state, { cursor: id }),
  openDialog: (state, { dialog }) => Object.assign(state, { dialogs: [...state.dialogs, dialog] }),
  closeDialog: (state, { id }) => Object.assign(state, { dialogs: state.dialogs.filter((shown) => shown.id !== id) }),
  toast: (state, { toast }) => {
    const errors = state.toasts.filter((shown) => shown.tone === "error");
    const others = state.toasts.filter((shown) => shown.tone !== "error");
    const kept = toast.tone === "error"
      ? [...errors.slice(1 - ERRORS_SHOWN), ...others]
      : [...errors, ...others.filter((shown) => shown.slot !== toast.slot)];
    state.toasts = [...kept, toast];
  },
  dismissToast: (state, { id }) => Object.assign(state, { toasts: state.toasts.filter((toast) => toast.id !== id) }),
};

export function reduce(/** @type {State} */ state, /** @type {Action} */ action) {
  const reducer = /** @type {(state: State, action: Action) => void} */ (REDUCERS[action.type]);
  reducer(state, action);
}
