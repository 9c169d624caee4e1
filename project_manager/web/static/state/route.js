// The address of the page: view, filters and open task, so that a link restores them.
import { dispatchNow, state } from "./store.js";

const NUMBERS = ["project", "epic", "task"];
const WORDS = [
  "label", "holder", "ready", "q", "status", "around", "show", "lane", "agent", "range", "kind", "text", "worked_by",
  "completed_since", "completed_until", "full",
];
/** @type {RouteName[]} */
export const FILTERS = [
  "project", "epic", "label", "holder", "ready", "q", "worked_by", "completed_since", "completed_until",
];

/** The views with their filters. Other filters are kept for later and are not in the address of a view. */
/** @type {Views} */
let views = {};

function parse(/** @type {string} */ search) {
  const query = new URLSearchParams(search);
  const view = query.get("view") ?? "";
  /** @type {any} */
  const route = { view: Object.hasOwn(views, view) ? view : "board" };
  for (const name of NUMBERS) {
    const number = Number(query.get(name));
    route[name] = Number.isSafeInteger(number) && number > 0 ? number : null;
  }
  for (const name of WORDS) route[name] = query.get(name) || null;
  return /** @type {Route} */ (route);
}

const filtersOf = (/** @type {string} */ view) => views[view]?.filters ?? ["project"];
/** @type {KeptFilters} */
const kept = {};

/** Return the kept filters that the present view does not use. A change that sets a filter drops them. */
function filtersFor(/** @type {RouteChanges} */ changes) {
  const fresh = FILTERS.some((name) => changes[name]);
  const taken = filtersOf(state.route.view);
  return Object.fromEntries(
    FILTERS.filter((name) => !taken.includes(name)).map((name) => [name, fresh ? null : kept[name]])
  );
}

/** Return the address of the present view with some parts changed; null removes a part. */
export function hrefOf(/** @type {RouteChanges} */ changes) {
  const next = { ...state.route, ...filtersFor(changes), ...changes };
  // Only links between tasks keep the full page: other changes would be out of sight behind it.
  if (!next.task || Object.keys(changes).some((name) => name !== "task" && name !== "full")) next.full = null;
  const query = new URLSearchParams();
  if (next.view !== "board") query.set("view", next.view);
  /** @type {RouteName[]} */
  const names = [...filtersOf(next.view), "status", "around", "lane", "task", "full"];
  for (const name of names) {
    if (next[name]) query.set(name, String(next[name]));
  }
  const text = query.toString();
  return text ? `/?${text}` : "/";
}

function read() {
  const route = parse(location.search);
  const taken = filtersOf(route.view);
  // An epic of another project would match no task.
  if (route.project !== kept.project) kept.epic = null;
  for (const name of FILTERS) if (taken.includes(name) || route[name]) kept[name] = route[name];
  dispatchNow({ type: "route", route });
}

/** @param {RouteChanges} changes @param {{ replace?: boolean }} options */
export function navigate(changes, { replace = false } = {}) {
  const href = hrefOf(changes);
  for (const name of FILTERS) if (name in changes) kept[name] = changes[name];
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  read();
}

/** Filters except the project. */
const NARROWING_FILTERS = FILTERS.filter((name) => name !== "project");

export const isFiltered = (/** @type {Route} */ route) => NARROWING_FILTERS.some((name) => route[name]);
export const clearFilters = () => navigate(Object.fromEntries(NARROWING_FILTERS.map((name) => [name, null])));

/** Follow an internal link without leaving the page, unless the click opens a new tab. */
export function follow(/** @type {MouseEvent} */ event, /** @type {RouteChanges} */ changes) {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) {
    return;
  }
  event.preventDefault();
  navigate(changes);
}

export function startRouting(/** @type {Views} */ table) {
  views = table;
  addEventListener("popstate", read);
  read();
}

export const openTask = (/** @type {number} */ id) => navigate({ task: id });
/** Show the open task as a full page, or beside the view. */
export const toggleFull = () => navigate({ full: state.route.full ? null : "1" }, { replace: true });
export const closeTask = () => navigate({ task: null });
