// Undo: the last acts of this tab. Undoing is an edit of many tasks with the versions that the acts left, so that tasks
// that changed since stay as they are.
import { request } from "../core/api.js";
import { plural } from "../core/format.js";
import { MAX_EDITED } from "./selection.js";
import { state } from "./store.js";
import { markDirty } from "./sync.js";
import { dismissToast, showError, toast } from "./toasts.js";

/** @typedef {Pick<EditedTasks, "changed" | "changed_since" | "refused" | "refused_total">} Outcome */

const KEPT = 20;

/** @type {Act[]} The last acts, oldest first. */
let acts = [];
/** @type {Map<string, Act[]>} The acts of each message. */
const groups = new Map();
/** @type {Set<Promise<unknown>>} Writes without a response. */
const running = new Set();
/** The last undo. Each waits for the one before. */
let queue = Promise.resolve();

/** Let an undo wait until the write has a response, so that it undoes this write and not the one before. */
export function trackWrite(/** @type {Promise<unknown>} */ call) {
  running.add(call);
  const end = () => running.delete(call);
  call.then(end, end);
}

export function clearActs() {
  acts = [];
  groups.clear();
}

const lastAct = () => acts[acts.length - 1] ?? null;

export function recordAct(/** @type {Act} */ act) {
  acts = [...acts, act].slice(-KEPT);
}

/** Record an act that cannot be undone. `why` says so after its sentence. */
export const recordFinal = (/** @type {string} */ name, /** @type {string} */ why) => recordAct({ name, why });

/**
 * Return the act that changed `task` into `changed`, both with all of the changed fields. Undo restores `former`.
 * @param {string} name @param {Task} task @param {Task} changed @param {Record<string, unknown>} former
 * @param {string} undone
 * @returns {Act}
 */
export const actOn = (name, task, changed, former, undone) => ({
  name,
  undone,
  items: new Map([[task.id, { id: task.id, version: changed.version, ...former }]]),
  before: new Map([[task.id, task.version]]),
});

/**
 * Return the items that undo the acts, newest first. The former values of the oldest act count. A task
 * that changed between two of the acts keeps the values of the later one.
 */
function merged(/** @type {Act[]} */ chosen) {
  /** @type {Map<number, { item: UndoItem, before: number }>} */
  const found = new Map();
  for (const act of chosen) {
    for (const [id, item] of act.items ?? []) {
      const known = found.get(id);
      const before = act.before?.get(id) ?? 0;
      if (!known) found.set(id, { item, before });
      else if (known.before === item.version) {
        found.set(id, { item: { ...known.item, ...item, version: known.item.version }, before });
      }
    }
  }
  return found;
}

/** Give the remaining acts the versions that the undo left, where nothing changed between them and the undone ones. */
function rebase(/** @type {Map<number, { before: number }>} */ undone, /** @type {EditedTasks} */ answer) {
  const versions = new Map((answer.undo?.tasks ?? []).map((item) => [item.id, item.version]));
  for (const act of acts) {
    for (const [id, item] of act.items ?? []) {
      const version = versions.get(id);
      if (version && item.version === undone.get(id)?.before) act.items?.set(id, { ...item, version });
    }
  }
}

/** Return the sentence about an undo of several tasks. */
function outcome(/** @type {Outcome} */ { changed, changed_since: since, refused_total: refused }) {
  const parts = [`${changed} undone`];
  if (since.length) parts.push(`${since.length} changed since`);
  if (refused) parts.push(`${refused} refused`);
  return parts.join(", ");
}

/** Return the numbers and tasks of several answers as one. */
const sum = (/** @type {Outcome[]} */ answers) => ({
  changed: answers.reduce((number, answer) => number + answer.changed, 0),
  changed_since: answers.flatMap((answer) => answer.changed_since),
  refused: answers.flatMap((answer) => answer.refused),
  refused_total: answers.reduce((number, answer) => number + answer.refused_total, 0),
});

/** Show the result of the undo. One task has a sentence of its own. */
function report(/** @type {Act[]} */ chosen, /** @type {number} */ size, /** @type {Outcome} */ answer) {
  const { changed, changed_since: since, refused } = answer;
  const { name } = chosen[0];
  const { undone } = chosen[chosen.length - 1]; // the task is as it was before the oldest act
  if (changed === size && size === 1 && undone) toast(undone);
  else if (changed === size) {
    toast(`${plural(size, "change")} undone`, { hint: chosen.length > 1 ? `The latest one: ${name}` : name });
  }
  else if (size > 1) toast(outcome(answer), { hint: refused[0]?.message ?? "" });
  else if (refused.length) toast("Not undone", { hint: refused[0].message, tone: "error" });
  else if (since.length) toast(`#${since[0]} changed since, so it stays as it is`);
  else toast("Nothing to undo: the task has its former values");
}

