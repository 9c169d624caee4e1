// The commands of the current task, and those of the selected tasks.
import { CLOSED, STATUSES, STATUS_NAMES, allowedTransitions, statusChoices } from "../../core/vocabulary.js";
import { copyLink, deleteTask, editTask } from "../../state/actions.js";
import { closeTask, navigate, toggleFull } from "../../state/route.js";
import { selectedTasks } from "../../state/selection.js";
import { state } from "../../state/store.js";
import { claimTask, releaseTask, takeOver } from "../../state/task_leases.js";
import { moveTask } from "../../state/task_moves.js";
import { startRename } from "../../forms/rename.js";
import { focusCard } from "../board/column.js";
import { selectedCount } from "../selection/bar.js";
import {
  askAgent, askEpic, askLabels, askMoveMany, askPriority, cancelMany, choose, offerAgain,
} from "../selection/choices.js";
import { listsTasks, onBoard, withTask } from "./conditions.js";

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

/** @type {Command[]} */
export const TASK_COMMANDS = [
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
];
