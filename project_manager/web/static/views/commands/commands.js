// The commands: one list for the palette, the keyboard and the help.
import { plural } from "../../core/format.js";
import { focusedElement } from "../../core/html.js";
import {
  CLOSED, STATUSES, STATUS_NAMES, allowedTransitions, canWrite, isOperator, statusChoices,
} from "../../core/vocabulary.js";
import {
  claimTask, copyLink, deleteTask, editTask, moveTask, releaseTask, takeOver,
} from "../../state/actions.js";
import { openDialog } from "../../state/dialogs.js";
import { endPause, pauseOf } from "../../state/pauses.js";
import { FILTERS, closeTask, navigate, toggleFull } from "../../state/route.js";
import { MAX_EDITED, clearSelection, selectMatching, selectedTasks, toggleSelected } from "../../state/selection.js";
import { signOut } from "../../state/session.js";
import { state } from "../../state/store.js";
import { cycleTheme } from "../../state/theme.js";
import { undoLast } from "../../state/undo.js";
import { startRename } from "../../forms/rename.js";
import { extendSelection, moveCursor, moveToEnd, taskAtHand } from "../board/board.js";
import { focusCard } from "../board/column.js";
import { moveRow, pressInRow } from "../needs/focus.js";
import { askPause } from "../page/pauses.js";
import { canSelect, selectedCount } from "../selection/bar.js";
import {
  askAgent, askEpic, askLabels, askMoveMany, askPriority, cancelMany, choose, offerAgain,
} from "../selection/choices.js";
import { SETUP_COMMANDS } from "../setup/commands.js";
import { extendRows, moveInTable, moveRowToEnd } from "../table/table.js";
import { VIEWS } from "../views.js";

const onBoard = () => state.route.view === "board";
const onTable = () => state.route.view === "table";
const listsTasks = () => onBoard() || onTable();
const onNeeds = () => state.route.view === "needs";
const writer = () => canWrite(state.session);

function askMove(/** @type {Task} */ task) {
  const entry = (/** @type {Status} */ status) => ({
    id: status,
    status,
    name: STATUS_NAMES[status],
    closing: CLOSED.has(status),
    present: status === task.status,
    run: () => status !== task.status && shift(task, status),
  });
  choose(`Move #${task.id} to…`, statusChoices(task.status).map(entry));
}

async function shift(/** @type {Task} */ task, /** @type {Status} */ status) {
  const follow = onBoard() && !state.route.task;
  if (follow) focusCard(task.id, status);
  await moveTask(task, status);
  if (follow && state.tasks.get(task.id)?.status !== status) focusCard(task.id);
}

/** Move the task to the next allowed status in a direction of the board. */
function shiftBy(/** @type {Task} */ task, /** @type {number} */ step) {
  const legal = allowedTransitions(task.status);
  for (let at = STATUSES.indexOf(task.status) + step; at >= 0 && at < STATUSES.length; at += step) {
    if (legal.includes(STATUSES[at])) return shift(task, STATUSES[at]);
  }
  return undefined;
}

const withTask = (/** @type {(task: Task) =>
  unknown} */ act, /** @type {TaskTest} */ fits = () => true) => ({ act, fits });

function escape() {
  const focused = focusedElement();
  if (focused?.id === "search" && !state.route.task) focused.blur();
  else if (hasSelection()) clearSelection();
  else if (state.route.task) closeTask();
}

const inDrawer = () => Boolean(focusedElement()?.closest(".drawer"));

/** Return whether keys change the selected tasks. With the focus in the panel, they belong to its task. */
const hasSelection = () => selectedCount(state) > 0 && !inDrawer();

const clearFilters = () => navigate(Object.fromEntries(FILTERS.map((name) => [name, null])));
const toggleReady = () => navigate({ ready: state.route.ready === "ready" ? null : "ready" }, { replace: true });
const selectSearch = () => /** @type {HTMLInputElement | null} */ (document.getElementById("search"))?.select();
const openPopover = (/** @type {string} */ name) =>
  /** @type {HTMLElement | null} */ (document.querySelector(`[popovertarget="${name}"]`))?.click();
const openFilters = () => openPopover("filter-panel");
const openSavedViews = () => openPopover("saved-views");
function search() {
  if (listsTasks()) selectSearch();
  else {
    navigate({ view: "board" });
    requestAnimationFrame(selectSearch);
  }
}

/** Press the control of a key in the open task, else in the focused row of "Needs you". */
function pressKey(/** @type {string} */ key) {
  const inTask = /** @type {HTMLElement | null} */ (document.querySelector(`.drawer [data-key="${key}"]`));
  if (!state.route.task) pressInRow(key);
  else if (inTask?.matches("input")) inTask.focus();
  else inTask?.click();
}

