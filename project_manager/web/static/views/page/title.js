// The title and the icon of the page, with the number of rows that wait on a person.
import { bidiIsolate, count } from "../../core/format.js";
import { useEffect } from "../../core/html.js";
import { useStore, useThrottled } from "../../state/store.js";
import { needsCount } from "../needs/groups.js";
import { VIEWS } from "../views.js";

const ICON = /icon(?:_\w+)?\.svg$/;

function placeOf(/** @type {State} */ state) {
  const task = state.tasks.get(state.route.task ?? 0);
  const project = state.projects.get(state.route.project ?? 0);
  return task
    ? `#${task.id} ${bidiIsolate(task.name)}`
    : [VIEWS[state.route.view].title, project && bidiIsolate(project.name)].filter(Boolean).join(", ");
}

/** Return the file of the icon. The server makes them, because the security policy forbids drawn ones. */
const iconFor = (/** @type {number} */ waiting) =>
  (waiting === 0 ? "icon.svg" : waiting > 9 ? "icon_9_plus.svg" : `icon_${waiting}.svg`);

/** Return the number, or null on a stale page, where it is unknown. */
const knownCount = (/** @type {State} */ state) =>
  (state.connection.status === "stale" ? null : needsCount(state));

export function useTitle() {
  const place = useStore(placeOf);
  const waiting = useThrottled(knownCount, 1000);
  useEffect(() => {
    const prefix = waiting === null ? "(?) " : waiting ? `(${count(waiting)}) ` : "";
    document.title = `${prefix}${place} · Project Manager`;
  }, [place, waiting]);
  useEffect(() => {
    const link = /** @type {HTMLLinkElement} */ (document.querySelector('link[rel="icon"]'));
    const href = link.href.replace(ICON, iconFor(waiting ?? 0));
    if (link.href !== href) link.href = href;
  }, [waiting]);
}
