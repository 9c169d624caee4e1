// The commands of the board and the table: the cursor, the selection and the filters.
import { FILTERS, navigate } from "../../state/route.js";
import { selectMatching, selectedTasks, toggleSelected } from "../../state/selection.js";
import { state } from "../../state/store.js";
import { hasSelection, inDrawer, listsTasks, onBoard, onTable, withTask } from "../commands/conditions.js";
import { canSelect } from "../selection/bar.js";
import { askLabels } from "../selection/choices.js";
import { extendRows, moveInTable, moveRowToEnd } from "../table/table.js";
import { extendSelection, moveCursor, moveToEnd } from "./board.js";

const showAll = () => navigate(Object.fromEntries(FILTERS.map((name) => [name, null])));
const toggleReady = () => navigate({ ready: state.route.ready === "ready" ? null : "ready" }, { replace: true });
/** Open a panel, or close it, and go to its first control. Otherwise letters would run commands behind it. */
function openPopover(/** @type {string} */ name) {
  /** @type {HTMLElement | null} */ (document.querySelector(`[popovertarget="${name}"]`))?.click();
  const first = document.getElementById(name)?.querySelector("a, button, input, select");
  /** @type {HTMLElement | null | undefined} */ (first)?.focus();
}
const openFilters = () => openPopover("filter-panel");
const openSavedViews = () => openPopover("saved-views");

/** @type {Command[]} */
export const BOARD_COMMANDS = [
  {
    id: "down", keys: "j", also: ["ArrowDown"], name: "Next card", group: "Board", board: true, hidden: true,
    run: () => (onTable() ? moveInTable(1) : moveCursor(0, 1)),
  },
  {
    id: "up", keys: "k", also: ["ArrowUp"], name: "Previous card", group: "Board", board: true, hidden: true,
    run: () => (onTable() ? moveInTable(-1) : moveCursor(0, -1)),
  },
  {
    id: "labels-selected", keys: "l", name: "Change the labels of the selected tasks", write: true, hidden: true,
    fits: hasSelection, run: () => askLabels(selectedTasks()),
  },
  {
    id: "left", keys: "h", also: ["ArrowLeft"], name: "Column to the left", group: "Board", board: true, hidden: true,
    fits: onBoard,
    run: () => moveCursor(-1, 0),
  },
  {
    id: "right", keys: "l", also: ["ArrowRight"], name: "Column to the right", group: "Board", board: true,
    hidden: true, fits: onBoard, run: () => moveCursor(1, 0),
  },
  {
    id: "first", keys: "Home", name: "First card of the column", group: "Board", board: true, hidden: true,
    run: () => (onTable() ? moveRowToEnd(false) : moveToEnd(false)),
  },
  {
    id: "last", keys: "End", name: "Last card of the column", group: "Board", board: true, hidden: true,
    run: () => (onTable() ? moveRowToEnd(true) : moveToEnd(true)),
  },
  {
    id: "select-down", keys: "Shift ArrowDown", name: "Extend the selection down", group: "Board", board: true,
    write: true, hidden: true, run: () => (onTable() ? extendRows(1) : extendSelection(1)),
  },
  {
    id: "select-up", keys: "Shift ArrowUp", name: "Extend the selection up", group: "Board", board: true,
    write: true, hidden: true, run: () => (onTable() ? extendRows(-1) : extendSelection(-1)),
  },
  {
    id: "select-all", keys: "Ctrl A", name: "Select all tasks that match", group: "Board", icon: "check", write: true,
    fits: () => canSelect(state) && !inDrawer(), run: selectMatching,
  },
  {
    id: "select", keys: "x", name: "Select the task, or not", group: "Task", icon: "check", write: true,
    task: withTask((task) => toggleSelected(task.id), () => canSelect(state)),
  },
  { id: "ready", keys: "r", name: "Show only ready tasks, or all", group: "Board", icon: "check", run: toggleReady },
  {
    id: "filter", keys: "f", name: "Filter", group: "Board", icon: "filter",
    fits: () => listsTasks() && !state.route.task, run: openFilters,
  },
  {
    id: "views", keys: "Shift V", name: "Saved views", group: "Board", icon: "bookmark", fits: listsTasks,
    run: openSavedViews,
  },
  { id: "clear", keys: "Shift X", name: "Clear all filters", group: "Board", icon: "filter", run: showAll },
];
