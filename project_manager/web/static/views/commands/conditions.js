// The conditions of commands: the present view, the focus, the selection, and the current task.
import { focusedElement } from "../../core/html.js";
import { state } from "../../state/store.js";
import { selectedCount } from "../selection/bar.js";

export const onBoard = () => state.route.view === "board";
export const onTable = () => state.route.view === "table";
export const listsTasks = () => onBoard() || onTable();
export const onNeeds = () => state.route.view === "needs";

export const inDrawer = () => Boolean(focusedElement()?.closest(".drawer"));

/** Return whether keys change the selected tasks. With the focus in the panel, they belong to its task. */
export const hasSelection = () => selectedCount(state) > 0 && !inDrawer();

/** Return the part of a command that needs a current task. */
export const withTask = (/** @type {(task: Task) =>
  unknown} */ act, /** @type {TaskTest} */ fits = () => true) => ({ act, fits });