const isDecidable = () => onNeeds() || state.route.task !== null;

/** @type {(id: string, keys: string, name: string, further?: Partial<Command>) => Command} */
const decision = (id, keys, name, further = {}) => ({
  id, keys, name, group: "Needs you and task", hidden: true, once: true, fits: isDecidable,
  run: (typed) => pressKey(typed || keys), ...further,
});

/** @type {Command[]} */
export const COMMANDS = [
  {
    id: "palette", keys: "Ctrl K", name: "Command palette", group: "Everywhere", icon: "search",
    run: () => openDialog("palette", {}), hidden: true,
  },
  { id: "search", keys: "/", name: "Search tasks", group: "Everywhere", icon: "search", run: search },
  {
    id: "new-task", keys: "c", name: "New task", group: "Everywhere", icon: "plus", write: true,
    run: () => openDialog("task", {}),
  },
  { id: "new-epic", name: "New epic", icon: "plus", write: true, run: () => openDialog("epic", {}) },
  { id: "new-project", name: "New project", icon: "plus", write: true, run: () => openDialog("project", {}) },
  {
    id: "help", keys: "?", name: "Keyboard shortcuts", group: "Everywhere", icon: "help",
    run: () => openDialog("help", {}),
  },
  {
    id: "undo", keys: "Ctrl Z", name: "Undo the last change", group: "Everywhere", icon: "history", write: true,
    run: undoLast,
  },
  { id: "send", keys: "Ctrl Enter", name: "Send the form or the comment", group: "Everywhere", hidden: true },
  { id: "escape", keys: "Esc", name: "Close the dialog or drawer", group: "Everywhere", run: escape, hidden: true },
  {
    id: "theme", keys: "Shift D", name: "Light, dark, or as the system", group: "Everywhere", icon: "moon",
    run: cycleTheme,
  },
  { id: "notices", name: "Notices", icon: "bell", run: () => openDialog("notices", {}) },
  ...Object.entries(VIEWS).map(([name, { title, goal = title.toLowerCase(), icon, key }]) => ({
    id: name, keys: `g ${key}`, name: `Go to ${goal}`, group: "Go to", icon,
    run: () => navigate({ view: name, around: null, agent: null }),
  })),
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
  { id: "clear", keys: "Shift X", name: "Clear all filters", group: "Board", icon: "filter", run: clearFilters },
  {
    id: "next-row", keys: "j", name: "Next row", group: "Needs you and task", hidden: true, fits: onNeeds,
    run: () => moveRow(1),
  },
  {
    id: "previous-row", keys: "k", name: "Previous row", group: "Needs you and task", hidden: true, fits: onNeeds,
    run: () => moveRow(-1),
  },
  decision("accept", "a", "Accept, or the first action; write the answer", { write: true }),
  decision("accept-comment", "Shift A", "Accept with a comment", { write: true }),
  decision("send-back", "s", "Send back", { write: true }),
  decision("option", "1", "Answer with this option", {
    also: [..."23456789"], caps: "1–9", write: true,
  }),
  decision("open-row", "o", "Open the task of the row", { fits: () => onNeeds() && !state.route.task }),
  {
    id: "open",
    keys: "Enter",
    name: "Open the task",
    group: "Task",
    hidden: true,
    task: withTask((task) => navigate({ task: task.id }), listsTasks),
  },
  {
    id: "move", keys: "m", name: "Move the task to…", group: "Task", icon: "arrow", write: true,
    task: withTask(askMove), many: askMoveMany,
  },
  {
    id: "move-right", keys: "Shift ArrowRight", name: "Move the task one column right", group: "Task", icon: "arrow",
    write: true, task: withTask((task) => shiftBy(task, 1)),
  },
  {
    id: "move-left", keys: "Shift ArrowLeft", name: "Move the task one column left", group: "Task", icon: "arrow",
    write: true, task: withTask((task) => shiftBy(task, -1)),
  },
  { id: "edit", keys: "e", name: "Edit the task", group: "Task", icon: "edit", write: true, task: withTask(editTask) },
  {
    id: "rename", keys: "F2", name: "Rename the task", group: "Task", icon: "edit", write: true,
    task: withTask((task) => startRename(task.id), (task) => listsTasks() || state.route.task === task.id),
  },
  {
    id: "priority", keys: "p", name: "Set the priority", group: "Task", icon: "flag", write: true,
    task: withTask((task) => askPriority([task])), many: askPriority,
  },
  {
    id: "labels", keys: "Shift L", name: "Change the labels", group: "Task", icon: "label", write: true,
    task: withTask((task) => askLabels([task])), many: askLabels,
  },
  {
    id: "epic", keys: "Shift E", name: "Set the epic", group: "Task", icon: "flag", write: true,
    task: withTask((task) => askEpic([task])), many: askEpic,
  },
  {
    id: "take",
    keys: "t",
    name: "Lock or take over the task",
    group: "Task",
    icon: "hand",
    write: true,
    task: withTask((task) => (task.lock ? takeOver(task) : claimTask(task))),
  },
  {
    id: "release", keys: "u", name: "Release the task's lease", group: "Task", icon: "out", write: true,
    task: withTask(releaseTask, (task) => Boolean(task.lock)),
  },
  {
    id: "full", keys: "f", name: "Show the open task as a page, or beside the view", group: "Task", icon: "wide",
    fits: () => state.route.task, run: toggleFull,
  },
  { id: "link", keys: "y", name: "Copy a link to the task", group: "Task", icon: "link", task: withTask(copyLink) },
  {
    id: "around",
    keys: "v",
    name: "Show the task in the graph",
    group: "Task",
    icon: "graph",
    task: withTask((task) => navigate({ view: "graph", around: task.id })),
  },
  {
    id: "delete",
    keys: "Shift Delete",
    name: "Delete the task",
    group: "Task",
    icon: "trash",
    write: true,
    task: withTask(async (task) => (await deleteTask(task)) && state.route.task === task.id && closeTask()),
  },
  {
    id: "offer-again", name: "Offer the selected tasks again", icon: "refresh", write: true,
    fits: () => selectedCount(state), run: () => offerAgain(selectedTasks()),
  },
  {
    id: "offer-first", name: "Offer the task first to an agent…", icon: "agents", write: true,
    task: withTask((task) => askAgent([task]), (task) => task.status === "TODO" && !task.lock), many: askAgent,
  },
  {
    id: "cancel-selected", name: "Cancel the selected tasks", icon: "close", write: true,
    fits: () => selectedCount(state), run: () => cancelMany(selectedTasks()),
  },
  {
    id: "pause-all", name: "Pause all work", icon: "pause", write: true,
    fits: () => isOperator(state.session) && !pauseOf("all"), run: () => askPause({ scope: "all" }, "Pause all work"),
  },
  ...SETUP_COMMANDS,
  {
    id: "resume-all", name: "Resume all work", icon: "play", write: true,
    fits: () => isOperator(state.session) && pauseOf("all"),
    run: () => {
      const pause = pauseOf("all");
      if (pause) endPause(pause);
    },
  },
  { id: "sign-out", name: "Sign out", icon: "out", fits: () => state.session?.auth_required, run: signOut },
];

