// What the page shows is in its address: a view with its filters, and an open task, can be sent to somebody.
import { dispatchNow, state } from "./store.js";

export const VIEWS = ["board", "needs", "agents", "activity", "graph", "projects"];
const NUMBERS = ["project", "epic", "task"];
const WORDS = ["label", "holder", "ready", "q", "status", "around", "lane"];
export const FILTERS = ["project", "epic", "label", "holder", "ready", "q"];

function parse(search) {
  const query = new URLSearchParams(search);
  const route = { view: VIEWS.includes(query.get("view")) ? query.get("view") : "board" };
  for (const name of NUMBERS) {
    const number = Number(query.get(name));
    route[name] = Number.isSafeInteger(number) && number > 0 ? number : null;
  }
  for (const name of WORDS) route[name] = query.get(name) || null;
  return route;
}

// The filters that each view takes; the others are kept for the way back, and are not in its address.
const TAKEN = { board: FILTERS, graph: ["project", "epic", "label"] };
const takenBy = (view) => TAKEN[view] ?? ["project"];
const kept = {};

/** The kept filters that the present view does not take. A change that sets a filter drops them. */
function filtersFor(changes) {
  const fresh = FILTERS.some((name) => changes[name]);
  const taken = takenBy(state.route.view);
  return Object.fromEntries(FILTERS.filter((name) => !taken.includes(name)).map((name) => [name, fresh ? null : kept[name]]));
}

/** The address of the present view with some parts changed; null takes a part away. */
export function hrefOf(changes) {
  const next = { ...state.route, ...filtersFor(changes), ...changes };
  const query = new URLSearchParams();
  if (next.view !== "board") query.set("view", next.view);
  for (const name of [...takenBy(next.view), "status", "around", "lane", "task"]) if (next[name]) query.set(name, next[name]);
  const text = query.toString();
  return text ? `/?${text}` : "/";
}

function read() {
  const route = parse(location.search);
  const taken = takenBy(route.view);
  // An epic of another project would filter everything away.
  if (route.project !== kept.project) kept.epic = null;
  for (const name of FILTERS) if (taken.includes(name) || route[name]) kept[name] = route[name];
  dispatchNow({ type: "route", route });
}

export function navigate(changes, { replace = false } = {}) {
  const href = hrefOf(changes);
  for (const name of FILTERS) if (name in changes) kept[name] = changes[name];
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  read();
}

/** Filters beside the choice of a project. */
const NARROWING = FILTERS.filter((name) => name !== "project");

export const isFiltered = (route) => NARROWING.some((name) => route[name]);
export const clearFilters = () => navigate(Object.fromEntries(NARROWING.map((name) => [name, null])));

/** For a click on a link of ours: stay on the page, unless another tab is wanted. */
export function follow(event, changes) {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  navigate(changes);
}

export function startRouting() {
  addEventListener("popstate", read);
  read();
}

export const openTask = (id) => navigate({ task: id });
export const closeTask = () => navigate({ task: null });
