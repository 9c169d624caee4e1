// The commands: one list for the palette, the keyboard and the help.
import { plural } from "../../core/format.js";
import { focusedElement } from "../../core/html.js";
import { canWrite, isOperator } from "../../core/vocabulary.js";
import { openDialog } from "../../state/dialogs.js";
import { endPause, pauseOf } from "../../state/pauses.js";
import { closeTask, navigate } from "../../state/route.js";
import { MAX_EDITED, clearSelection, selectedTasks } from "../../state/selection.js";
import { signOut } from "../../state/session.js";
import { state } from "../../state/store.js";
import { cycleTheme } from "../../state/theme.js";
import { undoLast } from "../../state/undo.js";
import { taskAtHand } from "../board/board.js";
import { BOARD_COMMANDS } from "../board/commands.js";
import { NEEDS_COMMANDS } from "../needs/commands.js";
import { askPause } from "../page/pauses.js";
import { SETUP_COMMANDS } from "../setup/commands.js";
import { VIEWS } from "../views.js";
import { hasSelection, listsTasks } from "./conditions.js";
import { TASK_COMMANDS } from "./task_commands.js";

const writer = () => canWrite(state.session);

/** Go from the field for an answer back to its row or panel, so that the next keys are commands again. */
const leaveAnswer = (/** @type {HTMLElement} */ place) =>
  (/** @type {HTMLElement | null} */ (place.querySelector(".need-name")) ?? place).focus();

function escape() {
  const focused = focusedElement();
  const asked = focused?.matches("input") && focused.closest(".answer")?.closest(".drawer, [data-need]");
  if (focused?.id === "search" && !state.route.task) focused.blur();
  else if (asked) leaveAnswer(/** @type {HTMLElement} */ (asked));
  else if (hasSelection()) clearSelection();
  else if (state.route.task) closeTask();
}

const selectSearch = () => /** @type {HTMLInputElement | null} */ (document.getElementById("search"))?.select();
function search() {
  if (listsTasks()) selectSearch();
  else {
    navigate({ view: "board" });
    requestAnimationFrame(selectSearch);
  }
}

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
  ...BOARD_COMMANDS,
  ...NEEDS_COMMANDS,
  ...TASK_COMMANDS,
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