/** Return whether the command changes the selected tasks instead of the current one. */
const isForMany = (/** @type {Command} */ command) => Boolean(command.many) && hasSelection();

export function available(/** @type {Command} */ command) {
  if (command.write && !(writer() && state.loaded)) return false;
  if (command.fits && !command.fits()) return false;
  if (isForMany(command)) return true;
  if (command.task) {
    const task = taskAtHand();
    return Boolean(task && command.task.fits(task));
  }
  return !command.board || listsTasks();
}

/**
 * Return the call of the command for the selected tasks, the current task, or none.
 * @param {Command} command @returns {((typed?: string) => unknown) | undefined}
 */
function bound(command) {
  const tasks = selectedTasks();
  if (isForMany(command)) return () => changeSelected(command, tasks);
  const task = command.task && taskAtHand();
  return task ? () => command.task?.act(task) : command.run;
}

/** Change the selected tasks, unless they are too many for one request. The bar says so. */
function changeSelected(/** @type {Command} */ command, /** @type {Task[]} */ tasks) {
  const [task] = tasks;
  if (tasks.length > MAX_EDITED) return undefined;
  return tasks.length === 1 ? command.task?.act(task) : command.many?.(tasks);
}

/** Run a command. `typed` is the pressed key of a command with several. */
export const runCommand = (/** @type {Command} */ command, /** @type {string} */ typed = "") => bound(command)?.(typed);

function subject(/** @type {Command} */ command) {
  const task = command.task && taskAtHand();
  if (isForMany(command)) return `${plural(state.selected.size, "task")} selected`;
  return task ? `#${task.id}` : "";
}

/** Return the available commands for the palette. The tasks are bound before the palette takes the focus. */
export function commands() {
  return COMMANDS.filter((command) => !command.hidden && available(command))
    .map((command) => ({ ...command, kind: subject(command), run: bound(command) }));
}