/** Undo the acts, newest first, with a request for each MAX_EDITED tasks. Throw ApiError. */
async function send(/** @type {Act[]} */ chosen) {
  const found = merged(chosen);
  const tasks = [...found.values()].map(({ item }) => item);
  /** @type {EditedTasks[]} */
  const answers = [];
  for (let from = 0; from < tasks.length; from += MAX_EDITED) {
    const sent = tasks.slice(from, from + MAX_EDITED);
    /** @type {EditedTasks} */
    const answer = await request("PATCH", "/api/tasks", { body: { tasks: sent } });
    // After an error, another undo of these acts sends only the tasks of the failed request and of later ones.
    for (const act of chosen) for (const { id } of sent) act.items?.delete(id);
    rebase(found, answer);
    markDirty(sent.map(({ id }) => id));
    answers.push(answer);
  }
  acts = acts.filter((act) => !chosen.includes(act));
  report(chosen, tasks.length, sum(answers));
}

const STALE = "The page is stale, so it does not know what changed since.";

/** Undo the acts, newest first. After an error they can be undone again. */
async function undo(/** @type {Act[]} */ chosen) {
  if (chosen.length === 0) return;
  if (state.connection.status === "stale") {
    toast(STALE, { hint: "Undo when the page is live again.", tone: "error" });
    return;
  }
  try {
    if (chosen[0].opposite) {
      await chosen[0].opposite();
      acts = acts.filter((act) => act !== chosen[0]);
    } else await send(chosen);
    closeMessages(chosen);
  } catch (error) {
    showError(error);
  }
}

/** Close the messages about the acts. */
function closeMessages(/** @type {Act[]} */ chosen) {
  for (const [slot, group] of groups) {
    if (!group.some((act) => chosen.includes(act))) continue;
    groups.delete(slot);
    for (const shown of state.toasts.filter((other) => other.slot === slot && other.undo)) dismissToast(shown.id);
  }
}

/** Wait for earlier undos and for writes without a response. */
function inTurn(/** @type {() => Promise<void>} */ act) {
  queue = queue.then(async () => {
    await Promise.allSettled([...running]);
    await act();
  });
  return queue;
}

/** Undo the last act of this tab, or say why it cannot be undone. The next call then undoes the act before it. */
export const undoLast = () => inTurn(async () => {
  const act = lastAct();
  if (!act) toast("Nothing to undo in this tab");
  else if (act.why) {
    acts = acts.slice(0, -1);
    const before = lastAct();
    const hint = before ? `Undo again to undo the act before it: ${before.name}.` : "";
    toast(`${act.name}: this cannot be undone. ${act.why}`, { hint });
  } else await undo([act]);
});

/** Return the acts of the visible message, or a new, empty group without such a message. */
function groupOf(/** @type {string} */ slot) {
  const group = groups.get(slot);
  if (group && state.toasts.some((shown) => shown.slot === slot)) return group;
  /** @type {Act[]} */
  const fresh = [];
  groups.set(slot, fresh);
  return fresh;
}

const idsOf = (/** @type {Act[]} */ group) => new Set(group.flatMap((act) => [...(act.items?.keys() ?? [])]));

/**
 * Record an act and show a message with a button that undoes it. Consecutive acts of one `kind` share the message.
 * `many(acts, tasks)` is the sentence about several tasks.
 * @param {string} kind @param {Act} act @param {(acts: Act[], tasks: number) => string} [many]
 * @param {Partial<Toast>} [options]
 */
export function showUndoable(kind, act, many, options = {}) {
  recordAct(act);
  if (!many) groups.delete(kind);
  const group = groupOf(kind);
  group.push(act);
  const tasks = idsOf(group).size;
  const several = many && tasks > 1;
  toast(several ? many(group, tasks) : act.name, {
    slot: kind,
    undo: () => inTurn(() => undo([...group].reverse())),
    undoName: several ? "Undo all" : "Undo",
    ...options,
  });
}
