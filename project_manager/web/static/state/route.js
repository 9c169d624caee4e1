// The address of the page: view, filters and open task, so that a link restores them.
import { CHANGED_NAMES, READY_NAMES } from "../core/vocabulary.js";
import { dispatchNow, state } from "./store.js";

const NUMBERS = ["project", "epic", "task"];
const WORDS = [
  "holder", "worked_by", "created_by", "changed", "completed_since", "completed_until", "ready", "q", "status",
  "around", "show", "lane", "full", "agent", "range", "kind", "text", "sort", "group",
];
const isTime = (/** @type {string} */ text) => !Number.isNaN(Date.parse(text));
/** Tests of the words that a filter takes. With another word, the address has no such filter. */
/** @type {Record<string, (word: string) => boolean>} */
const VALID = {
  ready: (word) => Object.hasOwn(READY_NAMES, word),
  changed: (word) => Object.hasOwn(CHANGED_NAMES, word) || isTime(`${word}T00:00`),
  completed_since: isTime,
  completed_until: isTime,
};
const valid = (/** @type {string} */ name, /** @type {string | null} */ word) =>
  (word && (VALID[name]?.(word) ?? true) ? word : null);

/** Parameters that the address may have several times. Without any, their value is null. */
const LISTS = ["label", "priority"];
/** @type {RouteName[]} */
export const FILTERS = [
  "project", "epic", "label", "priority", "holder", "worked_by", "created_by", "changed", "completed_since",
  "completed_until", "ready", "q",
];
/** The filters, and the order and the groups of a table. */
/** @type {RouteName[]} */
export const FILTERS_AND_ORDER = [...FILTERS, "sort", "group"];

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
  for (const name of WORDS) route[name] = valid(name, query.get(name));
  for (const name of LISTS) {
    const values = [...new Set(query.getAll(name).filter(Boolean))];
    route[name] = values.length ? values : null;
  }
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
    FILTERS_AND_ORDER.filter((name) => !taken.includes(name)).map((name) => [name, fresh ? null : kept[name]])
  );
}

/** Return the query of an address with these parts. */
/** @param {{ view: string } & RouteChanges} route @param {RouteName[]} names */
function queryOf(route, names) {
  const query = new URLSearchParams();
  if (route.view !== "board") query.set("view", route.view);
  for (const name of names) {
    const value = route[/** @type {keyof RouteChanges} */ (name)];
    for (const one of [value ?? []].flat()) if (one) query.append(name, String(one));
  }
  return query.toString();
}

/** Return the address of the present view with some parts changed; null removes a part. */
export function hrefOf(/** @type {RouteChanges} */ changes) {
  const next = { ...state.route, ...filtersFor(changes), ...changes };
  // Only links between tasks keep the full page: other changes would be out of sight behind it.
  if (!next.task || Object.keys(changes).some((name) => name !== "task" && name !== "full")) next.full = null;
  const text = queryOf(next, [...filtersOf(next.view), "status", "around", "lane", "task", "full"]);
  return text ? `/?${text}` : "/";
}

/** Return the part of a route that a saved view keeps: the view, its filters and its order, as a query. */
export const savedQueryOf = (/** @type {Route} */ route) => queryOf(route, filtersOf(route.view));

/** Return the route of the query of a saved view. */
export const routeOf = (/** @type {string} */ query) => parse(query);

function read() {
  const route = parse(location.search);
  const taken = filtersOf(route.view);
  // An epic of another project would match no task.
  if (route.project !== kept.project) kept.epic = null;
  for (const name of FILTERS_AND_ORDER) if (taken.includes(name) || route[name]) kept[name] = route[name];
  dispatchNow({ type: "route", route });
}

/** @param {RouteChanges} changes @param {{ replace?: boolean }} options */
export function navigate(changes, { replace = false } = {}) {
  const href = hrefOf(changes);
  for (const name of FILTERS_AND_ORDER) if (name in changes) kept[name] = changes[name];
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  read();
}

/** Filters except the project. */
const NARROWING_FILTERS = FILTERS.filter((name) => name !== "project");

export const isFiltered = (/** @type {Route} */ route) => NARROWING_FILTERS.some((name) => route[name]);
/** Open a saved view: replace the view, its filters and its order. */
export function openSaved(/** @type {string} */ query) {
  const { view, ...route } = parse(query);
  navigate({ view, ...Object.fromEntries(FILTERS_AND_ORDER.map((name) => [name, route[/** @type {"q"} */ (name)]])) });
}

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
