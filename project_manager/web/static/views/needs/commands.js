// The commands of "Needs you", and those that decide about its row or the open task.
import { state } from "../../state/store.js";
import { onNeeds } from "../commands/conditions.js";
import { moveRow, pressInRow } from "./focus.js";

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
export const NEEDS_COMMANDS = [
  {
    id: "next-row", keys: "j", name: "Next row", group: "Needs you and task", hidden: true, fits: onNeeds,
    run: () => moveRow(1),
  },
  {
    id: "previous-row", keys: "k", name: "Previous row", group: "Needs you and task", hidden: true, fits: onNeeds,
    run: () => moveRow(-1),
  },
  decision("accept", "a", "Accept, or the main action; write the answer", { write: true }),
  decision("accept-comment", "Shift A", "Accept with a comment", { write: true }),
  decision("send-back", "s", "Send back", { write: true }),
  decision("option", "1", "Answer with this option", {
    also: [..."23456789"], caps: "1–9", write: true,
  }),
  decision("open-row", "o", "Open the task of the row", { fits: () => onNeeds() && !state.route.task }),
];
