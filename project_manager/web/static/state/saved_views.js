// The saved views, which all people share: reads, the actions that change them, and the one that is open.
import { get, put, remove } from "../core/api.js";
import { bidiIsolate } from "../core/format.js";
import { confirmDialog } from "./dialogs.js";
import { openSaved, routeOf, savedQueryOf } from "./route.js";
import { dispatch, dispatchNow, state } from "./store.js";
import { showError, toast } from "./toasts.js";
import { showUndoable } from "./undo.js";

/** @type {WeakMap<SavedView, string>} */
const queries = new WeakMap();

/** Return the query of a saved view as the page writes it, to compare it with the address. */
function queryOf(/** @type {SavedView} */ view) {
  const known = queries.get(view);
  if (known !== undefined) return known;
  const query = savedQueryOf(routeOf(view.query));
  queries.set(view, query);
  return query;
}

export async function loadSavedViews() {
  const { items } = await get("/api/views");
  dispatch({ type: "savedViews", views: items });
}

/**
 * Return the saved view of the address, or the opened one with other filters than it was saved with. A page without a
 * filter has no view, unless one was saved for it.
 */
export function presentView(/** @type {State} */ now) {
  const query = savedQueryOf(now.route);
  const same = now.savedViews.filter((view) => queryOf(view) === query);
  const exact = same.find((view) => view.id === now.openedView) ?? same[0];
  if (exact) return { view: exact, changed: false };
  const opened = query ? now.savedViews.find((view) => view.id === now.openedView) : undefined;
  return opened ? { view: opened, changed: true } : null;
}

export function openView(/** @type {SavedView} */ view) {
  dispatchNow({ type: "openedView", id: view.id });
  openSaved(view.query);
}

/** Return the form in which the server compares names of views. */
const nameKey = (/** @type {string} */ name) => name.normalize("NFKC").toLowerCase().trim().replace(/\s+/g, " ");

const namedLike = (/** @type {string} */ name) => state.savedViews.find((view) => nameKey(view.name) === nameKey(name));

/** Save the view of the address under a name. Return false if the user keeps the view of that name. Throw ApiError. */
export async function saveView(/** @type {string} */ name) {
  const taken = namedLike(name);
  const title = `Replace the view ${bidiIsolate(taken?.name ?? "")}`;
  const body = "All people see this view. It gets the present filters, order and groups.";
  if (taken && !(await confirmDialog({ title, body, confirm: "Replace" }))) return false;
  await storeView(taken, name);
  return true;
}

/** Save the view of the address as `before`, or as a new view without one. Throw ApiError. */
export async function storeView(/** @type {SavedView | undefined} */ before, name = before?.name ?? "") {
  const saved = await put("/api/views", { view_id: before?.id, name, query: savedQueryOf(state.route) });
  await loadSavedViews();
  dispatchNow({ type: "openedView", id: saved.id });
  const act = `Saved the view ${bidiIsolate(saved.name)}`;
  if (before) showUndoable("view", { name: act, opposite: () => returnView(before, saved) });
  else toast(act);
}

/** Save a view as it was, unless it has changed since. Throw ApiError. */
async function returnView(/** @type {SavedView} */ before, /** @type {SavedView} */ after) {
  await loadSavedViews();
  const now = state.savedViews.find((view) => view.id === after.id);
  if (now?.query !== after.query || now.name !== after.name) {
    toast(`The view ${bidiIsolate(after.name)} has changed since, so it stays as it is`);
    return;
  }
  await renameView(before, before.name);
  toast(`Restored the view ${bidiIsolate(before.name)}`);
}

/** Give a view another name, with its query. Throw ApiError. */
export async function renameView(/** @type {SavedView} */ view, /** @type {string} */ name) {
  await put("/api/views", { view_id: view.id, name, query: view.query });
  await loadSavedViews();
}

/** Save a deleted view again. Throw ApiError. A view that has its name by now stays as it is. */
async function restoreView(/** @type {SavedView} */ { name, query, position }) {
  await loadSavedViews();
  if (namedLike(name)) {
    toast(`There is a view ${bidiIsolate(name)} again, so it stays as it is`);
    return;
  }
  await put("/api/views", { name, query, position });
  await loadSavedViews();
  toast(`Restored the view ${bidiIsolate(name)}`);
}

export async function deleteView(/** @type {SavedView} */ view) {
  try {
    await remove(`/api/views/${view.id}`);
    const name = `Deleted the view ${bidiIsolate(view.name)}`;
    showUndoable("view", { name, opposite: () => restoreView(view) });
  } catch (error) {
    if (error.status !== 404) showError(error);
  }
  await loadSavedViews().catch(showError);
}
